"""Values at run time, and the fuel that bounds what an evaluation may do with them.

JSON's values are themselves; CEL adds timestamps (aware `datetime`), durations (`timedelta`), `bytes` and types. Both
times count microseconds. A list may be any `Sequence` and a map any `Mapping`: the engine passes lists that load their
chunks when they are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import msgspec

Value: TypeAlias = Any

# Fuel of one evaluation (architecture.md 4): at 0.1-0.4 us each, about 30 ms of the interpreter at worst.
FUEL_AMOUNT: Final = 100_000
# One fuel pays for this many bytes read or written: 1 << 6 = 64.
FUEL_BYTES_SHIFT: Final = 6
# A failure that a condition absorbs: raising and catching it takes as long as so many steps.
FAILURE_FUEL: Final = 12
# Entering one list or map of a value that is walked takes as long as so many elements.
CONTAINER_FUEL: Final = 3
INT_MAX: Final = 2**63 - 1
INT_MIN: Final = -(2**63)
# Deepest value that is walked: documents and payloads are cut at 64, an expression may wrap them 32 times.
VALUE_DEPTH_MAX: Final = 128
# Longest duration, of either sign: 2^63 nanoseconds, as in CEL.
DURATION_MAX: Final = timedelta(microseconds=INT_MAX // 1000)


class ExpressionFailed(Exception):
    """An evaluation gave no value. The only exception that a program raises by itself.

    Args:
        kind: `limit` when fuel or a size ran out, else `expression`; both are error kinds of a task (semantics.md S13).
        message: a sentence for the author of the DAG; it may quote a name, never a value.
    """

    def __init__(self, kind: Literal["expression", "limit"], message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def failed(message: str) -> ExpressionFailed:
    """Make the failure of kind `expression`."""
    return ExpressionFailed("expression", message)


def out_of_fuel() -> ExpressionFailed:
    """Make the failure of kind `limit` for spent fuel."""
    return ExpressionFailed("limit", "the expression does too much: its fuel is spent")


class Fuel:
    """What evaluations may still do. Shared by all that are part of one decision; never refilled."""

    __slots__ = ("left",)

    def __init__(self, amount: int = FUEL_AMOUNT) -> None:
        self.left = amount

    def burn(self, n: int) -> None:
        """Spend `n`; raise `ExpressionFailed` of kind `limit` when that is more than there is."""
        self.left -= n
        if self.left < 0:
            raise out_of_fuel()


class _Absent:
    """The type of `ABSENT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


# A slot without a value: output of a step that has none. Reading it errs, `has()` of it is false.
ABSENT: Final = _Absent()


class TypeName(msgspec.Struct, frozen=True):
    """A CEL type as a value: what `type(x)` gives and what `int`, `string` and so on mean alone."""

    name: str


class BoolKey(msgspec.Struct, frozen=True):
    """A boolean as key of a map: Python's `True` would meet the integer 1 there."""

    truth: bool


TRUE_KEY: Final = BoolKey(truth=True)
FALSE_KEY: Final = BoolKey(truth=False)


def is_list(value: Value) -> bool:
    """Tell whether a value is a list of CEL."""
    return type(value) is list or (isinstance(value, Sequence) and not isinstance(value, (str, bytes)))


def is_map(value: Value) -> bool:
    """Tell whether a value is a map of CEL."""
    return type(value) is dict or isinstance(value, Mapping)


_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    list: "list",
    dict: "map",
    bytes: "bytes",
    datetime: "timestamp",
    timedelta: "duration",
    TypeName: "type",
}


def kind_of(value: Value) -> str:
    """Name the kind of a value, for messages and for `type()`."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, datetime):  # a subclass of datetime, as virtual clocks have
        return "timestamp"
    if isinstance(value, Mapping):
        return "map"
    return "list" if is_list(value) else "opaque"


def key_of(value: Value) -> Value:
    """Turn a value into a key that a dict can hold; raise `ExpressionFailed` for one that is no key."""
    if type(value) is str or type(value) is int:
        return value
    if type(value) is bool:
        return TRUE_KEY if value else FALSE_KEY
    raise failed(f"a map has no keys of type {kind_of(value)}")


def value_of_key(key: Value) -> Value:
    """Turn a key of a dict back into the value that was written."""
    return key.truth if type(key) is BoolKey else key


def cost_of_text(text: str | bytes) -> int:
    """Give the fuel for reading or building a text once: wide characters take up to four bytes each."""
    if type(text) is str and not text.isascii():
        return len(text) >> (FUEL_BYTES_SHIFT - 2)
    return len(text) >> FUEL_BYTES_SHIFT


_SAME_TYPE: Final = frozenset({int, float, type(None), bool, datetime, timedelta, TypeName})


def are_equal(a: Value, b: Value, fuel: Fuel, depth: int = 0) -> bool:
    """Compare two values as CEL does: numbers by amount, other kinds only with themselves, lists and maps deeply.

    Burns 1 per element looked at, 3 per list or map, and 1 per 64 bytes of text.
    """
    kind = type(a)
    if a is b:
        return True
    if kind is type(b):
        if kind is str or kind is bytes:
            if len(a) != len(b):
                return False
            fuel.burn(cost_of_text(a))
            return bool(a == b)
        if kind in _SAME_TYPE:
            return bool(a == b)
    elif (kind is int and type(b) is float) or (kind is float and type(b) is int):
        return float(a) == float(b)  # widened, as in arithmetic, though the integer may lose its last digits (S30)
    if depth > VALUE_DEPTH_MAX:
        raise ExpressionFailed("limit", f"a value is nested more than {VALUE_DEPTH_MAX} levels deep")
    fuel.burn(CONTAINER_FUEL)
    if is_list(a):
        return is_list(b) and _are_equal_lists(a, b, fuel, depth)
    if is_map(a):
        return is_map(b) and _are_equal_maps(a, b, fuel, depth)
    return isinstance(a, datetime) and isinstance(b, datetime) and a == b


def _are_equal_lists(a: Sequence[Value], b: Sequence[Value], fuel: Fuel, depth: int) -> bool:
    if len(a) != len(b):
        return False
    for left, right in zip(a, b, strict=True):
        fuel.left -= 1
        kind = type(left)
        if kind is type(right) and kind in _SAME_TYPE:
            if left != right:
                return False
        elif not are_equal(left, right, fuel, depth + 1):
            return False
        if fuel.left < 0:
            raise out_of_fuel()
    return True


def _are_equal_maps(a: Mapping[Value, Value], b: Mapping[Value, Value], fuel: Fuel, depth: int) -> bool:
    if len(a) != len(b):
        return False
    for key, left in a.items():
        fuel.left -= 1
        right = b.get(key, ABSENT)
        kind = type(left)
        if kind is type(right) and kind in _SAME_TYPE:
            if left != right:
                return False
        elif right is ABSENT or not are_equal(left, right, fuel, depth + 1):
            return False
        if fuel.left < 0:
            raise out_of_fuel()
    return True


def finite(number: float) -> float:
    """Let a double through unless it is NaN or infinite, which JSON does not have (semantics.md S30)."""
    if math.isfinite(number):
        return number
    raise failed("the result is not a finite number")
