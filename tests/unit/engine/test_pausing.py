"""Pause and resume (semantics.md S42; dag-language.md 6)."""

from __future__ import annotations

import pytest

from core.engine import events as e
from core.engine import stimuli as s
from core.engine.paused_time import PAUSES_KEPT_MAX, PausedTime, with_pause
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

ANY = 'operator: "@test/anything"'
CHAIN = f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}]"


def pause(run: InstanceRun) -> InstanceRun:
    run.feed(s.Pause("look first", "p-1"))
    return run


def resume(run: InstanceRun) -> InstanceRun:
    run.feed(s.Resume("looked", "p-2"))
    return run


def result(run: InstanceRun, stimulus: s.Stimulus) -> tuple[str, str]:
    run.feed(stimulus)
    assert run.answer is not None
    return run.answer.result, str(run.answer.status)


def test_s42_running_attempt_ends_and_counts_and_nothing_starts() -> None:
    run = pause(run_of(CHAIN)).succeed("a", 1)
    assert ("paused", {"a": "succeeded", "b": "pending"}, {}) == (run.status, run.tasks(), run.attempts)
    resume(run)
    assert ("running", ["b"]) == (run.status, list(run.attempts))
    assert "succeeded" == run.succeed("b").status


def test_s42_ready_task_gets_no_place_until_resume() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, depends_on: []}}, {{id: b, {ANY}, depends_on: []}}]", room=1)
    pause(run).succeed("a").feed(s.Dispatch())
    assert ("ready", {}) == (run.tasks()["b"], run.attempts)
    resume(run).feed(s.Dispatch())
    assert "succeeded" == run.succeed("b").status


def test_s42_retry_that_comes_due_in_a_pause_begins_with_resume() -> None:
    text = f"steps: [{{id: a, {ANY}, retry: {{max_attempts: 2, delay_s: 5, jitter: none}}}}]"
    run = pause(run_of(text).fail("a")).pass_time(10)
    assert {} == run.attempts
    resume(run).feed(s.Dispatch())
    assert "succeeded" == run.succeed("a").status


def test_s42_who_paused_and_resumed_and_why_stands_in_the_journal() -> None:
    run = resume(pause(run_of(CHAIN)))
    told = [event for event in run.events if isinstance(event, e.InstanceActed)]
    assert [("pause", "p-1", "look first"), ("resume", "p-2", "looked")] == [(t.act, t.by, t.reason) for t in told]


@pytest.mark.parametrize("act", ["cancel", "terminate"])
def test_s41_who_ended_it_and_why_stands_in_the_journal_once(act: str) -> None:
    stimulus = s.Cancel("enough", "p-1") if act == "cancel" else s.Terminate("enough", "p-1")
    run = run_of(CHAIN).feed(stimulus, settle=False).feed(stimulus)
    told = [event for event in run.events if isinstance(event, e.InstanceActed)]
    assert [e.InstanceActed(act, "p-1", "enough")] == told


def test_s42_pausing_and_resuming_twice_is_answered_the_same_and_changes_nothing() -> None:
    run = run_of(CHAIN)
    assert ("accepted", "running") == result(run, s.Resume("x"))
    assert ("accepted", "paused") == result(run, s.Pause("x"))
    count = len(run.events)
    assert ("accepted", "paused") == result(run, s.Pause("y"))
    assert count == len(run.events)
    assert ("accepted", "running") == result(run, s.Resume("x"))


def test_s42_ending_and_ended_instances_take_no_pause() -> None:
    run = run_of(CHAIN).feed(s.Cancel("x"))
    for stimulus in (s.Pause("x"), s.Resume("x")):
        assert ("refused", "cancelling") == result(run, stimulus)
    run.succeed("a")
    assert ("ended", "cancelled") == result(run, s.Pause("x"))


def test_s42_waiting_instance_is_paused_and_its_wait_ends_at_resume() -> None:
    run = run_of('steps: [{id: w, operator: "@control/wait", parameters: {seconds: 60}}]')
    assert "waiting" == run.status
    pause(run).pass_time(100)
    assert ("paused", {"w": "waiting"}, {}) == (run.status, run.tasks(), run.timers)
    assert ("succeeded", {"w": "succeeded"}) == (resume(run).status, run.tasks())


