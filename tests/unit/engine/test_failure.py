"""Failure, retry and its handling (semantics.md S9 to S15)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.engine import stimuli as s
from core.executor.operator import Failed
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"


def test_s9_s10_failure_ends_the_list_but_runs_all_done_steps() -> None:
    run = run_of(
        f"steps: [{{id: a, {NOOP}, {ONCE}}}, {{id: b, {NOOP}}}, {{id: c, {NOOP}, join: all_done}}, {{id: d, {NOOP}}}]"
    )
    run.fail("a")
    assert {"a": "failed", "b": "skipped/failing", "c": "running", "d": "skipped/failing"} == run.tasks()
    run.succeed("c")
    assert "failed" == run.status
    assert {"kind": "failed", "message": "a broke", "step": "a", "attempt": 1} == run.error


def test_s10_running_siblings_of_a_failure_end_and_count_without_retry() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}, depends_on: [], {ONCE}}}
          - {{id: b, {NOOP}, depends_on: []}}
          - {{id: c, {NOOP}, depends_on: [], retry: {{max_attempts: 3}}}}
          - {{id: d, {NOOP}, depends_on: [b]}}
        """
    )
    run.fail("a")
    assert "running" == run.status
    run.succeed("b")
    run.fail("c")
    assert {"a": "failed", "b": "succeeded", "c": "failed", "d": "skipped/failing"} == run.tasks()
    assert "a" == run.error["step"]


def test_s11_error_that_continues_leaves_the_list_running() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}, {ONCE}, on_error: continue}}
          - {{id: b, {NOOP}, parameters: {{why: "{{{{ steps.a.error.message }}}}"}}}}
        """
    )
    run.fail("a")
    assert {"why": "a broke"} == run.parameters("b")
    run.finish()
    assert ("succeeded", "failed") == (run.status, run.tasks()["a"])


def test_s12_catching_list_gives_a_fallback_output() -> None:
    run = run_of(
        f"""
        steps:
          - id: a
            {NOOP}
            {ONCE}
            on_error: [{{id: f, {NOOP}, parameters: {{kind: "{{{{ error.kind }}}}"}}}}]
          - {{id: b, {NOOP}, parameters: {{got: "{{{{ steps.a.output }}}}"}}}}
        """
    )
    run.fail("a", "not_found")
    assert {"kind": "not_found"} == run.parameters("f")
    assert "pending" == run.tasks()["b"]
    run.succeed("f", {"cached": True})
    assert {"got": {"cached": True}} == run.parameters("b")
    assert "failed" == run.tasks()["a"]
    assert "succeeded" == run.finish().status


def test_s12_s13_catching_list_that_fails_gives_its_error_with_the_first_as_cause() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, {ONCE}, on_error: [{{id: f, {NOOP}, {ONCE}}}, {{id: g, {NOOP}}}]}}]")
    run.fail("a", "not_found").fail("f", "conflict")
    assert "failed" == run.status
    assert ("conflict", "f", "not_found") == (run.error["kind"], run.error["step"], run.error["cause"]["kind"])
    assert "skipped/failing" == run.tasks()["g"]


def test_catching_list_in_a_failing_list_is_closed_and_its_failure_stays_the_first() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}, depends_on: [], {ONCE}, on_error: [{{id: f, {NOOP}}}, {{id: g, {NOOP}}}]}}
          - {{id: b, {NOOP}, depends_on: [], {ONCE}}}
        """
    )
    run.fail("a").fail("b")
    assert "skipped/failing" == run.tasks()["g"]
    run.succeed("f")
    assert ("failed", "b") == (run.status, run.error["step"])


def test_s14_retry_waits_longer_each_time_and_counts_calls() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{max_attempts: 3, delay_s: 10, backoff: 3, jitter: none}}}}]")
    run.fail("a")
    assert "retrying" == run.tasks()["a"]
    assert run.now + timedelta(seconds=10) == next(iter(run.timers.values())).timer.due_at
    run.pass_time(10).fail("a").pass_time(29)
    assert {} == run.attempts
    run.pass_time(1).fail("a")
    assert ("failed", 3) == (run.status, run.error["attempt"])


