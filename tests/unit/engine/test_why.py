"""What keeps a task or an instance: every predicate, its value, its holder and what comes next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.engine import why as asked
from core.engine.lending import Lent
from core.engine.state import Task, TaskStatus
from core.engine.stimuli import Cancel, Pause
from core.engine.why import Places, Sight, Why, queued_why, why
from core.predicate import Predicate
from tests.unit.engine.calling import calling, calls
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import plan_of, run_of

PLACES = Places(3, 512)
ANY = 'operator: "@test/anything"'


def told(run: InstanceRun, path: str | None = None) -> Why:
    return why(run.plan, run.state, run.now, PLACES, path=path)


def of(run: InstanceRun, path: str) -> dict[str, Predicate]:
    [task] = told(run, path).tasks
    return {predicate.name: predicate for predicate in task.predicates}


def names(run: InstanceRun) -> dict[str, list[str]]:
    return {task.path: [one.name for one in task.predicates] for task in told(run).tasks}


def fire(run: InstanceRun, kind: str) -> InstanceRun:
    return run.fire(next(timer for timer in run.timers.values() if timer.timer.kind == kind))


def test_pending_step_hangs_on_the_steps_before_it() -> None:
    run = run_of(f"""
steps:
  - {{id: a, {ANY}}}
  - {{id: b, {ANY}, depends_on: []}}
  - {{id: c, {ANY}, depends_on: [a, b], join: all_done, when: "true"}}
""")
    assert ["a", "b", "c"] == [task.path for task in told(run).tasks]
    found = of(run, "c")
    upstream = [one for task in told(run, "c").tasks for one in task.predicates if one.name == "upstream_ended"]

    assert [("a", "running"), ("b", "running")] == [(one.holder, one.value) for one in upstream]
    assert ("all_done", None) == (found["join"].value, found["when"].value)
    run.succeed("a", 1)
    assert {"b": ["attempt_outcome"], "c": ["upstream_ended", "join", "when"]} == names(run)


def test_attempt_says_whom_it_waits_for_and_until_when() -> None:
    found = of(run_of(f"steps: [{{id: a, {ANY}, timeout: {{attempt_s: 5, total_s: 60}}}}]"), "a")

    assert ({"number": 1, "most": 1, "attempt_s": 5}, "operator", "@test/anything") == (
        found["attempt_outcome"].value, found["attempt_outcome"].holder_kind, found["attempt_outcome"].holder,
    )  # fmt: skip
    assert NOW + timedelta(seconds=60) == found["total_s"].at
    assert "`attempt_s`" in found["attempt_outcome"].next


def test_ready_step_says_that_no_place_is_free() -> None:
    run = InstanceRun(plan_of(f"steps: [{{id: a, {ANY}, timeout: {{queue_s: 9}}}}]"), room=0).start()
    found = of(run, "a")

    assert ({"taken": 3, "most": 512}, "node") == (found["attempt_place"].value, found["attempt_place"].holder_kind)
    assert told(run).next_at == found["queue_s"].at == NOW + timedelta(seconds=9)


def test_what_comes_from_outside_says_who_can_send_it() -> None:
    run = run_of("""
steps:
  - {id: s, operator: "@control/wait", parameters: {event: {name: paid, timeout_s: 60}}}
  - {id: c, operator: "@control/wait", depends_on: [], parameters: {callback: {timeout_s: 60}}}
  - {id: a, operator: "@control/approval", depends_on: [], parameters: {title: "Go?"}}
""")
    assert {"s": ["signal", "timeout_s"], "c": ["callback", "timeout_s"], "a": ["approval"]} == names(run)
    assert {"name": "paid", "unread": 0} == of(run, "s")["signal"].value
    run.feed(Pause("for a look"))
    [paused] = [one for one in told(run).predicates if one.name == "paused"]
    assert ("person", {"since": NOW}) == (paused.holder_kind, paused.value)


@pytest.mark.parametrize(
    ("operator", "bounded", "name"),
    [
        ("@control/wait", "event: {name: paid%s}", "signal"),
        ("@control/wait", "callback: {%s}", "callback"),
        ("@control/approval", 'title: "Go?"%s', "approval"),
    ],
)
@pytest.mark.parametrize("timeout_s", [None, 60])
def test_what_comes_from_outside_says_until_when_it_is_waited_for(
    operator: str, bounded: str, name: str, timeout_s: int | None
) -> None:
    bound = "" if timeout_s is None else f"timeout_s: {timeout_s}"
    given = bounded % (f", {bound}" if bound and not bounded.endswith("{%s}") else bound)
    run = run_of(f'steps: [{{id: s, operator: "{operator}", parameters: {{{given}}}}}]')
    at = None if timeout_s is None else NOW + timedelta(seconds=timeout_s)
    [waiting] = told(run).predicates

    assert (at, at, at) == (of(run, "s")[name].at, waiting.at, told(run).next_at)


def test_pending_step_of_a_rerun_says_what_it_takes_over() -> None:
    nothing: Any = None
    lent = Lent("succeeded", "01J", "01K")
    [found] = asked._taken_over(Sight(nothing, nothing, 0, nothing, Task(detail=lent), PLACES))

    assert ("taken_over", "succeeded", "01K") == (found.name, found.value, found.holder)


def test_retry_and_wait_say_when_they_are_due() -> None:
    text = f"""
steps:
  - {{id: a, {ANY}, retry: {{max_attempts: 2, delay_s: 7, jitter: none}}}}
  - {{id: w, operator: "@control/wait", depends_on: [], parameters: {{seconds: 60}}}}
