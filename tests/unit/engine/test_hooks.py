"""Hooks: what runs between the outcome and the end, and what may still change it (semantics.md S5, S39 to S41)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine import events as e
from core.engine import stimuli as s
from core.engine.closing import CLEANUP_S
from core.engine.state import InstanceStatus
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"
ABOUT = 'parameters: {e: "{{ error }}", o: "{{ instance.outcome }}", a: "{{ steps.a.status }}"}'
FAILURE = f"on_failure: [{{id: h, {NOOP}, {ONCE}, {ABOUT}}}, {{id: h2, {NOOP}}}]"
FINISH = f"on_finish: [{{id: k, {NOOP}, {ONCE}, {ABOUT}}}, {{id: k2, {NOOP}}}]"


def hooked(
    hooks: str = f"{FAILURE}, {FINISH}", *, steps: str = "", outputs: str = "outputs: {v: 1}", settings: str = ""
) -> str:
    return f"""
        steps: [{steps or f"{{id: a, {NOOP}, {ONCE}}}"}]
        {outputs}
        settings: {{{hooks} {settings}}}
        """


def answered(run: InstanceRun) -> tuple[str, str]:
    assert run.answer is not None
    return run.answer.result, run.answer.status


def test_s39_success_runs_on_finish_only() -> None:
    run = run_of(hooked()).succeed("a")
    assert (["k"], "running") == (list(run.attempts), run.status)
    assert {"e": None, "o": "succeeded", "a": "succeeded"} == run.parameters("k")
    run.succeed("k").succeed("k2")
    assert ("succeeded", {"v": 1}, {"a", "k", "k2"}) == (run.status, run.outputs, set(run.tasks()))


def test_s39_failure_runs_on_failure_and_then_on_finish() -> None:
    run = run_of(hooked()).fail("a")
    assert ["h"] == list(run.attempts)
    given: Any = run.parameters("h")
    assert ("a", "failed", "failed") == (given["e"]["step"], given["o"], given["a"])
    run.succeed("h").succeed("h2")
    assert (["k"], given) == (list(run.attempts), run.parameters("k"))
    run.succeed("k").succeed("k2")
    assert ("failed", "a", {}) == (run.status, run.error["step"], run.timers)


def test_s39_cancel_runs_on_finish_and_no_on_failure() -> None:
    run = run_of(hooked()).feed(s.Cancel("x")).pass_time(30)
    assert (["k"], "cancelling", "cancelled") == (list(run.attempts), run.status, run.parameters("k")["o"])
    run.feed(s.Cancel("again"))
    assert ("accepted", "cancelling") == answered(run)
    run.succeed("k").succeed("k2")
    assert ("cancelled", "x", {}) == (run.status, run.state.header.reason, run.timers)


def test_s41_terminate_runs_no_hook() -> None:
    run = run_of(hooked()).feed(s.Terminate("x"))
    assert ("cancelled", {"a"}) == (run.status, set(run.tasks()))


def test_s41_cancel_of_a_queued_instance_runs_no_hook() -> None:
    run = InstanceRun(run_of(hooked()).plan).start(cancelled="never mind")
    assert ("cancelled", {"a": "cancelled/cancel"}) == (run.status, run.tasks())


def test_s40_timeout_of_the_instance_runs_both_hooks() -> None:
    run = run_of(hooked(settings=", timeout_s: 60")).pass_time(90)
    assert (["h"], "timeout") == (list(run.attempts), run.parameters("h")["e"]["kind"])
    run.succeed("h").succeed("h2").succeed("k").succeed("k2")
    assert ("failed", "timeout", {}) == (run.status, run.error["kind"], run.timers)


def test_s40_timeout_of_the_instance_does_not_run_in_hooks() -> None:
    run = run_of(hooked(settings=", timeout_s: 60")).succeed("a").pass_time(CLEANUP_S - 1)
    assert (["k"], 1) == (list(run.attempts), len(run.timers))
    assert "succeeded" == run.succeed("k").succeed("k2").status


@pytest.mark.parametrize("result", ["success", "failed"])
def test_s23_return_runs_the_hooks_of_its_result(result: str) -> None:
    steps = f'{{id: a, {NOOP}}}, {{id: r, operator: "@control/return", parameters: {{result: {result}}}}}'
    run = run_of(hooked(steps=steps)).succeed("a")
    assert (["k"] if result == "success" else ["h"]) == list(run.attempts)
    run.finish()
    assert ("succeeded", {}) == (run.status, run.outputs) if result == "success" else "failed" == run.status


def test_s39_outputs_that_err_fail_the_instance_and_run_on_failure() -> None:
    run = run_of(hooked(outputs='outputs: {v: "{{ steps.a.output.none }}"}')).succeed("a", {})
    assert (["h"], "expression", "failed") == (
        list(run.attempts), run.parameters("h")["e"]["kind"], run.parameters("h")["o"],
    )  # fmt: skip
    assert ("failed", None) == (run.finish().status, run.outputs)


def test_s39_failed_on_failure_stops_itself_only() -> None:
    run = run_of(hooked()).fail("a").fail("h", "conflict")
    assert (["k"], "skipped/failing") == (list(run.attempts), run.tasks()["h2"])
    assert "a" == run.parameters("k")["e"]["step"]
    run.succeed("k").succeed("k2")
    assert ("failed", "a") == (run.status, run.error["step"])


def test_s39_failed_on_finish_turns_success_into_failure() -> None:
    run = run_of(hooked()).succeed("a").fail("k", "conflict")
    assert ("failed", "k", None, {"a", "k", "k2"}) == (run.status, run.error["step"], run.outputs, set(run.tasks()))


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_s39_failed_on_finish_changes_no_other_outcome(outcome: str) -> None:
    run = run_of(hooked(FINISH))
    if outcome == "failed":
        run.fail("a").fail("k")
        assert ("failed", "a") == (run.status, run.error["step"])
    else:
        run.feed(s.Cancel("x")).pass_time(30).fail("k")
        assert ("cancelled", "x", None) == (run.status, run.state.header.reason, run.error)


def test_s39_status_stays_cancelling_when_on_finish_fails_under_a_cancel() -> None:
    hooks = f"on_finish: [{{id: k, {NOOP}, {ONCE}}}, {{id: j, {NOOP}, depends_on: []}}]"
    run = run_of(hooked(hooks)).feed(s.Cancel("x")).pass_time(30).fail("k")
    assert (["j"], "cancelling") == (list(run.attempts), run.status)
    run.feed(s.Cancel("again"))
    assert ("accepted", "cancelling") == answered(run)
    assert "cancelled" == run.succeed("j").status


@pytest.mark.parametrize(("act", "outcome"), [("succeed", "succeeded"), ("fail", "failed")])
def test_s41_cancel_during_hooks_is_answered_with_the_outcome(act: str, outcome: str) -> None:
    run = run_of(hooked())
    getattr(run, act)("a")
    rows = len(run.rows)
    run.feed(s.Cancel("x"))
    assert ("ended", outcome, rows) == (*answered(run), len(run.rows))
    assert outcome == run.finish().status


def test_s41_terminate_during_hooks_ends_them() -> None:
    run = run_of(hooked()).fail("a").feed(s.Terminate("now"))
    assert (("accepted", "cancelling"), "cancelled", "now") == (answered(run), run.status, run.state.header.reason)
    assert ({}, {}, {"a", "h", "h2"}) == (run.attempts, run.timers, set(run.tasks()))


def test_s39_hooks_have_3600_s_together() -> None:
    run = run_of(hooked()).fail("a").pass_time(CLEANUP_S / 2).succeed("h").succeed("h2").pass_time(CLEANUP_S / 2 - 1)
    assert ["k"] == list(run.attempts)
    run.pass_time(1)
    assert ("failed", "a", "cancelled/timeout", {}) == (run.status, run.error["step"], run.tasks()["k"], run.attempts)


def test_s39_on_failure_that_takes_all_the_time_leaves_none_for_on_finish() -> None:
    run = run_of(hooked()).fail("a").pass_time(CLEANUP_S)
    assert ("failed", "a", {"a", "h", "h2"}) == (run.status, run.error["step"], set(run.tasks()))


def test_s39_on_finish_that_takes_too_long_turns_success_into_failure() -> None:
    run = run_of(hooked()).succeed("a").pass_time(CLEANUP_S)
    assert ("failed", "timeout", {}) == (run.status, run.error["kind"], run.timers)


CLEANED = (
    f'{{id: t, operator: "@control/try", parameters: {{steps: [{{id: a, {NOOP}}}], finally: [{{id: f, {NOOP}}}]}}}}'
)
PLAIN_FINISH = f"on_finish: [{{id: k, {NOOP}, {ONCE}}}]"


def test_s39_finally_and_hooks_of_a_cancel_have_3600_s_together() -> None:
    run = run_of(hooked(PLAIN_FINISH, steps=CLEANED)).feed(s.Cancel("x")).pass_time(3_000)
    assert ["f"] == list(run.attempts)
    run.succeed("f").pass_time(CLEANUP_S - 3_001)
    assert ["k"] == list(run.attempts)
    run.pass_time(1)
    assert ("cancelled", "cancelled/timeout", {}) == (run.status, run.tasks()["k"], run.timers)


def test_s39_finally_that_takes_all_the_time_leaves_none_for_hooks() -> None:
    run = run_of(hooked(PLAIN_FINISH, steps=CLEANED)).feed(s.Cancel("x")).pass_time(CLEANUP_S)
    assert ("cancelled", "cancelled/cancel", {}) == (run.status, run.tasks()["f"], run.attempts)


def test_s5_hooks_see_steps_and_variables_of_the_top_list() -> None:
    steps = f"{{id: d, operator: '@data/define', parameters: {{name: n, value: 7}}}}, {{id: a, {NOOP}, {ONCE}}}"
    hooks = f'on_finish: [{{id: k, {NOOP}, parameters: {{v: "{{{{ vars.n }}}}", a: "{{{{ steps.a.output }}}}"}}}}]'
    run = run_of(hooked(hooks, steps=steps))
    run.forgets = True
    run.succeed("a", "A" * 5_000)
    assert {"v": 7, "a": "A" * 5_000} == run.parameters("k")


def test_hooks_hold_containers_and_steps_of_every_kind() -> None:
    hooks = f"""on_finish: [
        {{id: l, operator: "@control/loop", parameters: {{mode: each, items: [1, 2], steps: [{{id: w, {NOOP}, parameters: {{o: "{{{{ instance.outcome }}}}", i: "{{{{ item }}}}"}}}}]}}}},
        {{id: t, operator: "@control/try", parameters: {{steps: [{{id: x, {NOOP}, {ONCE}}}], catch: [{{id: y, {NOOP}, parameters: {{e: "{{{{ error.step }}}}"}}}}]}}}},
        {{id: m, operator: "@control/map", parameters: {{items: [1], steps: [{{id: v, {NOOP}, parameters: {{e: "{{{{ error }}}}"}}}}]}}}},
        {{id: q, {NOOP}, join: all_done}}]"""
    run = run_of(hooked(hooks)).succeed("a")
    assert {"o": "succeeded", "i": 1} == run.parameters("l.0.w")
    run.succeed("l.0.w").succeed("l.1.w").fail("x")
    assert {"e": "x"} == run.parameters("y")
    run.succeed("y")
    assert {"e": None} == run.parameters("m.0.v")
    assert "succeeded" == run.finish().status


def test_failing_hook_runs_its_clean_up() -> None:
    hooks = f"on_finish: [{{id: k, {NOOP}, {ONCE}}}, {{id: n, {NOOP}}}, {{id: q, {NOOP}, join: all_done}}]"
    run = run_of(hooked(hooks)).succeed("a").fail("k")
    assert (["q"], "running") == (list(run.attempts), run.status)
    assert ("failed", "k") == (run.succeed("q").status, run.error["step"])


@pytest.mark.parametrize("is_failing", [False, True])
def test_recovery_during_hooks_goes_on_with_them(is_failing: bool) -> None:
    hooks = f"on_finish: [{{id: k, {NOOP}, {ONCE}}}, {{id: j, {NOOP}, depends_on: []}}]"
    run = run_of(hooked(hooks)).succeed("a")
    if is_failing:
        run.fail("k")
    run.take_over()
    if is_failing:
        assert ("failed", "k", "cancelled/failing") == (run.status, run.error["step"], run.tasks()["j"])
    else:
        assert (["j", "k"], "succeeded") == (sorted(run.attempts), run.finish().status)


def test_outcome_is_recorded_before_its_hooks() -> None:
    run = run_of(hooked()).fail("a")
    [concluded] = [event for event in run.events if isinstance(event, e.InstanceConcluded)]
    assert (InstanceStatus.FAILED, concluded.outcome) == (concluded.outcome.status, run.state.header.outcome)
    run.finish()
    kinds = [
        type(event).__name__ for event in run.events if isinstance(event, e.HookEntered | e.HookEnded | e.InstanceEnded)
    ]
    assert ["HookEntered", "HookEnded", "HookEntered", "HookEnded", "InstanceEnded"] == kinds
    assert (None, None) == (run.state.header.outcome, run.state.header.hook)


def test_sweep_that_comes_late_finds_nothing_in_a_hook_that_ended() -> None:
    run = run_of(hooked()).succeed("a").succeed("k").succeed("k2")
    rows = len(run.rows)
    run.feed(s.SweepFrame("/on_finish")).feed(s.Continue("/on_finish"))
    assert rows == len(run.rows)
