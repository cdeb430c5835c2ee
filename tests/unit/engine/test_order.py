"""Order, joins, `when` and skipping (semantics.md S1 to S8)."""

from __future__ import annotations

import pytest

from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'


def test_s4_chain_runs_one_step_after_another() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}}}, {{id: c, {NOOP}}}]")
    assert ["a"] == list(run.attempts)
    run.succeed("a")
    assert ["b"] == list(run.attempts)
    run.finish()
    assert ["a", "b", "c"] == run.calls
    assert "succeeded" == run.status
    assert {} == run.outputs


def test_s1_s4_depends_on_nothing_starts_when_the_list_is_entered() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}, depends_on: []}}, {{id: c, {NOOP}}}]")
    assert ["a", "b"] == list(run.attempts)
    run.succeed("b")
    assert ["a", "c"] == sorted(run.attempts)


def test_s6_fan_in_waits_for_every_upstream() -> None:
    steps = ",".join(f"{{id: w{n}, {NOOP}, depends_on: [first]}}" for n in range(20))
    last = f"{{id: last, {NOOP}, depends_on: [{','.join(f'w{n}' for n in range(20))}]}}"
    run = run_of(f"steps: [{{id: first, {NOOP}}}, {steps}, {last}]").succeed("first")
    assert 20 == len(run.attempts)
    for n in reversed(range(19)):
        run.succeed(f"w{n}")
    assert ["w19"] == list(run.attempts)
    run.succeed("w19")
    assert ["last"] == list(run.attempts)


def test_s7_s8_false_when_skips_the_step_only() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}, when: 'inputs.go == true'}}, {{id: c, {NOOP}}}]",
                 {"go": False}).finish()  # fmt: skip
    assert {"a": "succeeded", "b": "skipped/when", "c": "succeeded"} == run.tasks()
    assert 0 == run.all_tasks()["b"].attempts


def test_s7_when_of_another_type_fails_the_step() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, when: 'inputs.go'}}]", {"go": 1})
    assert "failed" == run.status
    assert ("expression", "a", 0) == (run.error["kind"], run.error["step"], run.error["attempt"])


@pytest.mark.parametrize(
    ("join", "upstream", "expected"),
    [
        ("all_succeeded", ("ok", "ok"), "running"),
        ("all_succeeded", ("ok", "skip"), "running"),
        ("all_succeeded", ("ok", "handled"), "running"),
        ("all_succeeded", ("skip", "skip"), "running"),
        ("none_failed", ("ok", "skip"), "running"),
        ("none_failed", ("ok", "handled"), "skipped/join"),
        ("any_succeeded", ("ok", "handled"), "running"),
        ("any_succeeded", ("skip", "skip"), "skipped/join"),
        ("any_succeeded", ("skip", "handled"), "skipped/join"),
        ("all_done", ("handled", "skip"), "running"),
    ],
)
def test_s6_join_looks_at_how_every_upstream_ended(join: str, upstream: tuple[str, str], expected: str) -> None:
    extra = {"ok": "", "skip": ", when: 'false'", "handled": ", on_error: continue, retry: {max_attempts: 1}"}
    steps = ",".join(f"{{id: u{n}, {NOOP}, depends_on: []{extra[kind]}}}" for n, kind in enumerate(upstream))
    run = run_of(f"steps: [{steps}, {{id: x, {NOOP}, depends_on: [u0, u1], join: {join}}}]")
    for n, kind in enumerate(upstream):
        if kind == "ok":
            run.succeed(f"u{n}")
        elif kind == "handled":
            run.fail(f"u{n}")
    assert expected == run.tasks()["x"]


def test_s8_every_step_skipped_succeeds() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, when: 'false'}}, {{id: b, {NOOP}, when: 'false', join: any_succeeded}}]")
    assert {"a": "skipped/when", "b": "skipped/join"} == run.tasks()
    assert "succeeded" == run.status


def test_without_room_tasks_stay_ready_until_dispatched() -> None:
    from core.engine.stimuli import Dispatch

    steps = ",".join(f"{{id: s{n}, {NOOP}, depends_on: []}}" for n in range(5))
    run = run_of(f"steps: [{steps}]", room=2)
    assert ["s0", "s1"] == list(run.attempts)
    assert "ready" == run.tasks()["s4"]
    run.succeed("s0").feed(Dispatch())
    assert ["s1", "s2"] == list(run.attempts)
    while run.attempts:
        run.succeed(next(iter(run.attempts))).feed(Dispatch())
    assert "succeeded" == run.status


