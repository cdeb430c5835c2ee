from typing import Any

import pytest

from core.expression import can_be, type_of_schema
from core.expression.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    NUMBER,
    SCHEMA_COUNT_MAX,
    STRING,
    TIMESTAMP,
    Type,
    join,
    list_of,
    map_of,
    object_of,
)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        (True, DYN),
        ({}, DYN),
        ({"type": "integer"}, INT),
        ({"type": "number"}, NUMBER),
        ({"type": "string", "format": "date-time"}, STRING),
        ({"type": "boolean"}, BOOL),
        ({"type": "null"}, NULL),
        ({"type": ["string", "null"]}, STRING),
        ({"type": ["string", "integer"]}, DYN),
        ({"type": [7]}, DYN),
        ({"type": 7}, DYN),
        ({"type": "odd"}, DYN),
        ({"type": "array"}, list_of(DYN)),
        ({"type": "array", "items": {"type": "integer"}}, list_of(INT)),
        ({"type": "array", "prefixItems": [{}], "items": {"type": "integer"}}, list_of(DYN)),
        ({"type": "object"}, map_of(DYN)),
        ({"type": "object", "additionalProperties": {"type": "string"}}, map_of(STRING)),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, object_of({"a": INT})),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, object_of({"a": DYN})),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, object_of({"a": DYN}, DYN)),
        ({"type": "object", "properties": {"a": {}}, "allOf": [{}]}, object_of({"a": DYN}, DYN)),
        ({"const": "x"}, STRING),
        ({"enum": [1, 2]}, INT),
        ({"enum": [1, 2.5]}, NUMBER),
        ({"enum": [1, "a"]}, DYN),
        ({"enum": [[1], [2]]}, Type("list")),
        ({"enum": []}, DYN),
        ({"$ref": "#/$defs/row", "$defs": {"row": {"type": "integer"}}}, INT),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}, STRING),
        ({"$ref": "#/$defs/none", "$defs": {}}, DYN),
        ({"$ref": "#/$defs/none/deeper", "$defs": {"none": True}}, DYN),
        ({"$ref": "https://elsewhere.example/schema"}, DYN),
        ({"$ref": 7}, DYN),
    ],
)
def test_schema_gives_the_type_that_it_says_plainly(schema: Any, kind: Type) -> None:
    assert kind == type_of_schema(schema)


def test_properties_without_a_type_are_those_of_an_object() -> None:
    assert object_of({"a": INT}) == type_of_schema({"properties": {"a": {"type": "integer"}}})


def test_schema_that_refers_to_itself_ends() -> None:
    schema = {
        "type": "object",
        "properties": {name: {"$ref": "#"} for name in "abc"},
    }

    kind = type_of_schema(schema)

    assert "map" == kind.kind
    assert SCHEMA_COUNT_MAX < 3**10


@pytest.mark.parametrize(
    ("actual", "wanted", "answer"),
    [
        (DYN, STRING, True),
        (STRING, DYN, True),
        (INT, NUMBER, True),
        (INT, DOUBLE, True),
        (NUMBER, INT, True),
        (DOUBLE, INT, False),
        (STRING, INT, False),
        (TIMESTAMP, STRING, True),
        (BYTES, STRING, True),
        (DURATION, NUMBER, True),
        (TIMESTAMP, NUMBER, False),
        (list_of(INT), list_of(STRING), False),
        (list_of(INT), list_of(NUMBER), True),
        (map_of(INT), object_of({}), True),
        (BOOL, BOOL, True),
    ],
)
def test_value_of_one_type_may_stand_where_another_is_wanted(actual: Type, wanted: Type, answer: bool) -> None:
    assert answer is can_be(actual, wanted)


def test_types_join_to_what_they_share() -> None:
    assert DYN == join([])
    assert INT == join([INT, INT])
    assert NUMBER == join([INT, DOUBLE])
    assert Type("list") == join([list_of(INT), list_of(STRING)])
    assert DYN == join([INT, STRING])
    assert "int" == str(INT)
