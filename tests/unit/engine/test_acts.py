"""Acts of people on tasks (semantics.md S43), and what must not be called twice (S16)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine import events as e
from core.engine import stimuli as s
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

ANY = 'operator: "@test/anything"'


def act(run: InstanceRun, name: Any, path: str, **more: Any) -> str:
    run.feed(s.Act(act=name, path=path, by="p-1", reason="as agreed", **more))
    assert run.answer is not None
    return run.answer.result


def once(extra: str = "") -> InstanceRun:
    """An instance whose node died while `a` was called."""
    return run_of(
        f"""
        steps:
          - {{id: a, {ANY}, at_most_once: true{extra}}}
          - {{id: b, {ANY}, parameters: {{got: "{{{{ has(steps.a.output) ? steps.a.output : 'nothing' }}}}"}}}}
        """
    ).take_over()


def test_s16_lost_outcome_of_at_most_once_is_unknown_and_the_instance_waits() -> None:
    run = once()
    assert ("waiting", {"a": "unknown", "b": "pending"}, ["a"]) == (run.status, run.tasks(), run.calls)
    run.take_over().feed(s.Dispatch())
    assert ("unknown", ["a"]) == (run.tasks()["a"], run.calls)


def test_s16_known_failure_of_at_most_once_fails() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, at_most_once: true}}]").fail("a", kind="unavailable")
    assert ("failed", "unavailable", ["a"]) == (run.status, run.error["kind"], run.calls)


def test_s16_late_outcome_of_an_unknown_attempt_changes_nothing() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, at_most_once: true}}]")
    late = run.outcome(run.attempts["a"], s.Finished(b"1", 1))
    run.take_over().feed(late)
    assert "unknown" == run.tasks()["a"]


def test_s43_completed_task_has_the_given_output() -> None:
    run = once()
    assert "accepted" == act(run, "complete", "a", output=b'{"booked":7}')
    assert {"got": {"booked": 7}} == run.parameters("b")
    assert ("running", 1) == (run.status, run.all_tasks()["a"].attempts)


def test_s43_skipped_task_may_have_an_output() -> None:
    for output, got in ((None, "nothing"), (b"0", 0)):
        run = once()
        assert "accepted" == act(run, "skip", "a", output=output)
        assert ("skipped/hand", {"got": got}) == (run.tasks()["a"], run.parameters("b"))


def test_s43_failed_task_has_the_given_error() -> None:
    run = once()
    assert "accepted" == act(run, "fail", "a", error_kind="conflict", message="not booked")
    assert {"kind": "conflict", "message": "not booked", "step": "a", "attempt": 1} == run.error


def test_s43_failure_by_hand_is_handled_like_any_other() -> None:
    run = once(f", on_error: [{{id: h, {ANY}}}]")
    act(run, "fail", "a", message="not booked")
    assert ["h"] == list(run.attempts)


def test_s43_retried_unknown_task_is_called_again_with_the_next_number() -> None:
    run = once()
    assert "accepted" == act(run, "retry", "a")
    assert ("running", 2) == (run.status, run.attempts["a"].number)
    run.succeed("a", 1).succeed("b")
    assert "succeeded" == run.status


def test_s43_retrying_task_is_tried_at_once() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, retry: {{max_attempts: 2, delay_s: 60, jitter: none}}}}]").fail("a")
    assert ("retrying", 1) == (run.tasks()["a"], len(run.timers))
    assert "accepted" == act(run, "retry", "a")
    assert ("running", {}) == (run.tasks()["a"], run.timers)


@pytest.mark.parametrize("name", ["skip", "complete", "fail"])
def test_s43_pending_ready_retrying_and_waiting_tasks_are_settled(name: str) -> None:
    text = f"""
        steps:
          - {{id: w, operator: "@control/wait", depends_on: [], parameters: {{seconds: 60}}, on_error: continue}}
          - {{id: r, {ANY}, depends_on: [], retry: {{max_attempts: 2, delay_s: 60, jitter: none}}, on_error: continue}}
          - {{id: q, {ANY}, depends_on: [], timeout: {{queue_s: 60}}, on_error: continue}}
          - {{id: p, {ANY}, depends_on: [w], on_error: continue}}
        """
    run = run_of(text, room=1).fail("r")
    output = b'{"reason":"time","at":"2026-01-01T00:00:00Z","data":null}'
    assert {"w": "waiting", "r": "retrying", "q": "ready", "p": "pending"} == run.tasks()
    for path in ("p", "q", "r", "w"):
        assert "accepted" == act(run, name, path, output=None if name == "fail" else output)
    assert ("succeeded", {}, ["r"]) == (run.status, run.timers, run.calls)


def test_s43_completed_pending_task_does_not_wait_for_its_upstream() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}, {{id: c, {ANY}}}]")
    act(run, "complete", "b", output=b"2")
    assert ["a", "c"] == list(run.attempts)
    run.succeed("c")
    assert "running" == run.status
    run.succeed("a")
    assert "succeeded" == run.status


def test_s43_output_must_meet_the_schema_of_the_step() -> None:
    run = once(", output_schema: {type: object, required: [id]}")
    before = len(run.events)
    assert "invalid" == act(run, "complete", "a", output=b"{}")
    assert run.answer is not None
    assert ("unknown", before, True) == (run.tasks()["a"], len(run.events), "id" in run.answer.faults[0])
    assert "accepted" == act(run, "complete", "a", output=b'{"id":1}')


@pytest.mark.parametrize(("name", "path", "status"), [("skip", "a", "running"), ("retry", "b", "pending")])
def test_s43_what_a_task_does_not_take_changes_nothing(name: str, path: str, status: str) -> None:
    run = run_of(f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}]")
    before = len(run.events)
    assert "refused" == act(run, name, path)
    assert run.answer is not None
    assert (status, before) == (run.answer.task_status, len(run.events))
    run.succeed("a")
    assert ("refused", "succeeded") == (act(run, "complete", "a"), run.answer.task_status)


@pytest.mark.parametrize("path", ["nobody", "m.1.x", "m.9.x", "m.01.x", "y"])
def test_s43_task_that_was_not_entered_is_not_there(path: str) -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {ANY}, on_error: [{{id: y, {ANY}}}]}}
          - id: m
            operator: "@control/map"
            depends_on: []
            parameters: {{items: [1, 2], max_concurrency: 1, steps: [{{id: x, {ANY}}}]}}
        """
    )
    assert "no_task" == act(run, "skip", path)