def test_s42_wait_that_is_not_over_goes_on_waiting() -> None:
    run = run_of('steps: [{id: w, operator: "@control/wait", parameters: {seconds: 60}}]')
    resume(pause(run).pass_time(50))
    assert ("waiting", 1) == (run.status, len(run.timers))
    assert "succeeded" == run.pass_time(10).status


def test_s42_next_attempt_that_fell_due_starts_at_resume() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, retry: {{max_attempts: 2, delay_s: 10, jitter: none}}}}]")
    pause(run).fail("a").pass_time(60)
    assert ("retrying", {}) == (run.tasks()["a"], run.attempts)
    assert 2 == resume(run).attempts["a"].number
    assert "succeeded" == run.succeed("a").status


def test_s42_lost_attempt_of_a_paused_instance_is_ready_until_resume() -> None:
    run = pause(run_of(CHAIN)).take_over()
    assert ("paused", "ready", {}) == (run.status, run.tasks()["a"], run.attempts)
    resume(run).feed(s.Dispatch())
    assert "succeeded" == run.succeed("a").succeed("b").status


def test_s42_queue_s_that_fell_due_acts_at_resume() -> None:
    text = f"steps: [{{id: a, {ANY}, depends_on: []}}, {{id: b, {ANY}, depends_on: [], timeout: {{queue_s: 5}}}}]"
    run = pause(run_of(text, room=1)).pass_time(10)
    assert "ready" == run.tasks()["b"]
    assert "failed" == resume(run).tasks()["b"]


def test_s42_total_s_does_not_count_the_pause() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, timeout: {{total_s: 10}}}}]").pass_time(4)
    resume(pause(run).pass_time(100))
    assert "running" == run.pass_time(5.9).status
    assert ("failed", "timeout") == (run.pass_time(0.1).status, run.error["kind"])


def test_s42_total_s_of_a_container_does_not_count_several_pauses() -> None:
    run = run_of(CLEANED)
    for _ in range(3):
        resume(pause(run).pass_time(100)).pass_time(2)
    assert "running" == run.pass_time(3.9).tasks()["t"]
    run.pass_time(0.2)
    assert run.cancelled == []
    run.pass_time(30).succeed("f")
    assert ("failed", "timeout") == (run.status, run.error["kind"])


def test_s42_timer_that_fires_before_its_frame_is_looked_at_is_put_off() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, timeout: {{total_s: 10}}}}]").pass_time(4)
    old = next(iter(run.timers.values()))
    pause(run).pass_time(3).feed(s.Resume("x"), settle=False)
    run.fire(old)
    assert ("running", [13.0]) == (run.status, [(held.timer.due_at.second) * 1.0 for held in run.timers.values()])
    run.waiting.clear()
    assert "running" == run.pass_time(5).status
    assert "failed" == run.pass_time(1).status


def test_s40_s42_timeout_s_does_not_count_the_pause() -> None:
    run = run_of(CHAIN + "\nsettings: {timeout_s: 10}").pass_time(4)
    resume(pause(run).pass_time(100))
    assert "running" == run.pass_time(5.9).status
    run.pass_time(0.1).succeed("a")
    assert ("failed", "timeout") == (run.status, run.error["kind"])


def test_s42_retry_is_scheduled_in_a_pause_as_if_no_time_passed() -> None:
    retry = "retry: {max_attempts: 2, delay_s: 3, jitter: none}"
    run = run_of(f"steps: [{{id: a, {ANY}, timeout: {{total_s: 10}}, {retry}}}]").pass_time(4)
    pause(run).pass_time(100).fail("a")
    assert "retrying" == run.tasks()["a"]
    assert "succeeded" == resume(run).pass_time(3).succeed("a").status
    late = run_of(f"steps: [{{id: a, {ANY}, timeout: {{total_s: 10}}, {retry}}}]").pass_time(8)
    assert "failed" == pause(late).fail("a").status


