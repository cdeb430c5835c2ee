"""Cancel, terminate and the bounds of containers and instances (semantics.md S15, S40, S41)."""

from __future__ import annotations

from core.engine import stimuli as s
from tests.unit.engine.calling import calling, child_of
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"
TREE = f"""
    steps:
      - {{id: a, {NOOP}, depends_on: []}}
      - {{id: r, {NOOP}, depends_on: [], retry: {{delay_s: 100, jitter: none}}}}
      - id: p
        operator: "@control/parallel"
        depends_on: []
        parameters: {{branches: [{{id: x, steps: [{{id: b, {NOOP}}}, {{id: c, {NOOP}, join: all_done}}]}}]}}
      - {{id: after, {NOOP}, join: all_done}}
    """

MANY_FRAMES = f"""
    steps:
      - id: m
        operator: "@control/map"
        parameters:
          items: "{{{{ inputs.items }}}}"
          steps:
            - {{id: i, operator: "@control/map", parameters: {{items: [1], steps: [{{id: w, {NOOP}}}, {{id: v, {NOOP}}}]}}}}
    """


def test_s41_cancel_gives_running_attempts_grace_and_a_result_within_it_counts() -> None:
    run = run_of(TREE).fail("r").feed(s.Cancel("no longer wanted"))
    assert ("cancelling", "accepted") == (run.status, run.answer.result if run.answer else "")
    assert {"a": "running", "r": "cancelled/cancel", "p": "running", "b": "running", "c": "cancelled/cancel",
            "after": "cancelled/cancel"} == run.tasks()  # fmt: skip
    run.succeed("a").pass_time(29)
    assert "cancelling" == run.status
    run.pass_time(1)
    assert {"a": "succeeded", "b": "cancelled/cancel", "p": "cancelled/cancel"} == {
        path: run.tasks()[path] for path in ("a", "b", "p")
    }
    assert ("cancelled", "no longer wanted", 1) == (run.status, run.state.header.reason, len(run.cancelled))


def test_failure_within_the_grace_is_not_retried() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, on_error: [{{id: h, {NOOP}}}]}}]").feed(s.Cancel("x")).fail("a")
    assert ("cancelled", {"a": "failed"}) == (run.status, run.tasks())


def test_s41_cancel_again_gives_the_same_answer() -> None:
    run = run_of(TREE).feed(s.Cancel("x"))
    rows = len(run.rows)
    run.answer = None
    run.feed(s.Cancel("y"))
    assert ("accepted", rows) == (run.answer.result if run.answer else "", len(run.rows))
    run.pass_time(30).feed(s.Cancel("z"))
    assert ("accepted", "cancelled") == (run.answer.result if run.answer else "", run.status)


def test_cancel_of_an_ended_instance_is_refused() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]").finish()
    for command in (s.Cancel("x"), s.Terminate("x")):
        run.feed(command)
        assert ("ended", "succeeded") == (run.answer.result if run.answer else "", run.status)


def test_s41_cancel_after_a_decided_outcome_is_refused() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]\nsettings: {{timeout_s: 10}}").pass_time(10).feed(s.Cancel("x"))
    assert "ended" == (run.answer.result if run.answer else "")
    run.pass_time(30)
    assert ("failed", "timeout") == (run.status, run.error["kind"])


def test_cancel_of_a_failing_instance_cancels_it() -> None:
    run = run_of(TREE.replace("after, ", "bad, ")).feed(s.Cancel("x")).pass_time(30)
    assert "cancelled" == run.status
    run = run_of(f"steps: [{{id: a, {NOOP}, depends_on: []}}, {{id: b, {NOOP}, depends_on: [], {ONCE}}}]").fail("b")
    run.feed(s.Cancel("x")).pass_time(30)
    assert ("cancelled", "cancelled/cancel") == (run.status, run.tasks()["a"])


def test_s41_terminate_abandons_everything_at_once() -> None:
    run = run_of(TREE).feed(s.Terminate("now"))
    assert ("cancelled", "now", {}) == (run.status, run.state.header.reason, run.attempts)
    assert 3 == len(run.cancelled)
    run.feed(s.Terminate("again"))
    assert "accepted" == (run.answer.result if run.answer else "")


def test_terminate_overtakes_a_cancel() -> None:
    run = run_of(TREE).feed(s.Cancel("slow")).feed(s.Terminate("now"))
    assert ("cancelled", "now") == (run.status, run.state.header.reason)


