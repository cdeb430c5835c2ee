"""Run variables (S24): who may define, who may assign, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.check import dag, faults, noop, step


def define(step_id: str, name: str = "n", **fields: Any) -> dict[str, Any]:
    return {**step(step_id, "@data/define", name=name, value=1), **fields}


def assign(step_id: str, name: str = "n", **fields: Any) -> dict[str, Any]:
    return {**step(step_id, "@data/assign", name=name, value=2), **fields}


def branch(mode: str, *lists: list[dict[str, Any]]) -> dict[str, Any]:
    branches = [{"id": f"b{n}", "when": "true", "steps": steps} for n, steps in enumerate(lists)]
    return step("br", "@control/branch", mode=mode, branches=branches)


RIGHT: list[Any] = [
    dag(define("d"), assign("a"), assign("b")),
    dag(define("d"), branch("first", [assign("a")], [assign("b")])),
    dag(define("d"), step("m", "@control/map", items=[], steps=[define("e", "inner"), assign("a", "inner")])),
    dag(define("d"), assign("a", depends_on=["d"]), noop("x", depends_on=["d"]), assign("b", depends_on=["a", "x"])),
    dag(define("d"), branch("all", [define("e", "own"), assign("a", "own")])),
    dag(define("d"), {**noop("x"), "on_error": [assign("a")]}),
]


@pytest.mark.parametrize("document", RIGHT)
def test_variable_used_in_order_is_no_fault(document: Any) -> None:
    assert [] == faults(document)


WRONG: list[tuple[str, Any]] = [
    ("/steps/1/parameters/name", dag(define("d"), define("e"))),
    ("/steps/0/parameters/name", dag(define("d", "v"), vars={"v": 1})),
    ("/steps/0/parameters/name", dag(assign("a", "v"), vars={"v": 1})),
    ("/steps/0/parameters/name", dag(assign("a", "m"), define("d"))),
    ("/steps/1/parameters/branches/0/steps/0/parameters/name", dag(define("d"), branch("all", [assign("a")]))),
    (
        "/steps/1/parameters/branches/0/steps/0/parameters/name",
        dag(define("d"), step("p", "@control/parallel", branches=[{"id": "x", "steps": [assign("a")]}])),
    ),
    ("/steps/1/parameters/name", dag(branch("first", [define("d")]), assign("a"))),
    ("/steps/2/parameters/name", dag(define("d"), assign("a"), assign("b", depends_on=["d"]))),
    (
        "/steps/2/parameters/name",
        dag(define("d"), assign("a", depends_on=["d"]), assign("b", depends_on=["d"]), assign("c", depends_on=["b"])),
    ),
]


@pytest.mark.parametrize(("pointer", "document"), WRONG)
def test_s24_variable_used_against_the_rules_gives_one_fault_at_its_name(pointer: str, document: Any) -> None:
    assert [("dag.variable", pointer)] == faults(document)


def test_catch_and_finally_may_assign_what_the_tried_list_defines() -> None:
    tried = step("t", "@control/try", steps=[define("d")], catch=[assign("a")], **{"finally": [assign("b")]})
    assert [] == faults(dag(tried))


def test_hook_may_assign_what_the_top_list_defines() -> None:
    document = dag(define("d"), settings={"on_finish": [assign("a")]})
    assert [] == faults(document)
