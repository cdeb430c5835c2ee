"""What is certain of a value whose templates are not rendered yet, and schemas of places inside values."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from core.dag.fault import Faults
from core.dag.json_schema import check_value, schema_at, validator

NUMBERS = {"type": "array", "items": {"type": "integer"}}
CASES: list[tuple[list[str], dict[str, Any], Any, list[str]]] = [
    ([""], {"enum": ["a"]}, {"x": 1}, []),
    ([""], {"required": ["y"]}, {"x": "{{ 1 }}"}, ["/x"]),
    ([], {"enum": [{"x": 1}]}, {"x": "{{ 1 }}"}, ["/x"]),
    ([], {"properties": {"x": {"const": 1}}}, {"x": "{{ 1 }}"}, ["/x"]),
    (["/x"], {"properties": {"x": {"anyOf": [{"type": "integer"}, NUMBERS]}}}, {"x": ["a", "{{ 1 }}"]}, ["/x/1"]),
    ([], {"properties": {"x": {"anyOf": [{"type": "integer"}, NUMBERS]}}}, {"x": ["{{ 1 }}", 2]}, ["/x/0"]),
    (["/x"], {"properties": {"x": {"oneOf": [{"type": "integer"}, NUMBERS]}}}, {"x": [True, "{{ 1 }}"]}, ["/x/1"]),
    ([""], {"not": {"required": ["x", "y"]}}, {"x": "{{ 1 }}", "y": 1}, ["/x"]),
    ([""], {"not": {"anyOf": [{"required": ["x"]}, {"not": {"required": ["y"]}}]}}, {"x": "{{ 1 }}"}, ["/x"]),
    ([""], {"not": {"anyOf": [True]}}, {"x": "{{ 1 }}"}, ["/x"]),
    ([], {"not": {"properties": {"x": {"type": "string"}}}}, {"x": "{{ 1 }}"}, ["/x"]),
    ([""], {"oneOf": [{"required": ["x"]}, {"required": ["y"]}]}, {"x": "{{ 1 }}", "y": 1}, ["/x"]),
    ([], {"oneOf": [{"type": "object"}, {"properties": {"x": {"type": "string"}}}]}, {"x": "{{ 1 }}"}, ["/x"]),
    ([""], {"allOf": [{}, {"maxProperties": 1}]}, {"x": "{{ 1 }}", "y": 1}, ["/x"]),
    ([""], {"allOf": [{}, {"not": {"required": ["x"]}}]}, {"x": "{{ 1 }}"}, ["/x"]),
    ([""], {"$ref": "#/$defs/a", "$defs": {"a": {"not": {"required": ["x"]}}}}, {"x": "{{ 1 }}"}, ["/x"]),
]


@pytest.mark.parametrize(("expected", "schema", "value", "templates"), CASES)
def test_only_what_no_template_can_mend_is_a_fault(
    expected: list[str], schema: dict[str, Any], value: Any, templates: list[str]
) -> None:
    faults = Faults()
    check_value(schema, value, "", "code", faults, templates=templates)
    assert expected == [fault.pointer for fault in faults.found]


SCHEMA: dict[str, Any] = {
    "properties": {
        "list": {"items": {"$ref": "#/$defs/n"}},
        "pair": {"prefixItems": [{}], "items": False},
        "map": {"additionalProperties": {"type": "string"}},
        "open": {},
        "yes": True,
    },
    "$defs": {"n": {"type": "integer"}},
}


def test_reference_is_followed_into_lists_and_nowhere_else() -> None:
    schema = {"allOf": [{}, {"type": "string"}]}
    assert {"type": "string"} == schema_at(schema | {"properties": {"x": {"$ref": "#/allOf/1"}}}, ["x"])
    for reference in ("#/allOf/7", "#/allOf/1/type/x", "#/none/x"):
        assert schema_at(schema | {"properties": {"x": {"$ref": reference}}}, ["x"]) is None


@pytest.mark.parametrize("address", ["http://elsewhere.test/schema", "file:///etc/hostname"])
def test_reference_to_another_place_is_never_fetched(address: str) -> None:
    inside = {"$defs": {"other": {"$id": address, "type": "integer"}}, "items": {"$ref": address}}
    assert validator(inside).is_valid([1])

    with pytest.raises(jsonschema_rs.ValidationError, match=f"{address} is outside of the schema"):
        validator({"items": {"$ref": address}})


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        (SCHEMA, []),
        ({"type": "integer"}, ["list", "3"]),
        ({}, ["pair", "0"]),
        ({"type": "string"}, ["map", "any"]),
        ({}, ["open", "x", "y"]),
        ({}, ["yes", "x"]),
        ({}, ["none"]),
    ],
)
def test_schema_of_a_place_is_found_where_it_is_said_plainly(expected: Any, names: list[str]) -> None:
    assert expected == schema_at(SCHEMA, names)
