"""A DAG built in Python is the same document as one written by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dag.document import read_document
from core.dag.version import content_hash
from flow_automation import Dag, error, index, steps
from tests.dags.built_in import built_in_catalog
from tests.dags.check import parsed
from tests.dags.corpus import valid_values
from tests.unit.sdk.rebuilt import rebuilt

EXAMPLES = Path(__file__).parents[3] / "examples"
DOCUMENTS = valid_values() | {
    f"example {path.name}": read_document(path.read_bytes()).value for path in sorted(EXAMPLES.rglob("*.yaml"))
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(TEXTS, parts, max_size=4),
    max_leaves=12,
)


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_told_through_the_builder_is_the_same_document(name: str) -> None:
    value = DOCUMENTS[name]
    dag = rebuilt(value)

    assert value == dag.to_document()
    assert value == read_document(dag.to_yaml().encode(), "yaml").value
    assert value == read_document(dag.to_json().encode(), "json").value
    assert content_hash(value) == content_hash(dag.to_document())


def test_orders_built_in_python_are_the_orders_written_by_hand() -> None:
    assert DOCUMENTS["example orders.yaml"] == example("orders").build().to_document()


@given(VALUES)
def test_any_value_comes_back_from_yaml_and_json(value: Any) -> None:
    dag = Dag("T", constants={"kept": value})

    assert repr(value) == repr(read_document(dag.to_yaml().encode(), "yaml").value["vars"]["kept"])
    assert repr(value) == repr(read_document(dag.to_json().encode(), "json").value["vars"]["kept"])


@pytest.mark.parametrize(
    "text",
    ["on", "yes", "no", "null", "true", "1", "1e3", "0o17", "0x1F", "1_000", "~", "=", "<<", "2026-01-01", " a", "a: b",
     "- a", "#a", "a #b", "", "{{ steps.a.output }}", "a\nb\n", "é", "@http/request", ".5", "+1", "1:30", "NaN", ".inf"],
)  # fmt: skip
def test_text_stays_text_in_yaml(text: str) -> None:
    dag = Dag("T", constants={"kept": text, text: 1})

    assert {"kept": text, text: 1} == read_document(dag.to_yaml().encode(), "yaml").value["vars"]


def test_document_is_a_copy_that_later_steps_do_not_reach() -> None:
    dag = Dag("T")
    dag.step("a", "@debug/noop")
    before = dag.to_document()
    dag.step("b", "@debug/noop")

    assert ["a"] == [step["id"] for step in before["steps"]]


def test_equal_parts_are_written_out_twice_since_aliases_are_refused() -> None:
    shared = {"x": [1]}
    dag = Dag("T")
    dag.step("a", "@debug/noop", {"one": shared, "two": shared})

    assert {"one": shared, "two": shared} == read_document(dag.to_yaml().encode(), "yaml").value["steps"][0][
        "parameters"
    ]


def test_loop_and_try_are_written_as_by_hand() -> None:
    dag = Dag("T")
    each = dag.loop("each", "each", items=[1, 2], max_iterations=5, title="One by one")
    each.steps().step("w", "@debug/noop", {"n": each.item, "i": each.index, "before": each.last})
    each.break_when(steps.w.output.n == 2)
    each.outputs({"at": index})
    dag.loop("three", "count", limit=3).steps().step("x", "@debug/noop")
    while_ = dag.loop("some", "while", condition=index < 2)
    while_.steps().step("y", "@debug/noop")
    tried = dag.try_("tried", on_error="continue")
    tried.steps().step("a", "@debug/noop")
    tried.catch().step("c", "@debug/noop", {"why": error.message})
    tried.finally_().step("f", "@debug/noop")

    noop = {"operator": "@debug/noop"}
    read = {"n": "{{ loops.each.item }}", "i": "{{ loops.each.index }}", "before": "{{ loops.each.last }}"}
    assert [
        {"id": "each", "title": "One by one", "operator": "@control/loop",
         "parameters": {"mode": "each", "items": [1, 2], "max_iterations": 5, "break_when": "steps.w.output.n == 2",
                        "steps": [{"id": "w", **noop, "parameters": read}], "outputs": {"at": "{{ index }}"}}},
        {"id": "three", "operator": "@control/loop",
         "parameters": {"mode": "count", "limit": 3, "steps": [{"id": "x", **noop}]}},
        {"id": "some", "operator": "@control/loop",
         "parameters": {"mode": "while", "condition": "index < 2", "steps": [{"id": "y", **noop}]}},
        {"id": "tried", "operator": "@control/try", "on_error": "continue",
         "parameters": {"steps": [{"id": "a", **noop}],
                        "catch": [{"id": "c", **noop, "parameters": {"why": "{{ error.message }}"}}],
                        "finally": [{"id": "f", **noop}]}},
    ] == dag.to_document()["steps"]  # fmt: skip
    assert dag.to_document() == rebuilt(dag.to_document()).to_document()
    assert "T" == parsed(dag.to_document()).title


def test_hooks_and_settings_stand_together() -> None:
    dag = Dag("T", settings={"timeout_s": 60})
    dag.step("a", "@debug/noop")
    dag.on_failure().step("tell", "@debug/noop")
    dag.on_finish().step("clean", "@debug/noop")

    noop = {"operator": "@debug/noop"}
    wanted = {"timeout_s": 60, "on_failure": [{"id": "tell", **noop}], "on_finish": [{"id": "clean", **noop}]}
    assert wanted == dag.to_document()["settings"]


def test_built_dag_passes_the_checks_of_the_language() -> None:
    dag = example("orders").build()

    assert dag.title == parsed(dag.to_document()).title
    assert "@http/request" in built_in_catalog()
