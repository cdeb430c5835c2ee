"""Drawings, differences and titles: what is shown of DAGs."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.diff import DagDiff, StepChange, StepPlace, StepRewired, compare
from core.dag.grammar import TITLE_CHARACTERS_MAX
from core.dag.graph import Graph, GraphEdge, draw, model_of
from core.dag.title import NUMBERS_COUNT_MAX, TITLE_DEFAULT, free_titles
from tests.dags.check import dag, noop

CONTAINERS = dag(
    noop("a", title="First"),
    noop("b", depends_on=[], on_error=[noop("rescue")]),
    {
        "id": "c",
        "operator": "@control/branch",
        "depends_on": ["a", "b"],
        "join": "all_done",
        "when": "true",
        "parameters": {
            "branches": [{"id": "big", "when": "inputs.n > 3", "steps": [noop("x"), noop("y")]}],
            "else": [noop("z", on_error="continue")],
        },
    },
    settings={"on_failure": [noop("tell")], "timeout_s": 60},
)


def graph(document: dict[str, Any]) -> Graph:
    return draw(model_of(msgspec.json.encode(document)))


def diff(one: dict[str, Any], two: dict[str, Any]) -> DagDiff:
    models = [model_of(msgspec.json.encode(document)) for document in (one, two)]
    return compare(*models, is_same_content=False)


def test_every_list_is_a_group_and_every_step_a_node_in_it() -> None:
    drawn = graph(CONTAINERS)
    groups = [(group.id, group.name, group.owner, group.when) for group in drawn.groups]
    assert [
        ("steps", "steps", None, None),
        ("b/on_error", "on_error", "b", None),
        ("c/big", "big", "c", "inputs.n > 3"),
        ("c/else", "else", "c", None),
        ("on_failure", "on_failure", None, None),
    ] == groups
    nodes = {node.id: node for node in drawn.nodes}
    assert {
        "a": "steps", "b": "steps", "c": "steps", "rescue": "b/on_error", "x": "c/big", "y": "c/big", "z": "c/else",
        "tell": "on_failure",
    } == {name: node.group for name, node in nodes.items()}  # fmt: skip
    assert ("First", "b", "/steps/2/parameters/branches/0/steps/1") == (
        nodes["a"].title, nodes["b"].title, nodes["y"].pointer,
    )  # fmt: skip
    assert ("true", "all_done", "fail") == (nodes["c"].when, nodes["c"].join, nodes["c"].on_error)
    assert ("steps", "continue") == (nodes["b"].on_error, nodes["z"].on_error)


def test_edges_are_what_steps_wait_for() -> None:
    assert (GraphEdge("a", "c"), GraphEdge("b", "c"), GraphEdge("x", "y")) == graph(CONTAINERS).edges


def test_equal_documents_have_no_difference() -> None:
    assert DagDiff(is_same_content=False, added=(), removed=(), changed=(), rewired=(), fields=()) == diff(
        CONTAINERS, {**CONTAINERS, "version": "v9.0.0", "change_log": "none"}
    )


def test_steps_that_come_and_go_are_told_where_they_stand() -> None:
    found = diff(dag(noop("a"), noop("b")), dag(noop("a"), noop("c"), noop("d")))
    assert (StepPlace("c", "/steps/1"), StepPlace("d", "/steps/2")) == found.added
    assert (StepPlace("b", "/steps/1"),) == found.removed


def test_step_that_does_something_else_names_what_is_different() -> None:
    one = dag(noop("first"), noop("a", parameters={"x": 1}, on_error="continue"))
    two = dag(noop("a", parameters={"x": 2}, when="true", on_error=[noop("r")], depends_on=[]), noop("first"))
    found = diff(one, two)
    fields = ("parameters", "when", "on_error")
    assert StepChange(id="a", pointer="/steps/1", other_pointer="/steps/0", fields=fields) in found.changed
    assert {
        "a": (("first",), ()),
        "first": ((), ("a",)),
    } == {one.id: (one.upstream, one.other_upstream) for one in found.rewired}


def test_step_that_moves_into_another_list_is_rewired() -> None:
    branch = {"id": "c", "operator": "@control/parallel", "depends_on": []}
    one = dag(noop("a"), {**branch, "parameters": {"branches": [{"id": "l", "steps": [noop("x")]}]}})
    two = dag(
        {**branch, "parameters": {"branches": [{"id": "l", "steps": [noop("x")]}, {"id": "m", "steps": [noop("a")]}]}}
    )
    found = diff(one, two)
    assert (
        StepRewired(
            id="a", pointer="/steps/0", other_pointer="/steps/0/parameters/branches/1/steps/0", group="steps",
            other_group="c/m", upstream=(), other_upstream=(),
        ),
    ) == found.rewired  # fmt: skip
    assert ("branches",) == found.changed[0].fields


def test_container_that_loses_a_list_is_changed() -> None:
    branch = {"branches": [{"id": "l", "when": "true", "steps": [noop("x")]}]}
    whole = {"id": "c", "operator": "@control/branch", "parameters": {**branch, "else": [noop("y")]}}
    found = diff(dag(whole), dag({**whole, "parameters": branch}))
    assert [("c", ("branches",))] == [(one.id, one.fields) for one in found.changed]
    fan = {"id": "m", "operator": "@control/try", "parameters": {"steps": [noop("x")], "catch": [noop("y")]}}
    other = {**fan, "parameters": {"steps": [noop("x")], "finally": [noop("y")]}}
    assert [("m", ("lists",))] == [(one.id, one.fields) for one in diff(dag(fan), dag(other)).changed]


def test_fields_outside_of_steps_are_pointed_at() -> None:
    trigger = {"id": "t", "operator": "@trigger/cron", "parameters": {"cron": "0 2 * * *"}}
    one = dag(noop("a"), triggers=[trigger], settings={"timeout_s": 1}, tags=["x"])
    two = dag(noop("a"), triggers=[{**trigger, "id": "u"}], settings={"timeout_s": 2}, vars={"v": 1}, tags=["x"])
    assert {"/triggers", "/vars", "/settings/timeout_s"} == set(diff(one, two).fields)
    moved = dag(noop("a"), triggers=[trigger, {**trigger, "id": "u"}])
    assert ("/triggers",) == diff(one | {"settings": {}, "tags": []}, moved).fields


def test_titles_are_proposed_until_one_is_free_for_certain() -> None:
    proposed = list(free_titles("Greet", "01JD"))
    assert ["Greet", "Greet 2", "Greet 3", f"Greet {NUMBERS_COUNT_MAX}", "Greet 01JD"] == [
        *proposed[:3],
        *proposed[-2:],
    ]


def test_proposed_title_is_one_that_a_dag_may_have() -> None:
    assert "a b c" == next(free_titles(' a/b:\n"c" ', "x"))
    assert TITLE_DEFAULT == next(free_titles("***", "x"))
    long = list(free_titles("x" * 500, "unique"))
    assert {TITLE_CHARACTERS_MAX} == {len(title) for title in long}
    assert long[-1].endswith("x unique")