def test_s14_full_jitter_takes_a_share_of_the_delay() -> None:
    waits = set()
    for n in range(5):
        run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 100}}}}]")
        run.draws = n * 100
        run.fail("a")
        waits.add((next(iter(run.timers.values())).timer.due_at - run.now).total_seconds())
    assert 5 == len(waits)
    assert all(0 <= wait < 100 for wait in waits)


def test_target_may_ask_to_wait_longer_up_to_the_cap() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 1, jitter: none, max_delay_s: 60}}}}]")
    run.fail("a", "exhausted", retry_after_s=20.0)
    assert 20 == (next(iter(run.timers.values())).timer.due_at - run.now).total_seconds()
    run.pass_time(20).fail("a", "exhausted", retry_after_s=500.0)
    assert 60 == (next(iter(run.timers.values())).timer.due_at - run.now).total_seconds()


def test_retry_that_comes_due_without_a_free_place_waits_for_one() -> None:
    text = f"""
        steps:
          - {{id: a, {NOOP}, depends_on: [], retry: {{delay_s: 1, jitter: none}}}}
          - {{id: b, {NOOP}, depends_on: []}}
        """
    run = run_of(text, room=1).fail("a").feed(s.Dispatch()).pass_time(1)
    assert ({"a": "ready", "b": "running"}, ["b"]) == (run.tasks(), list(run.attempts))
    run.succeed("b").feed(s.Dispatch())
    assert ("running", 2) == (run.tasks()["a"], run.attempts["a"].number)


def test_no_delay_starts_the_next_attempt_in_the_same_decision() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0}}}}]").fail("a")
    assert (2, {}) == (run.attempts["a"].number, run.timers)


@pytest.mark.parametrize(("kind", "attempts"), [("failed", 3), ("invalid", 1), ("limit", 1), ("timeout", 3)])
def test_s13_s14_kinds_decide_about_retry(kind: str, attempts: int) -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0}}}}]")
    while run.attempts:
        run.fail("a", kind)
    assert attempts == run.all_tasks()["a"].attempts


def test_s14_failure_before_the_call_counts_no_attempt() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]").fail("a", "invalid", called=False)
    assert (0, 0) == (run.all_tasks()["a"].attempts, run.error["attempt"])


def test_late_and_foreign_outcomes_change_nothing() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0}}}}]")
    first = run.attempts["a"]
    run.fail("a")
    rows = len(run.rows)
    run.feed(run.outcome(first, s.Finished(b"1", 1)))
    run.feed(s.AttemptEnded("", 0, 2, b"wrong", Failed(error_kind="failed", message="")))
    run.feed(s.AttemptEnded("gone/x", 0, 2, b"", s.Stopped()))
    assert rows == len(run.rows)
    run.succeed("a")
    run.feed(run.outcome(first, s.Finished(b"1", 1)))
    assert rows + 1 == len(run.rows)


def test_s15_total_bound_ends_the_running_attempt_and_the_task() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, timeout: {{total_s: 5}}, retry: {{delay_s: 1, jitter: none}}}}]")
    run.pass_time(5)
    assert ("failed", "timeout") == (run.status, run.error["kind"])
    assert 1 == len(run.cancelled)


def test_s15_retry_that_would_start_after_the_total_bound_is_not_scheduled() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, timeout: {{total_s: 5}}, retry: {{delay_s: 10, jitter: none}}}}]").fail("a")
    assert ("failed", "failed") == (run.status, run.error["kind"])


def test_total_bound_also_ends_a_task_that_waits_for_its_retry() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, timeout: {{total_s: 5}}, retry: {{delay_s: 4, jitter: none}}}}]")
    run.fail("a").pass_time(4)
    assert 2 == run.attempts["a"].number
    assert "timeout" == run.pass_time(1).error["kind"]


def test_queue_bound_ends_a_task_that_gets_no_place() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, timeout: {{queue_s: 3}}}}]", room=0)
    assert "ready" == run.tasks()["a"]
    run.pass_time(3)
    assert ("failed", "timeout", 0) == (run.status, run.error["kind"], run.all_tasks()["a"].attempts)