def test_s42_paused_instance_fails_when_nothing_would_have_to_start() -> None:
    run = pause(run_of(CHAIN)).fail("a")
    assert ("failed", {}) == (run.status, run.timers)


def test_s42_hooks_of_a_failure_follow_the_resume() -> None:
    run = pause(run_of(CHAIN + f"\nsettings: {{on_failure: [{{id: h, {ANY}}}]}}")).fail("a")
    assert ("paused", {}) == (run.status, run.attempts)
    assert ["h"] == list(resume(run).attempts)
    assert "failed" == run.succeed("h").status


def test_s42_pause_in_a_hook_holds_the_end_and_does_not_count_for_its_bound() -> None:
    run = run_of(CHAIN + f"\nsettings: {{on_finish: [{{id: h, {ANY}}}]}}").succeed("a").succeed("b")
    pause(run).pass_time(5_000).succeed("h")
    assert ("paused", "succeeded") == (run.status, run.tasks()["h"])
    assert "succeeded" == resume(run).status


def test_s42_instance_that_succeeds_ends_after_the_resume() -> None:
    run = pause(run_of(f"steps: [{{id: a, {ANY}}}]\noutputs: {{x: '{{{{ 1 + 1 }}}}'}}")).succeed("a")
    assert "paused" == run.status
    assert ("succeeded", {"x": 2}) == (resume(run).status, run.outputs)


def test_s42_items_iterations_and_lists_begin_after_the_resume() -> None:
    fan = f'{{id: m, operator: "@control/map", depends_on: [], parameters: {{items: "{{{{ [1, 2] }}}}", max_concurrency: 1, steps: [{{id: x, {ANY}}}]}}}}'
    loop = f'{{id: l, operator: "@control/loop", depends_on: [], parameters: {{mode: count, limit: 2, steps: [{{id: y, {ANY}}}]}}}}'
    tried = f'{{id: t, operator: "@control/try", depends_on: [], parameters: {{steps: [{{id: z, {ANY}}}], finally: [{{id: f, {ANY}}}]}}}}'
    run = pause(run_of(f"steps: [{fan}, {loop}, {tried}]"))
    run.succeed("m.0.x").succeed("l.0.y").succeed("z")
    assert {"m.0.x", "l.0.y", "z", "m", "l", "t"} == set(run.tasks())
    assert ["m.1.x", "l.1.y", "f"] == sorted(resume(run).attempts, key=lambda path: "mlf".index(path[0]))
    assert "succeeded" == run.finish().status


def test_s42_failing_list_goes_down_in_a_pause_and_its_clean_up_follows() -> None:
    text = f"""
        steps:
          - {{id: a, {ANY}, depends_on: []}}
          - {{id: w, operator: "@control/wait", depends_on: [], parameters: {{seconds: 60}}}}
          - {{id: b, {ANY}, depends_on: [w]}}
          - {{id: c, {ANY}, depends_on: [a], join: all_done}}
        """
    run = pause(run_of(text)).fail("a")
    expected = {"a": "failed", "w": "cancelled/failing", "b": "skipped/failing", "c": "pending"}
    assert ("paused", expected) == (run.status, run.tasks())
    assert "failed" == resume(run).succeed("c").status


def test_s41_s42_paused_instance_is_cancelled() -> None:
    text = f"""
        steps:
          - id: t
            operator: "@control/try"
            parameters:
              steps: [{{id: x, {ANY}}}]
              finally: [{{id: f, {ANY}, retry: {{max_attempts: 2, delay_s: 10, jitter: none}}}}, {{id: g, {ANY}}}]
        """
    run = pause(run_of(text).succeed("x")).fail("f").pass_time(60)
    assert ("paused", "retrying") == (run.status, run.tasks()["f"])
    run.feed(s.Cancel("enough"))
    assert ("cancelling", ["f"]) == (run.status, list(run.attempts))
    assert "cancelled" == run.succeed("f").succeed("g").status


