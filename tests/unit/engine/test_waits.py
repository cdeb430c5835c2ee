"""Waits for a time, and when an instance is `waiting` (semantics.md S25)."""

from __future__ import annotations

import pytest

from core.engine import stimuli as s
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"


def wait(parameters: str, extra: str = "") -> str:
    return f"""
        steps:
          - {{id: w, operator: "@control/wait", parameters: {{{parameters}}}{extra}}}
        outputs: "{{{{ steps.w.output }}}}"
        """


def test_s25_wait_for_seconds_succeeds_when_they_have_passed() -> None:
    run = run_of(wait('seconds: "{{ inputs.n / 2 }}"'), {"n": 5.0})
    assert ("waiting", {"w": "waiting"}) == (run.status, run.tasks())
    run.pass_time(2.4)
    assert "waiting" == run.status
    run.pass_time(0.1)
    assert ("succeeded", {"reason": "time", "at": "2026-01-01T00:00:02.500Z", "data": None}) == (
        run.status,
        run.outputs,
    )
    assert 0 == run.all_tasks()["w"].attempts


def test_s25_wait_until_a_time_with_a_zone() -> None:
    run = run_of(wait('until: "2026-01-01T01:00:30+01:00"'))
    run.pass_time(29)
    assert "waiting" == run.status
    run.pass_time(1)
    assert ("succeeded", "2026-01-01T00:00:30.000Z") == (run.status, run.outputs["at"])


@pytest.mark.parametrize("parameters", ["seconds: 0", 'until: "2020-02-29T00:00:00Z"', 'until: "{{ now() }}"'])
def test_s25_zero_and_what_has_passed_succeed_at_once(parameters: str) -> None:
    run = run_of(wait(parameters))
    assert ("succeeded", "2026-01-01T00:00:00.000Z") == (run.status, run.outputs["at"])
    assert "WaitBegun" not in {type(event).__name__ for event in run.events}


@pytest.mark.parametrize(
    "parameters",
    [
        "seconds: -1",
        "seconds: \"{{ 'soon' }}\"",
        'seconds: "{{ true }}"',
        'until: "2026-01-01T00:00:00"',
        'until: "tomorrow"',
        'until: "{{ 5 }}"',
    ],
)
def test_s25_what_is_no_time_is_invalid(parameters: str) -> None:
    run = run_of(wait(parameters))
    assert ("failed", "invalid", 0) == (run.status, run.error["kind"], run.error["attempt"])


def test_s25_expression_that_errs_fails_the_wait() -> None:
    assert "expression" == run_of(wait('seconds: "{{ inputs.missing }}"'), {}).error["kind"]


def test_s25_wait_longer_than_time_itself_is_bounded() -> None:
    run = run_of(wait('seconds: "{{ 1e300 }}"'))
    assert [9999] == [held.timer.due_at.year for held in run.timers.values()]


def test_s15_total_s_ends_a_wait() -> None:
    run = run_of(wait("seconds: 60", ", timeout: {total_s: 5}"))
    assert {"wait", "total"} == {held.timer.kind for held in run.timers.values()}
    run.pass_time(5)
    assert ("failed", "timeout", {}) == (run.status, run.error["kind"], run.timers)


def test_s41_cancel_ends_a_wait_at_once() -> None:
    run = run_of(wait("seconds: 60")).feed(s.Cancel("enough"))
    assert ("cancelled", {"w": "cancelled/cancel"}, {}) == (run.status, run.tasks(), run.timers)


def beside(step: str) -> str:
    return f"""
        steps:
          - {{id: w, operator: "@control/wait", depends_on: [], parameters: {{seconds: 10}}}}
          - {{id: a, {NOOP}, depends_on: []{step}}}
        """


def test_instance_is_waiting_only_while_nothing_else_is_under_way() -> None:
    run = run_of(beside(""))
    assert "running" == run.status
    run.succeed("a")
    assert "waiting" == run.status
    run.pass_time(10)
    assert "succeeded" == run.status


def test_task_that_is_retried_is_under_way() -> None:
    run = run_of(beside(", retry: {max_attempts: 2, delay_s: 3, jitter: none}")).fail("a")
    assert ("retrying", "running") == (run.tasks()["a"], run.status)
    run.pass_time(3).succeed("a")
    assert "waiting" == run.status


def test_task_that_waits_for_room_is_under_way() -> None:
    run = run_of(beside(""), room=0)
    assert ("ready", "running") == (run.tasks()["a"], run.status)


def test_waiting_instance_runs_on_with_what_follows_the_wait() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: w, operator: "@control/wait", parameters: {{seconds: 10}}}}
          - {{id: a, {NOOP}}}
          - {{id: x, operator: "@control/wait", parameters: {{seconds: 10}}}}
        """
    )
    run.pass_time(10)
    assert "running" == run.status
    run.succeed("a")
    assert "waiting" == run.status
    run.pass_time(10)
    names = [type(event).__name__ for event in run.events]
    assert (2, 2) == (names.count("InstanceWaiting"), names.count("InstanceWoken"))
    assert "succeeded" == run.status


def test_waiting_instance_that_fails_or_is_taken_over_stays_consistent() -> None:
    run = run_of(
        """
        settings: {timeout_s: 30}
        steps:
          - {id: w, operator: "@control/wait", depends_on: [], parameters: {seconds: 60}}
        """
    )
    run.take_over()
    assert "waiting" == run.status
    run.pass_time(30)
    assert ("failed", "timeout") == (run.status, run.error["kind"])


def test_s19_waits_in_a_map_wake_by_themselves() -> None:
    run = run_of(
        """
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [3, 1, 2]
              steps: [{id: w, operator: "@control/wait", parameters: {seconds: "{{ item }}"}}]
              outputs: "{{ index }}"
        outputs: "{{ steps.m.output }}"
        """
    )
    assert ("waiting", 3) == (run.status, len(run.timers))
    run.pass_time(1)
    assert ["waiting", "succeeded", "waiting"] == [run.tasks()[f"m.{n}.w"] for n in range(3)]
    run.pass_time(2)
    assert [0, 1, 2] == run.outputs


def test_time_of_a_wait_may_lie_far_from_its_task() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}}}
          - {{id: b, {NOOP}}}
          - {{id: w, operator: "@control/wait", parameters: {{seconds: "{{{{ steps.a.output.n }}}}"}}}}
        """
    )
    run.succeed("a", {"n": 7, "text": "x" * 10_000}).succeed("b", {})
    assert "waiting" == run.tasks()["w"]
    assert 0 < run.rounds
