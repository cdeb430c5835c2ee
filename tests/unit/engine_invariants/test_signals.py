"""What the audit says of signals: taken once, in order, and never left beside a wait for them (I4, I6)."""

from __future__ import annotations

from datetime import UTC, datetime

from core.engine import events as e
from core.engine.answer_state import KeptSignal
from core.engine.audited import FrameAudit
from core.engine.invariants import InstanceAudit, sentences
from core.engine.signal_audit import SignalAudit
from core.engine.state import WaitState
from tests.contract.rows import instance_row
from tests.unit.engine.plans import plan_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = plan_of('steps: [{id: w, operator: "@control/wait", parameters: {event: {name: paid}}}]')
OPENED = e.FrameOpened("", 0, None, -1, "", 0, 1, None)


def signal(number: int, name: str = "paid") -> e.SignalReceived:
    return e.SignalReceived(KeptSignal(number, name, NOW, f"id-{number}", b"1"))


def started() -> InstanceAudit:
    audit = InstanceAudit(PLAN, "i")
    start = e.InstanceStarted(NOW, "i", "d", "dag", "h", "v1.0.0", NOW, b"{}", b"{}", None)
    assert [] == audit.read(1, [start, OPENED, e.WaitBegun("", 0, WaitState(NOW, "paid"), ())])
    return audit


def test_signal_that_is_taken_once_and_in_order_is_fine() -> None:
    audit = started()
    assert [] == audit.read(2, [signal(1), e.SignalTaken(1, "w"), e.TaskSucceeded("", 0, b"1")])
    assert {"id-1": 1} == dict(audit.signals.ids)


def test_signal_that_is_taken_twice_or_out_of_turn_is_told() -> None:
    found = started().read(2, [signal(2), e.SignalTaken(2, "w"), e.SignalTaken(2, "w")])
    assert ["I6", "I6"] == [one.invariant for one in found]
    assert "signal 2 follows 0" in sentences(found)[0]
    assert "signal 2 is taken by w, and is not unread" in sentences(found)[1]


def test_unread_signal_beside_a_wait_that_takes_any_is_told() -> None:
    audit = SignalAudit()
    frame = FrameAudit(OPENED)
    held = started()
    frame.tasks = held.frames[""].tasks
    assert [] == list(audit.overlooked(PLAN, [frame]))
    assert [] == list(audit.read(signal(1, "sent")))
    assert [] == list(audit.overlooked(PLAN, [frame]))
    assert [] == list(audit.read(signal(2)))
    assert ["1 signals paid are unread beside a wait for them"] == list(audit.overlooked(PLAN, [frame]))


def test_i4_signal_that_a_waiting_instance_overlooks_is_told() -> None:
    audit = started()
    audit.read(2, [signal(1)])
    found = audit.check(instance_row("i", seq=2), timer_count=1, inbox_count=0)
    assert "1 signals paid are unread beside a wait for them" in [
        one.sentence for one in found if one.invariant == "I4"
    ]
