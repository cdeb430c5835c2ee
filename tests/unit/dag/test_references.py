"""What each place sees (S5, S20, S24, S32), and which fault another reference gives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.dag.fault import HINTS_COUNT_MAX
from core.dag.reference import EXPRESSIONS_CHARACTERS_MAX
from core.expression.template import EXPRESSION_COUNT_MAX
from tests.dags.check import dag, faults, noop, problem, step

UNAVAILABLE = "dag.operator.unavailable"


def reads(step_id: str, text: str, **fields: Any) -> dict[str, Any]:
    return noop(step_id, parameters={"x": text}, **fields)


def only(document: Any) -> list[str]:
    """Give the codes of a document without those of what this release does not run."""
    return [code for code, _ in faults(document) if code != UNAVAILABLE]


def loop(*steps: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return step("l", "@control/loop", steps=list(steps), **parameters)


def tried(catch: list[dict[str, Any]], last: list[dict[str, Any]]) -> dict[str, Any]:
    return step("t", "@control/try", steps=[noop("inner")], catch=catch, **{"finally": last})


RIGHT: list[Any] = [
    dag(noop("a"), reads("b", "{{ steps.a.output }} {{ steps.a.status }} {{ steps.a.attempts }} {{ steps.a.error.kind }}")),
    dag(noop("a"), reads("b", "{{ steps['a'].output }}")),
    dag(noop("a", on_error="continue"), reads("b", "{{ has(steps.a.output) ? steps.a.output : 1 }}")),
    dag(noop("a", on_error=[noop("h")]), reads("b", "{{ steps.a.output }}")),
    dag(noop("a"), reads("b", "{{ steps.a.error }}", join="all_done")),
    dag(loop(reads("i", "{{ item.x }} {{ index }} {{ loops.l.last }}"), mode="each", items=[{"x": 1}])),
    dag(loop(noop("i"), mode="while", condition="index < 3 && loops.l.last != 2")),
    dag(loop(noop("i"), mode="while", condition="loops.l.last == null || loops.l.last < 9", outputs="{{ index * 3 }}")),
    dag(loop(noop("i"), mode="count", limit="{{ inputs.n }}", break_when="steps.i.output.x == 1", outputs="{{ steps.i.output }}")),
    dag(tried([reads("c", "{{ error.message }} {{ has(steps.inner.output) }}")], [reads("f", "{{ steps.inner.status }}")])),
    dag(noop("a"), tried([reads("c", "{{ steps.a.output }}")], [reads("f", "{{ steps.a.output }}")])),
    dag(noop("a"), settings={"on_finish": [reads("h", "{{ steps.a.status }} {{ error.kind }} {{ instance.outcome }}")]}),
    dag(noop("a"), outputs={"a": "{{ steps.a.output }}", "t": "{{ trigger.kind }} {{ instance.id }}"}),
    dag(noop("a"), settings={"concurrency": {"key": "{{ inputs.region }}", "max": 1}}),
    dag(noop("a", cache={"key": "{{ inputs.region }}", "ttl_s": 1})),
    dag(step("a", "@data/define", name="n", value=1), reads("b", "{{ vars.n }}"), outputs="{{ vars.n }}"),
    dag(
        {**step("a", "@data/define", name="n", value=1), "when": "inputs.x"},
        reads("b", "{{ has(vars.n) ? vars.n : 0 }}"),
        reads("c", "{{ steps.a.status == 'succeeded' ? vars.n : 0 }}"),
    ),
    dag(
        step("a", "@data/define", name="n", value=1),
        step("m", "@control/map", items=[1], steps=[reads("i", "{{ vars.n + item }}")]),
    ),
    dag(step("w", "@control/wait", callback={}), reads("b", "{{ steps.w.output.reason }}")),
    dag(step("h", "@http/request", url="http://x/", headers={"a": "{{ secrets.github.token }}"})),
    dag(step("p", "@python/run", anything="{{ connections.db }}")),
    dag(step("m", "@control/map", items=[], steps=[reads("i", "{{ item.x.y }}")])),
    dag(step("m", "@control/map", items=[{"x": 1}], batch_size=2, steps=[reads("i", "{{ item[0].x }}")])),
    dag(step("g", "@json/get", value={"a": 1}, pointer="/a", default=None), reads("b", "{{ steps.g.output }}")),
    dag(noop("a", output_schema={"type": ["integer", "null"]}), step("b", "@debug/fail", times="{{ 1 }}", output="{{ null }}")),
    dag(step("c", "@control/call", dag="Other", inputs={"x": "{{ inputs.x }}"}), reads("b", "{{ steps.c.output.y }}")),
    dag(step("a", "@control/approval", title="Pay {{ inputs.n }}?"), reads("b", "{{ steps.a.output.by }}")),
    dag(tried([noop("c")], [noop("f")]), reads("b", "{{ steps.t.output }} {{ vars.list[0] + 1 }}"), vars={"list": [1, 2]}),
    dag(step("f", "@time/format", at="x", format="y", timezone="{{ null }}")),
    dag(step("w", "@control/wait", event={"name": "paid", "filter": "event.amount > 3"})),
]  # fmt: skip


@pytest.mark.parametrize("document", RIGHT)
def test_s5_s20_s32_reference_to_what_is_seen_is_no_fault(document: Any) -> None:
    assert [] == only(document)


WRONG: list[tuple[str, str, Any]] = [
    ("dag.reference.unknown", "/steps/0/parameters/x", dag(reads("a", "{{ item }}"))),
    ("dag.reference.unknown", "/steps/0/parameters/x", dag(reads("a", "{{ error.kind }}"))),
    ("dag.reference.unknown", "/steps/0/parameters/x", dag(reads("a", "{{ steps }}"))),
    ("dag.reference.unknown", "/steps/0/parameters/x", dag(reads("a", "{{ callbacks.w }}"))),
    ("dag.reference.not_upstream", "/steps/0/parameters/x", dag(reads("a", "{{ steps.a.output }}"))),
    ("dag.reference.not_upstream", "/steps/0/on_error/0/parameters/x", dag(noop("a", on_error=[reads("h", "{{ steps.a.output }}")]))),
    ("dag.reference.not_upstream", "/steps/1/parameters/x", dag(noop("a"), reads("b", "{{ steps.a.output }}", depends_on=[]))),
    ("dag.reference.not_upstream", "/steps/0/parameters/x", dag(reads("a", "{{ vars.n }}"), step("b", "@data/define", name="n", value=1))),
    (
        "dag.reference.not_upstream",
        "/outputs",
        dag(step("m", "@control/map", items=[], steps=[step("d", "@data/define", name="n", value=1)]), outputs="{{ vars.n }}"),
    ),
    (
        "dag.reference.not_upstream",
        "/steps/0/parameters/x",
        dag(reads("a", "{{ steps.h.status }}"), settings={"on_finish": [noop("h")]}),
    ),
    ("dag.reference.unguarded", "/steps/1/parameters/x", dag(noop("a", join="any_succeeded"), reads("b", "{{ steps.a.output }}"))),
    ("dag.reference.unguarded", "/steps/1/parameters/x", dag(noop("a", join="none_failed"), reads("b", "{{ steps.a.output }}"))),
    ("dag.reference.unguarded", "/steps/1/parameters/x", dag(noop("a", on_error="continue"), reads("b", "{{ steps.a.output }}"))),
    ("dag.reference.unguarded", "/steps/0/parameters/catch/0/parameters/x", dag(tried([reads("c", "{{ steps.inner.output }}")], [noop("f")]))),
    ("dag.reference.unguarded", "/steps/0/parameters/finally/0/parameters/x", dag(tried([noop("c")], [reads("f", "{{ steps.inner.output }}")]))),
    ("dag.reference.unguarded", "/settings/on_finish/0/parameters/x", dag(noop("a"), settings={"on_finish": [reads("h", "{{ steps.a.output }}")]})),
    (
        "dag.reference.unguarded",
        "/steps/1/parameters/x",
        dag({**step("a", "@data/define", name="n", value=1), "when": "inputs.x"}, reads("b", "{{ vars.n }}")),
    ),
    ("dag.reference.unguarded", "/outputs/a", dag(noop("a", when="inputs.x"), outputs={"a": "{{ steps.a.output }}"})),
    (
        "dag.reference.unguarded",
        "/steps/0/parameters/outputs",
        dag(step("m", "@control/map", items=[1], steps=[noop("i", when="item > 1")], outputs="{{ steps.i.output }}")),
    ),
    ("dag.reference.path", "/steps/1/parameters/x", dag(step("m", "@text/match", text="a", pattern="a"), reads("b", "{{ steps.m.output.group }}"))),
    ("dag.reference.path", "/steps/1/parameters/x", dag(step("p", "@control/parallel", branches=[{"id": "b1", "steps": [noop("i")]}]), reads("b", "{{ steps.p.output.b2 }}"))),
    ("dag.reference.path", "/steps/0/parameters/x", dag(reads("a", "{{ vars.v.y }}"), vars={"v": {"x": 1}})),
    ("dag.reference.path", "/steps/0/parameters/steps/0/parameters/x", dag(step("m", "@control/map", items=[{"x": 1}, {"x": 2}], steps=[reads("i", "{{ loops.m.last }}")]))),
    ("dag.expression.type", "/steps/0/parameters/branches/0/when", dag(step("p", "@control/branch", branches=[{"id": "x", "when": "'a'", "steps": [noop("i")]}]))),
    ("dag.expression.type", "/steps/0/parameters/items", dag(step("m", "@control/map", items="{{ 'text' }}", steps=[noop("i")]))),
    ("dag.expression.type", "/steps/0/parameters/items", dag(step("m", "@control/map", items="a {{ [1] }}", steps=[noop("i")]))),
    ("dag.expression.type", "/steps/0/parameters/break_when", dag(loop(noop("i"), mode="count", limit=1, break_when="index"))),
    ("dag.expression.type", "/steps/0/parameters/items/0", dag(step("j", "@text/join", items=["{{ 1 }}"], separator=","))),
    ("dag.expression.type", "/steps/0/parameters/headers/a", dag(step("h", "@http/request", url="http://x/", headers={"a": "{{ 1 }}"}))),
    ("dag.expression.syntax", "/steps/0/parameters/map", dag(step("t", "@data/transform", items=[], map="item."))),
    ("dag.reference.unknown", "/steps/0/parameters/filter", dag(step("t", "@data/transform", items=[], filter="inputs.x > item"))),
    ("dag.expression.syntax", "/steps/0/parameters/filter", dag(step("t", "@data/transform", items=[], filter="{{ item > 1 }}"))),
    ("dag.expression.syntax", "/steps/0/when", dag(noop("a", when="{{ }}"))),
    ("dag.secret.misplaced", "/steps/0/parameters/x", dag(reads("a", "{{ secrets.a.b }}"))),
    ("dag.secret.misplaced", "/steps/0/parameters/url", dag(step("h", "@http/request", url="http://{{ secrets.a.b }}/"))),
    ("dag.limit", "/steps/0/parameters", dag(noop("a", parameters={"x": ["{{ 1 }}"] * 1001}))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "pointer", "document"), WRONG)
def test_s5_s32_s33_reference_to_what_is_not_there_gives_its_fault_there(
    code: str, pointer: str, document: Any
) -> None:
    assert [(code, pointer)] == [one for one in faults(document) if one[0] != UNAVAILABLE]


def test_proposals_of_a_document_are_bounded() -> None:
    document = dag(noop("first"), *(reads(f"s{n}", "{{ steps.frist.output }}") for n in range(HINTS_COUNT_MAX + 10)))
    found = problem(msgspec.json.encode(document))
    assert HINTS_COUNT_MAX + 10 == len(found)
    assert HINTS_COUNT_MAX == sum("first" in one.get("hint", "") for one in found)


@pytest.mark.parametrize("operator", ["@executor/mine/send", "@operator/prices", "@endpoint/shop/reindex"])
def test_operator_that_users_name_is_known_and_not_run_yet(operator: str) -> None:
    assert [(UNAVAILABLE, "/steps/0/operator")] == faults(dag(step("a", operator, x=1)))


def test_secret_in_its_place_is_valid_and_not_run_yet() -> None:
    document = dag(step("h", "@http/request", url="http://x/", headers={"a": "{{ secrets.github.token }}"}))
    assert [(UNAVAILABLE, "/steps/0/parameters/headers/a")] == faults(document)


@pytest.mark.parametrize("name", ["when", "parameters"])
def test_expressions_of_a_document_are_bounded_in_all(name: str) -> None:
    text = "0 == " + "1+" * 1_000 + "1"
    fields: dict[str, dict[str, Any]] = {
        "when": {"when": text},
        "parameters": {"parameters": {"x": [f"{{{{{text}}}}}", "{{ steps.nobody }}"]}},
    }
    count = EXPRESSIONS_CHARACTERS_MAX // len(text)
    steps = [noop(f"s{n}", **fields[name]) for n in range(count + 3)]
    pointer = f"/steps/{count}/when" if name == "when" else f"/steps/{count}/parameters/x/0"
    assert [("dag.limit", pointer)] == [one for one in faults(dag(*steps)) if one[0] == "dag.limit"]
    assert [] == [one for one in faults(dag(*steps[:count])) if one[0] == "dag.limit"]


def test_value_with_too_many_templates_has_no_other_fault() -> None:
    many = dag(step("a", "@text/join", separator=7, items=["{{ 1 }}"] * (EXPRESSION_COUNT_MAX + 1)))
    assert [("dag.limit", "/steps/0/parameters")] == [one for one in faults(many) if one[0] != "dag.expression.type"]


def test_bare_expression_may_hold_braces_in_a_text() -> None:
    assert [] == faults(dag(step("t", "@data/transform", items=[], filter='item != "{{"')))


def test_step_with_an_unknown_operator_still_has_its_expressions_checked() -> None:
    document = dag({"id": "a", "operator": "@no/such", "parameters": {"x": "{{ steps.b.output }}"}})
    assert ["dag.operator.unknown", "dag.reference.unknown"] == [code for code, _ in faults(document)]
