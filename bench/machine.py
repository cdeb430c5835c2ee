"""What the machine is and does: its name plates, a calibration, CPU seconds and memory of processes, percentiles."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import apsw
import msgspec

CALIBRATION_STEPS = 300_000  # about 10 ms: short enough for every run, long enough to see a neighbour
QUIET_LOOP_MS = 10.5  # the slow end of what the calibration loop takes where nothing else runs
CALIBRATION_TRIES = 3
SYNC_TRIES = 20
SYNC_BYTES = 512
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
VERSIONS = ("apsw", "litestar", "msgspec", "uvicorn", "uvloop")


def describe_machine() -> dict[str, Any]:
    """Name what a reader needs to compare: processor, cores, memory, versions. Never the host."""
    return {
        "cpu": _first_line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_kb": int(_first_line("/proc/meminfo", "MemTotal").split()[0] or 0),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        **{name: metadata.version(name) for name in VERSIONS},
    }


def calibrate(folder: Path) -> dict[str, float]:
    """Time a fixed loop and the disk's synchronisation, so that runs on a busy machine can be told apart.

    Returns:
        `loop_ms`: best of three of one loop in plain Python; `loop_cpu_ms`: the same of its processor time;
        `sync_ms`: median of 20 fdatasync calls in `folder`;
        `load`: the load average of the last minute.
    """
    loop_s, loop_cpu_s = _loops_s()
    path = folder / f"calibration-{os.getpid()}"
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        syncs = [_sync_s(file, number) for number in range(SYNC_TRIES)]
    finally:
        os.close(file)
        path.unlink()
    return {
        "loop_ms": round(loop_s * 1e3, 2),
        "loop_cpu_ms": round(loop_cpu_s * 1e3, 2),
        "sync_ms": round(statistics.median(syncs) * 1e3, 3),
        "load": round(os.getloadavg()[0], 2),
    }


class Slowness(msgspec.Struct, frozen=True):
    """How many times slower than usual the machine is, at least 1: by the clock, and in processor time.

    Bounds in seconds are scaled by it (performance.md). By the clock a neighbour's share counts, in processor time only
    what neighbours do to caches and to the other half of a core.
    """

    wall: float
    cpu: float


def slowness() -> Slowness:
    """Calibrate now."""
    wall_s, cpu_s = _loops_s()
    return Slowness(max(1.0, wall_s * 1e3 / QUIET_LOOP_MS), max(1.0, cpu_s * 1e3 / QUIET_LOOP_MS))


def usual_cpu_ms(since_s: float) -> float:
    """Give this process's processor time since `time.process_time()` was so much, in ms at the machine's usual speed.

    The speed is asked now and not once for all: where the machine is shared, it changes within seconds.
    """
    took_ms = (time.process_time() - since_s) * 1e3
    return took_ms / slowness().cpu


def _loops_s() -> tuple[float, float]:
    """Give the best of a few turns of the calibration loop, by the clock and in processor time."""
    clocks = (time.perf_counter, time.thread_time)
    wall_s, cpu_s = (min(_loop_s(clock) for _ in range(CALIBRATION_TRIES)) for clock in clocks)
    return wall_s, cpu_s


def cpu_s(root_pid: int) -> float:
    """Give the CPU seconds that a process, its living descendants and its reaped children have used so far."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name of the program stands in brackets and may hold blanks; after it come state and parent.
                fields = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                ticks[int(entry.name)] = sum(map(int, fields[11:15]))
    family, size = {root_pid}, 0
    while len(family) > size:
        size = len(family)
        family |= {pid for pid, parent in parents.items() if parent in family}
    return sum(ticks.get(pid, 0) for pid in family) / TICKS_PER_S


def memory_bytes(pid: int) -> tuple[int, int]:
    """Give the resident memory of a process now, and its peak so far."""
    status = f"/proc/{pid}/status"
    return tuple(int(_first_line(status, name).split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value] # two names, two numbers


def forget_peak(pid: int) -> None:
    """Let the peak of a process begin anew at what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", "utf-8")


def percentile(values: list[float], share: float) -> float:
    """Give the value below which this share of the values lies, between two neighbours by weight."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _first_line(path: str, name: str) -> str:
    for line in Path(path).read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _loop_s(clock: Callable[[], float]) -> float:
    began = clock()
    total = 0
    for number in range(CALIBRATION_STEPS):
        total += number & 7
    return clock() - began


def _sync_s(file: int, number: int) -> float:
    os.pwrite(file, b"x" * SYNC_BYTES, number % 8 * SYNC_BYTES)
    began = time.perf_counter()
    os.fdatasync(file)
    return time.perf_counter() - began
