"""Where the URL of a callback may be read (semantics.md S27)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.check import dag, faults, noop, step

WAIT = step("w", "@control/wait", callback={})
READS = noop("r", parameters={"x": "{{ callbacks.w }}"})


def inside(*steps: dict[str, Any]) -> dict[str, Any]:
    return step("p", "@control/parallel", branches=[{"id": "b", "steps": list(steps)}])


@pytest.mark.parametrize(
    "document",
    [dag(READS, WAIT), dag(WAIT, READS), dag(inside(READS), WAIT), dag(inside(READS, WAIT))],
    ids=["before", "after", "below", "in-a-container"],
)
def test_s27_url_is_seen_in_the_list_of_its_wait_and_below(document: Any) -> None:
    assert [] == faults(document)


@pytest.mark.parametrize(
    "document",
    [dag(READS, inside(WAIT)), dag(READS), dag(READS, step("w", "@control/wait", seconds=1))],
    ids=["outside", "nobody", "another-wait"],
)
def test_s27_url_is_not_seen_from_outside_nor_of_another_wait(document: Any) -> None:
    assert ["dag.reference.unknown"] == [code for code, _ in faults(document)]
