"""What the audit says of permits: by the events of one instance, against the rows of gates, and of a gate as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.engine import events as e
from core.engine import stimuli as s
from core.engine.invariants import InstanceAudit, sentences
from core.engine.journal import decode_events
from core.engine.permit import Permit
from core.engine.permit_audit import gate_faults
from core.engine.permit_events import InstanceAdmitted, InstanceGated, TaskAdmitted, TaskGated
from core.ports.permits import Gate, GateView, PermitRow
from tests.sim.plans import compiled
from tests.unit.engine.instance_run import InstanceRun

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEP = {"id": "a", "operator": "@sim/work", "parameters": {"ms": 1}, "concurrency": {"max": 1, "key": "crane"}}
PLAN = compiled({"title": "audited", "steps": [STEP], "settings": {"concurrency": {"max": 1}}}, "dag")
STARTED = e.InstanceStarted(NOW, "01J", "d", "dag", "h", "v1.0.0", NOW, b"{}", b"{}", None)
TOP = e.FrameOpened("", 0, None, -1, "", 0, 1, None)
HELD, WAITS = Permit("dag:dag", "", 1, is_held=True), Permit("dag:dag", "", 1, is_held=False)
CRANE, LINE = Permit("key", "crane", 1, is_held=True), Permit("key", "crane", 1, is_held=False)
READY = e.TaskReadied("", 0, b"{}")
BEGUN = (STARTED, InstanceGated(HELD), TOP, READY)
ATTEMPT = e.AttemptStarted("", 0, 1, b"1", 1)


def audit_of(*events: e.Event) -> InstanceAudit:
    audit = InstanceAudit(PLAN, "01J")
    assert [] == sentences(audit.read(1, events, epoch=1))
    return audit


def broken(audit: InstanceAudit, *events: e.Event) -> list[tuple[str, str]]:
    return [(found.invariant, found.sentence) for found in audit.read(2, events, epoch=1)]


def row(task_path: str, permit: Permit, instance_id: str = "01J", **more: Any) -> PermitRow:
    fields = {"most": permit.most, "is_held": permit.is_held, "priority": 3} | more
    gate = Gate("d", permit.limit, permit.key)
    return PermitRow(gate, instance_id, task_path, 0, since=NOW, **fields)


def test_whole_run_that_waits_at_both_gates_breaks_nothing() -> None:
    run = InstanceRun(PLAN)
    run.gates[Gate("d", "dag:dag", "")] = run.gates[Gate("d", "key", "crane")] = GateView(1, None)
    run.start().feed(s.Granted("")).feed(s.Granted("a")).finish()
    audit = InstanceAudit(PLAN, "01J")
    found = [line for seq, body in run.rows for line in sentences(audit.read(seq, decode_events(1, body), epoch=1))]
    assert ([], "succeeded", {}) == (found, audit.status, audit.permits.held)


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ((TaskGated("", 0, LINE), ATTEMPT), "a starts, and waits for a permit"),
        ((TaskGated("", 0, CRANE), TaskGated("", 0, CRANE)), "a is at a gate already"),
        ((InstanceGated(HELD),), "the instance is at a gate already"),
        ((TaskAdmitted("", 0),), "a is admitted, and waited for nothing"),
        ((TaskGated("", 0, CRANE), TaskAdmitted("", 0)), "a is admitted, and waited for nothing"),
        ((InstanceAdmitted(NOW, None),), "the instance is admitted, and waited for nothing"),
    ],
)
def test_i17_events_that_contradict_their_permits_are_found(events: Any, sentence: str) -> None:
    assert ("I17", sentence) in broken(audit_of(*BEGUN), *events)


def test_i17_what_begins_while_the_instance_is_queued_is_found() -> None:
    audit = audit_of(STARTED, InstanceGated(WAITS), TOP)
    assert ("I17", "TaskReadied while it waits for a permit") in broken(audit, READY)


@pytest.mark.parametrize(
    ("rows", "granted", "expected"),
    [
        ([row("", HELD), row("a", LINE)], [], []),
        ([row("", HELD), row("a", CRANE)], ["a"], []),
        ([row("", HELD), row("a", CRANE)], [], ["a was granted a permit of key, and nobody tells it"]),
        ([row("", HELD)], [], ["a is at the gate of key, and has no row there"]),
        ([row("", HELD), row("a", LINE, most=2)], [], ["a is at the gate of key, and has no row there"]),
        ([row("", WAITS), row("a", LINE)], [], ["the instance holds a permit of dag:dag, and its row waits"]),
        ([row("", HELD), row("a", LINE), row("b", CRANE)], [], ["the row of b at key is left"]),
    ],
)
def test_i17_rows_are_held_against_the_events(rows: list[PermitRow], granted: list[str], expected: list[str]) -> None:
    audit = audit_of(*BEGUN, TaskGated("", 0, LINE))
    assert expected == audit.permits.compare(rows, granted)


def test_i17_row_of_what_has_ended_is_left_over() -> None:
    audit = audit_of(*BEGUN, TaskGated("", 0, CRANE), ATTEMPT, e.TaskSucceeded("", 0, b"1"))
    assert ["the row of a at key is left"] == audit.permits.compare([row("", HELD), row("a", CRANE)], [])


def test_gate_as_a_whole_holds_no_more_than_the_widest_bound_and_lets_nobody_wait_for_nothing() -> None:
    one, two = row("", HELD, "i1"), row("", HELD, "i2")
    assert [] == gate_faults([])
    assert [] == gate_faults([one, row("", WAITS, "i3")])
    assert ["2 permits of dag:dag are held, above every holder's bound"] == gate_faults([one, two])
    assert [] == gate_faults([one, row("", HELD, "i2", most=2)])
    assert ["i3 waits for dag:dag, of which only 1 are held"] == gate_faults([one, row("", WAITS, "i3", most=2)])
