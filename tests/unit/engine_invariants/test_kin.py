"""Parents and children that contradict each other are found, and sound ones are passed without a word (S29)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from core.engine import events as e
from core.engine.invariants import InstanceAudit
from core.engine.kin_audit import kin_faults, relatives
from core.engine.kinship import Parent
from core.engine.state import CallState, Closing, InstanceStatus, Outcome, Timer, WaitState
from core.ports.instance_store import InstanceRow
from tests.unit.engine.plans import plan_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = plan_of("""
    steps:
      - {id: c, operator: "@control/call", parameters: {dag: Child}}
      - {id: w, operator: "@control/wait", depends_on: [], parameters: {callback: {}}}
    """)
STARTED = e.InstanceStarted(NOW, "01J", "d", "dag", "h", "v1.0.0", NOW, b"{}", b"{}", None)
TOP = e.FrameOpened("", 0, None, -1, "", 0, 1, None)
WAITS = e.WaitBegun("", 0, CallState(NOW, "01K", "child", "v1.0.0", True), ())
ASKS = e.WaitBegun("", 1, WaitState(NOW, callback=True), ())
CHILD = e.ChildBegun(Parent("01H", "x", True, True, ("above",)))
LEFT = e.ChildBegun(Parent("01H", "x", True, False, ("above",)))


def row(instance_id: str, status: str = "running", **more: Any) -> InstanceRow:
    fields: dict[str, Any] = {
        "domain_id": "d", "shard": 0, "dag_id": "dag", "dag_hash": "h", "dag_version": "v1.0.0", "seq": 1,
        "open_attempts": 0, "ready": 0, "open_frames": 1, "epoch": 1, "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return InstanceRow(id=instance_id, status=status, **(fields | more))


OWN = row("01J")
BORN = {"parent_id": "01J", "parent_path": "c"}


def found(*events: e.Event, near: tuple[InstanceRow, ...] = (), inbox_count: int = 0) -> list[tuple[str, str]]:
    audit = InstanceAudit(PLAN, "01J")
    assert [] == audit.read(1, (STARTED, *events))
    faults = kin_faults(audit, OWN, {one.id: one for one in near if one.id in relatives(audit)}, inbox_count)
    return [(one.invariant, one.sentence) for one in faults]


def test_s29_call_that_waits_for_its_open_child_is_sound() -> None:
    assert [] == found(TOP, WAITS, ASKS, near=(row("01K", **BORN),))


def test_s29_call_that_waits_for_nobody_is_found() -> None:
    assert [("I4", "c waits for instance 01K, which is not there")] == found(TOP, WAITS)


def test_s29_call_that_waits_for_anothers_child_is_found() -> None:
    wanted = [("I11", "c waits for instance 01K, which is not its child")]
    for other in ({}, {**BORN, "domain_id": "e"}, {**BORN, "parent_path": "d"}):
        assert wanted == found(TOP, WAITS, near=(row("01K", **other),))


def test_s29_call_whose_child_has_ended_and_told_nobody_is_found() -> None:
    ended = row("01K", "failed", **BORN)
    assert [("I4", "c waits for instance 01K, which has ended and told nobody")] == found(TOP, WAITS, near=(ended,))
    assert [] == found(TOP, WAITS, near=(ended,), inbox_count=1)


def test_s29_list_that_has_ended_waits_for_nobody() -> None:
    audit = InstanceAudit(PLAN, "01J")
    audit.read(1, (STARTED, TOP, WAITS))
    audit.frames[""].is_open = False
    assert [] == relatives(audit)


def test_s29_call_that_has_ended_waits_for_nobody() -> None:
    assert [] == found(TOP, WAITS, e.TaskSucceeded("", 0, b"1"))


def test_s29_child_that_outlives_its_caller_unheard_is_found() -> None:
    wanted = [("S29", "it outlives instance 01H, which called it, and was not told to end")]
    assert wanted == found(CHILD, TOP)
    assert wanted == found(CHILD, TOP, near=(row("01H", "cancelled"),))


def test_s29_child_that_was_told_or_is_left_or_has_a_caller_is_sound() -> None:
    over = (row("01H", "failed"),)
    concluded = e.InstanceConcluded(Outcome(InstanceStatus.FAILED, None, None, None), Timer(1, NOW, "cleanup"))
    assert [] == found(CHILD, TOP, near=(row("01H"),))
    assert [] == found(CHILD, TOP, near=over, inbox_count=1)
    assert [] == found(CHILD, TOP, e.InstanceClosing(Closing("cancel", NOW), InstanceStatus.CANCELLING), near=over)
    assert [] == found(CHILD, TOP, concluded, near=over)
    assert [] == found(LEFT, TOP, near=over)


def test_s29_child_that_has_ended_outlives_nobody() -> None:
    ended = e.InstanceEnded(NOW, InstanceStatus.CANCELLED, None, None, None)
    audit = InstanceAudit(PLAN, "01J")
    audit.read(1, (STARTED, CHILD, TOP, ended))
    assert [] == kin_faults(audit, msgspec.structs.replace(OWN, status="cancelled"), {}, 0)