def test_outputs_and_parameters_are_rendered_from_what_came_before() -> None:
    run = run_of(
        """
        inputs: {type: object, properties: {region: {type: string, default: eu}}}
        vars: {currency: EUR}
        steps:
          - {id: a, operator: "@debug/noop", parameters: {region: "{{ inputs.region }}", text: "in {{ vars.currency }}"}}
          - {id: b, operator: "@debug/noop", parameters: {n: "{{ steps.a.output.n + 1 }}", whole: "{{ steps.a.output }}"}}
        outputs: {total: "{{ steps.b.output.n }}", tries: "{{ steps.a.attempts }}", how: "{{ steps.b.status }}"}
        """
    )
    assert {"region": "eu", "text": "in EUR"} == run.parameters("a")
    run.succeed("a", {"n": 41, "big": "x" * 10_000})
    assert {"n": 42, "whole": {"n": 41, "big": "x" * 10_000}} == run.parameters("b")
    run.succeed("b", {"n": 42})
    assert {"total": 42, "tries": 1, "how": "succeeded"} == run.outputs


def test_large_values_are_written_once_and_loaded_only_when_an_expression_reads_them() -> None:
    run = run_of(
        """
        steps:
          - {id: a, operator: "@debug/noop"}
          - {id: b, operator: "@debug/noop", parameters: {all: "{{ steps.a.output }}"}}
          - {id: c, operator: "@debug/noop", parameters: {one: "{{ steps.a.output.list[2] }}"}}
        """
    )
    big = {"list": list(range(5_000))}
    run.succeed("a", big)
    assert {"all": big} == run.parameters("b")
    assert 20_000 < sum(map(len, run.payloads.values())) < 30_000
    assert 0 == run.rounds
    run.loaded.clear()
    run.succeed("b")
    assert 1 == run.rounds
    assert {"one": 2} == run.parameters("c")


def test_pure_steps_take_no_attempt_and_no_room() -> None:
    run = run_of(
        """
        steps:
          - {id: a, operator: "@text/split", parameters: {text: "{{ inputs.t }}", separator: ","}}
          - {id: b, operator: "@text/join", parameters: {items: "{{ steps.a.output }}", separator: "-"}}
        outputs: {t: "{{ steps.b.output }}"}
        """,
        {"t": "a,b,c"},
        room=0,
    )
    assert "succeeded" == run.status
    assert {"t": "a-b-c"} == run.outputs
    assert 0 == run.all_tasks()["b"].attempts


def test_pure_step_that_cannot_compute_fails_with_its_kind() -> None:
    run = run_of("""steps: [{id: a, operator: "@json/parse", parameters: {text: "{{ inputs.t }}"}}]""", {"t": "{"})
    assert ("failed", "invalid") == (run.status, run.error["kind"])


def test_transform_of_many_items_runs_outside_of_the_decision() -> None:
    run = run_of(
        """
        steps: [{id: a, operator: "@data/transform", parameters: {items: "{{ inputs.items }}", filter: "item > 5"}}]
        outputs: "{{ steps.a.output }}"
        """,
        {"items": list(range(2_000))},
    )
    assert ["a"] == list(run.attempts)
    run.succeed("a", [1])
    assert 0 == run.all_tasks()["a"].attempts
    assert [1] == run.outputs


def test_s24_variables_are_defined_assigned_and_read() -> None:
    run = run_of(
        """
        steps:
          - {id: d, operator: "@data/define", parameters: {name: total, value: 1}}
          - {id: p, operator: "@control/branch", parameters: {branches: [{id: x, when: "true", steps: [
                {id: s, operator: "@data/assign", parameters: {name: total, value: "{{ vars.total + inputs.n }}"}}]}]}}
          - {id: r, operator: "@debug/noop", parameters: {total: "{{ vars.total }}"}}
        """,
        {"n": 4},
    )
    assert {"total": 5} == run.parameters("r")


def test_s34_names_of_the_instance_are_readable() -> None:
    run = run_of(
        """
        steps: [{id: a, operator: "@debug/noop", parameters: {
          id: "{{ instance.id }}", v: "{{ instance.version }}", at: "{{ instance.started_at }}", kind: "{{ trigger.kind }}",
          c: "{{ vars }}", now: "{{ now() }}"}}]
        vars: {k: 1}
        """
    )
    given = run.parameters("a")
    assert {"id": "01J", "v": "v1.0.0", "kind": "manual", "c": {"k": 1}} == {
        k: given[k] for k in ("id", "v", "kind", "c")
    }
    assert "2026-01-01T00:00:00" in given["at"]
    assert given["at"] == given["now"]


def test_operator_without_schema_takes_any_parameters() -> None:
    run = run_of(
        """steps: [{id: a, operator: "@test/anything", parameters: {x: [1, {y: "{{ inputs.n }}"}]}}]""", {"n": 3}
    )
    assert {"x": [1, {"y": 3}]} == run.parameters("a")
    assert "succeeded" == run.finish([1]).status


def test_s1_top_list_is_a_frame_of_one_cell_that_no_task_holds() -> None:
    top = run_of(f"steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}}}]").state.frames[""]

    assert (None, -1, 0, 1, 2) == (top.parent, top.parent_index, top.first, top.cells, len(top.tasks))
