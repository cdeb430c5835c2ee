"""From values of CEL to JSON: what leaves an expression (semantics.md S34, S35)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from core.expression.value import (
    VALUE_DEPTH_MAX,
    BoolKey,
    ExpressionFailed,
    Fuel,
    TypeName,
    Value,
    cost_of_text,
    failed,
    is_list,
    is_map,
    kind_of,
)

# More elements than any value in memory has: what is read whole and only handed on is not paid for.
_UNBOUNDED: Final = 1 << 62
_SCALARS: Final = frozenset({type(None), bool, int, float})
# A control character takes six bytes in JSON text, a quote two; the text is made once as bytes and once as characters.
_WORST_ESCAPE: Final = 6
_MAKE_COUNT: Final = 2
# Texts below one fuel's worth are paid with their element.
_SHORT: Final = 1 << 6
_MICROSECONDS: Final = 1_000_000
_encode = msgspec.json.Encoder().encode


def to_json(value: Value, fuel: Fuel | None = None) -> Value:
    """Turn a value into JSON: timestamps into RFC 3339 text in UTC, durations into seconds, bytes into base64.

    Values that are JSON already come back as they are, not copied.

    Args:
        value: what a program gave.
        fuel: pays 1 per element and 1 per 64 bytes of text; without it only the depth is bounded.

    Raises:
        ExpressionFailed: out of fuel, or nested more than `VALUE_DEPTH_MAX` deep.
    """
    if type(value) in _SCALARS or type(value) is str:
        return value
    return _leave(value, fuel if fuel is not None else Fuel(_UNBOUNDED), cost_of_text, 0)


def json_text(value: Value, fuel: Fuel) -> str:
    """Write a value as compact JSON; burns 1 per element and what the text costs before it is made.

    Raises:
        ExpressionFailed: kind `limit` when the fuel does not pay for it.
    """
    return _encode(_leave(value, fuel, cost_of_json_text, 0)).decode()


# Gives the fuel that a text of at least `_SHORT` characters costs.
_Cost: TypeAlias = Callable[[str], int]


def _leave(value: Value, fuel: Fuel, cost: _Cost, depth: int) -> Value:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is str:
        fuel.burn(cost(value))
        return value
    if depth > VALUE_DEPTH_MAX:
        raise ExpressionFailed("limit", f"a value is nested more than {VALUE_DEPTH_MAX} levels deep")
    if is_list(value):
        return _leave_list(value, fuel, cost, depth)
    if is_map(value):
        return _leave_map(value, fuel, cost, depth)
    return _leave_scalar(value, fuel)


def _leave_list(items: Sequence[Value], fuel: Fuel, cost: _Cost, depth: int) -> Value:
    fuel.burn(len(items))
    copied: list[Value] | None = None if type(items) is list else list(items)
    for position, item in enumerate(items):
        if type(item) in _SCALARS or (type(item) is str and len(item) < _SHORT):
            continue
        left = _leave(item, fuel, cost, depth + 1)
        if left is not item:
            copied = list(items) if copied is None else copied
            copied[position] = left
    return items if copied is None else copied


def _leave_map(entries: Mapping[Value, Value], fuel: Fuel, cost: _Cost, depth: int) -> Value:
    fuel.burn(len(entries))
    changed: dict[Value, Value] = {}
    has_other_keys = type(entries) is not dict
    for key, value in entries.items():
        if type(key) is not str:
            has_other_keys = True
        elif len(key) >= _SHORT:
            fuel.burn(cost(key))
        if type(value) in _SCALARS or (type(value) is str and len(value) < _SHORT):
            continue
        left = _leave(value, fuel, cost, depth + 1)
        if left is not value:
            changed[key] = left
    if not has_other_keys:
        return {**entries, **changed} if changed else entries
    named = {_key_text(key): changed.get(key, value) for key, value in entries.items()}
    if len(named) < len(entries):
        raise failed("two keys of a map are the same text")
    return named


def _key_text(key: Value) -> str:
    if isinstance(key, BoolKey):
        return "true" if key.truth else "false"
    return str(key)


def _leave_scalar(value: Value, fuel: Fuel) -> Value:
    match value:
        case datetime():
            return timestamp_text(value)
        case timedelta():
            return duration_seconds(value)
        case bytes():
            fuel.burn(cost_of_text(value) * _MAKE_COUNT)
            return base64.b64encode(value).decode()
        case TypeName(name=name):
            return name
        case _:
            raise failed(f"a value of type {kind_of(value)} has no JSON form")


def timestamp_text(at: datetime) -> str:
    """Write a timestamp as RFC 3339 in UTC, with three or six digits after the second when it has such."""
    utc = at.astimezone(UTC).replace(tzinfo=None)
    if utc.microsecond % 1000:
        return utc.isoformat(timespec="microseconds") + "Z"
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds") + "Z"


def duration_seconds(duration: timedelta) -> int | float:
    """Give a duration in seconds: an integer when it is whole."""
    whole, part = divmod(duration, timedelta(seconds=1))
    return duration.total_seconds() if part else whole


def duration_text(duration: timedelta) -> str:
    """Write a duration as CEL does: `90s`, `1.500s`."""
    count = duration // timedelta(microseconds=1)
    whole, part = divmod(abs(count), _MICROSECONDS)
    digits = f".{part:06}" if part % 1000 else f".{part // 1000:03}" if part else ""
    return f"{'-' if count < 0 else ''}{whole}{digits}s"


def cost_of_json_text(text: str) -> int:
    """Give the fuel for writing a text as JSON: made once as bytes and once as characters, longer by its escapes."""
    if len(text) < _SHORT:
        return 0
    cost = cost_of_text(text) * _MAKE_COUNT
    return cost if text.isprintable() and '"' not in text and "\\" not in text else cost * _WORST_ESCAPE
