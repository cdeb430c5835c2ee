"""What only a look of the engine moves is told from what waits for something else (F12)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine import events as e
from core.engine.invariants import InstanceAudit
from core.engine.standstill import waits_for_a_look
from tests.unit.engine.plans import plan_of
from tests.unit.engine_invariants.test_kin import OWN, STARTED, TOP, row

PLAN = plan_of("""
    steps:
      - {id: a, operator: "@debug/noop", retry: {max_attempts: 3}}
      - {id: b, operator: "@debug/noop"}
    """)
BEGUN = (e.TaskReadied("", 0, b"{}"), e.AttemptStarted("", 0, 1, b"t", 1))


def audited(*events: e.Event) -> InstanceAudit:
    audit = InstanceAudit(PLAN, "01J")
    assert [] == audit.read(1, (STARTED, TOP, *events))
    return audit


def test_task_whose_upstream_has_ended_waits_for_a_look() -> None:
    assert waits_for_a_look(audited(), OWN, 0)


@pytest.mark.parametrize("told", [{"open_attempts": 1}, {"ready": 1}, {"status": "waiting"}, {"status": "paused"}])
def test_what_waits_for_something_else_says_so_in_its_row(told: dict[str, Any]) -> None:
    fields = {"status": "running", **told}

    assert not waits_for_a_look(audited(), row("01J", **fields), 0)


@pytest.mark.parametrize("ended", [e.AttemptFailed("", 0, b"{}"), e.AttemptUnknown("", 0)])
def test_task_that_is_tried_again_or_unknown_is_not_the_engines_to_look_at(ended: e.Event) -> None:
    assert not waits_for_a_look(audited(*BEGUN, ended), OWN, 0)


def test_command_in_the_inbox_moves_it() -> None:
    assert not waits_for_a_look(audited(), OWN, 1)
