"""The system calls that a run may make, as a program for the kernel's filter. Whatever is not listed fails with EPERM.

Left out on purpose: everything that makes a process or another program (fork, execve), a socket with an address, a
signal to others, a memory file (memory that no limit counts), a mount, a namespace, a trace, a key, a ring.
"""

from __future__ import annotations

import struct

AUDIT_ARCH_X86_64 = 0xC000003E
X32_BIT = 0x40000000  # the second table of calls of this machine type: another number for each call below
CLONE_THREAD = 0x00010000
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_LOAD, _EQUAL, _SET, _RETURN, _ABOVE = 0x20, 0x15, 0x45, 0x06, 0x35  # of the kernel's filter machine
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16

# Numbers of x86-64 by name, from the kernel's table (arch/x86/entry/syscalls/syscall_64.tbl).
ALLOWED: dict[str, int] = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23,
    "sched_yield": 24, "mremap": 25, "msync": 26, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35,
    "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39, "recvfrom": 45, "shutdown": 48, "exit": 60,
    "wait4": 61, "uname": 63, "flock": 73, "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77,
    "getdents": 78, "getcwd": 79, "chdir": 80, "fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "unlink": 87,
    "readlink": 89, "chmod": 90, "fchmod": 91, "umask": 95, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98,
    "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110,
    "getpgrp": 111, "getgroups": 115, "getresuid": 118, "getresgid": 120, "getpgid": 121, "getsid": 124,
    "sigaltstack": 131, "statfs": 137, "fstatfs": 138, "getpriority": 140, "sched_getparam": 143,
    "sched_getscheduler": 145, "arch_prctl": 158, "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204,
    "getdents64": 217, "set_tid_address": 218, "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228,
    "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233,
    "waitid": 247, "openat": 257, "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264,
    "readlinkat": 267, "fchmodat": 268, "faccessat": 269, "pselect6": 270, "ppoll": 271, "set_robust_list": 273,
    "get_robust_list": 274, "utimensat": 280, "epoll_pwait": 281, "fallocate": 285, "eventfd2": 290,
    "epoll_create1": 291, "dup3": 292, "pipe2": 293, "preadv": 295, "pwritev": 296, "getcpu": 309, "renameat2": 316,
    "getrandom": 318, "membarrier": 324, "preadv2": 327, "pwritev2": 328, "statx": 332, "rseq": 334,
    "close_range": 436, "faccessat2": 439, "epoll_pwait2": 441,
}  # fmt: skip
_CLONE, _FCNTL, _IOCTL, _PRLIMIT, _SENDTO, _SOCKETPAIR, _TGKILL, _PRCTL, _CLONE3 = (
    56,
    72,
    16,
    302,
    44,
    53,
    234,
    157,
    435,
)

# Calls that are allowed for some values of one argument: (number, argument, values of its lower half).
_BY_VALUE = (
    # Without F_SETOWN and F_SETSIG, by which a descriptor's owner gets any signal.
    (_FCNTL, 1, (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)),
    (_IOCTL, 1, (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)),  # is it a terminal, bytes waiting, blocking, close on exec
    (_PRLIMIT, 0, (0,)),  # of itself only
    (_SOCKETPAIR, 0, (1,)),  # an event loop wakes itself by one
    (_PRCTL, 0, (15, 16)),  # the name of a thread
)


def filter_program(own_pid: int) -> bytes:
    """Assemble the filter for a process of this number; `struct sock_filter` after `struct sock_filter`."""
    head = [
        *_load(_ARCH_AT),
        _instruction(_EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        _instruction(_RETURN, _KILL),
        *_load(_NUMBER_AT),
        _instruction(_ABOVE, X32_BIT, 0, 1),
        _instruction(_RETURN, _KILL),
    ]
    body: list[bytes] = []
    for number in sorted(ALLOWED.values()):
        body += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _ALLOW)]
    for number, argument, values in (*_BY_VALUE, (_TGKILL, 0, (own_pid,))):
        body += _if_number(number, _allow_values(argument, values))
    # Threads, but no process; the newer call takes its flags from memory, which a filter cannot read.
    threads_only = [*_load(_ARGUMENTS_AT), _instruction(_SET, CLONE_THREAD, 0, 1), _instruction(_RETURN, _ALLOW)]
    body += _if_number(_CLONE, [*threads_only, _instruction(_RETURN, _ERRNO | _EPERM)])
    body += _if_number(_CLONE3, [_instruction(_RETURN, _ERRNO | _ENOSYS)])
    # Sending through a pair of sockets that it has, never to an address.
    no_address = [
        *_load(_ARGUMENTS_AT + 4 * 8), _instruction(_EQUAL, 0, 0, 3),
        *_load(_ARGUMENTS_AT + 4 * 8 + 4), _instruction(_EQUAL, 0, 0, 1),
        _instruction(_RETURN, _ALLOW),
    ]  # fmt: skip
    body += _if_number(_SENDTO, [*no_address, _instruction(_RETURN, _ERRNO | _EPERM)])
    return b"".join([*head, *body, _instruction(_RETURN, _ERRNO | _EPERM)])


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _load(offset: int) -> list[bytes]:
    return [_instruction(_LOAD, offset)]


def _if_number(number: int, block: list[bytes]) -> list[bytes]:
    """Enter a block, which must return, for one call; the number stands in the machine's register before and after."""
    return [_instruction(_EQUAL, number, 0, len(block)), *block]


def _allow_values(argument: int, values: tuple[int, ...]) -> list[bytes]:
    block = _load(_ARGUMENTS_AT + argument * 8)
    for value in values:
        block += [_instruction(_EQUAL, value, 0, 1), _instruction(_RETURN, _ALLOW)]
    return [*block, _instruction(_RETURN, _ERRNO | _EPERM)]
