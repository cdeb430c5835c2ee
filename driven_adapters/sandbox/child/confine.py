"""Gives up everything that a run does not need: user, capabilities, files, system calls, memory. No way leads back.

Sources: landlock(7), seccomp(2), capabilities(7), setrlimit(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import stat
import struct
from typing import Any, Protocol

from .syscall_filter import filter_program

LANDLOCK_ABI_MIN = 3  # from it on, truncating a file is an access of its own (Linux 6.2)
MACHINE = "x86_64"  # the numbers of the filter are those of this machine type
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 1, 4, 8, 38
_SIGKILL = 9
_SYS_CAPSET, _SYS_SECCOMP, _SYS_RULESET, _SYS_RULE, _SYS_RESTRICT = 126, 317, 444, 445, 446
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 2
_SECCOMP_SET_MODE_FILTER, _FILTER_ALL_THREADS = 1, 1
_ABI_QUESTION = 1
_RULE_PATH_BENEATH = 1
# Rights over files by bit: 0 execute, 1 write, 2 read, 3 list, 4 to 12 remove and make, 13 move between folders,
# 14 truncate, 15 device control.
_READ = 1 << 2 | 1 << 3
_READ_FILE = 1 << 2
_ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_CHANGE = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13 | 1 << 14
_EXECUTE = 1 << 0
_RIGHT_COUNT_OF_ABI = {3: 15, 4: 15}
_RIGHT_COUNT = 16  # from ABI 5 on
STACK_BYTES = 8 * 1024 * 1024  # of each thread; it counts as memory of the run
DESCRIPTOR_COUNT = 128  # an interpreter needs 10, DuckDB one per file


class ConfinementFailed(Exception):
    """The kernel refused a step; nothing of the program was run."""


class Kernel(Protocol):
    """The two calls into the C library that confinement is made of; -1 = `errno` says why."""

    def syscall(self, *arguments: Any) -> int:
        """Make a system call by its number."""
        ...

    def prctl(self, *arguments: Any) -> int:
        """Change a property of this process."""
        ...


def open_kernel() -> Kernel:
    """Give the C library of this process."""
    library: Any = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library  # type: ignore[no-any-return]  # found at run time; Kernel says what is used of it


def die_with_parent(kernel: Kernel, parent: int) -> None:
    """Have the kernel kill this process when its parent ends; asked again after every change of user."""
    _must(kernel.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "the end with the parent")
    if parent not in (0, os.getppid()):  # 0 = in a process namespace of its own, whose first process sees to it
        raise ConfinementFailed("the parent has ended")


def must_be_alone(threads: str = "/proc/self/task") -> None:
    """See that this process has one thread: Landlock binds the thread that asks for it, and those that it starts.

    Raises:
        ConfinementFailed: a library started another one while it was imported.
    """
    if os.path.exists(threads) and len(os.listdir(threads)) > 1:  # noqa: PTH110, PTH208 - no more imports than needed
        raise ConfinementFailed("a library has started threads before the confinement")


def limit_resources(limits: dict[str, int]) -> None:
    """Set what the kernel counts; `limits` by the names of the request."""
    cpu_s = limits["cpu_s"]
    table = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (cpu_s, cpu_s + 1),
        resource.RLIMIT_DATA: (limits["data_bytes"], limits["data_bytes"]),
        resource.RLIMIT_AS: (limits["address_bytes"], limits["address_bytes"]),
        resource.RLIMIT_FSIZE: (limits["file_bytes"], limits["file_bytes"]),
        resource.RLIMIT_NOFILE: (DESCRIPTOR_COUNT, DESCRIPTOR_COUNT),
        resource.RLIMIT_STACK: (STACK_BYTES, STACK_BYTES),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    if limits.get("threads"):
        table[resource.RLIMIT_NPROC] = (limits["threads"], limits["threads"])
    for kind, values in table.items():
        resource.setrlimit(kind, values)


def drop_user(kernel: Kernel, uid: int, *, keeps_reading: bool) -> None:
    """Become `uid` for good. `keeps_reading`: files are read whatever their mode says; Landlock says which."""
    if keeps_reading:
        _must(kernel.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "keeping a capability")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kept = 1 << _CAP_DAC_READ_SEARCH if keeps_reading else 0
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    sets = struct.pack("=IIIIII", kept, kept, 0, 0, 0, 0)
    _must(kernel.syscall(_SYS_CAPSET, head, sets), "dropping capabilities")
    _must(kernel.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "being undumpable")


def refuse_privileges(kernel: Kernel) -> None:
    """Make programs with a set-user-id bit ordinary ones; the two confinements below need it."""
    _must(kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def landlock_abi(kernel: Kernel) -> int:
    """Give the kernel's version of Landlock; below 1 = none."""
    return kernel.syscall(_SYS_RULESET, None, 0, _ABI_QUESTION)


def restrict_files(kernel: Kernel, reads: list[str], writes: list[str], executes: list[str]) -> None:
    """Leave these files and folders with all below them, and no other; also no TCP, no abstract sockets, no signals."""
    abi = landlock_abi(kernel)
    if abi < LANDLOCK_ABI_MIN:
        raise ConfinementFailed(f"Landlock has version {abi}, needed is {LANDLOCK_ABI_MIN}")
    handled = (1 << _RIGHT_COUNT_OF_ABI.get(abi, _RIGHT_COUNT)) - 1
    rules = struct.pack("=QQQ", handled, 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _must(kernel.syscall(_SYS_RULESET, rules, size, 0), "Landlock's rules")
    for paths, rights in ((reads, _READ), (executes, _READ | _EXECUTE), (writes, _READ | _CHANGE)):
        for path in paths:
            _allow_path(kernel, ruleset, path, rights & handled)
    _must(kernel.syscall(_SYS_RESTRICT, ruleset, 0), "Landlock")
    os.close(ruleset)


def _allow_path(kernel: Kernel, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # what is not there cannot be opened later: its folder is not allowed
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _ON_FILES
        attributes = struct.pack("=Qi", rights, descriptor)
        _must(kernel.syscall(_SYS_RULE, ruleset, _RULE_PATH_BENEATH, attributes, 0), f"Landlock's rule for {path}")
    finally:
        os.close(descriptor)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def filter_calls(kernel: Kernel) -> None:
    """Leave the system calls of `syscall_filter`, for all threads."""
    if platform.machine() != MACHINE:
        raise ConfinementFailed(f"the filter of system calls is for {MACHINE}, not {platform.machine()}")
    code = filter_program(os.getpid())
    program = _Program(len(code) // 8, code)
    call = (_SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, _FILTER_ALL_THREADS, ctypes.byref(program))
    _must(kernel.syscall(*call), "the filter of system calls")


def _must(result: int, what: str) -> int:
    if result < 0:
        raise ConfinementFailed(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result
