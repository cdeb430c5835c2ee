"""Every invariant is broken once by hand, and the audit says which; sound journals are read without a word."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.dag.plan import Plan
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.ends import ListEnd
from core.engine.invariants import InstanceAudit, sentences
from core.engine.journal import decode_events
from core.engine.state import Closing, Container, InstanceStatus, LoopState, MapState, Outcome, Timer, TryState
from core.ports.instance_store import InstanceRow
from tests.sim.plans import compiled
from tests.unit.engine.instance_run import InstanceRun

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORK = {"operator": "@sim/work", "parameters": {"ms": 1}}
STARTED = e.InstanceStarted(NOW, "01J", "d", "dag", "h", "v1.0.0", NOW, b"{}", b"{}", None)
TOP = e.FrameOpened("", 0, None, -1, "", 0, 1, None)
ENDED = e.InstanceEnded(NOW, InstanceStatus.FAILED, None, None, None)
CLOSING = Closing("failing", NOW)


def plan_of(*steps: dict[str, Any]) -> Plan:
    return compiled({"title": "audited", "steps": list(steps)}, "dag")


CHAIN = plan_of({"id": "a", **WORK, "retry": {"max_attempts": 2}}, {"id": "b", **WORK})
MAP = plan_of({"id": "m", "operator": "@control/map", "parameters": {"items": [1, 2], "steps": [{"id": "w", **WORK}]}})
PARALLEL = plan_of(
    {
        "id": "p",
        "operator": "@control/parallel",
        "parameters": {"branches": [{"id": "x", "steps": [{"id": "w", **WORK}]}]},
    }
)

LOOP = plan_of(
    {
        "id": "l",
        "operator": "@control/loop",
        "parameters": {"mode": "count", "limit": 300, "steps": [{"id": "w", **WORK}]},
    }
)
TRY = plan_of(
    {"id": "t", "operator": "@control/try",
     "parameters": {"steps": [{"id": "w", **WORK}], "finally": [{"id": "f", **WORK}]}}
)  # fmt: skip
TURN = e.FrameOpened("l.0/steps", 1, "", 0, "l.0.", 0, 1, None)
BEGUN, TURNED = e.IterationBegun("", 0), e.IterationEnded("", 0, b"1")

STUCK = plan_of(
    {
        "id": "p",
        "operator": "@control/parallel",
        "parameters": {"branches": [{"id": "x", "steps": [{"id": "w", **WORK}]}]},
    },
    {"id": "after", **WORK},
)


def attempt(index: int = 0, number: int = 1, epoch: int = 1, token: bytes | None = None) -> e.AttemptStarted:
    return e.AttemptStarted("", index, number, b"%d" % number if token is None else token, epoch)


def ready(index: int = 0) -> e.TaskReadied:
    return e.TaskReadied("", index, b"{}")


def audit_of(*events: e.Event, plan: Plan = CHAIN) -> InstanceAudit:
    audit = InstanceAudit(plan, "01J")
    assert [] == sentences(audit.read(1, [STARTED, TOP, *events], epoch=1))
    return audit


def broken(audit: InstanceAudit, *events: e.Event, seq: int = 2, epoch: int | None = 1) -> list[str]:
    return [found.invariant for found in audit.read(seq, events, epoch=epoch)]


def row_of(audit: InstanceAudit, **changed: Any) -> InstanceRow:
    row = InstanceRow(
        id="01J", domain_id="d", shard=0, dag_id="dag", dag_hash="h", dag_version="v1.0.0", seq=audit.seq,
        status=audit.status, open_attempts=0, ready=0, open_frames=1, epoch=1, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(row, **changed)


def checked(audit: InstanceAudit, *, timer_count: int = 0, inbox_count: int = 0, **changed: Any) -> list[str]:
    found = audit.check(row_of(audit, **changed), timer_count=timer_count, inbox_count=inbox_count)
    return [violation.invariant for violation in found]


def test_whole_run_with_retry_and_take_over_breaks_nothing() -> None:
    run = InstanceRun(CHAIN).start()
    run.fail("a").pass_time(5).take_over().succeed("a").finish()
    audit = InstanceAudit(CHAIN, "01J")
    for seq, body in run.rows:
        assert [] == sentences(audit.read(seq, decode_events(1, body)))

    assert [] == checked(audit, open_frames=0)
    assert ["a", "b"] == sorted(path for path, _ in audit.tasks())
    assert {"a": 3, "b": 1} == {path: task.number for path, task in audit.tasks()}


def test_row_that_leaves_a_gap_breaks_i2() -> None:
    assert ["I2"] == broken(audit_of(), seq=3)


def test_row_whose_seq_is_not_the_journals_breaks_i2() -> None:
    assert ["I2"] == checked(audit_of(), seq=7)


def test_status_that_is_not_the_journals_breaks_i3() -> None:
    assert ["I3"] == checked(audit_of(), status="failed")


def test_event_after_the_end_breaks_i3() -> None:
    assert ["I3", "I3"] == broken(audit_of(), ENDED, ready(), ENDED)


def test_timer_that_outlives_the_instance_breaks_i3() -> None:
    audit = audit_of(e.TaskCancelled("", 0, "cancel"), e.TaskCancelled("", 1, "cancel"), e.FrameClosed(""), ENDED)

    assert ["I3"] == checked(audit, timer_count=1, open_frames=0)


def test_frame_and_tasks_that_outlive_the_instance_break_i3() -> None:
    audit = audit_of(ENDED)

    assert ["I3", "I3"] == checked(audit)


def test_frame_that_closes_over_open_tasks_breaks_i3() -> None:
    assert ["I3"] == broken(audit_of(), e.FrameClosed(""))


def test_instance_that_nothing_will_touch_breaks_i4() -> None:
    audit = audit_of(e.ContainerEntered("", 0, Container((1,), (None,))), plan=PARALLEL)

    assert ["I4"] == checked(audit)
    assert [] == checked(audit, timer_count=1)
    assert [] == checked(audit, inbox_count=1)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param((), id="a task that can start"),
        pytest.param((e.TaskSkipped("", 0, "when"),), id="a task whose upstream has ended"),
        pytest.param((ready(),), id="a ready task"),
        pytest.param((ready(), attempt()), id="a running attempt"),
        pytest.param((ready(), attempt(), e.AttemptFailed("", 0, b"{}")), id="a task that is tried again"),
        pytest.param((e.TaskCancelled("", 0, "x"), e.TaskCancelled("", 1, "x")), id="an end to be carried up"),
        pytest.param((e.InstanceClosing(CLOSING, InstanceStatus.RUNNING),), id="a closing mark"),
    ],
)
def test_instance_with_work_left_is_no_orphan(events: tuple[e.Event, ...]) -> None:
    audit = audit_of(*events)

    assert "I4" not in checked(audit)


def test_task_that_waits_for_a_stuck_one_is_no_work() -> None:
    audit = audit_of(e.ContainerEntered("", 0, Container((1,), (None,))), plan=STUCK)

    assert ["I4"] == checked(audit)


def loop_audit(*events: e.Event) -> InstanceAudit:
    return audit_of(e.ContainerEntered("", 0, LoopState(300)), *events, plan=LOOP)


def end_of_turn() -> tuple[e.Event, ...]:
    return (
        e.TaskReadied("l.0/steps", 0, b"{}"), e.AttemptStarted("l.0/steps", 0, 1, b"1", 1),
        e.TaskSucceeded("l.0/steps", 0, b"1"), e.FrameClosed("l.0/steps"), TURNED,
    )  # fmt: skip


@pytest.mark.parametrize(
    "events",
    [
        pytest.param((), id="before its first iteration"),
        pytest.param((BEGUN, TURN, *end_of_turn()), id="between two iterations"),
        pytest.param((BEGUN, TURN), id="in an iteration with work"),
    ],
)
def test_loop_that_was_put_off_is_no_orphan(events: tuple[e.Event, ...]) -> None:
    opened = sum(isinstance(event, e.FrameOpened) for event in events) - sum(
        isinstance(event, e.FrameClosed) for event in events
    )

    assert [] == checked(loop_audit(*events), open_frames=1 + opened)


def test_map_that_was_put_off_between_two_chunks_is_no_orphan() -> None:
    audit = audit_of(e.ContainerEntered("", 0, MapState(600, 256, (b"[]",) * 3, (None,) * 3)), plan=MAP)
    assert [] == checked(audit)
    assert [] == broken(audit, e.MapAdvanced("", 0, 256, 256))
    assert ["I4"] == checked(audit)
    assert [] == broken(audit, e.MapAdvanced("", 0, 256, 0), seq=3)
    assert [] == checked(audit)


def test_loop_whose_iteration_has_no_work_left_breaks_i4() -> None:
    assert ["I4"] == checked(loop_audit(BEGUN))


def test_loop_that_succeeds_within_an_iteration_breaks_i7() -> None:
    assert [] == broken(loop_audit(), e.TaskSucceeded("", 0, b"[]"))
    assert ["I7"] == broken(loop_audit(BEGUN), e.TaskSucceeded("", 0, b"[]"))


@pytest.mark.parametrize(
    ("before", "event"),
    [
        pytest.param((BEGUN,), BEGUN, id="an iteration begins within another"),
        pytest.param((), TURNED, id="an iteration ends that did not begin"),
        pytest.param((), e.IterationBegun("", 7), id="a task that was not entered"),
        pytest.param((), e.IterationBegun("x", 0), id="a frame that was not entered"),
        pytest.param((), e.MapAdvanced("x", 0, 1, 1), id="a map that was not entered"),
    ],
)
def test_iterations_out_of_turn_are_told(before: tuple[e.Event, ...], event: e.Event) -> None:
    assert ["table"] == broken(loop_audit(*before), event)


def test_iteration_of_what_is_no_running_loop_is_told() -> None:
    assert ["table"] == broken(audit_of(), BEGUN)
    assert ["table"] == broken(audit_of(e.ContainerEntered("", 0, TryState(1)), plan=TRY), BEGUN)


def test_whole_run_of_loop_try_and_hooks_breaks_nothing() -> None:
    plan = compiled(
        {
            "title": "audited",
            "steps": [
                {"id": "l", "operator": "@control/loop",
                 "parameters": {"mode": "count", "limit": 2, "steps": [{"id": "w", **WORK}]}},
                {"id": "t", "operator": "@control/try",
                 "parameters": {"steps": [{"id": "x", **WORK, "retry": {"max_attempts": 1}}],
                                "catch": [{"id": "c", **WORK}], "finally": [{"id": "f", **WORK}]}},
            ],
            "settings": {"on_finish": [{"id": "k", **WORK}]},
        },
        "dag",
    )  # fmt: skip
    run = InstanceRun(plan).start()
    run.succeed("l.0.w").take_over().succeed("l.1.w").fail("x").succeed("c").take_over().succeed("f").succeed("k")
    audit = InstanceAudit(plan, "01J")
    for seq, body in run.rows:
        assert [] == sentences(audit.read(seq, decode_events(1, body)))

    assert ("succeeded", []) == (run.status, checked(audit, open_frames=0))


def test_hooks_are_entered_after_the_outcome_and_audited_like_any_list() -> None:
    outcome = Outcome(InstanceStatus.CANCELLED, None, None, "x")
    plan = compiled(
        {"title": "hooked", "steps": [{"id": "a", **WORK}], "settings": {"on_finish": [{"id": "k", **WORK}]}}, "d"
    )
    events = (
        e.InstanceClosing(Closing("cancel", NOW), InstanceStatus.CANCELLING), e.TaskCancelled("", 0, "cancel"),
        e.InstanceConcluded(outcome, Timer(1, NOW, "cleanup")), e.HookEntered(1),
        e.FrameOpened("/on_finish", 1, None, -1, "", 0, 1, None),
    )  # fmt: skip
    audit = audit_of(*events, plan=plan)

    assert [] == checked(audit, timer_count=1, open_frames=2)
    assert ["I3", "I3"] == [
        *broken(audit, e.FrameClosed("/on_finish"), e.HookEnded(outcome), e.FrameClosed(""), ENDED),
        *checked(audit, open_frames=0),
    ]


def test_row_whose_counters_are_wrong_is_told() -> None:
    audit = audit_of(ready(), attempt())

    assert [] == checked(audit, open_attempts=1)
    assert ["counters"] == checked(audit, open_attempts=2)


def test_row_before_the_first_decision_is_not_compared() -> None:
    audit = InstanceAudit(CHAIN, "01J")

    assert [] == checked(audit, inbox_count=1, open_frames=0)


def test_epoch_that_goes_back_breaks_i5() -> None:
    assert ["I5"] == broken(audit_of(), epoch=0)


def test_attempt_of_an_older_epoch_breaks_i5() -> None:
    audit = audit_of(ready(), attempt(epoch=3), e.AttemptFailed("", 0, b"{}"), e.TaskRequeued("", 0))

    assert ["I5"] == broken(audit, attempt(number=2, epoch=2), epoch=None)


def test_second_result_of_a_task_breaks_i6() -> None:
    audit = audit_of(ready(), attempt(), e.TaskSucceeded("", 0, b"1"))

    assert ["I6", "I6"] == broken(audit, e.TaskSucceeded("", 0, b"2"))


def test_frame_entered_twice_breaks_i6() -> None:
    assert ["I6"] == broken(audit_of(), TOP)


def test_list_entered_twice_breaks_i6() -> None:
    assert ["I6", "I6"] == broken(audit_of(), e.ListEntered("", 0, 0))


def test_list_that_ends_twice_breaks_i6() -> None:
    ended = e.ListEnded("", 0, 1, ListEnd(succeeded=True, value=None))
    audit = audit_of(e.ContainerEntered("", 0, Container((1,), (None,))), ended, plan=PARALLEL)

    assert ["I6"] == broken(audit, ended)


def test_container_that_succeeds_before_its_lists_breaks_i7() -> None:
    audit = audit_of(e.ContainerEntered("", 0, Container((1,), (None,))), plan=PARALLEL)

    assert ["I7"] == broken(audit, e.TaskSucceeded("", 0, b"{}"))


@pytest.mark.parametrize("event", [ready(1), e.TaskSucceeded("", 1, b"1"), e.TaskSkipped("", 1, "join")])
def test_task_before_its_upstream_breaks_i7(event: e.Event) -> None:
    assert ["I7"] == broken(audit_of(), event)


def test_item_that_ends_twice_breaks_i6() -> None:
    ended = e.ItemEnded("m/#0", 0, succeeded=True)
    audit = chunk_audit(e.ItemsBegun("m/#0", 2), ended)

    assert ["I6"] == broken(audit, ended)


def chunk_audit(*events: e.Event) -> InstanceAudit:
    entered = e.ContainerEntered("", 0, MapState(2, 256, (b"[1,2]",), (None,)))
    chunk = e.FrameOpened("m/#0", 1, "", 0, "m.", 0, 2, b"[1,2]")
    return audit_of(entered, chunk, *events, plan=MAP)


def test_more_items_than_the_chunk_has_are_told() -> None:
    assert ["table"] == broken(chunk_audit(), e.ItemsBegun("m/#0", 3))


def test_tasks_of_items_have_the_items_number_in_their_path() -> None:
    audit = chunk_audit(e.ItemsBegun("m/#0", 2), e.ItemClosing("m/#0", 0, CLOSING), e.TaskClosing("", 0, CLOSING))

    assert ["m", "m.0.w", "m.1.w"] == sorted(path for path, _ in audit.tasks())
    assert 2 == audit.marks


def test_attempt_that_skips_a_number_breaks_i13() -> None:
    assert ["I13"] == broken(audit_of(ready()), attempt(number=2))


def test_attempt_lost_in_its_own_epoch_breaks_i13() -> None:
    assert ["I13"] == broken(audit_of(ready(), attempt(epoch=4)), e.AttemptLost("", 0), epoch=4)


def test_attempt_lost_after_its_epoch_breaks_nothing() -> None:
    assert [] == broken(audit_of(ready(), attempt()), e.AttemptLost("", 0), epoch=2)


def test_attempt_with_the_token_of_the_one_before_breaks_i14() -> None:
    audit = audit_of(ready(), attempt(token=b"t"), e.AttemptFailed("", 0, b"{}"), e.TaskRequeued("", 0))

    assert ["I14"] == broken(audit, attempt(number=2, token=b"t"))


def test_attempt_beyond_max_attempts_breaks_s14() -> None:
    again = (e.AttemptFailed("", 0, b"{}"), e.TaskRequeued("", 0), attempt(number=2))

    assert ["S14"] == broken(audit_of(ready(), attempt(), *again), e.AttemptFailed("", 0, b"{}"))


@pytest.mark.parametrize(
    ("join", "upstream", "is_met"),
    [
        ("all_succeeded", "succeeded", True),
        ("all_succeeded", "skipped", True),
        ("all_succeeded", "failed", False),
        ("all_succeeded", "continued", True),
        ("all_succeeded", "handled", True),
        ("all_succeeded", "unhandled", False),
        ("none_failed", "skipped", True),
        ("none_failed", "continued", False),
        ("any_succeeded", "succeeded", True),
        ("any_succeeded", "skipped", False),
        ("all_done", "failed", True),
    ],
)
def test_start_and_skip_are_held_against_the_join(join: str, upstream: str, is_met: bool) -> None:
    first: dict[str, Any] = {"id": "a", **WORK, "retry": {"max_attempts": 1}}
    if upstream == "continued":
        first["on_error"] = "continue"
    elif upstream in {"handled", "unhandled"}:
        first["on_error"] = [{"id": "h", **WORK}]
    plan = plan_of(first, {"id": "b", **WORK, "join": join})
    is_handled = upstream in {"handled", "unhandled"}
    failed: list[e.Event] = [ready(), attempt(), e.TaskFailed("", 0, b"{}", "running" if is_handled else "none")]
    ends: dict[str, list[e.Event]] = {
        "succeeded": [ready(), attempt(), e.TaskSucceeded("", 0, b"1")],
        "skipped": [e.TaskSkipped("", 0, "when")],
        "handled": [*failed, e.HandlingEnded("", 0, b"1", None)],
        "unhandled": [*failed, e.HandlingEnded("", 0, None, b"{}")],
    }
    before = ends.get(upstream, failed)

    assert ([] if is_met else ["S6"]) == broken(audit_of(*before, plan=plan), ready(1))
    assert (["S6"] if is_met else []) == broken(audit_of(*before, plan=plan), e.TaskSkipped("", 1, "join"))
    assert [] == broken(audit_of(*before, plan=plan), e.TaskSkipped("", 1, "when"))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(attempt(), id="an attempt of a task that is not ready"),
        pytest.param(ready(9), id="a task that was not entered"),
        pytest.param(e.TaskReadied("x", 0, b"{}"), id="a frame that was not entered"),
        pytest.param(e.ItemsBegun("x", 1), id="items of a frame that was not entered"),
        pytest.param(STARTED, id="a second start"),
    ],
)
def test_arrow_that_the_tables_do_not_have_is_told(event: e.Event) -> None:
    assert ["table"] == broken(audit_of(), event)


def test_move_in_a_closed_frame_is_told() -> None:
    audit = audit_of(e.TaskCancelled("", 0, "x"), e.TaskCancelled("", 1, "x"), e.FrameClosed(""))

    assert ["table", "I6"] == broken(audit, e.TaskCancelled("", 0, "x"))


def test_list_of_another_region_is_told() -> None:
    audit = audit_of(e.ContainerEntered("", 0, Container((1,), (None,))), plan=PARALLEL)

    assert ["table"] == broken(audit, e.ListEntered("", 0, 1))


def test_end_of_a_handling_that_was_not_there_is_told() -> None:
    audit = audit_of(ready(), attempt(), e.TaskFailed("", 0, b"{}"))

    assert ["table"] == broken(audit, e.HandlingEnded("", 0, None, None))


def test_variable_is_no_transition_of_a_task() -> None:
    assert [] == broken(audit_of(), e.VariableSet("", 0, "v", b"1"))


def test_sentence_names_invariant_instance_and_row() -> None:
    [found] = audit_of().read(5, [])

    assert ["I2 01J seq 5: row 5 follows row 1"] == sentences([found])


def test_whole_run_with_a_wait_and_acts_by_hand_breaks_nothing() -> None:
    plan = compiled(
        {
            "title": "acted on",
            "steps": [
                {"id": "z", "operator": "@control/wait", "parameters": {"seconds": 1}},
                {"id": "a", **WORK, "at_most_once": True},
                {"id": "b", **WORK},
                {"id": "c", **WORK},
            ],
        },
        "dag",
    )
    run = InstanceRun(plan).start().pass_time(1).take_over()
    for act, path in (("complete", "c"), ("retry", "a")):
        run.feed(s.Act(act=act, path=path, by="p", reason="as agreed", output=b'{"attempt":1}'))  # type: ignore[arg-type] # two of the literals
    run.take_over().feed(s.Act(act="skip", path="a", by="p", reason="as agreed")).succeed("b")
    audit = InstanceAudit(plan, "01J")
    for seq, body in run.rows:
        assert [] == sentences(audit.read(seq, decode_events(1, body)))

    assert ("succeeded", []) == (run.status, checked(audit, open_frames=0))


def test_instance_that_says_it_waits_while_something_runs_is_told() -> None:
    assert ["table"] == broken(audit_of(), e.InstanceWaiting())
    ready = audit_of(e.TaskReadied("", 0, b"{}"))
    assert ["table"] == broken(ready, e.InstanceWaiting())


@pytest.mark.parametrize(
    "event",
    [e.TaskRequeued("", 0), e.TaskSkipped("", 0, "hand"), e.TaskSucceeded("", 0, b"1")],
    ids=lambda event: type(event).__name__,
)
def test_what_only_an_act_may_do_needs_one(event: e.Event) -> None:
    unknown = (e.TaskReadied("", 0, b"{}"), e.AttemptStarted("", 0, 1, b"t", 1), e.AttemptUnknown("", 0))
    assert ["table"] == broken(audit_of(*unknown), event)
    assert [] == broken(audit_of(*unknown, e.TaskActed("", 0, "x", "p", "r")), event)


PAUSED = e.InstancePaused(NOW)


def test_pause_is_read_without_a_word_and_keeps_the_instance_from_being_an_orphan() -> None:
    audit = audit_of(ready(), attempt(), e.TaskSucceeded("", 0, b"1"), PAUSED)
    assert InstanceStatus.PAUSED is audit.status
    assert [] == sentences(audit.check(row_of(audit), timer_count=0, inbox_count=0))
    assert [] == sentences(audit.read(2, [e.InstanceResumed(), ready(1), PAUSED, e.TaskFailed("", 1, b"1")], epoch=1))


@pytest.mark.parametrize(
    "event",
    [
        ready(), e.HookEntered(1), PAUSED, e.ItemsBegun("", 1),
        e.InstanceEnded(NOW, InstanceStatus.SUCCEEDED, None, None, None),
    ],
    ids=["ready", "hook", "pause", "items", "success"],
)  # fmt: skip
def test_s42_what_begins_or_succeeds_while_it_is_paused_is_told(event: e.Event) -> None:
    audit = audit_of(PAUSED)
    assert "S42" in {found.invariant for found in audit.read(2, [event], epoch=1)}


def test_s42_failed_end_of_a_paused_instance_is_allowed() -> None:
    assert "S42" not in {found.invariant for found in audit_of(PAUSED).read(2, [ENDED], epoch=1)}


def test_s42_resume_of_what_is_not_paused_is_told() -> None:
    assert {"S42"} == {found.invariant for found in audit_of().read(2, [e.InstanceResumed()], epoch=1)}


def test_tasks_of_a_closed_frame_are_forgotten_where_nobody_asks_for_them() -> None:
    audit = InstanceAudit(MAP, "01J", keeps_closed=False)
    entered = e.ContainerEntered("", 0, MapState(2, 256, (b"[1,2]",), (None,)))
    chunk = e.FrameOpened("m/#0", 1, "", 0, "m.", 0, 2, b"[1,2]")
    audit.read(1, [STARTED, TOP, entered, chunk, e.ItemsBegun("m/#0", 2)], epoch=1)
    before = [path for path, _ in audit.tasks()]
    audit.read(2, [e.FrameClosed("m/#0")], epoch=1)

    assert (["m", "m.0.w", "m.1.w"], ["m"]) == (before, [path for path, _ in audit.tasks()])
