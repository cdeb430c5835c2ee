"""Limits on five nodes while new versions change them: no commit passes one, and no permit is left behind (I17).

Every commit of a seed is looked at (`Watch`), and what is held in the end; a seed in which a permit leaks fails.
"""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from core.dag.plan import Plan
from tests.budget import length
from tests.figures import figure
from tests.sim.options import options_of
from tests.sim.plans import POOL_COUNT, pooled, pooled_next
from tests.sim.world import run_seed

NODE_COUNT = 5
DAG_COUNT = 4
STEPS_MIN = 1_000_000
ACTS = tuple(f"permit {act} {who}" for act in ("taken by", "granted to") for who in ("a task", "an instance"))
ACTS_MIN = 40  # of each


def versions(seed: int) -> list[Plan]:
    """Give DAGs with limits, each with the version that changes them: some start the one, some the other."""
    both = [(pooled(number), pooled_next(number)) for number in range(POOL_COUNT)]
    limited = [(first, later) for first, later in both if later is not None]
    chosen = [limited[(seed * DAG_COUNT + number) % len(limited)] for number in range(DAG_COUNT)]
    return [plan for pair in chosen for plan in pair]


@pytest.mark.timeout(1800)
def test_changed_limits_hold_on_five_nodes_and_no_permit_leaks() -> None:
    steps, acts = 0, Counter[str]()
    seed_count = length("limit_seed_count")
    for seed in range(1, seed_count + 1):
        options = msgspec.structs.replace(options_of(seed), node_count=NODE_COUNT, calls=0.0)
        report = run_seed(seed, options, versions(seed))
        steps += report.steps
        acts.update({act: report.cells.get(act, 0) for act in ACTS})

    assert figure("I17 steps_without_leaked_permit_count", steps, f">= {STEPS_MIN}", steps >= STEPS_MIN,
        nodes=NODE_COUNT, seeds=seed_count, permits=acts.total(),
    )  # fmt: skip
    assert ACTS_MIN < min(acts[act] for act in ACTS), acts