def test_s15_queue_bound_counts_each_wait_anew() -> None:
    run = run_of(
        f"steps: [{{id: a, {NOOP}, timeout: {{queue_s: 3, total_s: 90}}, retry: {{delay_s: 1, jitter: none}}}}]"
    )
    run.room = 0
    run.fail("a").pass_time(1)
    assert "ready" == run.tasks()["a"]
    run.room = 1
    run.pass_time(2).feed(s.Dispatch())
    assert "running" == run.tasks()["a"]
    assert "succeeded" == run.finish().status


def test_attempts_of_an_older_epoch_are_lost_and_follow_at_once() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{max_attempts: 1}}}}]")
    first = run.attempts["a"]
    run.take_over()
    assert (2, "running") == (run.attempts["a"].number, run.tasks()["a"])
    run.feed(run.outcome(first, s.Finished(b"1", 1)))
    assert "running" == run.status
    run.fail("a")
    assert ("failed", 2) == (run.status, run.all_tasks()["a"].attempts)


def test_lost_attempt_does_not_count_against_the_tries() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{max_attempts: 2, delay_s: 0}}}}]")
    run.take_over()
    run.fail("a")
    assert (3, "running") == (run.attempts["a"].number, run.tasks()["a"])
    run.fail("a")
    assert ("failed", 3) == (run.status, run.all_tasks()["a"].attempts)


def test_eighth_loss_in_a_row_fails_the_task() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]")
    for _loss in range(7):
        run.take_over()
        assert "running" == run.status
    run.take_over()
    assert ("failed", "unavailable") == (run.status, run.error["kind"])


def test_known_outcome_ends_a_row_of_losses() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0, max_attempts: 9}}}}]")
    for _round in range(3):
        for _loss in range(5):
            run.take_over()
        run.fail("a")
    assert "running" == run.status


def test_attempt_that_was_stopped_is_lost() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]")
    run.feed(run.outcome(run.attempts["a"], s.Stopped()))
    assert 2 == run.attempts["a"].number


def test_output_that_misses_the_schema_of_a_computed_step_fails_it() -> None:
    run = run_of(
        """
        steps: [{id: a, operator: "@text/join", parameters: {items: ["x"], separator: ""}, output_schema: {type: integer}}]
        """
    )
    assert "invalid" == run.error["kind"]


def test_s36_rendered_parameters_that_miss_the_schema_are_invalid() -> None:
    run = run_of("""steps: [{id: a, operator: "@text/split", parameters: {text: "{{ inputs.n }}", separator: ","}}]""",
                 {"n": 1})  # fmt: skip
    assert ("invalid", 0) == (run.error["kind"], run.all_tasks()["a"].attempts)


def test_s39_outputs_that_err_fail_the_instance() -> None:
    run = run_of(f"""
        steps: [{{id: a, {NOOP}}}]
        outputs: {{x: "{{{{ steps.a.output.none }}}}"}}
        """).succeed("a", {})
    assert ("failed", "expression") == (run.status, run.error["kind"])


def test_s41_attempt_that_was_stopped_in_a_cancelled_instance_ends_it() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]").feed(s.Cancel("x"))
    run.feed(run.outcome(run.attempts["a"], s.Stopped()))
    assert ("cancelled", "cancelled/cancel") == (run.status, run.tasks()["a"])


def test_error_of_a_step_that_made_no_attempt_says_so() -> None:
    returned = run_of('steps: [{id: r, operator: "@control/return", parameters: {result: failed, reason: "no"}}]')
    branches = f"parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}}}]}}]}}"
    late = run_of(f'steps: [{{id: p, operator: "@control/parallel", timeout: {{total_s: 5}}, {branches}}}]')
    late.pass_time(40)

    assert ("failed", 0) == (returned.error["kind"], returned.error["attempt"])
    assert ("timeout", 0) == (late.error["kind"], late.error["attempt"])


def test_s15_wait_for_a_place_that_took_too_long_stops_no_attempt() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, timeout: {{queue_s: 3}}}}]", room=0).pass_time(3)
    assert ("timeout", []) == (run.error["kind"], run.cancelled)


def test_r23_outcome_that_comes_twice_counts_once() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 5, jitter: none}}}}]")
    outcome = run.outcome(run.attempts["a"], Failed(error_kind="failed", message="no"))
    run.feed(outcome).feed(outcome)
    assert ({"a": "retrying"}, 1, 2) == (run.tasks(), len(run.timers), len(run.rows))
