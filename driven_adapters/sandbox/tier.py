"""How a process of each tier is started and what it is told to give up."""

from __future__ import annotations

import os
from math import ceil
from pathlib import PurePath
from typing import Any

import msgspec

from core.ports.task_runner import RunLimits, RunRequest
from driven_adapters.sandbox.interpreter import CHILD_FOLDER, DEVICES, Interpreter, library_folder

PURE, CONFINED, NAMESPACED = 1, 2, 3
NOBODY = 65_534
UID_FIRST = 200_000_000  # far above those that a host gives to people, services and containers
UID_COUNT = 65_536  # a number comes again after so many runs; no two at once have the same
_TMP_MIB_MAX = 64  # of a run's own folder, which is memory
# Address space beyond the private memory: mapped libraries and the reserve of the allocator. Shared memory comes out of
# it, so it is a bound of memory, too. DuckDB reserves per thread.
_ADDRESS_BYTES_OF = {"python": 256 * 2**20, "query": 2048 * 2**20}
_MOUNT_FOLDER = "/runner"
# The last words are for whoever lists the machine's processes.
_START = (
    "import sys; sys.path.insert(0, {folder!r}); from child.start import serve; "
    "serve({parent}, ahead={ahead!r})  # run of engine {engine}"
)


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found on this machine and is needed to start a process.

    Attributes:
        pure_interpreter: program of tier 1, None without it. namespaces: program of tier 3, None without it.
        is_root: runs get another user. has_uid_range: each a number of its own, else all are `nobody`.
        restricts_files: the kernel has Landlock. filters_calls: the filter fits this machine type.
    """

    interpreter: Interpreter
    pure_interpreter: str | None
    namespaces: str | None
    is_root: bool
    has_uid_range: bool
    restricts_files: bool
    filters_calls: bool


def command_of(tier: int, isolation: Isolation, request: RunRequest, parent: int) -> list[str]:
    """Give the command line of a process that `parent` will start; in tier 3 alone the request's files are in it."""
    start = [isolation.interpreter.program, "-I", "-S", "-B", "-X", "utf8", "-c"]
    if tier != NAMESPACED:
        ahead = library_folder() if tier == PURE else ""
        return [*start, _START.format(folder=str(CHILD_FOLDER), parent=parent, ahead=ahead, engine=os.getpid())]
    inside = _START.format(folder=_MOUNT_FOLDER, parent=0, ahead="", engine=os.getpid())
    return [*_namespaces(isolation, request), *start, inside]


def _namespaces(isolation: Isolation, request: RunRequest) -> list[str]:
    if isolation.namespaces is None:
        raise AssertionError("tier 3 is offered only where its program was found")
    command = [isolation.namespaces, "--die-with-parent", "--clearenv", "--hostname", "run"]
    if isolation.is_root:
        # Root makes the namespaces itself; the process gives up root, inside, before it reads the program.
        command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        command += ["--cap-add", "CAP_DAC_READ_SEARCH"] if _has_files(request) else []
    else:
        command += ["--unshare-all", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    reads = [*isolation.interpreter.paths, *map(str, request.reads)]
    if request.program != "python":
        reads.append(library_folder())
    program = isolation.interpreter.program
    mounted = f"{_MOUNT_FOLDER}/child"
    command += _folders_above([*reads, program, mounted, *DEVICES, *_written(request)])
    command += ["--ro-bind", program, program, "--ro-bind", str(CHILD_FOLDER / "child"), mounted]
    for device in DEVICES:
        command += ["--dev-bind", device, device]
    tmp_mib = min(_TMP_MIB_MAX, request.limits.memory_mib)
    command += ["--perms", "1777", "--size", str(tmp_mib * 2**20), "--tmpfs", "/tmp"]  # noqa: S108 - one of its own
    # After it: what is read may lie below that folder on the host, too.
    for path in reads:
        command += ["--ro-bind-try", path, path]
    for path in _written(request):
        command += ["--bind", path, path]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--"]


def _folders_above(paths: list[str]) -> list[str]:
    """Make the folders in which things are mounted: made by the way they would be closed to all but their maker."""
    folders = {str(folder): None for path in paths for folder in reversed(PurePath(path).parents)}
    folders.pop("/", None)
    return [word for folder in folders for word in ("--perms", "0755", "--dir", folder)]


def _written(request: RunRequest) -> list[str]:
    return [] if request.writes is None else [str(request.writes)]


def told_of(tier: int, isolation: Isolation, request: RunRequest, number: int) -> dict[str, Any]:
    """Give what the process is told: the program, its limits and what to give up. `number` counts runs."""
    is_pure = tier == PURE
    uid = None
    if isolation.is_root:
        uid = UID_FIRST + number % UID_COUNT if isolation.has_uid_range else NOBODY
    needs_libraries = is_pure or request.program != "python"
    pure = isolation.pure_interpreter or ""
    own_folder = ["/tmp"] if tier == NAMESPACED else []  # noqa: S108 - a file system of its own
    writes = _written(request)
    reads = [*isolation.interpreter.paths, *DEVICES, *map(str, request.reads)]
    reads += _CONTROL_GROUP if request.program == "query" else ()
    return {
        "program": request.program,
        "tier": tier,
        "code": request.code,
        "entry": request.entry,
        "inputs": request.inputs,
        "options": request.options,
        "output_bytes": request.limits.output_bytes,
        "memory_mib": request.limits.memory_mib,
        "limits": _limits_of(tier, isolation, request),
        "interpreter": pure,
        "libraries": [library_folder()] if needs_libraries else [],
        "folder": (writes or own_folder or ["/"])[0],
        "uid": uid,
        "keeps_reading": _has_files(request),
        "restricts_files": isolation.restricts_files,
        "filters_calls": not is_pure,  # tier 1 starts its interpreter after this point
        "reads": [*reads, library_folder()] if needs_libraries else reads,
        "writes": [*writes, *own_folder],
        "executes": [pure, *isolation.interpreter.paths] if is_pure else [],
    }


def _has_files(request: RunRequest) -> bool:
    return bool(request.reads) or request.writes is not None


def _limits_of(tier: int, isolation: Isolation, request: RunRequest) -> dict[str, int]:
    limits: RunLimits = request.limits
    memory_bytes = limits.memory_mib * 2**20
    # The kernel counts threads per user and namespace of users: without one of its own, the engine's would count, too.
    counts_threads = (isolation.is_root and isolation.has_uid_range) or (tier == NAMESPACED and not isolation.is_root)
    threads = limits.threads + (_PURE_THREADS if tier == PURE else 0)
    return {
        "cpu_s": max(1, ceil(limits.cpu_s)),
        "data_bytes": memory_bytes,
        "address_bytes": memory_bytes + _ADDRESS_BYTES_OF.get(request.program, _ADDRESS_BYTES_OF["query"]),
        "file_bytes": limits.file_bytes,
        "threads": threads if counts_threads else 0,
    }


# DuckDB asks which memory and processors its process may use, and ends where the files are there but not to be opened.
# It has eight threads from then on, so this cannot be done before the confinement. SQL reads none of these files.
_CONTROL_GROUP = ("/proc/self/cgroup", "/sys/fs/cgroup")
_PURE_THREADS = 16  # of the client of tier 1's interpreter and of the interpreter itself