def test_cancel_without_running_attempts_ends_at_once() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 9}}}}]").fail("a").feed(s.Cancel("x"))
    assert "cancelled" == run.status


def test_cancel_before_the_first_decision_records_both() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]")
    run.__init__(run.plan)  # type: ignore[misc] # begin anew with the same plan
    run.start(cancelled="never mind")
    assert ("cancelled", "never mind", {"a": "cancelled/cancel"}) == (
        run.status, run.state.header.reason, run.tasks(),
    )  # fmt: skip
    assert 1 == len(run.rows)


def test_start_of_a_started_instance_changes_nothing() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]")
    run.feed(run.start_facts)
    assert 1 == len(run.rows)


def test_s16_total_bound_of_a_container_ends_all_in_it() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            timeout: {{total_s: 10}}
            on_error: continue
            parameters: {{items: [1, 2, 3], max_concurrency: 2, steps: [{{id: w, {NOOP}}}, {{id: v, {NOOP}}}]}}
          - {{id: z, {NOOP}}}
        """
    )
    run.pass_time(10)
    assert ["m.0.w", "m.1.w"] == list(run.attempts)
    run.succeed("m.0.w").pass_time(30)
    assert {"m": "failed", "m.0.w": "succeeded", "m.0.v": "cancelled/timeout", "m.1.w": "cancelled/timeout",
            "m.1.v": "cancelled/timeout", "z": "running"} == run.tasks()  # fmt: skip
    assert "succeeded" == run.finish().status


def test_s40_bound_of_the_instance_ends_it_as_a_failure() -> None:
    run = run_of(TREE + "\n    settings: {timeout_s: 60}").pass_time(60)
    assert ("running", "cancelled/timeout") == (run.status, run.tasks()["after"])
    run.pass_time(30)
    assert "failed" == run.status
    assert {"kind": "timeout", "message": "the instance ran longer than 60 s", "step": "", "attempt": 0} == run.error


def test_bound_of_the_instance_is_forgotten_when_it_ends_in_time() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]\nsettings: {{timeout_s: 60}}").finish()
    assert {} == run.timers


def test_cancel_sweeps_many_frames_over_several_decisions() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: "{{{{ inputs.items }}}}"
              steps:
                - {{id: i, operator: "@control/map", parameters: {{items: [1], steps: [{{id: w, {NOOP}}}]}}}}
        """,
        {"items": list(range(200))},
    )
    assert 200 == len(run.attempts)
    run.feed(s.Cancel("x"), settle=False)
    assert 137 < len(run.waiting[0:]) + 1 < 400
    while run.waiting:
        run.feed(run.waiting.pop(0))
    run.pass_time(30)
    while run.waiting:
        run.feed(run.waiting.pop(0))
    assert "cancelled" == run.status


def test_lost_attempt_in_a_closing_list_is_cancelled() -> None:
    run = run_of(TREE).feed(s.Cancel("x")).take_over()
    assert "cancelled" == run.status


def test_recovery_goes_on_with_a_sweep_that_was_not_finished() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: "{{{{ inputs.items }}}}", steps: [{{id: i, operator: "@control/map", parameters: {{items: [1], steps: [{{id: w, {NOOP}}}]}}}}]}}
        """,
        {"items": list(range(100))},
    )
    run.feed(s.Terminate("x"), settle=False)
    run.waiting.clear()
    run.take_over()
    assert "cancelled" == run.status


def test_recovery_ends_what_had_not_begun_in_frames_that_a_sweep_had_not_reached() -> None:
    run = run_of(MANY_FRAMES, {"items": list(range(100))}).feed(s.Terminate("x"), settle=False)
    run.waiting.clear()
    run.take_over()
    assert ("cancelled", "cancelled/terminate") == (run.status, run.tasks()["m.99.i.0.v"])


def test_outcome_in_a_frame_that_a_sweep_has_not_reached_does_not_count() -> None:
    run = run_of(MANY_FRAMES, {"items": list(range(100))}).feed(s.Terminate("x"), settle=False)
    path, attempt = next(iter(run.attempts.items()))
    run.feed(run.outcome(attempt, s.Finished(b"1", 1)), settle=False)
    assert "cancelled/terminate" == run.tasks()[path]


def test_attempt_that_stops_within_the_grace_ends_its_list() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]").feed(s.Cancel("x"))
    run.feed(run.outcome(run.attempts.pop("a"), s.Stopped()))
    assert ("cancelled", {"a": "cancelled/cancel"}) == (run.status, run.tasks())


def test_outcome_that_comes_again_or_of_what_never_began_changes_nothing() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1, 2]
              max_concurrency: 1
              steps: [{{id: w, {NOOP}, retry: {{delay_s: 100, jitter: none}}}}]
        """
    )
    attempt = run.attempts["m.0.w"]
    rows = len(run.fail("m.0.w").rows)
    result = s.Finished(b"1", 1)
    run.feed(run.outcome(attempt, result))
    run.feed(s.AttemptEnded(attempt.frame, attempt.index + 1, attempt.number, attempt.token, result))
    assert (rows, {"m": "running", "m.0.w": "retrying"}) == (len(run.rows), run.tasks())


