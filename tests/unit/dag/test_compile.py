"""`Dag` -> `Plan`: places, regions, policies and what is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.dag.catalog import NO_RETRY, Retry, Timeout
from core.dag.compile import chunk_items, compile_dag
from core.dag.parse import parse_dag
from core.dag.plan import Node, Plan
from core.expression import Fuel
from tests.dags.check import CATALOG, dag, noop, parsed, step
from tests.dags.corpus import valid_documents

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def computed(*_: Any) -> Any:
    return None


COMPUTATIONS = {name: computed for name, spec in CATALOG.items() if spec.kind == "pure"}


def planned(document: Any) -> Plan:
    return compile_dag(
        parsed(document), dag_id="d", version="v1.0.0", content_hash="h", catalog=CATALOG, computations=COMPUTATIONS
    )


def node(plan: Plan, step_id: str) -> Node:
    return plan.nodes[plan.by_id[step_id]]


def rendered(rendering: Any, *slots: Any) -> Any:
    return rendering.render(slots, Fuel(), NOW)


def test_graph_gives_upstream_and_downstream_in_ascending_order() -> None:
    plan = planned(
        dag(noop("last", depends_on=["b", "a"]), noop("a", depends_on=[]), noop("b"), noop("c", depends_on=["b"]))
    )
    assert [(1, 2), (), (1,), (2,)] == [one.upstream for one in plan.nodes]
    assert [(), (0, 2), (0, 3), ()] == [one.downstream for one in plan.nodes]


NESTED = dag(
    noop("a", on_error=[noop("caught")]),
    step(
        "m",
        "@control/map",
        items=[1],
        steps=[
            noop("x"),
            step(
                "br",
                "@control/branch",
                branches=[{"id": "b1", "when": "true", "steps": [noop("y"), noop("z")]}],
                **{"else": [noop("e")]},
            ),
            step("inner", "@control/map", items=[], steps=[noop("leaf", on_error=[noop("leaf_caught")])]),
        ],
    ),
    step("p", "@control/parallel", branches=[{"id": "b1", "steps": [noop("q")]}, {"id": "b2", "steps": [noop("r")]}]),
)


def test_lists_are_numbered_breadth_first_with_consecutive_nodes() -> None:
    plan = planned(NESTED)
    assert ["", "on_error", "steps", "b1", "b2", "b1", "else", "steps", "on_error"] == [one.name for one in plan.lists]
    assert list(range(len(plan.nodes))) == [index for one in plan.lists for index in one.nodes]
    assert all(plan.nodes[index].list == one.index for one in plan.lists for index in one.nodes)
    assert [one.nodes[-1] for one in plan.lists] == [one.last for one in plan.lists]
    assert [None, "a", "m", "p", "p", "br", "br", "inner", "leaf"] == [
        None if one.owner is None else plan.nodes[one.owner].id for one in plan.lists
    ]


def test_map_body_with_its_lists_is_one_region_and_an_inner_map_another() -> None:
    plan = planned(NESTED)
    regions = [[plan.nodes[index].id for index in region.nodes] for region in plan.regions]
    assert [
        ["a", "m", "p"],
        ["caught"],
        ["x", "br", "inner", "y", "z", "e"],
        ["q"],
        ["r"],
        ["leaf", "leaf_caught"],
    ] == regions
    assert [3, 1, 6, 1, 1, 2] == [region.size for region in plan.regions]
    assert [None, None, "m", None, None, "inner"] == [
        None if region.map_node is None else plan.nodes[region.map_node].id for region in plan.regions
    ]
    for region in plan.regions:
        assert list(range(region.size)) == [plan.nodes[index].slot for index in region.nodes]
    assert [False, False, True, False, False, False, False, True, False] == [one.is_map_body for one in plan.lists]
    assert all(plan.nodes[one.nodes[0]].slot == one.first_slot for one in plan.lists)


def test_control_nodes_know_their_lists() -> None:
    plan = planned(NESTED)
    branch = node(plan, "br")
    assert (("b1", 5), 6, False) == (
        (branch.branches[0].id, branch.branches[0].list),
        branch.else_list,
        branch.takes_all,
    )
    assert [("b1", 3, None), ("b2", 4, None)] == [(one.id, one.list, one.when) for one in node(plan, "p").branches]
    assert 1 == node(plan, "a").on_error
    inner = node(plan, "m").map
    assert inner is not None
    assert (2, 2, "fail", None, None) == (
        inner.body, inner.region, inner.on_item_error, inner.max_concurrency, inner.batch_size
    )  # fmt: skip
    assert [1] == inner.items.constant


def test_chunk_of_a_large_body_is_smaller() -> None:
    assert [256, 256, 170, 2, 1, 1] == [chunk_items(size) for size in (1, 10, 16, 1_000, 2_730, 1_000_000)]


def test_chunk_of_a_body_with_loops_has_place_for_what_they_hold() -> None:
    assert [30, 15, 1] == [chunk_items(3, loops_count) for loops_count in (1, 2, 100)]


def test_policies_of_step_and_operator_are_joined() -> None:
    plan = planned(
        dag(
            step("own", "@http/request", url="http://x/"),
            {**step("set", "@http/request", url="http://x/"), "retry": {"max_attempts": 7}, "timeout": {"total_s": 9}},
            noop("none"),
        )
    )
    assert (Retry(), Timeout(attempt_s=60.0)) == (node(plan, "own").retry, node(plan, "own").timeout)
    changed = node(plan, "set")
    assert (Retry(max_attempts=7), Timeout(attempt_s=60.0, total_s=9.0)) == (changed.retry, changed.timeout)
    assert (NO_RETRY, Timeout()) == (node(plan, "none").retry, node(plan, "none").timeout)


def test_only_outputs_and_errors_that_are_read_are_kept() -> None:
    plan = planned(
        dag(
            noop("a"),
            noop("b", when="steps.a.output.x == 1"),
            noop("c", on_error="continue", parameters={"x": "{{ has(steps.b.output) }}"}),
            step(
                "m",
                "@control/map",
                items="{{ steps.a.output.list }}",
                steps=[noop("i")],
                outputs="{{ steps.i.output }}",
            ),
            step("r", "@control/return", outputs={"e": "{{ steps.c.error }}"}, reason="{{ steps.m.status }}"),
            noop("unread"),
            outputs={"m": "{{ steps.m.output }}"},
        )
    )
    assert {"a", "b", "i", "m"} == {one.id for one in plan.nodes if one.keeps_output}
    assert {"c"} == {one.id for one in plan.nodes if one.keeps_error}


def test_return_and_variables_are_compiled() -> None:
    plan = planned(
        dag(
            step("d", "@data/define", name="n", value="{{ 1 + 1 }}"),
            step("a", "@data/assign", name="n", value=[3]),
            step("r", "@control/return", result="failed", reason="no {{ vars.n }}"),
            step("s", "@control/return"),
            vars={"c": 1},
            settings={"timeout_s": 60, "priority": 5},
        )
    )
    defined, assigned = node(plan, "d"), node(plan, "a")
    assert ("define", "n", 2) == (defined.kind, defined.variable, rendered(defined.value))
    assert ("assign", "n", [3]) == (assigned.kind, assigned.variable, rendered(assigned.value))
    assert {"n": 0} == plan.variables
    assert ({"c": 1}, 60.0, 5) == (plan.constants, plan.timeout_s, plan.priority)
    failed, ended = node(plan, "r").returns, node(plan, "s").returns
    assert failed is not None
    assert ended is not None
    assert ("failed", None, "no 2") == (failed.result, failed.outputs, rendered(failed.reason, 2))
    assert ("success", None, None) == (ended.result, ended.outputs, ended.reason)


def test_bare_expressions_of_an_operator_are_not_rendered() -> None:
    fields = {"filter": 'item != "{{"', "map": "item", "pick": ["{{ inputs.field }}"]}
    plan = planned(dag(step("t", "@data/transform", items=[1, "{{ inputs.x }}"], **fields)))
    value = rendered(node(plan, "t").parameters, {"field": "f", "x": 7})
    assert {"items": [1, 7], "filter": 'item != "{{"', "map": "item", "pick": ["f"]} == value


def test_parameters_and_outputs_are_checked_by_their_schemas_in_words_without_the_value() -> None:
    plan = planned(
        dag(
            step("s", "@text/split", text="{{ inputs.secret }}", separator=","),
            noop("n", output_schema={"type": "object", "required": ["x"]}),
            step("g", "@json/get", value=1, pointer=""),
        )
    )
    check = node(plan, "s").parameter_faults
    assert check is not None
    assert [] == check({"text": "a", "separator": ","})
    (message,) = check({"text": ["sesame"], "separator": ","})
    assert "/text" in message
    assert "sesame" not in message
    assert node(plan, "s").output_faults is not None
    output = node(plan, "n").output_faults
    assert output is not None
    assert 1 == len(output({}))
    assert node(plan, "g").output_faults is None
    assert node(plan, "s").compute is computed
    assert node(plan, "n").compute is None


def test_s45_inputs_are_completed_with_nested_defaults_then_checked() -> None:
    schema = {
        "type": "object",
        "properties": {
            "region": {"type": "string", "default": "eu"},
            "page": {"$ref": "#/$defs/page"},
            "rows": {"type": "array", "items": {"properties": {"n": {"default": 1}}}},
            "set": {"default": {}, "properties": {"deep": {"default": [1]}}},
            "nullable": {"default": 7},
            "same": True,
        },
        "allOf": [{"properties": {"other": {"default": 2}}}, {"$ref": "#/$defs/none"}],
        "$defs": {"page": {"properties": {"size": {"type": "integer", "default": 10}}}, "none": {}},
        "required": ["region", "page"],
    }
    complete = planned(dag(noop("a"), inputs=schema)).inputs_complete
    given: dict[str, Any] = {"page": {}, "rows": [{}, {"n": 5}, 7], "nullable": None, "same": {}}
    whole = {
        "page": {"size": 10}, "rows": [{"n": 1}, {"n": 5}, 7], "nullable": None, "same": {},
        "other": 2, "region": "eu", "set": {"deep": [1]},
    }  # fmt: skip
    assert (whole, []) == complete(given)
    assert {"page": {}, "rows": [{}, {"n": 5}, 7], "nullable": None, "same": {}} == given
    _, faults = complete({"page": {"size": "x"}, "region": 1})
    assert ["/page/size", "/region"] == sorted(fault["pointer"] for fault in faults)
    assert [{"pointer": "", "message": "the field page is missing"}] == complete({})[1]


def test_without_a_schema_any_object_is_an_input() -> None:
    complete = planned(dag(noop("a"))).inputs_complete
    assert ({"x": 1}, []) == complete({"x": 1})
    assert 1 == len(complete([1])[1])


def test_circle_of_references_ends() -> None:
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    assert ({"x": 1}, []) == planned(dag(noop("a"), inputs=schema)).inputs_complete({"x": 1})


@pytest.mark.parametrize("name", valid_documents())
def test_valid_document_compiles_with_every_place_consistent(name: str) -> None:
    dag_ = parse_dag(valid_documents()[name], catalog=CATALOG)
    plan = compile_dag(dag_, dag_id="d", version="v1.0.0", content_hash="h", catalog=CATALOG, computations=COMPUTATIONS)
    for index, one in enumerate(plan.nodes):
        assert index == one.index == plan.by_id[one.id]
        assert index == plan.regions[plan.lists[one.list].region].nodes[one.slot]
        assert all(index in plan.nodes[other].downstream for other in one.upstream)
        assert (one.kind == "pure") is (one.compute is not None)


def test_operator_that_nobody_declared_is_a_programming_error() -> None:
    known = parsed(dag(noop("a")))
    with pytest.raises(KeyError):
        compile_dag(known, dag_id="d", version="v1.0.0", content_hash="h", catalog={}, computations={})


def test_s16_step_that_is_called_once_at_most_is_not_retried() -> None:
    known = parsed(dag(step("a", "@http/request", url="http://x/")))
    once = msgspec.structs.replace(known, steps=(msgspec.structs.replace(known.steps[0], at_most_once=True),))
    plan = compile_dag(once, dag_id="d", version="v1.0.0", content_hash="h", catalog=CATALOG, computations={})
    assert NO_RETRY == plan.nodes[0].retry
