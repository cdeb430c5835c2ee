"""Rows of measurements, their medians over rounds, and the one table at the end."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

import msgspec

from bench.machine import percentile

OURS = "Flow Automation"
RESTATE = "Restate"
DBOS_SQLITE = "DBOS (SQLite)"
DBOS_POSTGRES = "DBOS (Postgres)"
# The peers stand in the table also when they were not asked for, and then it says so.
SYSTEMS = (OURS, RESTATE, DBOS_SQLITE, DBOS_POSTGRES)
NOT_MEASURED = "not measured"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One workload on one system in one round. All counts were verified in the system's store.

    Attributes:
        cpu_s: of the system's processes, the load's own process left out.
        counters: what it cost the store; only of this project's engine.
        base_bytes, peak_bytes: resident memory of the engine before and at most during the load; 0 = not read.
    """

    system: str
    workload: str
    instances: int
    tasks: int
    wall_s: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    counters: dict[str, float] = {}
    base_bytes: int = 0
    peak_bytes: int = 0

    @property
    def tasks_per_s(self) -> float:
        """Succeeded tasks per second of wall time."""
        return self.tasks / self.wall_s

    @property
    def instances_per_s(self) -> float:
        """Ended instances per second of wall time."""
        return self.instances / self.wall_s

    @property
    def cpu_us_per_task(self) -> float:
        """CPU microseconds per task."""
        return self.cpu_s / self.tasks * 1e6

    def per_task(self, counter: str) -> float | None:
        """Give a counter's share per task, None when the system does not show it."""
        return self.counters[counter] / self.tasks if counter in self.counters else None


def make_row(
    system: str, workload: str, *, instances: int, tasks: int, wall_s: float, latencies_s: list[float], cpu_s: float
) -> Row:
    """Make a row of what a load measured."""
    return Row(
        system=system,
        workload=workload,
        instances=instances,
        tasks=tasks,
        wall_s=wall_s,
        p50_ms=percentile(latencies_s, 0.5) * 1e3,
        p99_ms=percentile(latencies_s, 0.99) * 1e3,
        cpu_s=cpu_s,
    )


class Rows:
    """Every row of a run."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.all = list(rows)

    def of(self, system: str, workload: str) -> list[Row]:
        """Give the rows of one workload on one system, a row per round."""
        return [row for row in self.all if (row.system, row.workload) == (system, workload)]

    def median(self, system: str, workload: str, read: Callable[[Row], float | None]) -> float | None:
        """Give the median of a value over the rounds, None when it was not measured."""
        values = [value for row in self.of(system, workload) if (value := read(row)) is not None]
        return statistics.median(values) if values else None

    def spread(self, system: str, workload: str, read: Callable[[Row], float | None]) -> str:
        """Show a median with the least and the most of the rounds."""
        values = [value for row in self.of(system, workload) if (value := read(row)) is not None]
        if not values:
            return "-"
        middle = shown(statistics.median(values))
        return middle if len(values) == 1 else f"{middle} [{shown(min(values))}..{shown(max(values))}]"


# Column and what it reads; the first two are of every system.
_COLUMNS: tuple[tuple[str, Callable[[Row], float | None]], ...] = (
    ("tasks/s", lambda row: row.tasks_per_s),
    ("instances/s", lambda row: row.instances_per_s),
    ("p50 ms", lambda row: row.p50_ms),
    ("p99 ms", lambda row: row.p99_ms),
    ("CPU us/task", lambda row: row.cpu_us_per_task),
    ("statements/task", lambda row: row.per_task("statements")),
    ("commits/task", lambda row: row.per_task("commits")),
    ("bytes/task", lambda row: row.per_task("bytes")),
    ("memory over base MB", lambda row: (row.peak_bytes - row.base_bytes) / 1e6 if row.base_bytes else None),
)


def make_table(rows: Rows, workloads: Iterable[str], systems: Iterable[str], limits: dict[str, str]) -> str:
    """Set one Markdown table: per workload a row per system, medians and [least..most], the physical limit beside.

    Args:
        systems: also those that were not measured, which their rows say.
        limits: by workload.
    """
    heads = ["workload", "system", *(name for name, _ in _COLUMNS), "limit"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    systems = tuple(systems)
    for workload in workloads:
        for system in systems:
            if rows.of(system, workload):
                cells = [rows.spread(system, workload, read) for _, read in _COLUMNS]
            else:
                cells = [NOT_MEASURED] + [""] * (len(_COLUMNS) - 1)
            limit = limits.get(workload, "") if system == OURS else ""
            lines.append("| " + " | ".join([workload, system, *cells, limit]) + " |")
    return "\n".join(lines) + "\n"


def shown(value: float) -> str:
    """Show three significant digits, whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
