"""Dry runs of generated documents: they end, never raise, tell every step once, and are right in what they rule out."""

from __future__ import annotations

import asyncio

import pytest

from core.dag.plan import Plan
from core.engine.dry_run.answer import DryRun
from core.engine.dry_run.past_runs import NO_SERVER, Past
from core.engine.dry_run.rehearsal import Given, GivenError
from core.engine.dry_run.service import Rehearsing
from core.engine.sure import sure
from tests.sim.chance import derived
from tests.sim.dags import generated
from tests.sim.plans import compiled
from tests.unit.engine_dry_run.dry_runs import TickingClock

DOCUMENTS_COUNT = 300
AT_A_TIME = 50
# A failure, a return and a bound of time race with attempts whose outcome is not known (ADR 0024).
RACES = {"failing", "returned", "return", "timeout"}


def _planned(plan: Plan, given: Given) -> DryRun:
    rehearsing = Rehearsing(TickingClock())
    return asyncio.run(rehearsing.run(plan, {}, given, Past(None, {}, NO_SERVER)))


def _ruled_out(plan: Plan, told: DryRun) -> set[str]:
    """Give the steps that are skipped whatever the unknown outcomes are."""
    lines = {line.step: line for line in told.steps}
    found = set()
    for line in told.steps:
        at = line
        while at.why == "container" and at.status == "skipped":
            at = lines[plan.nodes[sure(plan.lists[plan.nodes[plan.by_id[at.step]].list].owner)].id]
        if line.status == "skipped" and at.why not in RACES:
            found.add(line.step)
    return found


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
            assert sorted(plan.by_id) == sorted(line.step for line in told.steps), f"document {number}"
            hanging = [line.step for line in told.steps if line.status == "may run"]
            assert told.outcome == "unknown" or [] == hanging, f"document {number}: {hanging} hang on nothing"
            asks = any(node.expiry_s is not None for node in plan.nodes)  # nobody knows what comes from outside
            if len(given.outputs) + len(given.errors) == len(called) and not asks:
                assert (True, True) == (told.is_complete, told.outcome != "unknown"), f"document {number}"


@pytest.mark.parametrize("first", range(0, DOCUMENTS_COUNT, AT_A_TIME))
def test_what_is_ruled_out_does_not_run_when_all_is_known(first: int) -> None:
    for number in range(first, first + AT_A_TIME):
        plan = compiled(generated(derived(number, "dry"), f"Dry {number}"), "dag")
        called = [node.id for node in plan.nodes if node.kind == "attempt"]
        some = derived(number, "known")
        errors = {name: GivenError("failed") for name in called if some.random() < 0.4}
        others: dict[str, object] = {name: {} for name in called if name not in errors}
        known = {name for name in called if some.random() < 0.5}
        partly = Given(
            {name: output for name, output in others.items() if name in known},
            {name: error for name, error in errors.items() if name in known},
        )
        ruled_out = _ruled_out(plan, _planned(plan, partly))
        ran = {line.step for line in _planned(plan, Given(others, errors)).steps if line.status != "skipped"}
        assert set() == ruled_out & ran, f"document {number}: told to be skipped, and ran"
