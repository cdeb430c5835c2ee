"""Calls: another DAG runs as an instance of its own, and its end is the step's (semantics.md S29)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.engine import stimuli as s
from core.engine.calls import CHILDREN_MAX, INPUTS_BYTES_MAX
from core.engine.kinship import Parent
from core.engine.state import Indirect, InstanceStatus
from tests.unit.engine.calling import CHILD, callee, calling, calls, child_of, ended, held_by, told
from tests.unit.engine.instance_run import InstanceRun

ANY = 'operator: "@test/anything"'
LONG = "x" * 6_000
FAILED, CANCELLED = InstanceStatus.FAILED, InstanceStatus.CANCELLED
IN_FINALLY = f"""
    steps:
      - id: t
        operator: "@control/try"
        parameters:
          steps: [{{id: a, {ANY}}}]
          finally: [{{id: c, operator: "@control/call", parameters: {{dag: Child}}}}]
    """


def go_through(parent: InstanceRun, output: Any) -> InstanceRun:
    """Run the newest child to its end and tell the parent."""
    child = child_of(parent).succeed("a", output)
    [one] = child.told
    parent.lender = child
    return parent.feed(one.stimulus)


def test_s29_child_starts_with_the_commit_of_its_call_which_waits() -> None:
    run = calling(calls(", inputs: {n: '{{ inputs.n }}'}"), {"n": 7})
    assert ("waiting", {"c": "waiting"}) == (run.status, run.tasks())
    [child] = run.children
    assert ({"n": 7}, "child-dag", "v1.0.0", "d") == (child.inputs, child.dag_id, child.dag_version, child.domain_id)
    assert Parent("01J", "c", is_awaited=True, ends_too=True, dag_ids=("dag",)) == child.parent
    trigger = {"kind": "call", "data": {"instance_id": "01J", "task": "c"}, "event": None, "scheduled_at": None}
    assert trigger == msgspec.json.decode(child.trigger)
    assert (child.id, "child-dag", 26) == (held_by(run).instance_id, held_by(run).dag_id, len(child.id))


@pytest.mark.parametrize("own", [None, 5])
def test_s29_child_has_the_priority_that_its_parent_was_started_with(own: int | None) -> None:
    [child] = calling(priority=own).children
    assert own == child.priority


@pytest.mark.parametrize("output", [3, LONG, [LONG, {"a": 1}], None])
def test_s29_s17_outputs_of_the_child_are_the_steps(output: Any) -> None:
    run = go_through(calling(), output)
    assert ("succeeded", {"got": output}, []) == (run.status, run.outputs, told(run))


def test_s29_values_of_the_child_that_were_put_together_are_read_as_one() -> None:
    text = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: [1, 2, 3], steps: [{{id: a, {ANY}}}]}}
        outputs: {{all: "{{{{ steps.m.output }}}}"}}
        """
    parent = calling(found=callee(text))
    child = child_of(parent).succeed("m.0.a", LONG).succeed("m.1.a", 2).succeed("m.2.a", [LONG])
    parent.lender = child
    assert {"all": [LONG, 2, [LONG]]} == parent.feed(child.told[0].stimulus).outputs