"""
    run = run_of(text).fail("a", "unavailable")
    found = told(run)

    assert NOW + timedelta(seconds=7) == of(run, "a")["retry_due"].at
    assert (NOW + timedelta(seconds=60), {"since": NOW}) == (
        of(run, "w")["time_come"].at,
        of(run, "w")["time_come"].value,
    )
    assert (NOW + timedelta(seconds=7), ["a", "w"]) == (found.next_at, [task.path for task in found.tasks])
    fire(run, "retry").succeed("a", 1)
    assert ["waiting"] == [one.name for one in told(run).predicates]


def test_unknown_outcome_needs_a_person() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}, at_most_once: true}}]").take_over()
    found = of(run, "a")

    assert ("person", {"number": 1}) == (found["outcome_known"].holder_kind, found["outcome_known"].value)


CONTAINERS = f"""
steps:
  - id: p
    operator: "@control/parallel"
    parameters: {{branches: [{{id: one, steps: [{{id: x, {ANY}}}]}}, {{id: two, steps: [{{id: y, {ANY}}}]}}]}}
  - {{id: m, operator: "@control/map", depends_on: [], parameters: {{items: [1, 2, 3], max_concurrency: 2, steps: [{{id: w, {ANY}}}]}}}}
  - {{id: l, operator: "@control/loop", depends_on: [], parameters: {{mode: count, limit: 3, steps: [{{id: i, {ANY}}}]}}}}
  - {{id: t, operator: "@control/try", depends_on: [], parameters: {{steps: [{{id: s, {ANY}}}]}}}}
  - {{id: h, {ANY}, depends_on: [], on_error: [{{id: mend, {ANY}}}]}}
"""


def test_containers_say_what_runs_inside() -> None:
    run = run_of(CONTAINERS).fail("h", "invalid").succeed("x", 1)
    values = {path: of(run, path) for path in ("p", "m", "l", "t", "h")}

    assert {"open": ["two"]} == values["p"]["inside_ended"].value
    assert {"items": 3, "begun": 2, "open": 2} == values["m"]["inside_ended"].value
    assert {"iterations": 3, "begun": 1} == values["l"]["inside_ended"].value
    assert {"open": ["steps"]} == values["t"]["inside_ended"].value
    assert {"open": ["on_error"]} == values["h"]["handling_ended"].value
    order = [task.status for task in told(run).tasks]
    assert ["running"] * (len(order) - 1) + ["failed"] == order


def test_cancel_says_what_it_waits_for() -> None:
    run = run_of(CONTAINERS).feed(Cancel("enough"))
    found = told(run)

    assert [("closing", "cancel")] == [(one.name, one.value) for one in found.predicates]
    assert NOW + timedelta(seconds=30) == found.next_at
    assert "cancel" == of(run, "x")["closing"].value


def test_container_that_is_ended_by_its_own_timeout_says_so() -> None:
    run = run_of(f"""
steps:
  - id: t
    operator: "@control/try"
    timeout: {{total_s: 10}}
    parameters: {{steps: [{{id: s, {ANY}}}], finally: [{{id: f, {ANY}}}]}}
""")
    fire(run, "total")
    found = of(run, "t")

    assert ("timeout", "it ends when what runs in it has ended") == (found["closing"].value, found["closing"].next)
    assert {"grace_s", "cleanup_s"} <= found.keys()


def test_hooks_and_the_timeout_of_the_instance_are_told() -> None:
    run = run_of(f"""
settings: {{timeout_s: 100, on_finish: [{{id: z, {ANY}}}]}}
steps: [{{id: a, {ANY}}}]
""")
    assert [("timeout_s", 100)] == [(one.name, one.value) for one in told(run).predicates]
    run.succeed("a", 1)
    [hook] = told(run).predicates
    assert ("hooks", "on_finish", "it ends as succeeded when its hooks have ended") == (
        hook.name,
        hook.value,
        hook.next,
    )
    run.succeed("z", 1)
    ended: Any = told(run)
    assert ("succeeded", (), (), None) == (ended.status, ended.predicates, ended.tasks, ended.next_at)


def test_instance_that_is_not_decided_waits_for_its_node() -> None:
    assert ["first_decision"] == [one.name for one in queued_why(0).predicates]


def test_more_tasks_than_are_told_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "TASKS_MAX", 2)
    found = told(run_of(CONTAINERS))

    assert (2, len(told(run_of(CONTAINERS)).tasks)) == (2, len(found.tasks))
    assert found.left_out > 0


def test_step_that_nothing_keeps_is_decided_with_a_next_batch() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}]")
    run.state.frames[""].tasks[0] = Task(TaskStatus.SUCCEEDED)

    assert "due" == of(run, "b")["decision"].value


def test_steps_of_an_instance_that_may_not_begin_wait_for_nothing_of_their_own() -> None:
    plan = plan_of(f"settings: {{concurrency: {{max: 1}}}}\nsteps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}]")
    found = why(plan, InstanceRun(plan, is_crowded=True).start().state, NOW, PLACES)

    assert ["permit"] == [one.name for one in found.predicates]
    assert {"a": [], "b": ["upstream_ended"]} == {
        task.path: [one.name for one in task.predicates] for task in found.tasks
    }


def test_call_says_which_instance_it_waits_for() -> None:
    run = calling(calls(extra=", timeout: {total_s: 60}"))
    found = of(run, "c")
    assert {"c": ["child_ended", "total_s"]} == names(run)
    assert NOW + timedelta(seconds=60) == found["child_ended"].at
    assert ("instance", run.children[0].id, {"dag_id": "child-dag", "version": "v1.0.0"}) == (
        found["child_ended"].holder_kind, found["child_ended"].holder, found["child_ended"].value,
    )  # fmt: skip
