"""Try: its lists in order whatever becomes of them, and clean-up that cancel and time do not cut (S22, S39, S41)."""

from __future__ import annotations

import pytest

from core.engine import stimuli as s
from core.engine.closing import CLEANUP_S
from core.engine.state import TryState
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"
CATCH = f'catch: [{{id: c, {NOOP}, {ONCE}, parameters: {{e: "{{{{ error.step }}}}"}}}}]'
FINALLY = f"finally: [{{id: f, {NOOP}, {ONCE}}}, {{id: g, {NOOP}}}]"
BOTH = f"{CATCH}, {FINALLY}"


def a_try(parts: str = BOTH, *, more: str = "", beside: str = "", steps: str = "", settings: str = "") -> str:
    steps = steps or f"{{id: a, {NOOP}, {ONCE}}}, {{id: b, {NOOP}}}"
    return f"""
        steps:
          - id: t
            operator: "@control/try"
            depends_on: []
            parameters: {{steps: [{steps}], {parts}}}
            {more}
          - {{id: z, {NOOP}, depends_on: [t]}}
          {beside}
        outputs: {{t: "{{{{ steps.t.output }}}}"}}
        {settings}
        """


def told(run: InstanceRun, *paths: str) -> list[str]:
    return [run.tasks().get(path, "absent") for path in paths]


def test_s22_steps_that_succeed_need_no_catch_and_finally_runs_last() -> None:
    run = run_of(a_try()).succeed("a").succeed("b", "B")
    assert ["f"] == list(run.attempts)
    run.succeed("f", "F").succeed("g", "G").succeed("z")
    assert ("succeeded", {"t": "B"}) == (run.status, run.outputs)
    assert ["succeeded", "absent"] == told(run, "t", "c")


def test_s22_success_of_catch_is_the_success_of_the_step() -> None:
    run = run_of(a_try()).fail("a")
    assert ({"e": "a"}, ["c"]) == (run.parameters("c"), list(run.attempts))
    run.succeed("c", "C").succeed("f", "F").succeed("g", "G").succeed("z")
    assert ("succeeded", {"t": "C"}) == (run.status, run.outputs)
    assert ["succeeded", "failed", "skipped/failing"] == told(run, "t", "a", "b")


def test_s22_failure_of_catch_is_the_steps_failure_with_its_cause() -> None:
    run = run_of(a_try()).fail("a", "not_found").fail("c", "conflict")
    assert ["f"] == list(run.attempts)
    run.succeed("f").succeed("g")
    assert ("failed", "conflict", "c") == (run.status, run.error["kind"], run.error["step"])
    assert ("not_found", "a") == (run.error["cause"]["kind"], run.error["cause"]["step"])


@pytest.mark.parametrize("parts", [CATCH, BOTH], ids=["without finally", "with finally"])
def test_s22_error_of_steps_may_lie_elsewhere_when_catch_fails(parts: str) -> None:
    run = run_of(a_try(parts))
    run.forgets = True
    run.fail("a", data={"much": "x" * 5_000}).fail("c", data={"more": "y" * 5_000})
    if parts == BOTH:
        run.succeed("f").succeed("g")
    assert ({"more": "y" * 5_000}, {"much": "x" * 5_000}) == (run.error["data"], run.error["cause"]["data"])


def test_s22_failure_without_catch_runs_finally_and_fails_the_step() -> None:
    run = run_of(a_try(FINALLY)).fail("a").succeed("f").succeed("g")
    assert (("failed", "a"), ["failed", "skipped/failing"]) == ((run.status, run.error["step"]), told(run, "t", "z"))


def test_s22_failure_of_finally_fails_the_step() -> None:
    run = run_of(a_try()).succeed("a").succeed("b").fail("f")
    assert (("failed", "f"), ["failed", "skipped/failing"]) == ((run.status, run.error["step"]), told(run, "t", "g"))


@pytest.mark.parametrize("is_caught", [False, True])
def test_s22_earlier_error_stays_when_finally_fails(is_caught: bool) -> None:
    run = run_of(a_try(BOTH if is_caught else FINALLY)).fail("a")
    if is_caught:
        run.fail("c")
    run.fail("f")
    assert ("failed", "c" if is_caught else "a") == (run.status, run.error["step"])
    assert is_caught == ("cause" in run.error)


def test_s22_failure_of_finally_after_a_caught_error_fails_the_step() -> None:
    run = run_of(a_try()).fail("a").succeed("c").fail("f")
    assert ("failed", "f") == (run.status, run.error["step"])


