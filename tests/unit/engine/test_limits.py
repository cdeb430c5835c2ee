"""Limits: how many instances of a DAG, and tasks of a step, run at once (semantics.md S16, S46)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.engine import events as e
from core.engine import stimuli as s
from core.engine.decide import decide
from core.engine.effects import Decision, Need
from core.engine.fold import queued_state
from core.engine.permit import Permit
from core.engine.permit_events import InstanceAdmitted, InstanceGated, TaskAdmitted, TaskGated
from core.engine.starting import permit_sought
from core.engine.state import Attempt
from core.engine.stored import GateAsked
from core.ports.permits import Gate, GateView
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import plan_of

ANY = 'operator: "@test/anything"'
DAG = Gate("d", "dag:dag", "")
FULL, FREE = GateView(1, None), GateView(0, None)
INPUTS = "inputs: {type: object, properties: {n: {}, text: {type: string, default: eu}}}"


def limited(on_limit: str = "queue", key: str = "", more: str = "", settings: str = "") -> str:
    key = f', key: "{key}"' if key else ""
    return f"""
{INPUTS}
settings: {{concurrency: {{max: 1, on_limit: {on_limit}{key}}}{settings}}}
steps: [{{id: a, {ANY}{more}}}, {{id: b, {ANY}}}]
"""


def begun(text: str, view: GateView = FREE, gate: Gate = DAG, inputs: Any = None, **more: Any) -> InstanceRun:
    run = InstanceRun(plan_of(text), **more)
    run.gates[gate] = view
    return run.start(inputs)


def acts(run: InstanceRun) -> list[tuple[str, str]]:
    return [(act.kind, act.task_path) for act in run.permits]


# Of a DAG


def test_s46_instance_holds_a_permit_from_its_start_to_its_end() -> None:
    run = begun(limited())
    assert ("running", ["a"], [("take", "")]) == (run.status, list(run.attempts), acts(run))
    assert InstanceGated(Permit("dag:dag", "", 1, is_held=True)) in run.events
    run.succeed("a").succeed("b")
    assert ("succeeded", [("take", ""), ("leave", "")], None) == (run.status, acts(run), run.state.header.permit)


def test_s46_instance_above_the_limit_is_queued_and_begins_when_it_is_granted_a_permit() -> None:
    run = begun(limited(settings=", timeout_s: 60"), FULL)
    assert ("queued", {}, {}, [("wait", "")]) == (run.status, run.attempts, run.timers, acts(run))
    assert run.started_at is None
    run.pass_time(100).feed(s.Continue("")).feed(s.Dispatch())
    assert ("queued", {"a": "pending", "b": "pending"}) == (run.status, run.tasks())
    run.feed(s.Granted(""))
    assert ("running", ["a"]) == (run.status, list(run.attempts))
    assert run.now == run.started_at
    assert [60] == [(timer.timer.due_at - run.now).total_seconds() for timer in run.timers.values()]
    before = len(run.events)
    assert before == len(run.feed(s.Granted("")).events)
    run.succeed("a").succeed("b")
    assert [("wait", ""), ("leave", "")] == acts(run)


def test_s46_age_of_an_instance_and_priority_of_its_dag_give_its_place_in_line() -> None:
    run = begun(limited(settings=", priority: 5"), FULL)
    [act] = run.permits
    assert (DAG, 1, 5, NOW) == (act.gate, act.most, act.priority, act.since)


@pytest.mark.parametrize("own", [1, 5])
def test_s46_starts_own_priority_goes_before_that_of_its_dag(own: int) -> None:
    run = begun(limited(settings=", priority: 4"), FULL, priority=own)
    assert [own] == [act.priority for act in run.permits]
    run.feed(s.Cancel("enough"))
    assert [own, own] == [act.priority for act in run.permits]


def test_s16_tasks_wait_with_the_priority_that_their_instance_was_started_with() -> None:
    [act] = begun(ONE, FULL, CRANE, priority=5).permits
    assert ("wait", "a", 5) == (act.kind, act.task_path, act.priority)


@pytest.mark.parametrize(("own", "kind"), [(2, "wait"), (3, "wait"), (4, "take")])
def test_s46_start_with_a_higher_priority_passes_those_who_wait(own: int, kind: str) -> None:
    assert [(kind, "")] == acts(begun(limited(), GateView(0, 3), priority=own))


@pytest.mark.parametrize(
    ("view", "kind"), [(GateView(0, 3), "wait"), (GateView(0, 2), "take"), (GateView(1, 2), "wait")]
)
def test_s46_who_comes_waits_behind_those_of_its_priority_and_above(view: GateView, kind: str) -> None:
    assert [(kind, "")] == acts(begun(limited(), view))


def test_s46_skip_ends_the_instance_at_once() -> None:
    run = begun(limited("skip"), FULL)
    assert ("cancelled", "concurrency", [("pass", "")]) == (run.status, run.state.header.reason, acts(run))
    assert {"a": "cancelled/concurrency", "b": "cancelled/concurrency"} == run.tasks()
    assert not any(isinstance(event, e.InstanceActed) for event in run.events)
    assert "running" == begun(limited("skip")).status


def test_s46_reject_takes_what_may_not_be_there_and_leaves_it_to_the_commit() -> None:
    assert ("running", [("take", "")]) == ((run := begun(limited("reject"), FULL)).status, acts(run))


def test_s46_reject_skips_a_start_that_was_accepted_already() -> None:
    plan = plan_of(limited("reject"))
    start = msgspec.structs.replace(InstanceRun(plan).start_facts, inputs={}, inputs_at=b"{}")
    state = queued_state(start, epoch=1)
    state.gates = {DAG: FULL}
    decided = decide(plan, state, start, NOW, bytes(16), 9)
    assert isinstance(decided, Decision)
    assert decided.outward is not None
    assert ("cancelled", ["pass"]) == (str(decided.header.status), [act.kind for act in decided.outward.permits])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (limited("reject", key="{{ inputs.text }}", settings=", priority: 2"), [("take", "eu", 1, 2)]),
        (limited("reject", key="{{ inputs.n.x }}"), []),
        (limited("queue"), []),
        (f"steps: [{{id: a, {ANY}}}]", []),
    ],
    ids=["reject", "key without a value", "queue", "no limit"],
)
def test_s46_permit_that_a_start_must_find_free_is_known_before_its_owner_decides(
    text: str, expected: list[Any]
) -> None:
    plan = plan_of(text)
    start = msgspec.structs.replace(InstanceRun(plan).start_facts, inputs={"text": "eu", "n": {}})
    sought = permit_sought(plan, start, NOW)
    assert expected == ([] if sought is None else [(sought.kind, sought.gate.key, sought.most, sought.priority)])


def test_s46_cancel_running_waits_and_displaces_others() -> None:
    assert [("displace", "")] == acts(begun(limited("cancel_running"), FULL))
    assert [("take", "")] == acts(begun(limited("cancel_running")))


@pytest.mark.parametrize(
    ("key", "inputs", "expected"),
    [
        ("{{ inputs.text }}", {}, "eu"),
        ("{{ inputs.n }}", {"n": 7}, "7"),
        ("{{ inputs.n }}", {"n": {"b": [1]}}, '{"b":[1]}'),
        ("in {{ inputs.text }}", {"text": "us"}, "in us"),
        ("{{ inputs.text }}", {"text": ""}, ""),
    ],
)
def test_s46_key_is_rendered_as_text(key: str, inputs: Any, expected: str) -> None:
    [act] = begun(limited(key=key), inputs=inputs).permits
    assert ("dag:dag", expected) == (act.gate.limit, act.gate.key)


def test_s46_key_of_a_large_input_is_a_fault_and_one_that_errs_too() -> None:
    for key, kind in (("{{ inputs.text }}", "limit"), ("{{ inputs.n.x }}", "expression")):
        run = begun(limited(key=key), inputs={"text": "x" * 5000, "n": {}})
        assert ("failed", kind, []) == (run.status, run.error["kind"], acts(run))
        assert {"a": "skipped/failing", "b": "skipped/failing"} == run.tasks()


def test_s36_key_that_lies_among_the_values_is_loaded() -> None:
    long = {"n": {"city": "x" * 5000, "code": "eu"}}
    run = InstanceRun(plan_of(limited(key="{{ inputs.n }}")))
    assert ("failed", "limit") == (run.start(long).status, run.error["kind"])
    assert "eu" == begun(limited(key="{{ inputs.n.code }}"), inputs=long).permits[0].gate.key


@pytest.mark.parametrize(("act", "stimulus"), [("cancel", s.Cancel("no", "p")), ("terminate", s.Terminate("no", "p"))])
def test_s41_queued_instance_is_cancelled_at_once_without_hooks(act: str, stimulus: s.Stimulus) -> None:
    run = begun(limited(settings=f", on_finish: [{{id: f, {ANY}}}]"), FULL).feed(stimulus)
    assert ("cancelled", {"a": "cancelled/cancel", "b": "cancelled/cancel"}) == (run.status, run.tasks())
    assert e.InstanceActed(act, "p", "no") in run.events
    assert [("wait", ""), ("leave", "")] == acts(run)
    assert run.answer is not None
    assert ("accepted", "cancelled") == (run.answer.result, str(run.answer.status))


def test_s42_queued_instance_cannot_be_paused_and_takes_no_act() -> None:
    run = begun(limited(), FULL)
    for stimulus, result in (
        (s.Pause("no"), "refused"),
        (s.Resume("no"), "refused"),
        (s.Act(act="skip", path="a", by="p", reason="no"), "no_task"),
    ):
        run.feed(stimulus)
        assert run.answer is not None
        assert (result, "queued") == (run.answer.result, str(run.answer.status))


def test_s26_signal_to_a_queued_instance_is_kept() -> None:
    wait = '{id: w, operator: "@control/wait", parameters: {event: {name: paid}}}'
    run = begun(f"settings: {{concurrency: {{max: 1}}}}\nsteps: [{wait}]", FULL)
    run.feed(s.Signal(name="paid", id="1", data=b"1", key="1", req_hash="1"))
    assert ("queued", 1) == (run.status, len(run.state.header.signals))
    assert "succeeded" == run.feed(s.Granted("")).status


def test_s1_second_start_of_a_queued_instance_changes_nothing() -> None:
    run = begun(limited(), FULL)
    before = len(run.events)
    assert before == len(run.feed(run.start_facts).events)


def test_gate_that_is_not_known_is_asked_for() -> None:
    plan = plan_of(limited(key="{{ inputs.text }}"))
    start = msgspec.structs.replace(InstanceRun(plan).start_facts, inputs={"text": "eu"})
    decided = decide(plan, queued_state(start, epoch=1), start, NOW, bytes(16), 9)
    assert Need((GateAsked(0, 0, 0, 0, "d", "dag:dag", "eu"),)) == decided


def test_dag_without_limits_asks_no_gate() -> None:
    run = InstanceRun(plan_of(f"steps: [{{id: a, {ANY}}}]")).start().succeed("a")
    assert ("succeeded", [], {}) == (run.status, run.permits, run.gates)


# Of a step

CRANE = Gate("d", "key", "crane")
STEP = 'concurrency: {max: 1, key: "crane"}'
ONE = f"steps: [{{id: a, {ANY}, {STEP}}}]"


def test_s16_task_holds_a_permit_from_its_first_attempt_to_its_end_retries_included() -> None:
    run = begun(f"steps: [{{id: a, {ANY}, {STEP}, retry: {{max_attempts: 2, delay_s: 9, jitter: none}}}}]", gate=CRANE)
    assert ([("take", "a")], ["a"]) == (acts(run), list(run.attempts))
    run.fail("a")
    assert ([("take", "a")], {"a": "retrying"}) == (acts(run), run.tasks())
    run.pass_time(10).succeed("a")
    assert ([("take", "a"), ("leave", "a")], "succeeded") == (acts(run), run.status)


def test_s16_task_stays_ready_until_it_is_granted_a_permit() -> None:
    run = begun(ONE, FULL, CRANE).feed(s.Dispatch()).feed(s.Continue(""))
    assert ([("wait", "a")], {"a": "ready"}, {}) == (acts(run), run.tasks(), run.attempts)
    run.feed(s.Granted("a"))
    assert (["a"], True) == (list(run.attempts), TaskAdmitted("", 0) in run.events)
    before = len(run.events)
    assert before == len(run.feed(s.Granted("a")).feed(s.Granted("nothing")).events)
    assert "succeeded" == run.succeed("a").status
    assert before + 5 > len(run.feed(s.Granted("a")).events)


def test_s16_without_a_key_the_limit_is_the_steps_own() -> None:
    gate = Gate("d", "step:dag:a", "")
    run = begun(f"steps: [{{id: a, {ANY}, concurrency: {{max: 2}}}}]", GateView(2, None), gate)
    assert TaskGated("", 0, Permit("step:dag:a", "", 2, is_held=False)) in run.events


def test_s15_queue_s_bounds_the_wait_for_a_permit() -> None:
    run = begun(f"steps: [{{id: a, {ANY}, {STEP}, timeout: {{queue_s: 5}}}}]", FULL, CRANE).pass_time(6)
    assert ("failed", "timeout", [("wait", "a"), ("leave", "a")]) == (run.status, run.error["kind"], acts(run))


@pytest.mark.parametrize("is_granted", [True, False])
@pytest.mark.parametrize("stimulus", [s.Cancel("no"), s.Terminate("no")])
def test_s41_permit_or_place_in_line_is_given_up_by_who_is_ended(is_granted: bool, stimulus: s.Stimulus) -> None:
    run = begun(ONE, FULL, CRANE)
    if is_granted:
        run.feed(s.Granted("a"))
    run.feed(stimulus).pass_time(31).feed(s.Granted("a"))
    assert ("cancelled", [("wait", "a"), ("leave", "a")]) == (run.status, acts(run))


def test_s43_act_by_hand_gives_up_the_place_in_line() -> None:
    run = begun(ONE, FULL, CRANE).feed(s.Act(act="skip", path="a", by="p", reason="no"))
    assert ("succeeded", [("wait", "a"), ("leave", "a")]) == (run.status, acts(run))


def test_s42_permit_that_is_granted_in_a_pause_is_used_after_it() -> None:
    run = begun(ONE, FULL, CRANE).feed(s.Pause("wait")).feed(s.Granted("a"))
    assert ({"a": "ready"}, {}) == (run.tasks(), run.attempts)
    run.feed(s.Resume("go")).feed(s.Dispatch())
    assert "succeeded" == run.succeed("a").status


def test_s10_permit_granted_to_a_closing_holder_is_given_up() -> None:
    steps = ", ".join(f"{{id: s{number}, {ANY}, depends_on: [], {STEP}}}" for number in range(2))
    run = begun(f"steps: [{steps}]", gate=CRANE)
    assert [("take", "s0"), ("wait", "s1")] == acts(run)
    run.fail("s0", "invalid").feed(s.Granted("s1"))
    assert "failed" == run.status
    assert [("leave", "s0"), ("leave", "s1")] == sorted(acts(run)[2:])


def test_s41_grant_that_comes_while_others_have_grace_changes_nothing() -> None:
    steps = f"{{id: s0, {ANY}, depends_on: [], {STEP}}}, {{id: s1, {ANY}, depends_on: [], {STEP}}}"
    run = begun(f"steps: [{steps}]", gate=CRANE).feed(s.Cancel("no")).feed(s.Granted("s1"))
    assert {"s0": "running", "s1": "cancelled/cancel"} == run.tasks()
    assert [("take", "s0"), ("wait", "s1"), ("leave", "s1")] == acts(run)


def test_permit_of_one_that_ends_in_the_same_decision_is_not_counted_on_when_others_wait() -> None:
    steps = f"steps: [{{id: a, {ANY}, {STEP}}}, {{id: b, {ANY}, {STEP}}}]"
    alone = begun(steps, gate=CRANE)
    alone.gates[CRANE] = GateView(1, None)
    assert [("take", "a"), ("leave", "a"), ("take", "b")] == acts(alone.succeed("a"))
    beside = begun(steps, gate=CRANE)
    beside.gates[CRANE] = GateView(1, 3)
    assert [("take", "a"), ("leave", "a"), ("wait", "b")] == acts(beside.succeed("a"))


def test_items_of_a_map_share_a_gate_within_one_decision() -> None:
    text = f"""
