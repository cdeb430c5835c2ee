"""A small value that fits a schema: what an operator gives in a simulation when nobody said what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEPTH_MAX = 16  # a schema that nests deeper is filled with null from there on
_OF_TYPE: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "null": None}


def sample_of(schema: Any, depth: int = 0) -> Any:
    """Give the plainest value that a JSON Schema of an operator's output lets through.

    It follows `const`, `default`, `enum`, the first of several types or alternatives, required properties, and least
    lengths and numbers; patterns and formats it does not.
    """
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        return None
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("oneOf", "anyOf", "allOf"):
        if word in schema:
            return sample_of(schema[word][0], depth + 1)
    named = schema.get("type", "object" if "properties" in schema else "null")
    kind = named if isinstance(named, str) else named[0]
    if kind == "object":
        known = schema.get("properties", {})
        return {name: sample_of(known.get(name), depth + 1) for name in schema.get("required", ())}
    if kind == "array":
        return [sample_of(schema.get("items"), depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return "x" * schema.get("minLength", 0)
    return schema.get("minimum", _OF_TYPE[kind])