def test_s9_failure_of_a_try_is_handled_as_that_of_any_step() -> None:
    run = run_of(a_try(FINALLY, more=f"on_error: [{{id: h, {NOOP}}}]")).fail("a").succeed("f").succeed("g")
    run.succeed("h", "H").succeed("z")
    assert ("succeeded", {"t": "H"}, "failed") == (run.status, run.outputs, run.tasks()["t"])


def test_failing_list_of_a_try_lets_its_running_attempts_end_before_catch() -> None:
    run = run_of(a_try(steps=f"{{id: a, {NOOP}, {ONCE}}}, {{id: b, {NOOP}, depends_on: []}}")).fail("a")
    assert ["b"] == list(run.attempts)
    run.succeed("b")
    assert ["c"] == list(run.attempts)


def test_s14_retry_within_catch_and_finally_is_as_everywhere() -> None:
    again = "retry: {max_attempts: 2, delay_s: 5, jitter: none}"
    run = run_of(a_try(BOTH.replace(ONCE, again))).fail("a").fail("c")
    assert "retrying" == run.tasks()["c"]
    run.pass_time(5).succeed("c").fail("f").pass_time(5).succeed("f").succeed("g")
    assert "succeeded" == run.tasks()["t"]


# Cancel, terminate, return and time


@pytest.mark.parametrize("phase", ["steps", "catch", "finally"])
def test_s41_cancel_in_any_list_runs_finally_and_no_catch(phase: str) -> None:
    run = run_of(a_try())
    if phase == "catch":
        run.fail("a")
    elif phase == "finally":
        run.succeed("a").succeed("b")
    run.feed(s.Cancel("x"))
    if phase != "finally":
        running = "a" if phase == "steps" else "c"
        assert [running] == list(run.attempts)
        run.pass_time(30)
        assert f"{running} cancelled/cancel" == f"{running} {run.tasks()[running]}"
    assert (["f"], "cancelling") == (list(run.attempts), run.status)
    run.succeed("f").succeed("g")
    assert ("cancelled", ["cancelled/cancel", "cancelled/cancel"]) == (run.status, told(run, "t", "z"))


def test_s41_failure_within_the_grace_is_not_caught() -> None:
    run = run_of(a_try()).feed(s.Cancel("x")).fail("a")
    assert (["f"], "absent") == (list(run.attempts), run.tasks().get("c", "absent"))


@pytest.mark.parametrize("outcome", ["succeeds", "fails"])
def test_s39_finally_under_cancel_is_not_cut_by_the_grace_but_by_its_own_bound(outcome: str) -> None:
    run = run_of(a_try()).feed(s.Cancel("x")).pass_time(30).pass_time(CLEANUP_S - 31)
    assert (["f"], "cancelling") == (list(run.attempts), run.status)
    if outcome == "succeeds":
        run.succeed("f").succeed("g")
        assert ("cancelled", {}) == (run.status, run.timers)
        return
    run.pass_time(1)
    assert ("cancelled", {}, ["cancelled/cancel"] * 3) == (run.status, run.attempts, told(run, "f", "g", "t"))


def test_s41_failure_of_finally_under_cancel_changes_no_outcome() -> None:
    run = run_of(a_try()).feed(s.Cancel("x")).pass_time(30).fail("f")
    assert ("cancelled", "cancelled/cancel", None) == (run.status, run.tasks()["t"], run.error)


def test_s41_cancel_during_finally_does_not_touch_it() -> None:
    run = run_of(a_try(FINALLY.replace(ONCE, "retry: {max_attempts: 2, delay_s: 100, jitter: none}")))
    run.succeed("a").succeed("b").feed(s.Cancel("x")).fail("f")
    assert "retrying" == run.tasks()["f"]
    run.pass_time(100).succeed("f").succeed("g")
    assert ("cancelled", {}) == (run.status, run.timers)


@pytest.mark.parametrize("phase", ["steps", "catch", "finally"])
def test_s41_terminate_in_any_list_runs_no_finally(phase: str) -> None:
    run = run_of(a_try())
    if phase == "catch":
        run.fail("a")
    elif phase == "finally":
        run.succeed("a").succeed("b")
    run.feed(s.Terminate("x"))
    assert ("cancelled", {}, {}) == (run.status, run.attempts, run.timers)
    assert ("absent" if phase != "finally" else "cancelled/terminate") == run.tasks().get("f", "absent")


