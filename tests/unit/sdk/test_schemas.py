"""Schemas for inputs, written shorter or taken from types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from flow_automation import array, boolean, integer, number, record, schema_of, text
from tests.dags.check import dag, faults, noop


class Address(msgspec.Struct):
    city: str


class Order(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    kind: Literal["a", "b"]
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    addresses: list[Address] = []


class Tree(msgspec.Struct):
    children: list[Tree] = []


def test_short_forms_give_plain_json_schema() -> None:
    wanted = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "enum": ["x"]},
            "b": {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 3},
            "c": {"type": "number", "default": 1.5},
            "d": {"type": "boolean"},
        },
        "required": ["a"],
        "additionalProperties": False,
    }
    given = {
        "a": text(enum=["x"]),
        "b": array(integer(minimum=1), maxItems=3),
        "c": number(default=1.5),
        "d": boolean(),
    }

    assert wanted == record(given, required=["a"], is_closed=True)
    assert {"type": "object", "properties": {}} == record({})


def test_schema_of_a_type_stands_in_place_with_its_parts_defined() -> None:
    schema = schema_of(Order)

    assert ["id", "kind"] == schema["required"]
    assert {"type": "integer", "minimum": 1, "default": 1} == schema["properties"]["count"]
    assert schema["additionalProperties"] is False
    assert "Address" in schema["$defs"]
    assert "$defs" not in schema_of(Address)
    assert {"type": "integer"} == schema_of(int)


def test_schema_of_a_type_that_holds_itself_keeps_its_definition() -> None:
    assert "Tree" in schema_of(Tree)["$defs"]


@pytest.mark.parametrize("python_type", [Order, Address, Tree])
def test_schema_of_a_type_is_taken_by_the_language(python_type: Any) -> None:
    assert [] == faults(dag(noop("a", parameters={"x": "{{ inputs }}"}), inputs=schema_of(python_type)))
