"""The page of operators is the catalogue's, and its examples are steps that a DAG can hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.dag.service import DagService
from driven_adapters.memory import MemoryDefinitionStore, MemoryStore
from driven_adapters.system import SystemClock, UlidSource
from tests.dags.built_in import built_in_catalog
from tests.docs.operators_page import PAGE, notes, operators_page, words

EXAMPLES = {name: note["example"] for name, note in notes().items() if "example" in note}
# What the examples read.
INPUTS = {
    "type": "object",
    "properties": {"amount": {"type": "number"}, "names": {"type": "array"}, "orders": {"type": "array"}},
    "required": ["amount", "names", "orders"],
}


def test_page_of_operators_is_what_the_catalogue_says() -> None:
    hint = "python -m tests.docs.operators_page"
    assert PAGE.read_text("utf-8") == operators_page(built_in_catalog(), notes()), hint


def test_operator_that_runs_is_explained_with_its_name() -> None:
    available = {name for name, spec in built_in_catalog().items() if spec.is_available}
    assert available == set(notes())


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example_of_an_operator_is_a_valid_step(name: str) -> None:
    clock = SystemClock()
    service = DagService(MemoryDefinitionStore(MemoryStore(clock)), clock, UlidSource(), built_in_catalog())
    document = {"title": "Example", "inputs": INPUTS, "steps": [EXAMPLES[name]]}
    assert [] == list(service.validate(msgspec.json.encode(document), "json"))
    assert name == EXAMPLES[name]["operator"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "any JSON"),
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 5}}, "list of integer 1..5"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": "object", "properties": {"ok": {"type": "boolean"}}}, "{ok: true or false}"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "text or integer"),
        ({"type": "number", "exclusiveMinimum": 0}, "number above 0"),
    ],
)
def test_shape_is_told_in_words(schema: Any, expected: str) -> None:
    assert expected == words(schema)
