"""A trace decided anew with another output of a step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from core.engine.state import InstanceStatus, Reference
from core.engine.stimuli import Act, Cancel, Granted, Terminate
from core.engine.trace.playback import Playback
from core.engine.trace.redecide import Edit, Retold, redecide
from core.errors import TraceInvalid
from core.executor.retry_budget import RetriesTaken, RetryBudget
from tests.unit.engine.calling import calling, ended
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import plan_of, run_of
from tests.unit.engine_trace.traced import trace_of

CHAIN = """
steps:
  - {id: a, operator: "@test/anything"}
  - {id: b, operator: "@test/anything", parameters: {n: "{{ steps.a.output.n }}"}}
  - {id: c, operator: "@test/anything", when: "steps.b.output > 1"}
outputs: {c: "{{ steps.c.status }}"}
"""


def retold(run: InstanceRun, step: str, output: Any) -> Retold:
    return redecide(Playback(trace_of(run)), run.plan, Edit(step, output))


def fire(run: InstanceRun, kind: str) -> InstanceRun:
    return run.fire(next(timer for timer in run.timers.values() if timer.timer.kind == kind))


def chain() -> InstanceRun:
    return run_of(CHAIN).succeed("a", {"n": 1}).succeed("b", 2).succeed("c", None)


def test_same_output_again_changes_nothing_and_ends_alike() -> None:
    assert Retold(from_seq=2, divergence=None, status="succeeded", is_open=False, open_tasks=()) == retold(
        chain(), "a", {"n": 1}
    )


def test_another_output_shows_its_first_divergence_and_the_end() -> None:
    found = retold(chain(), "b", 1)

    assert (3, "succeeded", False) == (found.from_seq, found.status, found.is_open)
    assert found.divergence is not None
    assert ("b", "the operator answered otherwise to the same parameters") == (
        found.divergence.path, found.divergence.cause,
    )  # fmt: skip


def test_retry_that_was_put_off_begins_in_the_retelling_too() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.take("d", NOW, RetriesTaken(10, 0))
    plan = plan_of("""
steps:
  - {id: a, operator: "@test/anything", retry: {max_attempts: 2, delay_s: 0}}
  - {id: b, operator: "@test/anything", depends_on: []}
  - {id: c, operator: "@test/anything", depends_on: []}
  - {id: d, operator: "@test/anything", depends_on: [a]}
""")
    run = InstanceRun(plan, retries=budget).start().fail("a").succeed("b", 1).pass_time(1).succeed("a", 2)
    assert {"c", "d"} == set(run.attempts)

    assert ("c", "d") == retold(run, "b", 3).open_tasks  # `c`, whose outcome nobody knows, keeps it not


def test_step_that_ran_only_after_the_edit_stays_open() -> None:
    skipped = run_of(CHAIN).succeed("a", {"n": 1}).succeed("b", 0)
    assert "succeeded" == skipped.status
    found = retold(skipped, "b", 5)

    assert (True, ("c",)) == (found.is_open, found.open_tasks)


def test_output_that_misses_the_schema_fails_as_in_a_run() -> None:
    text = "steps: [{id: a, operator: '@test/anything', output_schema: {type: integer}, retry: {max_attempts: 1}}]"
    assert "failed" == retold(run_of(text).succeed("a", 1), "a", "text").status


def test_failures_retries_and_timeouts_go_as_recorded() -> None:
    text = """
steps:
  - {id: a, operator: "@test/anything", retry: {max_attempts: 3, delay_s: 1}}
  - {id: b, operator: "@test/anything", depends_on: [], timeout: {total_s: 60}, on_error: continue}
  - {id: w, operator: "@control/wait", depends_on: [], parameters: {seconds: 5}}
  - {id: last, operator: "@test/anything", depends_on: [a, b, w]}
"""
    run = run_of(text)
    run.fail("a", "unavailable")
    fire(run, "retry").succeed("a", 1)
    fire(run, "wait")
    fire(run, "total").succeed("last", 1)
    assert "succeeded" == run.status

    assert (None, "succeeded") == (retold(run, "a", 1).divergence, retold(run, "a", 1).status)
    changed = retold(run, "last", 2)
    assert changed.divergence is not None
    assert ("last", False) == (changed.divergence.path, changed.is_open)


def test_every_item_of_a_map_gets_the_output_or_one_by_its_path() -> None:
    text = """
