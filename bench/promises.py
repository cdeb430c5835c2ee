"""What the first release promises of these workloads, held against the rows of a run."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bench.machine import QUIET_LOOP_MS
from bench.raw import RawLimit
from bench.report import OURS, RESTATE, Row, Rows
from bench.workloads import W1, W2, W3, W4, W5, W6_LARGE, W6_SMALL
from tests.figures import figure

TASKS_PER_S_MIN = 4_000.0
RESTATE_FACTOR_MIN = 1.5  # instead of TASKS_PER_S_MIN, on a machine that is slower or shared
SINGLE_OF_RESTATE_MIN = 1.0
LATENCY_MS_MAX = 10.0
LIGHT_S_MAX, LIGHT_IDEAL_S = 2.0, 0.4  # of W5's forty steps
RAW_SHARE_PERCENT_MIN = 10.0
COMMITS_MAX, STATEMENTS_MAX, BYTES_MAX = 0.2, 2.0, 3_000.0  # per task of W1
CPU_US_MAX = 250.0  # per task of W1, on a machine whose calibration loop takes QUIET_LOOP_MS
GROWTH_MAX = 11.0  # for ten times the items
ROW_BYTES_MAX = 262_144


class Run(msgspec.Struct, kw_only=True):
    """All that a run measured: rows, both raw limits, the calibration loop's median, the longest row in the stores."""

    rows: Rows
    raw: RawLimit
    store: RawLimit
    loop_ms: float
    row_bytes_max: int

    def median(self, workload: str, read: Callable[[Row], float | None], system: str = OURS) -> float | None:
        """Give the median over the rounds, None when it was not measured."""
        return self.rows.median(system, workload, read)


def show_promises(run: Run) -> bool:
    """Print a figure for every promise that was measured; say whether all hold."""
    held = [_show_rate(run, "W1", W1), _show_rate(run, "W2", W2)]
    held += [_show_latency(run), _show_single(run), _show_light(run), *_show_costs(run), *_show_map(run)]
    return all(held)


def _show_rate(run: Run, name: str, workload: str) -> bool:
    value = run.median(workload, lambda row: row.tasks_per_s)
    if value is None:
        return True
    restate = run.median(workload, lambda row: row.tasks_per_s, RESTATE)
    bound = f">= {TASKS_PER_S_MIN:g} or {RESTATE_FACTOR_MIN:g}x Restate"
    is_held = value >= TASKS_PER_S_MIN or (restate is not None and value >= RESTATE_FACTOR_MIN * restate)
    shown = "not measured" if restate is None else restate
    return figure(f"{name}_tasks_per_s", value, bound, is_held, restate=shown)


def _show_latency(run: Run) -> bool:
    value = run.median(W3, lambda row: row.p50_ms)
    return value is None or figure("W3_p50_ms", value, f"< {LATENCY_MS_MAX:g}", value < LATENCY_MS_MAX)


def _show_single(run: Run) -> bool:
    value = run.median(W4, lambda row: row.instances_per_s)
    restate = run.median(W4, lambda row: row.instances_per_s, RESTATE)
    if value is None or restate is None:
        return True  # a ratio without its other half is no figure; the table says "not measured"
    factor = value / restate
    bound = f">= {SINGLE_OF_RESTATE_MIN:g}"
    return figure(
        "W4_of_restate", factor, bound, factor >= SINGLE_OF_RESTATE_MIN, instances_per_s=value, restate=restate
    )


def _show_light(run: Run) -> bool:
    value = run.median(W5, lambda row: row.p50_ms)
    if value is None:
        return True
    return figure("W5_wall_s", value / 1e3, f"< {LIGHT_S_MAX:g}", value < 1e3 * LIGHT_S_MAX, ideal_s=LIGHT_IDEAL_S)


def _show_costs(run: Run) -> list[bool]:
    """Show what a task of W1 costs: CPU, commits, statements, bytes, and its share of the raw limit."""
    rate = run.median(W1, lambda row: row.tasks_per_s)
    cpu_us = run.median(W1, lambda row: row.cpu_us_per_task)
    if rate is None or cpu_us is None:
        return []
    # The fastest round of either: a shared machine changes its speed by half from second to second, and medians of
    # three rounds compare what was done at different speeds.
    fastest = max(row.tasks_per_s for row in run.rows.of(OURS, W1))
    share = 100 * fastest / run.raw.tasks_per_s
    scaled = cpu_us * QUIET_LOOP_MS / run.loop_ms
    held = [
        figure(
            "W1_of_raw_percent",
            share,
            f">= {RAW_SHARE_PERCENT_MIN:g}",
            share >= RAW_SHARE_PERCENT_MIN,
            fastest_tasks_per_s=fastest,
            raw_tasks_per_s=run.raw.tasks_per_s,
            store_alone_tasks_per_s=run.store.tasks_per_s,
        ),
        figure(
            "W1_cpu_us_per_task",
            scaled,
            f"<= {CPU_US_MAX:g}",
            scaled <= CPU_US_MAX,
            measured=cpu_us,
            loop_ms=run.loop_ms,
            quiet_loop_ms=QUIET_LOOP_MS,
        ),
    ]
    for counter, bound in (("commits", COMMITS_MAX), ("statements", STATEMENTS_MAX), ("bytes", BYTES_MAX)):
        value = run.median(W1, lambda row, counter=counter: row.per_task(counter))  # type: ignore[misc] # a default binds
        held.append(
            figure(f"W1_{counter}_per_task", value or 0.0, f"<= {bound:g}", value is not None and value <= bound)
        )
    return held


def _show_map(run: Run) -> list[bool]:
    held: list[bool] = []
    for name, read in (
        # Processor time, as for every bound in seconds: the small run is too short for its wall time to say much.
        ("W6_10x_items_cpu_factor", lambda row: row.cpu_s),
        ("W6_10x_items_bytes_factor", lambda row: row.counters.get("bytes")),
    ):
        small, large = run.median(W6_SMALL, read), run.median(W6_LARGE, read)
        if small is not None and large is not None:
            factor = large / small
            held.append(figure(name, factor, f"<= {GROWTH_MAX:g}", factor <= GROWTH_MAX))
    if held:
        longest = run.row_bytes_max
        held.append(figure("row_bytes_max", longest, f"<= {ROW_BYTES_MAX}", longest <= ROW_BYTES_MAX))
    return held
