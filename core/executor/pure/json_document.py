"""`@json/parse`, `@json/get`, `@json/set`: JSON text, and places in a JSON value by RFC 6901 pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from core.dag.catalog import OperatorSpec
from core.executor.operator import ComputeFailed, PureOperator
from core.executor.pure.fuel import burn_bytes
from core.expression import Fuel
from pkg.json_value import json_fault, json_size

POINTER_CHARS_MAX = 2048  # as an expression; a pointer is a path through at most 128 levels

_ABSENT = object()


def parse(parameters: Any, now: datetime, fuel: Fuel) -> Any:
    """Read `text` as JSON; a key given twice has its last value."""
    del now
    text = parameters["text"]
    burn_bytes(fuel, len(text))
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ComputeFailed("invalid", f"the text is no JSON: {type(error).__name__}") from error
    if (fault := json_fault(value)) is not None:
        raise ComputeFailed("invalid", f"the text is no JSON: {fault}")
    fuel.burn(json_size(value))
    return value


def get(parameters: Any, now: datetime, fuel: Fuel) -> Any:
    """Give what stands at `pointer` in `value`; absent = `default`, without one kind `not_found`."""
    del now
    keys = _keys(parameters["pointer"], fuel)
    node = parameters["value"]
    for key in keys:
        node = _child(node, key)
        if node is _ABSENT:
            if "default" in parameters:
                return parameters["default"]
            raise ComputeFailed("not_found", f"nothing at {parameters['pointer']!r}")
    return node


def put(parameters: Any, now: datetime, fuel: Fuel) -> Any:
    """Give a copy of `value` in which `pointer` is `to`.

    A missing last key is added, `-` appends to a list; a missing parent is kind `not_found`. What is not on the way is
    shared with the original, as values never change.
    """
    del now
    return _put(parameters["value"], _keys(parameters["pointer"], fuel), parameters["to"], fuel)


def _keys(pointer: str, fuel: Fuel) -> list[str]:
    burn_bytes(fuel, len(pointer))
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ComputeFailed("invalid", "a pointer is empty or starts with /")
    keys = pointer[1:].split("/")
    fuel.burn(len(keys))
    if any("~" in key.replace("~0", "").replace("~1", "") for key in keys):
        raise ComputeFailed("invalid", "in a pointer ~ stands before 0 or 1")
    return [key.replace("~1", "/").replace("~0", "~") for key in keys]


def _child(node: Any, key: str) -> Any:
    if isinstance(node, Mapping):
        return node.get(key, _ABSENT)
    place = _place(node, key)
    return _ABSENT if place is None else node[place]


def _place(node: Any, key: str) -> int | None:
    """Give the index that this key names in a list: decimal without leading zero (RFC 6901), inside it."""
    if not isinstance(node, Sequence) or isinstance(node, str) or not (key.isascii() and key.isdigit()):
        return None
    if len(key) > len(str(len(node))) or (key[0] == "0" and key != "0"):
        return None
    return int(key) if int(key) < len(node) else None


def _put(value: Any, keys: list[str], to: Any, fuel: Fuel) -> Any:
    parents: list[Any] = []
    node = value
    for depth, key in enumerate(keys):
        parents.append(node)
        node = _child(node, key)
        if node is _ABSENT and depth < len(keys) - 1:
            raise ComputeFailed("not_found", f"nothing at {'/'.join(['', *keys[: depth + 1]])!r}")
    for parent, key in zip(reversed(parents), reversed(keys), strict=True):
        to = _with_child(parent, key, to, fuel)
    return to


def _with_child(parent: Any, key: str, child: Any, fuel: Fuel) -> Any:
    if isinstance(parent, Mapping):
        fuel.burn(len(parent) + 1)
        return {**parent, key: child}
    if not isinstance(parent, Sequence) or isinstance(parent, str):
        raise ComputeFailed("not_found", f"{key!r} is in no object and no list")
    fuel.burn(len(parent) + 1)
    if key == "-":
        return [*parent, child]
    place = _place(parent, key)
    if place is None:
        raise ComputeFailed("not_found", f"the list has no place {key!r}")
    return [*parent[:place], child, *parent[place + 1 :]]


def _spec(name: str, title: str, properties: dict[str, Any], required: list[str]) -> OperatorSpec:
    return OperatorSpec(
        name=name,
        title=title,
        kind="pure",
        parameters={"type": "object", "properties": properties, "required": required, "additionalProperties": False},
        output={},
        has_side_effects=False,
        dry_run="runs",
    )


_POINTER = {"type": "string", "maxLength": POINTER_CHARS_MAX}

JSON_OPERATORS = (
    PureOperator(_spec("@json/parse", "Read JSON", {"text": {"type": "string"}}, ["text"]), parse),
    PureOperator(
        _spec("@json/get", "Get a part", {"value": {}, "pointer": _POINTER, "default": {}}, ["value", "pointer"]), get
    ),
    PureOperator(
        _spec("@json/set", "Set a part", {"value": {}, "pointer": _POINTER, "to": {}}, ["value", "pointer", "to"]), put
    ),
)