steps:
  - id: fan
    operator: "@control/map"
    parameters: {items: [1, 2], steps: [{id: w, operator: "@test/anything"}]}
outputs: {all: "{{ steps.fan.output }}"}
"""
    run = run_of(text).finish(0)
    both, one = retold(run, "w", 9), retold(run, "fan.1.w", 9)

    assert both.divergence is not None
    assert one.divergence is not None
    assert ("fan.0.w", "fan.1.w") == (both.divergence.path, one.divergence.path)


def acted(act: Any, **more: Any) -> InstanceRun:
    run = run_of(CHAIN.replace("> 1", "> 1 || true"))
    run.succeed("a", {"n": 1})
    run.feed(Act(act=act, path="c", by="k", reason="why", **more))
    run.succeed("b", 2)
    return run


@pytest.mark.parametrize(
    ("act", "more", "status"),
    [
        ("skip", {}, "succeeded"),
        ("skip", {"output": b"7"}, "succeeded"),
        ("complete", {"output": b'{"x": 1}'}, "succeeded"),
        ("fail", {"error_kind": "invalid", "message": "no"}, "failed"),
    ],
)
def test_acts_of_people_are_done_again(act: Any, more: Any, status: str) -> None:
    run = acted(act, **more)

    assert status == run.status
    assert (None, status) == (retold(run, "a", {"n": 1}).divergence, retold(run, "a", {"n": 1}).status)


@pytest.mark.parametrize("stimulus", [Cancel("enough"), Terminate("enough")])
def test_cancel_and_terminate_come_again(stimulus: Any) -> None:
    run = run_of(CHAIN).succeed("a", {"n": 1}).feed(stimulus)
    if isinstance(stimulus, Cancel):
        fire(run, "grace")
    assert "cancelled" == run.status

    found = retold(run, "a", {"n": 1})
    assert (None, "cancelled") == (found.divergence, found.status)


def test_wait_beside_goes_on_before_an_act_that_came_later() -> None:
    text = """
settings: {timeout_s: 600}
steps:
  - {id: a, operator: "@test/anything"}
  - {id: w, operator: "@control/wait", depends_on: [], parameters: {seconds: 5}}
  - {id: late, operator: "@control/wait", depends_on: [w, a], parameters: {seconds: 5000}}
"""
    run = run_of(text).succeed("a", 1)
    fire(run, "wait").feed(Cancel("enough"))
    assert "cancelled" == run.status

    assert (None, "cancelled") == (retold(run, "a", 1).divergence, retold(run, "a", 1).status)


def test_trace_that_was_cut_within_a_container_is_gone_on_with() -> None:
    text = """
steps:
  - id: t
    operator: "@control/try"
    timeout: {total_s: 100}
    parameters: {steps: [{id: a, operator: "@test/anything"}, {id: b, operator: "@test/anything"}]}
"""
    run = run_of(text).succeed("a", 1)
    found = retold(run, "a", 2)

    assert (True, ("t.b",)) == (found.is_open, found.open_tasks) or ("b",) == found.open_tasks
    assert found.divergence is not None


@pytest.mark.parametrize("step", ["nothing", "c", "fan.0.a"])
def test_step_without_an_outcome_is_refused(step: str) -> None:
    run = run_of(CHAIN).succeed("a", {"n": 1})
    with pytest.raises(TraceInvalid, match="no attempt of"):
        retold(run, step, 1)


def test_document_of_other_steps_is_refused() -> None:
    with pytest.raises(TraceInvalid, match="other steps"):
        redecide(Playback(trace_of(chain())), plan_of("steps: [{id: z, operator: '@debug/noop'}]"), Edit("a", 1))


def test_value_that_the_file_does_not_hold_ends_the_retelling_with_a_sentence() -> None:
    run = run_of(CHAIN.replace("steps.a.output.n }}", "steps.a.output.n }}{{ inputs.text }}"), {"text": "x" * 9_000})
    run.succeed("a", {"n": 1})
    playback = Playback(trace_of(run, leave_out=1_000))
    assert any(isinstance(value, Reference) for value in (playback.folded(1).header.inputs,))  # type: ignore[union-attr] # it has started
    with pytest.raises(TraceInvalid, match="left out"):
        redecide(playback, run.plan, Edit("a", {"n": 2}))


def test_row_without_its_time_is_taken_as_at_once() -> None:
    trace = trace_of(chain())
    rows = tuple(msgspec.structs.replace(row, at=None) for row in trace.rows)
    found = redecide(Playback(msgspec.structs.replace(trace, rows=rows)), chain().plan, Edit("a", {"n": 1}))

    assert ("succeeded", None) == (found.status, found.divergence)


def test_timeouts_of_containers_and_of_the_instance_come_again() -> None:
    text = """