def test_s41_terminate_ends_the_finally_of_a_cancel() -> None:
    run = run_of(a_try()).feed(s.Cancel("x")).pass_time(30).feed(s.Terminate("y"))
    assert ("cancelled", "cancelled/terminate") == (run.status, run.tasks()["f"])


RETURN = f"""{{id: a, {NOOP}}}, {{id: r, operator: "@control/return", parameters: {{outputs: {{v: 1}}}}}}, {{id: b, {NOOP}}}"""


@pytest.mark.parametrize("result", ["succeeds", "fails", "never ends"])
def test_s23_return_from_within_a_try_runs_finally_and_keeps_its_outcome(result: str) -> None:
    run = run_of(a_try(steps=RETURN)).succeed("a")
    assert (["f"], "skipped/returned", "absent") == (
        list(run.attempts),
        run.tasks()["b"],
        run.tasks().get("c", "absent"),
    )
    if result == "succeeds":
        run.succeed("f").succeed("g")
    elif result == "fails":
        run.fail("f")
    else:
        run.pass_time(CLEANUP_S)
    assert ("succeeded", {"v": 1}, "cancelled/return") == (run.status, run.outputs, run.tasks()["t"])


def test_s23_return_of_a_failure_is_caught_by_no_try() -> None:
    steps = """{id: r, operator: "@control/return", parameters: {result: failed, reason: not today}}"""
    run = run_of(a_try(steps=steps)).succeed("f").succeed("g")
    assert ("failed", "not today", "r") == (run.status, run.error["message"], run.error["step"])


def test_s23_return_from_catch_runs_finally() -> None:
    parts = f'catch: [{{id: r, operator: "@control/return", parameters: {{outputs: {{e: "{{{{ error.step }}}}"}}}}}}], {FINALLY}'
    run = run_of(a_try(parts)).fail("a").succeed("f").succeed("g")
    assert ("succeeded", {"e": "a"}) == (run.status, run.outputs)


@pytest.mark.parametrize("phase", ["steps", "catch"])
def test_s16_total_bound_of_a_try_fails_it_uncaught_and_finally_has_a_bound_of_its_own(phase: str) -> None:
    run = run_of(a_try(more="timeout: {total_s: 10}"))
    if phase == "catch":
        run.fail("a")
    run.pass_time(40)
    assert ["f"] == list(run.attempts)
    run.pass_time(CLEANUP_S - 1)
    assert ["f"] == list(run.attempts)
    run.pass_time(1)
    assert ("failed", "timeout", {}) == (run.status, run.error["kind"], run.timers)
    assert ["failed", "cancelled/timeout", "cancelled/timeout"] == told(run, "t", "f", "g")
    assert ("10.0 s" in run.error["message"] or "10 s" in run.error["message"], phase == "catch") == (
        True, "cause" in run.error,
    )  # fmt: skip


def test_s16_total_bound_of_a_try_does_not_hold_for_its_finally() -> None:
    run = run_of(a_try(more="timeout: {total_s: 10}")).succeed("a").succeed("b", "B")
    assert {} == run.timers
    run.pass_time(100).succeed("f").succeed("g").succeed("z")
    assert ("succeeded", {"t": "B"}) == (run.status, run.outputs)


def test_s16_finally_that_ends_within_its_bound_after_a_timeout_leaves_the_timeout() -> None:
    run = run_of(a_try(more="timeout: {total_s: 10}")).pass_time(10).succeed("a").succeed("f").succeed("g")
    assert ("failed", "timeout", "t", {}) == (run.status, run.error["kind"], run.error["step"], run.timers)


def test_s40_timeout_of_the_instance_runs_finally() -> None:
    run = run_of(a_try(settings="settings: {timeout_s: 60}")).pass_time(60)
    assert ["a"] == list(run.attempts)
    run.pass_time(30)
    assert ["f"] == list(run.attempts)
    run.succeed("f").succeed("g")
    assert ("failed", "timeout", "cancelled/timeout") == (run.status, run.error["kind"], run.tasks()["t"])


def test_s39_finally_of_a_timeout_of_the_instance_has_3600_s() -> None:
    run = run_of(a_try(settings="settings: {timeout_s: 60}")).pass_time(60 + CLEANUP_S - 1)
    assert ["f"] == list(run.attempts)
    run.pass_time(1)
    assert ("failed", "timeout", "cancelled/timeout") == (run.status, run.error["kind"], run.tasks()["f"])


