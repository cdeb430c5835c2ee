"""Dry runs of generated documents: they end, never raise, and tell every step once."""

from __future__ import annotations

import asyncio

import pytest

from core.dag.plan import Plan
from core.engine.dry_run.answer import DryRun
from core.engine.dry_run.past_runs import NO_SERVER, Past
from core.engine.dry_run.rehearsal import Given, GivenError
from core.engine.dry_run.service import Rehearsing
from tests.sim.chance import derived
from tests.sim.dags import generated
from tests.sim.plans import compiled
from tests.unit.engine_dry_run.dry_runs import TickingClock

DOCUMENTS_COUNT = 300
AT_A_TIME = 50


def _planned(plan: Plan, given: Given) -> DryRun:
    rehearsing = Rehearsing(TickingClock())
    return asyncio.run(rehearsing.run(plan, {}, given, Past(None, {}, NO_SERVER)))


@pytest.mark.parametrize("first", range(0, DOCUMENTS_COUNT, AT_A_TIME))
def test_generated_documents_are_told_whole_whatever_is_known(first: int) -> None:
    for number in range(first, first + AT_A_TIME):
        plan = compiled(generated(derived(number, "dry"), f"Dry {number}"), "dag")
        called = [node.id for node in plan.nodes if node.kind == "attempt"]
        some = derived(number, "errors")
        errors = {name: GivenError("failed") for name in called if some.random() < 0.3}
        others: dict[str, object] = {name: {} for name in called if name not in errors}
        for given in (Given(), Given({name: {} for name in called}), Given(others, errors), Given({}, errors)):
            told = _planned(plan, given)
            steps = [line.step for line in told.steps]
            assert sorted(plan.by_id) == sorted(steps), f"document {number}: some step is not told once"
            if told.outcome != "unknown":
                hanging = [line.step for line in told.steps if line.status == "may run"]
                assert [] == hanging, f"document {number}: {hanging} hang on nothing"
            if len(given.outputs) + len(given.errors) == len(called):
                assert (True, True) == (told.is_complete, told.outcome != "unknown"), f"document {number}"