settings: {timeout_s: 300}
steps:
  - {id: z, operator: "@test/anything"}
  - id: t
    operator: "@control/try"
    depends_on: []
    timeout: {total_s: 100}
    on_error: continue
    parameters: {steps: [{id: a, operator: "@test/anything"}]}
  - {id: last, operator: "@test/anything", depends_on: [t]}
"""
    run = run_of(text)
    run.succeed("z", 1)
    fire(fire(run, "total"), "grace")
    fire(fire(run, "timeout"), "grace")
    assert "failed" == run.status

    found = retold(run, "z", 1)
    assert (None, "failed") == (found.divergence, found.status)


def test_timer_that_an_edit_left_without_a_holder_does_not_fire() -> None:
    text = """
steps:
  - {id: z, operator: "@test/anything"}
  - id: which
    operator: "@control/branch"
    timeout: {total_s: 100}
    on_error: continue
    parameters:
      branches: [{id: x, when: "steps.z.output == 1", steps: [{id: a, operator: "@test/anything"}]}]
"""
    run = run_of(text).succeed("z", 1)
    fire(fire(run, "total"), "grace")
    assert "succeeded" == run.status

    found = retold(run, "z", 2)
    assert ("succeeded", False) == (found.status, found.is_open)
    assert found.divergence is not None


def test_failing_list_and_its_handling_are_no_command_of_anybody() -> None:
    text = """
steps:
  - id: p
    operator: "@control/parallel"
    parameters:
      branches:
        - {id: one, steps: [{id: a, operator: "@test/anything"}]}
        - {id: two, steps: [{id: b, operator: "@test/anything"}]}
    on_error: [{id: mend, operator: "@test/anything"}]
"""
    run = run_of(text).succeed("a", 1).fail("b", "invalid").succeed("mend", 1)
    assert "succeeded" == run.status

    same, other = retold(run, "a", 1), retold(run, "b", 1)
    assert (None, "succeeded") == (same.divergence, same.status)
    assert other.divergence is not None
    assert ("b", False) == (other.divergence.path, other.is_open) or "p.b" == other.divergence.path


def test_retelling_that_has_no_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.dry_run.rehearsal.DECISIONS_MAX", 0)
    assert retold(chain(), "a", {"n": 1}).is_open


def test_failure_before_any_call_is_no_outcome_of_an_attempt() -> None:
    run = run_of(CHAIN).fail("a", "invalid", called=False)
    found = retold(run, "a", {"n": 1})
    assert (True, ("b",)) == (found.is_open, found.open_tasks)
    ready = InstanceRun(plan_of(CHAIN.replace("id: a,", "id: a, timeout: {queue_s: 9},")), room=0).start()
    fire(ready, "queue")
    assert "failed" == ready.status
    with pytest.raises(TraceInvalid, match="no attempt"):
        retold(ready, "a", {"n": 1})


def test_items_that_have_not_begun_begin_after_the_edit() -> None:
    text = """
steps:
  - id: fan
    operator: "@control/map"
    parameters: {items: [1, 2, 3], max_concurrency: 1, steps: [{id: w, operator: "@test/anything"}]}
"""
    run = run_of(text).succeed("fan.0.w", 0)
    playback = Playback(trace_of(run))
    assert ["fan", "fan.0.w"] == [task.path for task in playback.stand(1).tasks]

    found = redecide(playback, run.plan, Edit("fan.0.w", 9))
    assert (True, ("fan.1.w",)) == (found.is_open, found.open_tasks)


def test_timer_that_was_due_before_an_outcome_fires_before_it() -> None:
    text = """
