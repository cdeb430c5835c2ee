"""Reading JSON inside an expression: bounded before it is decoded, and nothing that a border would refuse."""

from __future__ import annotations

from typing import Final

import msgspec

from core.expression.value import (
    CONTAINER_FUEL,
    FUEL_BYTES_SHIFT,
    INT_MAX,
    INT_MIN,
    ExpressionFailed,
    Fuel,
    Value,
    failed,
)

# As deep as documents and payloads may be (dag-language.md 1).
JSON_DEPTH_MAX: Final = 64
_DECODER: Final = msgspec.json.Decoder()
_LEAVES: Final = frozenset({str, bool, float, type(None)})


def read_json(text: str, fuel: Fuel) -> Value:
    """Read one JSON value.

    Burns 1 per element or entry, 3 per list or map, and 1 per 64 bytes. Before decoding it looks whether the fuel
    would pay for as many elements as the text has commas and brackets: what it builds is bounded by that.

    Raises:
        ExpressionFailed: kind `expression` for text that is no JSON, an integer over 64 bits, or over 64 levels; kind
            `limit` out of fuel.
    """
    # One wide character, also an escaped one, makes every character of its text take four bytes.
    is_wide = not text.isascii() or "\\u" in text
    fuel.burn(len(text) >> (FUEL_BYTES_SHIFT - 2 if is_wide else FUEL_BYTES_SHIFT))
    brackets = text.count("[") + text.count("{")
    if brackets + text.count(",") > fuel.left:
        raise ExpressionFailed("limit", "the expression does too much: the JSON text has more elements than its fuel")
    try:
        value = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise failed("the text is not JSON") from None
    _admit(value, fuel, 0)
    return value


def _admit(value: Value, fuel: Fuel, depth: int) -> None:
    kind = type(value)
    if kind in _LEAVES:
        return
    if kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise failed("the JSON has an integer over 64 bits")
        return
    if depth >= JSON_DEPTH_MAX:
        raise failed(f"the JSON is nested more than {JSON_DEPTH_MAX} levels deep")
    fuel.burn(len(value) + CONTAINER_FUEL)
    for item in value if kind is list else value.values():
        kind = type(item)
        if kind not in _LEAVES and not (kind is int and INT_MIN <= item <= INT_MAX):
            _admit(item, fuel, depth + 1)
