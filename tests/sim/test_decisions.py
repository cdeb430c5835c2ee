"""Thousands of instances on `decide` alone; the seed of a failure is in the test's name."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim.decisions import run_decisions

BLOCK_COUNT = 10
RUNS_PER_BLOCK = 300  # 3 000 in all: about five seconds


@pytest.mark.parametrize("block", range(BLOCK_COUNT))
def test_random_stimuli_bring_every_instance_to_its_end(block: int) -> None:
    ends: Counter[str] = Counter()
    for seed in range(block * RUNS_PER_BLOCK, (block + 1) * RUNS_PER_BLOCK):
        try:
            ends[run_decisions(seed)] += 1
        except Exception as fault:
            fault.add_note(f"seed {seed}: tests.sim.decisions.run_decisions({seed})")
            raise

    assert {"cancelled", "failed", "succeeded"} == set(ends)