steps:
  - {id: a, operator: "@test/anything"}
  - {id: w, operator: "@control/wait", depends_on: [], parameters: {seconds: 5}}
  - {id: b, operator: "@test/anything", depends_on: [a, w]}
"""
    run = fire(run_of(text).succeed("a", 1), "wait").succeed("b", 1)
    trace = trace_of(run)
    rows = tuple(msgspec.structs.replace(row, at=NOW + timedelta(seconds=10 * row.seq)) for row in trace.rows)
    found = redecide(Playback(msgspec.structs.replace(trace, rows=rows)), run.plan, Edit("a", 1))

    assert (None, "succeeded") == (found.divergence, found.status)


def test_act_that_an_edit_made_void_changes_nothing() -> None:
    run = run_of(CHAIN).succeed("a", {"n": 1})
    run.feed(Act(act="skip", path="c", by="k", reason="why"))
    run.succeed("b", 2)
    found = retold(run, "a", {"m": 1})

    assert (False, "failed") == (found.is_open, found.status)


CALLED = """
steps:
  - {id: a, operator: "@test/anything"}
  - {id: c, operator: "@control/call", parameters: {dag: Child, inputs: {n: "{{ steps.a.output }}"}}, on_error: continue%s}
  - {id: b, operator: "@test/anything", parameters: {got: "{{ has(steps.c.output) ? steps.c.output : null }}"}}
"""


@pytest.mark.parametrize(
    "end",
    [
        {"outputs": b"7"},
        {"status": InstanceStatus.FAILED, "error": b'{"kind":"conflict","message":"no"}'},
        {"status": InstanceStatus.CANCELLED, "reason": "enough"},
    ],
    ids=["succeeded", "failed", "cancelled"],
)
def test_end_of_a_child_is_recorded_and_counts_again(end: dict[str, Any]) -> None:
    run = ended(calling(CALLED % "").succeed("a", 1), **end).succeed("b", 2)
    assert "succeeded" == run.status
    same = retold(run, "a", 1)
    assert (None, "succeeded", False) == (same.divergence, same.status, same.is_open)
    other = retold(run, "b", 3)
    assert ("succeeded", False) == (other.status, other.is_open)


def test_end_of_a_child_that_was_told_to_end_is_recorded() -> None:
    run = calling(CALLED % ", timeout: {total_s: 5}").succeed("a", 1).pass_time(5)
    ended(run, InstanceStatus.CANCELLED).succeed("b", 2)
    assert (None, "succeeded", False) == (
        (same := retold(run, "a", 1)).divergence, same.status, same.is_open,
    )  # fmt: skip
    cancelled = ended(calling(CALLED % "").succeed("a", 1).feed(Cancel("enough")), InstanceStatus.CANCELLED)
    assert (None, "cancelled", False) == (
        (same := retold(cancelled, "a", 1)).divergence, same.status, same.is_open,
    )  # fmt: skip


def test_call_that_the_edit_leaves_out_takes_no_end() -> None:
    text = CALLED.replace("on_error: continue%s", 'on_error: continue, when: "steps.a.output > 0"')
    run = ended(calling(text).succeed("a", 1), outputs=b"7").succeed("b", 2)
    found = retold(run, "a", 0)
    assert found.divergence is not None
    assert ("a", "succeeded", False) == (found.divergence.path, found.status, found.is_open)


def test_call_settled_by_hand_is_told_by_the_act() -> None:
    run = calling(CALLED % "").succeed("a", 1)
    run.feed(Act(act="complete", path="c", by="p", reason="r", output=b"3")).succeed("b", 2)
    assert (None, "succeeded") == ((same := retold(run, "a", 1)).divergence, same.status)


def test_task_that_waits_in_line_comes_to_its_turn() -> None:
    step = '{{id: {0}, operator: "@test/anything", depends_on: [], concurrency: {{max: 1, key: crane}}}}'
    text = f"steps: [{step.format('b')}, {step.format('c')}, {{id: a, operator: '@test/anything', depends_on: []}}]"
    run = run_of(text).succeed("a", 1)
    assert "ready" == run.tasks()["c"]
    run.succeed("b", 2).feed(Granted("c")).succeed("c", 3)

    assert (2, "succeeded", False) == ((found := retold(run, "a", 5)).from_seq, found.status, found.is_open)
