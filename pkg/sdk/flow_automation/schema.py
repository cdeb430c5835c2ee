"""JSON Schemas (2020-12) for inputs and outputs, written shorter than by hand or taken from a Python type."""

from __future__ import annotations

from typing import Any

import msgspec

from flow_automation.policy import JsonSchema

_REFERENCE = "#/$defs/"


def text(**keywords: Any) -> JsonSchema:
    """Declare a text; further keywords of JSON Schema as they are: `enum`, `pattern`, `default` ..."""
    return {"type": "string", **keywords}


def integer(**keywords: Any) -> JsonSchema:
    """Declare an integer."""
    return {"type": "integer", **keywords}


def number(**keywords: Any) -> JsonSchema:
    """Declare a number."""
    return {"type": "number", **keywords}


def boolean(**keywords: Any) -> JsonSchema:
    """Declare a boolean."""
    return {"type": "boolean", **keywords}


def array(items: JsonSchema, **keywords: Any) -> JsonSchema:
    """Declare a list of one kind of item."""
    return {"type": "array", "items": items, **keywords}


def record(
    properties: dict[str, JsonSchema], *, required: list[str] | None = None, is_closed: bool = False
) -> JsonSchema:
    """Declare an object: `required` None = no field has to be given; `is_closed` refuses undeclared fields."""
    schema: JsonSchema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema | ({"additionalProperties": False} if is_closed else {})


def schema_of(python_type: Any) -> JsonSchema:
    """Give the schema of a `TypedDict`, dataclass or `msgspec.Struct`, with its defaults and constraints.

    Raises:
        TypeError: the type has no JSON form.
    """
    schema = msgspec.json.schema(python_type)
    reference = schema.get("$ref", "")
    if not reference.startswith(_REFERENCE):
        return schema
    # The outermost type stands in place, so that its properties are at hand where paths are checked.
    definitions: dict[str, JsonSchema] = dict(schema["$defs"])
    outermost = definitions[reference.removeprefix(_REFERENCE)]
    is_needed = len(definitions) > 1 or reference in msgspec.json.encode(outermost).decode()
    return outermost | ({"$defs": definitions} if is_needed else {})
