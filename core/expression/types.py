"""Static types of expressions, and what a JSON Schema says about them (semantics.md S33)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

# How deep a schema is followed, references included; below that nothing is checked until it runs.
SCHEMA_DEPTH_MAX: Final = 32
# How many schemas are looked at for one type: references can make a small document a large tree.
SCHEMA_COUNT_MAX: Final = 2000


class Type(msgspec.Struct, frozen=True):
    """A type. `dyn` is anything; `number` is int or double.

    Args:
        kind: dyn, null, bool, int, double, number, string, bytes, list, map, timestamp, duration or type.
        element: of a list's elements or a map's values; for a map with `properties`, of every other key.
        properties: declared keys of a map, None when none are declared.
        is_closed: a map has no keys but its `properties`.
    """

    kind: str
    element: Type | None = None
    properties: Mapping[str, Type] | None = None
    is_closed: bool = False

    def __str__(self) -> str:
        return self.kind


DYN: Final = Type("dyn")
NULL: Final = Type("null")
BOOL: Final = Type("bool")
INT: Final = Type("int")
DOUBLE: Final = Type("double")
NUMBER: Final = Type("number")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
TIMESTAMP: Final = Type("timestamp")
DURATION: Final = Type("duration")
TYPE: Final = Type("type")
NUMBERS: Final = frozenset({"int", "double", "number"})


def list_of(element: Type) -> Type:
    """Give the type of lists of these elements."""
    return Type("list", element)


def map_of(element: Type) -> Type:
    """Give the type of maps with these values under any key."""
    return Type("map", element)


def object_of(properties: Mapping[str, Type], additional: Type | None = None) -> Type:
    """Give the type of maps with these keys; with `additional` also others, whose values have that type."""
    return Type("map", additional, properties, is_closed=additional is None)


def element_of(kind: Type) -> Type:
    """Give the type of a list's elements or a map's values."""
    return kind.element if kind.element is not None else DYN


def can_be(actual: Type, wanted: Type) -> bool:
    """Tell whether a value of one type may be one of another: false only when it surely is not.

    Args:
        actual: of an expression.
        wanted: of the place that it is put into; an integer fits a number and a double may be whole.
    """
    if "dyn" in (actual.kind, wanted.kind):
        return True
    if actual.kind in NUMBERS and wanted.kind in NUMBERS:
        return actual.kind != "double" or wanted.kind != "int"
    if actual.kind != wanted.kind:
        # What leaves an expression is JSON: times and bytes are text there, durations numbers (S34).
        return wanted.kind == _LEAVES_AS.get(actual.kind)
    if actual.kind == "list":
        return can_be(element_of(actual), element_of(wanted)) or actual.element is None
    return True


_LEAVES_AS: Final = {"timestamp": "string", "bytes": "string", "duration": "number", "type": "string"}


def join(types: Sequence[Type]) -> Type:
    """Give the type of a value that has one of these types."""
    if not types:
        return DYN
    first = types[0]
    if all(kind == first for kind in types):
        return first
    if all(kind.kind in NUMBERS for kind in types):
        return NUMBER
    if all(kind.kind == first.kind for kind in types) and first.kind in ("list", "map"):
        return Type(first.kind)
    return DYN


_OF_NAMES: Final = {"null": NULL, "boolean": BOOL, "integer": INT, "number": NUMBER, "string": STRING}
_OF_VALUES: Final[dict[type, Type]] = {
    type(None): NULL,
    bool: BOOL,
    int: INT,
    float: NUMBER,
    str: STRING,
    list: Type("list"),
    dict: Type("map"),
}
# Keywords that may add properties which are not listed beside them.
_OPENERS: Final = ("allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas", "$dynamicRef")


def type_of_schema(schema: Any) -> Type:
    """Give the type that a JSON Schema describes; what it does not say plainly is `dyn`.

    Args:
        schema: a schema (2020-12) as JSON value: an object or a boolean. `$ref` is followed within this document.
    """
    return _Schemas(schema).type_of(schema, 0)


class _Schemas:
    """Reads one schema document; bounded in depth and in how many schemas it looks at."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._left = SCHEMA_COUNT_MAX

    def type_of(self, schema: Any, depth: int) -> Type:
        self._left -= 1
        if not isinstance(schema, dict) or depth > SCHEMA_DEPTH_MAX or self._left < 0:
            return DYN
        if "$ref" in schema:
            return self.type_of(self._follow(schema["$ref"]), depth + 1)
        name = _single_name(schema.get("type", "object" if "properties" in schema else None))
        if name is None:
            return _type_of_values(schema) if "type" not in schema else DYN
        if name == "array":
            element = DYN if "prefixItems" in schema else self.type_of(schema.get("items"), depth + 1)
            return list_of(element)
        if name == "object":
            return self._type_of_object(schema, depth)
        return _OF_NAMES.get(name, DYN)

    def _type_of_object(self, schema: Mapping[str, Any], depth: int) -> Type:
        additional = schema.get("additionalProperties")
        other = self.type_of(additional, depth + 1) if additional not in (None, False) else None
        declared = schema.get("properties")
        if any(keyword in schema for keyword in _OPENERS):
            other = DYN
        if not isinstance(declared, dict):
            return map_of(other or DYN)
        return object_of({name: self.type_of(part, depth + 1) for name, part in declared.items()}, other)

    def _follow(self, reference: Any) -> Any:
        """Give what a reference within the document points to, None for any other."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        found = self._document
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or key not in found:
                return None
            found = found[key]
        return found


def _single_name(names: Any) -> str | None:
    """Give the one type that a schema allows; null beside it is left out, since paths through it are still checked."""
    if isinstance(names, str):
        return names
    others = [name for name in names if name != "null"] if isinstance(names, list) else []
    return others[0] if len(others) == 1 and isinstance(others[0], str) else None


def _type_of_values(schema: Mapping[str, Any]) -> Type:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and values:
        return join([_OF_VALUES.get(type(value), DYN) for value in values])
    return DYN
