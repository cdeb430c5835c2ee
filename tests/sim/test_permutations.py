"""Every order of two acts' messages (reliability.md T-01b): each pair of acts keeps the invariants, and ends as it must."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.figures import figure
from tests.sim.acts import ENDING, PAIRS, Pair
from tests.sim.permutations import Explored, explore

INTERLEAVINGS_COUNT_MIN = 2_000  # of all pairs; fewer means that the acts do not meet any more
CELLS = (
    "attempt lost",
    "fenced",
    "landed acquire",
    "landed ingest",
    "refused duplicate",
    "refused inbox",
    "shards lost",
)

_explored: list[Explored] = []
_spent_s: list[float] = []


def ends_of(pair: Pair) -> set[str]:
    """Give every end that the orders of a pair have: a cancel that meets what the instance waits for comes first or last."""
    if "cancel" not in pair:
        return {"succeeded"}
    return {"cancelled", "succeeded"} if ENDING.intersection(pair) else {"cancelled"}


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_every_order_of_two_acts_keeps_the_invariants_and_ends_as_answered(pair: Pair) -> None:
    began_at = time.process_time()
    explored = explore(pair)  # raises at the first order that breaks something
    _spent_s.append(time.process_time() - began_at)
    _explored.append(explored)

    assert ends_of(pair) == set(explored.ends)
    assert 1 < explored.interleavings_count


@pytest.mark.parametrize(
    "pair", [("commit", "commit"), ("takeover", "complete"), ("cancel", "timer"), ("timer", "timer")], ids="-".join
)
def test_walking_from_equal_states_once_leaves_no_order_out(pair: Pair) -> None:
    merged, whole = explore(pair), explore(pair, is_merged=False)

    assert whole.runs_count == merged.interleavings_count == whole.interleavings_count
    assert (whole.states_count, set(whole.ends)) == (merged.states_count, set(merged.ends))


def test_all_pairs_together_met_what_can_happen_to_them() -> None:
    if len(_explored) < len(PAIRS):
        pytest.fail(f"{len(_explored)} of {len(PAIRS)} pairs were walked before this test; run the whole file")
    cells: Counter[str] = Counter()
    for explored in _explored:
        cells.update(explored.cells)
    count = sum(explored.interleavings_count for explored in _explored)
    runs, spent_s = sum(explored.runs_count for explored in _explored), round(sum(_spent_s), 1)

    assert [] == [name for name in CELLS if not cells[name]]
    bound = f">= {INTERLEAVINGS_COUNT_MIN}"
    is_enough = count >= INTERLEAVINGS_COUNT_MIN
    assert figure("interleavings_count", count, bound, is_enough, pairs=len(PAIRS), runs=runs, cpu_s=spent_s)
