"""Fields, types, limits and policies: each document has one thing wrong and gives that fault alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.dag.fault import FAULTS_COUNT_MAX, HINTS_COUNT_MAX
from core.dag.grammar import STEPS_COUNT_MAX, VARS_BYTES_MAX
from core.dag.json_schema import SCHEMA_BYTES_MAX
from core.dag.lists import CYCLES_COUNT_MAX
from tests.dags.check import dag, faults, noop, problem, step

A = noop("a")


def hooked(*steps: dict[str, Any]) -> dict[str, Any]:
    return dag(A, settings={"on_failure": list(steps)})


DOCUMENTS: list[tuple[str, str, Any]] = [
    ("dag.schema", "", 7),
    ("dag.schema", "/title", dag(A, title="")),
    ("dag.schema", "/title", dag(A, title="x" * 129)),
    ("dag.schema", "/title", dag(A, title="a\nb")),
    ("dag.schema", "/title", dag(A, title=None)),
    ("dag.schema", "/description", dag(A, description="x" * 301)),
    ("dag.schema", "/tags", dag(A, tags="x")),
    ("dag.schema", "/tags/1", dag(A, tags=["x", ""])),
    ("dag.limit", "/tags", dag(A, tags=[f"t{n}" for n in range(101)])),
    ("dag.schema", "/vars", dag(A, vars=[])),
    ("dag.schema", "/vars/a-b", dag(A, vars={"a-b": 1})),
    ("dag.limit", "/vars", dag(A, vars={"x": "x" * VARS_BYTES_MAX})),
    ("dag.schema", "/settings", dag(A, settings=[])),
    ("dag.schema", "/settings/timeout_s", dag(A, settings={"timeout_s": 0})),
    ("dag.schema", "/settings/concurrency", dag(A, settings={"concurrency": {"key": "k"}})),
    ("dag.schema", "/settings/concurrency/max", dag(A, settings={"concurrency": {"max": 0}})),
    ("dag.schema", "/settings/retention_days", dag(A, settings={"retention_days": 1.5})),
    ("dag.schema", "/inputs", dag(A, inputs=[])),
    ("dag.schema", "/inputs/$schema", dag(A, inputs={"$schema": "http://json-schema.org/draft-07/schema#"})),
    ("dag.schema", "/inputs/properties/x/$ref", dag(A, inputs={"properties": {"x": {"$ref": "file:///etc/passwd"}}})),
    ("dag.schema", "/inputs/allOf/1/$id", dag(A, inputs={"allOf": [{}, {"$id": "http://example.com/"}]})),
    ("dag.schema", "/inputs", dag(A, inputs={"$ref": "#/$defs/none"})),
    ("dag.schema", "/inputs/properties/x/pattern", dag(A, inputs={"properties": {"x": {"pattern": "(a"}}})),
    ("dag.limit", "/inputs", dag(A, inputs={"description": "x" * SCHEMA_BYTES_MAX})),
    ("dag.schema", "", dag(A, type="operator", outputs={})),
    ("dag.schema", "/steps", dag(A, steps={})),
    ("dag.schema", "/steps/0", {"title": "T", "steps": [7]}),
    ("dag.limit", "/steps", dag(*(noop(f"s{n}") for n in range(STEPS_COUNT_MAX + 1)))),
    (
        "dag.limit",
        "/steps/1/parameters/steps",
        dag(*(step(f"m{m}", "@control/map", items=[], steps=[noop(f"s{m}_{n}") for n in range(600)]) for m in range(3))),
    ),
    ("dag.schema", "/steps/0/title", dag(noop("a", title="x" * 301))),
    ("dag.schema", "/steps/0/operator", dag({"id": "a", "operator": ""})),
    ("dag.schema", "/steps/0/retry/max_attempts", dag(noop("a", retry={"max_attempts": 0}))),
    ("dag.schema", "/steps/0/retry/max_attempts", dag(noop("a", retry={"max_attempts": True}))),
    ("dag.schema", "/steps/0/retry/backoff", dag(noop("a", retry={"backoff": 101}))),
    ("dag.schema", "/steps/0/retry/jitter", dag(noop("a", retry={"jitter": "half"}))),
    ("dag.schema", "/steps/0/retry/tries", dag(noop("a", retry={"tries": 3}))),
    ("dag.schema", "/steps/0/cache", dag(noop("a", cache={}))),
    ("dag.schema", "/steps/0/on_error", dag(noop("a", on_error=[]))),
    ("dag.schema", "/steps/0/on_error/0", dag(noop("a", on_error=[{"operator": "@debug/noop"}]))),
    ("dag.schema", "/steps/0/depends_on/0", dag(noop("a", depends_on=[7]))),
    ("dag.id.reserved", "/steps/0/id", dag(noop("true"))),
    ("dag.id.reserved", "/triggers/0/id", dag(A, triggers=[{"id": "null", "operator": "@trigger/manual"}])),
    ("dag.id.duplicate", "/settings/on_failure/0/id", hooked(noop("a"))),
    ("dag.operator.unknown", "/steps/0/operator", dag(step("a", "@trigger/cron"))),
    ("dag.operator.unknown", "/steps/0/operator", dag(step("a", "@executor/only_one_part"))),
    ("dag.policy", "/steps/0/concurrency", dag({**step("a", "@control/return"), "concurrency": {"max": 1}})),
    ("dag.policy", "/settings/on_failure/0/on_error/0/operator", hooked(noop("h", on_error=[step("r", "@control/return")]))),
    (
        "dag.policy",
        "/steps/0/parameters/finally/0/parameters/branches/0/steps/0/operator",
        dag(
            step(
                "t",
                "@control/try",
                steps=[A],
                **{"finally": [step("p", "@control/parallel", branches=[{"id": "b", "steps": [step("r", "@control/return")]}])]},
            )
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "pointer", "document"), DOCUMENTS)
def test_s3_s16_s47_s54_one_thing_wrong_gives_one_fault_there(code: str, pointer: str, document: Any) -> None:
    assert [(code, pointer)] == faults(document)


PARAMETERS: list[tuple[str, str, dict[str, Any]]] = [
    ("", "@control/branch", {}),
    ("/branches", "@control/branch", {"branches": []}),
    ("/branches", "@control/branch", {"branches": {}}),
    ("/branches/0", "@control/branch", {"branches": [{"id": "x", "steps": [A]}]}),
    ("/branches/0", "@control/parallel", {"branches": ["x"]}),
    ("/branches/0/when", "@control/parallel", {"branches": [{"id": "x", "steps": [A], "when": "true"}]}),
    ("/mode", "@control/branch", {"mode": "any", "branches": [{"id": "x", "when": "true", "steps": [A]}]}),
    ("/items", "@control/map", {"items": 7, "steps": [A]}),
    ("/items", "@control/map", {"items": "text", "steps": [A]}),
    ("/steps", "@control/map", {"items": [], "steps": "a"}),
    ("/batch_size", "@control/map", {"items": [], "steps": [A], "batch_size": 0}),
    ("", "@control/loop", {"mode": "count", "steps": [A]}),
    ("/condition", "@control/loop", {"mode": "count", "limit": 3, "condition": "true", "steps": [A]}),
    ("/mode", "@control/loop", {"mode": "until", "steps": [A]}),
    ("/limit", "@control/loop", {"mode": "count", "limit": -1, "steps": [A]}),
    ("", "@control/try", {"steps": [A]}),
    ("/result", "@control/return", {"result": "ok"}),
    ("", "@control/wait", {}),
    ("", "@control/wait", {"seconds": 3, "until": "2026-01-31T00:00:00Z"}),
    ("/event", "@control/wait", {"event": {}}),
    ("/form", "@control/approval", {"title": "ok?", "form": 7}),
    ("", "@control/call", {}),
    ("/version", "@control/call", {"dag": "x", "version": "latest"}),
    ("/name", "@data/define", {"name": "a b", "value": 1}),
    ("", "@data/assign", {"name": "x"}),
    ("/json", "@http/request", {"url": "http://x/", "json": {}, "text": ""}),
    ("/success/0", "@http/request", {"url": "{{ inputs.u }}", "success": [99]}),
    ("", "@http/request", {"url": "{{ inputs.u }}", "json": {"a": "{{ inputs.u }}"}, "form": {}}),
    ("/level", "@debug/log", {"message": "x", "level": "loud"}),
]


@pytest.mark.parametrize(("pointer", "operator", "parameters"), PARAMETERS)
def test_wrong_parameters_point_inside_the_parameters(pointer: str, operator: str, parameters: dict[str, Any]) -> None:
    expected = "" if pointer == "/json" else pointer
    assert ("dag.operator.parameters", f"/steps/0/parameters{expected}") in faults(
        dag(step("z", operator, **parameters))
    )


def test_undefined_variable_beside_a_bad_name_makes_no_second_fault() -> None:
    assert [("dag.operator.parameters", "/steps/0/parameters")] == faults(dag(step("a", "@data/define", name="x")))


def test_one_call_at_most_and_two_attempts_exclude_each_other() -> None:
    document = dag(noop("a", at_most_once=True, retry={"max_attempts": 2}))
    assert ("dag.policy", "/steps/0/retry/max_attempts") in faults(document)


def test_cycles_are_named_one_by_one_up_to_a_bound() -> None:
    circles = dag(*(noop(f"s{n}", depends_on=[f"s{n}"]) for n in range(CYCLES_COUNT_MAX + 5)))
    found = faults(circles)
    assert [("dag.depends_on.cycle", f"/steps/{n}/depends_on") for n in range(CYCLES_COUNT_MAX)] == found


def test_cycles_that_share_a_step_are_both_named() -> None:
    found = problem(
        msgspec.json.encode(
            dag(noop("a", depends_on=["b", "c"]), noop("b", depends_on=["a"]), noop("c", depends_on=["a"]))
        )
    )
    assert {"steps wait for each other: a -> b -> a", "steps wait for each other: a -> c -> a"} == {
        one["message"] for one in found
    }
    assert {"/steps/0/depends_on"} == {one["pointer"] for one in found}


def test_more_steps_than_a_dag_may_have_are_not_looked_at() -> None:
    steps = [noop(f"s{n}", depends_on=["nobody"]) for n in range(STEPS_COUNT_MAX + 1)]
    assert [("dag.limit", "/steps")] == faults(dag(*steps))


def test_more_faults_than_are_shown_are_cut() -> None:
    found = problem(b"title: T\nsteps:\n" + b"- {id: a, operator: x, when: 7, join: no, bad: 1}\n" * 900)
    assert FAULTS_COUNT_MAX == len(found)
    assert HINTS_COUNT_MAX >= sum("hint" in one for one in found)


def test_long_message_is_cut() -> None:
    (found,) = problem(b"title: T\nstatus: " + b"x" * 5000 + b'\nsteps: [{id: a, operator: "@debug/noop"}]\n')
    assert len(found["message"]) < 200


def test_message_of_a_large_parameter_is_cut_and_large_lists_name_the_first_fault() -> None:
    many = problem(
        b'{"title": "T", "steps": [{"id": "a", "operator": "@text/join", "parameters": {"separator": "", "items": ['
        + b"1, " * 50_000
        + b"1]}}]}"
    )
    assert ["/steps/0/parameters/items/0"] == [one["pointer"] for one in many]
    (one,) = problem(
        b'{"title": "T", "steps": [{"id": "a", "operator": "@text/split", "parameters": {"separator": "", "text": ["'
        + b"x" * 5_000
        + b'"]}}]}'
    )
    assert len(one["message"]) < 300