steps:
  - id: m
    operator: "@control/map"
    parameters: {{items: [1, 2, 3], steps: [{{id: w, {ANY}, concurrency: {{max: 2, key: crane}}}}]}}
"""
    run = begun(text, gate=CRANE)
    assert [("take", "m.0.w"), ("take", "m.1.w"), ("wait", "m.2.w")] == acts(run)
    assert ["m.0.w", "m.1.w"] == sorted(run.attempts)


def test_lost_attempt_keeps_its_permit() -> None:
    run = begun(ONE, gate=CRANE).take_over()
    assert ([("take", "a")], ["a"]) == (acts(run), list(run.attempts))
    held = run.all_tasks()["a"].detail
    assert isinstance(held, Attempt)
    assert Permit("key", "crane", 1, is_held=True) == held.permit


def test_unknown_outcome_keeps_its_permit_until_somebody_settles_it() -> None:
    run = begun(f"steps: [{{id: a, {ANY}, {STEP}, at_most_once: true}}]", gate=CRANE).take_over()
    assert ([("take", "a")], {"a": "unknown"}) == (acts(run), run.tasks())
    run.feed(s.Act(act="complete", path="a", by="p", reason="seen", output=b"1"))
    assert ([("take", "a"), ("leave", "a")], "succeeded") == (acts(run), run.status)


def test_granted_task_gets_a_place_when_there_is_room() -> None:
    run = begun(ONE, FULL, CRANE, room=0).feed(s.Granted("a"))
    assert {"a": "ready"} == run.tasks()
    run.room = 1
    assert "succeeded" == run.feed(s.Dispatch()).succeed("a").status


def test_s16_key_of_a_step_that_errs_fails_it() -> None:
    step = f'{{id: a, {ANY}, concurrency: {{max: 1, key: "{{{{ inputs.n.x }}}}"}}}}'
    run = InstanceRun(plan_of(f"{INPUTS}\nsteps: [{step}]")).start({"n": {}})
    assert ("failed", "expression", 0) == (run.status, run.error["kind"], run.error["attempt"])


def test_s36_key_of_a_step_that_reads_a_long_output_is_loaded_for_it() -> None:
    key = "{{ steps.a.output.region }}"
    steps = f'{{id: a, {ANY}}}, {{id: c, {ANY}}}, {{id: b, {ANY}, concurrency: {{max: 1, key: "{key}"}}}}'
    run = InstanceRun(plan_of(f"steps: [{steps}]"), forgets=True).start()
    run.succeed("a", {"region": "eu", "long": "x" * 5000}).succeed("c")
    assert ["eu"] == [act.gate.key for act in run.permits]


def test_s36_output_that_is_too_long_for_a_key_fails_its_step() -> None:
    text = f'steps: [{{id: a, {ANY}}}, {{id: b, {ANY}, concurrency: {{max: 1, key: "{{{{ steps.a.output }}}}"}}}}]'
    run = InstanceRun(plan_of(text), forgets=True).start().succeed("a", "x" * 5_000)
    assert ("failed", "limit", "b") == (run.status, run.error["kind"], run.error["step"])


def test_kept_output_needs_no_permit() -> None:
    text = f"steps: [{{id: a, {ANY}, {STEP}, cache: {{ttl_s: 60}}}}]"
    first = begun(text, gate=CRANE).succeed("a", 1)
    again = InstanceRun(plan_of(text), lender=first, kept=dict(first.kept)).start()
    assert ("succeeded", [], ["take", "leave"]) == (again.status, again.permits, [act.kind for act in first.permits])


def test_instance_admitted_is_told_once() -> None:
    run = begun(limited(), FULL).feed(s.Granted("")).feed(s.Granted(""))
    assert 1 == sum(isinstance(event, InstanceAdmitted) for event in run.events)


def test_s36_key_of_a_step_that_is_a_map_item_is_its_text() -> None:
    text = f"""
steps:
  - id: m
    operator: "@control/map"
    parameters: {{items: ["{"x" * 40}"], steps: [{{id: w, {ANY}, concurrency: {{max: 1, key: "{{{{ item }}}}"}}}}]}}
"""
    run = InstanceRun(plan_of(text), forgets=True).start()
    assert ["x" * 40] == [act.gate.key for act in run.permits]