def test_s41_s42_paused_instance_is_terminated() -> None:
    run = pause(run_of(CHAIN))
    run.pass_time(10).feed(s.Terminate("enough"))
    assert ("cancelled", {}) == (run.status, run.attempts)
    assert [10] == [paused.seconds for paused in run.state.header.pauses]


def test_s42_s43_task_of_a_paused_instance_is_settled_and_what_follows_it_waits() -> None:
    run = pause(run_of(CHAIN))
    run.feed(s.Act(act="skip", path="b", by="p-1", reason="x")).succeed("a")
    assert ("paused", "skipped/hand") == (run.status, run.tasks()["b"])
    assert "succeeded" == resume(run).status


def test_s42_retried_task_of_a_paused_instance_starts_after_the_resume() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, retry: {{max_attempts: 2, delay_s: 60, jitter: none}}}}]").fail("a")
    pause(run).feed(s.Act(act="retry", path="a", by="p-1", reason="x"))
    assert ("ready", {}) == (run.tasks()["a"], run.attempts)
    resume(run).feed(s.Dispatch())
    assert "succeeded" == run.succeed("a").status


CLEANED = f"""
steps:
  - id: t
    operator: "@control/try"
    timeout: {{total_s: 10}}
    parameters:
      steps: [{{id: x, {ANY}}}]
      finally: [{{id: f, {ANY}}}]
"""


def test_s42_grace_that_fell_due_is_over_at_resume() -> None:
    run = pause(run_of(CLEANED).pass_time(10)).pass_time(40)
    assert ("running", {"x"}) == (run.tasks()["x"], set(run.attempts))
    resume(run)
    assert ("cancelled/timeout", {"f"}) == (run.tasks()["x"], set(run.attempts))
    assert ("failed", "timeout") == (run.succeed("f").status, run.error["kind"])


def test_s42_clean_up_after_a_timeout_does_not_count_the_pause() -> None:
    run = run_of(CLEANED).pass_time(10).succeed("x")
    resume(pause(run.pass_time(100)).pass_time(5_000))
    assert "running" == run.pass_time(3_400).tasks()["f"]
    assert "failed" == run.pass_time(200).status


@pytest.mark.parametrize("rest_s", [10, 40])
def test_s42_grace_of_an_instance_that_ran_too_long(rest_s: float) -> None:
    run = run_of(CLEANED.replace("{total_s: 10}", "{total_s: 99}") + "settings: {timeout_s: 5}").pass_time(5)
    resume(pause(run).pass_time(rest_s))
    assert ("running" if rest_s < 30 else "cancelled/timeout") == run.tasks()["x"]
    run.pass_time(30).feed(s.Dispatch())
    assert "failed" == run.succeed("f").status


def test_s42_pause_of_an_instance_that_is_failing() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, depends_on: []}}, {{id: b, {ANY}, depends_on: []}}]").fail("a")
    resume(pause(run))
    assert ("running", "failed") == (run.status, run.succeed("b").status)


def test_s41_terminate_that_is_repeated_while_frames_are_swept_is_told_once() -> None:
    inner = f'{{id: i, operator: "@control/map", parameters: {{items: [1], steps: [{{id: w, {ANY}}}]}}}}'
    text = f'steps: [{{id: m, operator: "@control/map", parameters: {{items: "{{{{ inputs.items }}}}", steps: [{inner}]}}}}]'
    run = run_of(text, {"items": list(range(100))}).feed(s.Terminate("x"), settle=False)
    assert "cancelling" == run.status
    run.feed(s.Terminate("y"))
    assert ("cancelled", 1) == (run.status, sum(isinstance(event, e.InstanceActed) for event in run.events))


def test_s42_pauses_kept_are_bounded() -> None:
    kept: tuple[PausedTime, ...] = ()
    for number in range(PAUSES_KEPT_MAX + 2):
        kept = with_pause(kept, PausedTime(number, 1.0))
    assert (PAUSES_KEPT_MAX, PausedTime(2, 3.0), PAUSES_KEPT_MAX + 2) == (
        len(kept), kept[0], sum(pause.seconds for pause in kept),
    )  # fmt: skip