@pytest.mark.parametrize("size", [300, 6_000])
def test_s29_values_that_lie_behind_an_index_are_read_too(size: int) -> None:
    items = list(range(300))
    text = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: {items}, steps: [{{id: a, operator: "@test/anything"}}]}}
          - {{id: p, operator: "@control/parallel", parameters: {{branches: [{{id: b, steps: [{{id: z, {ANY}}}]}}]}}}}
        outputs: "{{{{ steps.m.output }}}}"
        """
    parent = calling(found=callee(text))
    child = child_of(parent)
    while child.attempts:
        child.succeed(next(iter(child.attempts)), "y" * size)
    parent.lender = child
    assert ["y" * size] * 300 == parent.feed(child.told[0].stimulus).outputs


def test_s29_many_values_that_were_put_together_are_read_as_one() -> None:
    names = ", ".join(f'k{number}: "{{{{ steps.a.output }}}}"' for number in range(400))
    parent = calling(found=callee(f"steps: [{{id: a, {ANY}}}]\noutputs: {{{names}}}"), forgets=True)
    child = child_of(parent).succeed("a", LONG)
    assert isinstance(child.state.header.outputs, Indirect)
    parent.lender = child
    assert {f"k{number}": LONG for number in range(400)} == parent.feed(child.told[0].stimulus).outputs


def test_s29_values_that_were_removed_meanwhile_fail_the_step() -> None:
    parent = calling()
    child = child_of(parent).succeed("a", LONG)
    run = parent.feed(child.told[0].stimulus)
    assert ("failed", "unavailable") == (run.status, run.error["kind"])


def test_s29_failed_child_fails_the_step_with_its_error_as_cause() -> None:
    parent = calling()
    child = child_of(parent).fail("a", "conflict")
    parent.lender = child
    run = parent.feed(child.told[0].stimulus)
    error = run.error
    assert ("failed", "c", "conflict", "a") == (
        error["kind"],
        error["step"],
        error["cause"]["kind"],
        error["cause"]["step"],
    )
    assert f"instance {parent.children[0].id} failed: a broke" == error["message"]
    assert {"instance_id": parent.children[0].id} == error["data"]


def test_s29_child_that_failed_without_a_sentence_fails_the_step_too() -> None:
    run = ended(calling(), FAILED)
    assert ("failed", None) == (run.error["kind"], run.error["cause"])


def test_s29_child_cancelled_by_others_fails_the_step_with_its_kind() -> None:
    run = ended(calling(), CANCELLED, reason="not wanted")
    assert ("failed", "cancelled") == (run.status, run.error["kind"])
    assert run.error["message"].endswith("was cancelled: not wanted")


def test_s29_s12_failure_is_caught_by_on_error() -> None:
    run = calling(calls(extra=f", on_error: [{{id: h, {ANY}, parameters: {{why: '{{{{ error.kind }}}}'}}}}]"))
    ended(run, CANCELLED)
    assert {"why": "cancelled"} == run.parameters("h")


def test_s29_step_that_does_not_wait_succeeds_with_the_childs_id() -> None:
    run = calling(calls(", wait: false"))
    [child] = run.children
    assert ("succeeded", {"instance_id": child.id}) == (run.status, run.outputs)
    assert Parent("01J", "c", is_awaited=False, ends_too=False, dag_ids=("dag",)) == child.parent
    assert [] == told(child_of(run).succeed("a", 1))  # nobody waits for its end


@pytest.mark.parametrize(
    ("found", "kind", "word"),
    [
        (callee(status="stopped"), "conflict", "stopped"),
        (callee(status="invalid"), "invalid", "cannot run"),
        (callee('inputs: {type: object, required: [m]}\nsteps: [{id: a, operator: "@debug/noop"}]'), "invalid", "m"),
        (
            callee('settings: {labels: {l: "{{ inputs.x }}"}}\nsteps: [{id: a, operator: "@debug/noop"}]'),
            "invalid",
            "label",
        ),
    ],
    ids=["stopped", "of-another-release", "inputs", "labels"],
)
def test_s29_dag_that_does_not_start_fails_the_step(found: Any, kind: str, word: str) -> None:
    run = calling(found=found)
    assert ("failed", kind, [], True) == (run.status, run.error["kind"], run.children, word in run.error["message"])


@pytest.mark.parametrize(
    ("version", "message"), [("", "no DAG 'Other'"), (", version: v2.0.0", "no DAG 'Other' in version v2.0.0")]
)
def test_s29_missing_dag_fails_the_step(version: str, message: str) -> None:
    run = calling(calls(version).replace("Child", "Other"))
    assert ("not_found", message) == (run.error["kind"], run.error["message"])


@pytest.mark.parametrize("dag", ["{{ inputs.n }}", "{{ inputs.none }}"])
def test_s29_what_names_no_dag_fails_the_step(dag: str) -> None:
    run = calling(calls().replace("dag: Child", f'dag: "{dag}"'), {"n": 1})
    assert run.error["kind"] in ("invalid", "expression")
    assert [] == run.children


def test_s29_parameters_are_rendered_with_values_that_lie_elsewhere() -> None:
    text = f"""
        steps:
          - {{id: a, {ANY}}}
          - {{id: b, {ANY}}}
          - id: c
            operator: "@control/call"
            parameters: {{dag: "{{{{ steps.a.output.dag }}}}", inputs: "{{{{ steps.a.output }}}}"}}
        """
    given = {"dag": "Child", "n": 3, "more": LONG}
    run = calling(text, forgets=True).succeed("a", given).succeed("b", 1)
    assert given == run.children[0].inputs


@pytest.mark.parametrize("dag_ids", [tuple(f"d{number}" for number in range(10)), ("child-dag",)])
def test_s29_dag_below_ten_others_or_among_them_is_refused(dag_ids: tuple[str, ...]) -> None:
    run = InstanceRun(calling().plan)
    run.callees = {("Child", None): callee()}
    run.begin(msgspec.structs.replace(run.start_facts, parent=Parent("01H", "x", True, True, dag_ids)))
    assert ("limit", []) == (run.error["kind"], run.children)


def test_s29_dag_that_leads_back_to_itself_is_refused() -> None:
    assert "limit" == calling(found=callee(dag_id="dag")).error["kind"]


def test_s29_inputs_have_a_bound() -> None:
    run = calling(calls(", inputs: {text: '{{ inputs.text }}'}"), {"text": "x" * INPUTS_BYTES_MAX})
    assert ("limit", []) == (run.error["kind"], run.children)


@pytest.mark.parametrize(("count", "text", "rows"), [(CHILDREN_MAX + 5, "", 2), (5, "x" * 400_000, 3)])
def test_s29_calls_of_a_map_start_in_portions(count: int, text: str, rows: int) -> None:
    document = """
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: "{{ inputs.items }}"
              steps: [{id: c, operator: "@control/call", parameters: {dag: Child, inputs: {n: "{{ item }}", text: "{{ inputs.text }}"}}}]
        """
    run = calling(document, {"items": list(range(count)), "text": text})
    assert list(range(count)) == [child.inputs["n"] for child in run.children]
    assert count == len({child.id for child in run.children})
    assert rows <= len(run.rows)
    for number in range(count):
        ended(run, path=f"m.{number}.c", outputs=b"1")
    assert "succeeded" == run.status


def test_s29_end_that_nobody_waits_for_changes_nothing() -> None:
    run = calling()
    seq = run.state.seq
    for path, child in (("c", "another"), ("gone.0.c", held_by(run).instance_id)):
        run.feed(s.ChildEnded(path=path, instance_id=child, status=InstanceStatus.SUCCEEDED))
    assert (seq, "waiting") == (run.state.seq, run.status)


def test_s29_output_must_meet_the_steps_schema() -> None:
    run = ended(calling(calls(extra=", output_schema: {type: object}")), outputs=b"3")
    assert "invalid" == run.error["kind"]


def test_s29_s42_end_of_a_child_counts_while_its_parent_is_paused() -> None:
    run = calling(calls(after=f"- {{id: b, {ANY}}}")).feed(s.Pause("stop", "p"))
    ended(run, outputs=b"3")
    assert {"c": "succeeded", "b": "pending"} == run.tasks()
    assert {"c": "succeeded", "b": "running"} == run.feed(s.Resume("go", "p")).tasks()
    assert [] == told(run)  # a pause does not travel


# What ends a call before its child


def end_by(run: InstanceRun, how: str) -> InstanceRun:
    match how:
        case "cancel":
            return run.feed(s.Cancel("enough", "p"))
        case "terminate":
            return run.feed(s.Terminate("enough", "p"))
        case "failing":
            return run.fail("b")
        case "timeout":
            return run.pass_time(60)
        case _:
            return run.feed(s.Signal(name="go", id="1", data=b"1", key="1", req_hash="1"))


def beside(how: str, parameters: str = "", extra: str = "") -> InstanceRun:
    """Start a call and something beside it that ends it."""
    after = {
        "return": """- {id: w, operator: "@control/wait", parameters: {event: {name: go}}, depends_on: []}
          - {id: r, operator: "@control/return", parameters: {result: success}, depends_on: [w]}""",
        "timeout": "",
    }.get(how, f"- {{id: b, {ANY}, depends_on: []}}")
    text = calls(parameters, extra, after)
    return calling(f"        settings: {{timeout_s: 60}}{text}" if how == "timeout" else text)


ENDS = [
    ("cancel", "cancelled", "cancelled/cancel"),
    ("failing", "failed", "cancelled/failing"),
    ("timeout", "failed", "cancelled/timeout"),
    ("return", "succeeded", "cancelled/return"),
]


@pytest.mark.parametrize(("how", "status", "task"), ENDS)
def test_s29_s10_s23_s40_s41_child_is_told_to_end_and_waited_for(how: str, status: str, task: str) -> None:
    run = end_by(beside(how), how)
    run.attempts.clear()
    if how == "cancel":
        run.pass_time(31)
    assert ("waiting", ["Cancel"], False) == (run.tasks()["c"], told(run), run.state.header.status.is_terminal)
    run.feed(s.Continue(""))
    assert ["Cancel"] == told(run)
    ended(run, CANCELLED)
    assert (status, task, ["Cancel"]) == (run.status, run.tasks()["c"], told(run))


@pytest.mark.parametrize(("how", "status", "task"), [*ENDS, ("terminate", "cancelled", "cancelled/terminate")])
def test_s29_child_that_is_left_is_neither_told_nor_waited_for(how: str, status: str, task: str) -> None:
    run = end_by(beside(how, ", on_cancel: leave"), how)
    if how == "cancel":
        run.pass_time(31)
    assert (status, task, []) == (run.status, run.tasks()["c"], told(run))


def test_s41_terminate_tells_the_child_and_waits_for_nobody() -> None:
    run = end_by(beside("terminate"), "terminate")
    assert ("cancelled", ["Terminate"]) == (run.status, told(run))
    assert run.children[0].id == run.told[0].instance_id
    end = run.told[0].stimulus
    assert isinstance(end, s.Terminate)
    assert ("instance:01J", "the call of instance:01J ended: terminate") == (end.by, end.reason)


def test_s41_terminate_after_a_cancel_tells_the_child_again() -> None:
    run = end_by(end_by(calling(), "cancel"), "terminate")
    assert ("cancelled", ["Cancel", "Terminate"]) == (run.status, told(run))


def test_s29_success_of_a_child_that_was_told_to_end_does_not_count() -> None:
    run = ended(end_by(calling(), "cancel"), outputs=b"1")
    assert ("cancelled", {"c": "cancelled/cancel"}) == (run.status, run.tasks())


def test_s15_call_that_takes_too_long_fails_once_its_child_has_ended() -> None:
    run = calling(calls(extra=", timeout: {total_s: 5}")).pass_time(5)
    assert ({"c": "waiting"}, ["Cancel"]) == (run.tasks(), told(run))
    ended(run, CANCELLED)
    assert ("failed", "timeout", "total_s of 5.0 s is over") == (run.status, run.error["kind"], run.error["message"])


def test_s15_call_that_takes_too_long_and_leaves_its_child_fails_at_once() -> None:
    run = calling(calls(", on_cancel: leave", extra=", timeout: {total_s: 5}")).pass_time(5)
    assert ("failed", "timeout", []) == (run.status, run.error["kind"], told(run))


def test_s15_time_that_is_over_in_a_call_that_ends_changes_nothing() -> None:
    run = end_by(calling(calls(extra=", timeout: {total_s: 5}")), "cancel").pass_time(5)
    assert ({"c": "waiting"}, ["Cancel"]) == (run.tasks(), told(run))


def test_s39_end_of_clean_up_does_not_wait_for_a_child() -> None:
    run = calling(IN_FINALLY)
    run.feed(s.Cancel("enough", "p")).succeed("a", 1)
    assert ("waiting", []) == (run.tasks()["c"], told(run))
    run.pass_time(3_600)
    assert ("cancelled", ["Cancel"]) == (run.status, told(run))


def test_s10_call_of_an_all_done_step_goes_on_in_a_failing_list() -> None:
    run = calling(calls(extra=", join: all_done, depends_on: [b]", after=f"- {{id: b, {ANY}, depends_on: []}}")).fail(
        "b"
    )
    assert ("waiting", []) == (run.tasks()["c"], told(run))
    assert ("failed", "succeeded") == (ended(run, outputs=b"1").status, run.tasks()["c"])


@pytest.mark.parametrize(("act", "status"), [("skip", "skipped/hand"), ("complete", "succeeded"), ("fail", "failed")])
@pytest.mark.parametrize(("on_cancel", "heard"), [("cancel", ["Cancel"]), ("leave", [])])
def test_s43_act_by_hand_ends_the_call_at_once_and_its_child(
    act: Any, status: str, on_cancel: str, heard: list[str]
) -> None:
    run = calling(calls(f", on_cancel: {on_cancel}"))
    run.feed(s.Act(act=act, path="c", by="p", reason="no longer", output=b"1" if act == "complete" else None))
    assert ({"c": status}, heard) == (run.tasks(), told(run))


# The child's side


def test_s29_child_tells_its_parent_how_it_ended_with_the_commit_that_ends_it() -> None:
    parent = calling()
    child = child_of(parent)
    assert ([], "running", parent.children[0].parent) == (child.told, child.status, child.state.header.parent)
    child.succeed("a", 1)
    [one] = child.told
    assert isinstance(one.stimulus, s.ChildEnded)
    assert ("01J", "c", "succeeded") == (one.instance_id, one.stimulus.path, one.stimulus.status)


def test_s29_child_that_is_cancelled_before_it_begins_tells_its_parent() -> None:
    parent = calling()
    start = msgspec.structs.replace(parent.children[0], cancelled="enough")
    run = InstanceRun(callee().plan)  # type: ignore[arg-type] # it has one
    run.begin(start)
    assert ("cancelled", ["ChildEnded"]) == (run.status, told(run))


def test_s29_call_of_a_child_knows_all_dags_above() -> None:
    outer = calling(found=callee(calls().replace("Child", "Inner"), dag_id="middle"))
    outer.callees |= {("Inner", None): callee(CHILD, dag_id="inner")}
    middle = child_of(outer)
    assert ("dag", "middle") == middle.children[0].parent.dag_ids  # type: ignore[union-attr] # a child has a parent


def test_s44_rerun_of_a_child_is_nobodys_child() -> None:
    child = child_of(calling()).succeed("a", 1)
    again = InstanceRun(child.plan).start({"n": 1}).succeed("a", 1)
    assert (None, []) == (again.state.header.parent, told(again))