def test_s16_bound_of_a_container_around_a_try_runs_finally_for_3600_s() -> None:
    document = f"""
        steps:
          - id: p
            operator: "@control/parallel"
            timeout: {{total_s: 10}}
            parameters: {{branches: [{{id: x, steps: [{{id: t, operator: "@control/try", parameters: {{steps: [{{id: a, {NOOP}}}], {FINALLY}}}}}]}}]}}
        """
    run = run_of(document).pass_time(40)
    assert ["f"] == list(run.attempts)
    ended = run_of(document).pass_time(40).succeed("f").succeed("g")
    assert ("failed", "timeout", "p", {}) == (ended.status, ended.error["kind"], ended.error["step"], ended.timers)
    run.pass_time(CLEANUP_S - 30)
    assert ("failed", "cancelled/timeout", "cancelled/timeout") == (run.status, *told(run, "f", "t"))


# Failing lists around it


@pytest.mark.parametrize("phase", ["steps", "catch", "finally"])
def test_s10_try_in_a_list_that_fails_elsewhere_runs_finally_only(phase: str) -> None:
    run = run_of(a_try(beside=f"- {{id: bad, {NOOP}, depends_on: [], {ONCE}}}"))
    if phase == "catch":
        run.fail("a")
    elif phase == "finally":
        run.succeed("a").succeed("b")
    run.fail("bad")
    if phase != "finally":
        run.succeed("a" if phase == "steps" else "c")
    assert ["f"] == list(run.attempts)
    run.succeed("f").succeed("g")
    assert (("failed", "bad"), "cancelled/failing") == ((run.status, run.error["step"]), run.tasks()["t"])


def test_s10_failure_in_a_try_of_a_failing_list_is_not_caught() -> None:
    run = run_of(a_try(beside=f"- {{id: bad, {NOOP}, depends_on: [], {ONCE}}}")).fail("bad").fail("a")
    assert (["f"], "absent") == (list(run.attempts), run.tasks().get("c", "absent"))


def test_s10_try_that_cleans_up_a_failing_list_catches_and_cleans_up() -> None:
    document = f"""
        steps:
          - {{id: bad, {NOOP}, {ONCE}}}
          - {{id: t, operator: "@control/try", join: all_done, parameters: {{steps: [{{id: a, {NOOP}, {ONCE}}}], {BOTH}}}}}
        """
    run = run_of(document).fail("bad").fail("a").succeed("c").succeed("f").succeed("g")
    assert (("failed", "bad"), "succeeded") == ((run.status, run.error["step"]), run.tasks()["t"])


def test_s41_nested_tries_clean_up_from_the_inside_out() -> None:
    inner = f'{{id: inner, operator: "@control/try", parameters: {{steps: [{{id: a, {NOOP}}}], finally: [{{id: fi, {NOOP}}}]}}}}, {{id: b, {NOOP}}}'
    run = run_of(a_try(FINALLY, steps=inner)).feed(s.Cancel("x")).succeed("a")
    assert ["fi"] == list(run.attempts)
    run.succeed("fi")
    assert (["f"], "cancelled/cancel") == (list(run.attempts), run.tasks()["inner"])
    run.succeed("f").succeed("g")
    assert "cancelled" == run.status


def test_s22_error_of_an_inner_try_is_caught_by_the_outer_one() -> None:
    inner = f'{{id: inner, operator: "@control/try", parameters: {{steps: [{{id: a, {NOOP}, {ONCE}}}], finally: [{{id: fi, {NOOP}}}]}}}}'
    run = run_of(a_try(steps=inner)).fail("a").succeed("fi")
    assert {"e": "a"} == run.parameters("c")
    run.succeed("c", "C").succeed("f").succeed("g").succeed("z")
    assert {"t": "C"} == run.outputs


def test_s22_try_within_a_finally_is_a_try_like_any_other() -> None:
    inner = f'finally: [{{id: inner, operator: "@control/try", parameters: {{steps: [{{id: x, {NOOP}, {ONCE}}}], catch: [{{id: y, {NOOP}}}]}}}}]'
    run = run_of(a_try(inner)).feed(s.Cancel("x")).succeed("a").fail("x").succeed("y")
    assert ("cancelled", "succeeded") == (run.status, run.tasks()["inner"])


# What is seen from where


SEEN = f"""catch: [{{id: c, {NOOP}, parameters: {{a: "{{{{ steps.a.output }}}}", b: "{{{{ steps.b.error.kind }}}}", v: "{{{{ vars.n }}}}"}}}}],
    finally: [{{id: s, operator: "@data/assign", parameters: {{name: n, value: 8}}}}, {{id: f, {NOOP}, parameters: {{b: "{{{{ steps.b.status }}}}", v: "{{{{ vars.n }}}}"}}}}]"""
