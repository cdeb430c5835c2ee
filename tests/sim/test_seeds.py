"""The seeded search of `make test`: every seed storms and heals, and together they meet every fault in every state."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from module.local_work import COLLECTOR_THRESHOLDS
from tests.budget import length
from tests.figures import figure
from tests.sim.world import HEAL_S, Report, run_seed

SEED_COUNT = length("sim_seed_count")
STEPS_MIN, HOURS_MIN = length("sim_step_count_min"), length("sim_virtual_hour_count_min")
BLOCK_COUNT = 8  # blocks of seeds, so that a failure is seen before all have run
SEEDS_FILE = Path(__file__).with_name("seeds.txt")
CELL_HITS_MIN = 10  # reliability.md T-01: a cell that fewer seeds hit proves nothing
CELLS = (
    "Cancel accepted",
    "Terminate accepted",
    "child cancelled",
    "child failed",
    "child running",
    "child succeeded",
    "clock jump",
    "crash drops commit",
    "crash lands commit",
    "cut from the store, answers lost",
    "cut from the store, leases lost",
    "cut from the store, requests lost",
    "cut idle",
    "cut in a commit",
    "cut with attempts open",
    "disk full",
    "disk full for a call",
    "disk full for a commit",
    "drain idle",
    "drain in a commit",
    "drain with attempts open",
    "drained",
    "failover beside a paused node",
    "fenced",
    "item taken out",
    "instance gave way",
    "kill idle",
    "kill in a commit",
    "kill while starting",
    "kill with attempts open",
    "landed acquire",
    "landed ingest",
    "landed release",
    "late outcome",
    "object swept in the storm",
    "operator fails",
    "operator hangs",
    "operator stubborn",
    "outcome delayed",
    "outcome doubled",
    "output used again",
    "pause idle",
    "pause in a commit",
    "pause with attempts open",
    "permit granted to a task",
    "permit granted to an instance",
    "permit taken by a task",
    "permit taken by an instance",
    "permit waited for by a task",
    "permit waited for by an instance",
    "refused duplicate",
    "refused gate",
    "refused inbox",
    "refused object",
    "rerun",
    "restart",
    "retry put off",
    "settle ends pending",
    "settle lands pending",
    "shard moves",
    "shards lost",
    "start at two nodes at once",
    "start refused concurrency-reached",
    "start refused node-stopping",
    "start refused store-full",
    "start with unknown outcome",
    "store outage",
    "store slow",
    "unavailable call",
    "unavailable commit",
    "unavailable object put",
    "unavailable read",
    "unknown landed acquire",
    "unknown landed commit",
    "unknown landed ingest",
    "unknown landed open_lease",
    "unknown landed renew",
    "unknown later acquire",
    "unknown later commit",
    "unknown later ingest",
    "unknown later open_lease",
    "unknown later renew",
    "unknown never acquire",
    "unknown never commit",
    "unknown never ingest",
    "unknown never open_lease",
    "unknown never renew",
    "values in an object",
    "wait ended",
    "zombie arrives",
    "zombie resumes",
)

_reports: list[Report] = []


def run_noted(seed: int) -> Report:
    try:
        return run_seed(seed)
    except Exception as fault:
        fault.add_note(f"repeat with: python -m tests.sim --seed {seed}")
        raise


def look_seldom() -> None:
    """Let the cycle collector look as seldom as in an engine: a tenth of a seed's time was its."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def run_all(seeds: Sequence[int]) -> list[Report]:
    processes = length("sim_process_count")
    if processes == 1:
        return [run_noted(seed) for seed in seeds]
    with ProcessPoolExecutor(processes, initializer=look_seldom) as pool:
        try:
            return list(pool.map(run_noted, seeds, chunksize=16))
        except Exception:
            pool.shutdown(cancel_futures=True)  # else hours of other seeds come before the one that failed is told
            raise


def kept_seeds() -> list[int]:
    lines = SEEDS_FILE.read_text("utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def rare_cells(cells: Counter[str]) -> dict[str, int]:
    return {name: cells[name] for name in CELLS if cells[name] < CELL_HITS_MIN}


def test_cell_that_too_few_seeds_hit_is_named() -> None:
    hits = Counter(dict.fromkeys(CELLS, CELL_HITS_MIN)) - Counter({"clock jump": 1, "drained": CELL_HITS_MIN})

    assert {"clock jump": CELL_HITS_MIN - 1, "drained": 0} == rare_cells(hits)


@pytest.mark.parametrize("seed", kept_seeds())
def test_seed_that_failed_once_passes(seed: int) -> None:
    assert seed == run_noted(seed).seed


@pytest.mark.timeout(max(900, SEED_COUNT))  # a seed takes half a second
@pytest.mark.parametrize("block", range(BLOCK_COUNT))
def test_seeds_break_no_invariant_and_heal(block: int) -> None:
    seeds = range(1 + block, SEED_COUNT + 1, BLOCK_COUNT)
    reports = run_all(seeds)  # raises at the first commit that breaks an invariant
    assert list(seeds) == [report.seed for report in reports]
    _reports.extend(reports)


def test_same_seed_gives_the_same_trace() -> None:
    for seed in (3, 17, 40):
        assert run_noted(seed) == run_noted(seed)


def test_seeds_together_met_every_fault_in_every_state() -> None:
    if len(_reports) < SEED_COUNT:
        pytest.fail(f"{len(_reports)} of {SEED_COUNT} seeds ran before this test; run the whole file")
    cells: Counter[str] = Counter()
    for report in _reports:
        cells.update(report.cells)
    rare = rare_cells(cells)
    steps = sum(report.steps for report in _reports)
    hours = sum(report.virtual_s for report in _reports) / 3600
    stood_s, healed_s = (max(getattr(report, name) for report in _reports) for name in ("stood_s", "healed_s"))
    instances = sum(report.instances for report in _reports)

    assert figure("F03 simulated_steps_count", steps, f">= {STEPS_MIN}", steps >= STEPS_MIN, seeds=SEED_COUNT)
    assert figure("F03 simulated_hours", hours, f">= {HOURS_MIN}", hours >= HOURS_MIN, seeds=SEED_COUNT)
    # A seed in which something is open and nothing moves for HEAL_S after the last fault fails.
    assert figure(
        "F12 stood_still_max_s", stood_s, f"<= {HEAL_S:g}", stood_s <= HEAL_S, instances=instances, all_ended_s=healed_s
    )
    assert figure("F05 fault_cells_below_10_count", len(rare), "= 0", not rare, cells=len(CELLS)), rare