def test_s43_task_of_a_map_item_is_named_by_its_path() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: [1, 2, 3], steps: [{{id: x, {ANY}, at_most_once: true}}, {{id: z, {ANY}}}]}}
        """
    ).take_over()
    assert "accepted" == act(run, "retry", "m.1.x")
    assert ["unknown", "running", "unknown"] == [run.tasks()[f"m.{n}.x"] for n in range(3)]


def test_s10_unknown_task_of_a_failing_list_is_cancelled() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {ANY}, depends_on: [], at_most_once: true}}
          - {{id: b, {ANY}, depends_on: [], retry: {{max_attempts: 1}}}}
        """
    ).take_over()
    run.fail("b")
    assert ("failed", "cancelled/failing") == (run.status, run.tasks()["a"])


def test_s41_unknown_task_of_a_cancelled_instance_is_cancelled() -> None:
    run = once().feed(s.Cancel("enough"))
    assert ("cancelled", "cancelled/cancel") == (run.status, run.tasks()["a"])


def test_act_upon_an_instance_that_is_swept_meets_the_swept_task() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: w, operator: "@control/wait", depends_on: [], parameters: {{seconds: 60}}}}
          - {{id: a, {ANY}, depends_on: []}}
        """
    )
    run.feed(s.Cancel("enough"))
    assert "refused" == act(run, "skip", "w")
    assert run.answer is not None
    assert "cancelled" == run.answer.task_status


def test_author_and_reason_of_an_act_stand_in_the_journal() -> None:
    run = once()
    act(run, "skip", "a")
    acted = [event for event in run.events if isinstance(event, e.TaskActed)]
    assert [(0, "skip", "p-1", "as agreed")] == [(one.index, one.act, one.by, one.reason) for one in acted]