DEFINING = f"{{id: d, operator: '@data/define', parameters: {{name: n, value: 7}}}}, {{id: a, {NOOP}}}, {{id: b, {NOOP}, {ONCE}}}"


def test_s5_catch_and_finally_see_steps_and_variables_of_the_tried_list() -> None:
    run = run_of(a_try(SEEN, steps=DEFINING)).succeed("a", {"big": "x" * 5_000})
    run.forgets = True
    run.fail("b", "conflict")
    assert {"a": {"big": "x" * 5_000}, "b": "conflict", "v": 7} == run.parameters("c")
    run.succeed("c")
    assert {"b": "failed", "v": 8} == run.parameters("f")
    assert "succeeded" == run.finish().status


@pytest.mark.parametrize("container", ["map", "loop"])
def test_s5_catch_and_finally_see_the_steps_of_the_same_item_or_iteration(container: str) -> None:
    how = "items: [1, 2]" if container == "map" else "mode: each, items: [1, 2]"
    document = f"""
        steps:
          - id: m
            operator: "@control/{container}"
            parameters: {{{how}, steps: [{{id: t, operator: "@control/try", parameters: {{steps: [{DEFINING}], {SEEN}}}}}]}}
        outputs: "{{{{ steps.m.output }}}}"
        """
    run = run_of(document)
    for number in (0, 1):
        run.succeed(f"m.{number}.a", f"A{number}").fail(f"m.{number}.b", "conflict")
        assert {"a": f"A{number}", "b": "conflict", "v": 7} == run.parameters(f"m.{number}.c")
        run.succeed(f"m.{number}.c", number)
        assert {"b": "failed", "v": 8} == run.parameters(f"m.{number}.f")
        run.succeed(f"m.{number}.f")
    assert ("succeeded", [0, 1]) == (run.status, run.outputs)


def test_lists_of_a_try_stay_open_until_it_ends() -> None:
    run = run_of(a_try()).fail("a").succeed("c")
    assert ["", "t/catch", "t/finally", "t/steps"] == sorted(
        path for path, frame in run.state.frames.items() if frame.is_open
    )
    held = run.state.frames[""].tasks[0].detail  # type: ignore[union-attr] # it was entered
    assert isinstance(held, TryState)
    run.take_over().finish()
    assert ("succeeded", [""]) == (run.status, list(run.state.frames))


@pytest.mark.parametrize("act", ["cancel", "terminate", "fail"])
def test_try_in_a_map_item_ends_with_its_item(act: str) -> None:
    document = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: [1, 2], steps: [{{id: t, operator: "@control/try", parameters: {{steps: [{{id: a, {NOOP}, {ONCE}}}], {BOTH}}}}}]}}
        """
    run = run_of(document)
    run.fail("m.1.a")
    if act == "cancel":
        run.feed(s.Cancel("x")).pass_time(30)
        assert ["m.0.f", "m.1.f"] == sorted(run.attempts)
        run.finish()
        assert ("cancelled", "cancelled/cancel") == (run.status, run.tasks()["m.1.t"])
    elif act == "terminate":
        assert ("cancelled", {}) == (run.feed(s.Terminate("x")).status, run.attempts)
    else:
        run.fail("m.1.c")
        assert ["m.0.a", "m.1.f"] == sorted(run.attempts)
        run.succeed("m.1.f").succeed("m.1.g").succeed("m.0.a")
        assert ["m.0.f"] == list(run.attempts)
        run.finish()
        assert (("failed", "m.1.c"), "cancelled/failing") == ((run.status, run.error["step"]), run.tasks()["m.0.t"])


def test_ended_list_of_a_container_in_an_item_is_no_end_of_its_on_error_list() -> None:
    document = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1]
              steps:
                - id: p
                  operator: "@control/parallel"
                  parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}, {ONCE}}}]}}]}}
                  on_error: [{{id: h, {NOOP}}}]
                - {{id: after, {NOOP}}}
        """
    run = run_of(document).fail("m.0.a").feed(s.Cancel("x"))
    assert (["m.0.h"], "cancelling") == (list(run.attempts), run.status)
    run.succeed("m.0.h", "H")
    assert ("cancelled", "failed", "succeeded") == (run.status, *told(run, "m.0.p", "m.0.h"))