def test_s29_parent_is_told_of_an_end_once() -> None:
    child = child_of(calling()).succeed("a", 1).feed(s.Cancel("late"))
    assert 1 == len(child.told)


def test_recovery_of_a_sound_instance_changes_only_lost_attempts() -> None:
    run = run_of(TREE).succeed("a").take_over()
    assert ["b", "r"] == sorted(run.attempts)
    run.finish()
    assert "succeeded" == run.status


def test_unknown_timers_and_frames_change_nothing() -> None:
    run = run_of(TREE)
    rows = len(run.rows)
    for stimulus in (
        s.TimerFired(99, "", 0), s.TimerFired(99, "", -1), s.TimerFired(99, "gone/x", 0), s.SweepFrame("gone/x"),
        s.Continue("gone/x"), s.SweepFrame(""), s.Continue(""), s.Dispatch(),
    ):  # fmt: skip
        run.feed(stimulus)
    assert rows == len(run.rows)


def test_unknown_timer_of_a_closing_instance_changes_nothing() -> None:
    run = run_of(TREE).feed(s.Cancel("x"))
    rows = len(run.rows)
    run.feed(s.TimerFired(99, "", -1))
    assert rows == len(run.rows)
    run.pass_time(30)


ALL_DONE_CONTAINERS = f"""
    steps:
      - {{id: bad, {NOOP}, {ONCE}}}
      - id: c
        operator: "@control/parallel"
        join: all_done
        parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}, retry: {{max_attempts: 2}}}}, {{id: b, {NOOP}, {ONCE}}}]}}]}}
      - id: m
        operator: "@control/map"
        join: all_done
        parameters: {{items: [1], steps: [{{id: w, {NOOP}}}]}}
      - {{id: h, {NOOP}, join: all_done, {ONCE}, on_error: [{{id: k, {NOOP}}}]}}
    """


def test_containers_that_clean_up_a_failing_list_run_like_any_other() -> None:
    run = run_of(ALL_DONE_CONTAINERS).fail("bad").succeed("a").succeed("b").succeed("m.0.w").fail("h")
    assert "running" == run.tasks()["k"]
    run.succeed("k")
    assert {"bad": "failed", "c": "succeeded", "m": "succeeded", "h": "failed"} == {
        path: run.tasks()[path] for path in ("bad", "c", "m", "h")
    }
    assert ("failed", "bad") == (run.status, run.error["step"])


def test_failure_within_a_clean_up_closes_the_clean_up_only() -> None:
    run = run_of(ALL_DONE_CONTAINERS).fail("bad").fail("a")
    assert "retrying" == run.tasks()["a"]
    run.pass_time(400).succeed("a").fail("b")
    assert ("failed", "running") == (run.tasks()["c"], run.tasks()["m.0.w"])
    run.feed(s.Cancel("enough")).pass_time(30)
    assert ("cancelled", "cancelled/cancel", "cancelled/cancel") == (
        run.status, run.tasks()["m"], run.tasks()["h"],
    )  # fmt: skip


def test_clean_up_is_closed_when_a_list_further_out_fails() -> None:
    run = run_of(
        f"""
        steps:
          - id: p
            operator: "@control/parallel"
            depends_on: []
            parameters:
              branches:
                - id: x
                  steps:
                    - {{id: bad, {NOOP}, {ONCE}}}
                    - id: c
                      operator: "@control/parallel"
                      join: all_done
                      parameters: {{branches: [{{id: y, steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}}}]}}]}}
          - {{id: worse, {NOOP}, depends_on: [], {ONCE}}}
        """
    ).fail("bad")
    run.now = run.now.replace(hour=1)
    run.fail("worse").succeed("a")
    assert {"b": "skipped/failing", "c": "cancelled/failing", "p": "cancelled/failing"} == {
        path: run.tasks()[path] for path in ("b", "c", "p")
    }
    assert ("failed", "worse") == (run.status, run.error["step"])
