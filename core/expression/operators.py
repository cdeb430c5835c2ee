"""What the operators do with two values: arithmetic and its overflows, order, membership, selection (S30, S31)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from core.expression.moment import in_range, shift
from core.expression.value import (
    ABSENT,
    INT_MAX,
    INT_MIN,
    Fuel,
    Value,
    are_equal,
    cost_of_text,
    failed,
    finite,
    is_list,
    is_map,
    key_of,
    kind_of,
)

_NUMBERS: Final = frozenset({int, float})
_KEYS: Final = frozenset({str, int, bool})
_ORDERED: Final = frozenset({int, float, str, bool, bytes, timedelta})


def whole(number: int) -> int:
    """Let an integer through when it fits into 64 bits."""
    if INT_MIN <= number <= INT_MAX:
        return number
    raise failed("integer overflow: the result does not fit into 64 bits")


def _mismatch(sign: str, a: Value, b: Value) -> Exception:
    return failed(f"no operator {sign} for {kind_of(a)} and {kind_of(b)}")


def add(a: Value, b: Value, fuel: Fuel) -> Value:
    """Add numbers or times, or join two texts, bytes or lists; burns for what is built before it is."""
    kind, other = type(a), type(b)
    if kind is int and other is int:
        return whole(a + b)
    if kind in _NUMBERS and other in _NUMBERS:
        return finite(a + b)
    if (kind is str and other is str) or (kind is bytes and other is bytes):
        is_wide = kind is str and not (a.isascii() and b.isascii())
        fuel.burn((len(a) + len(b)) >> (4 if is_wide else 6))
        return a + b
    if isinstance(a, datetime) and other is timedelta:
        return shift(a, b)
    if kind is timedelta and isinstance(b, datetime):
        return shift(b, a)
    if kind is timedelta and other is timedelta:
        return in_range(a + b)
    if is_list(a) and is_list(b):
        fuel.burn(len(a) + len(b))
        return [*a, *b]
    raise _mismatch("+", a, b)


def subtract(a: Value, b: Value, _: Fuel) -> Value:
    """Subtract numbers or times."""
    kind, other = type(a), type(b)
    if kind is int and other is int:
        return whole(a - b)
    if kind in _NUMBERS and other in _NUMBERS:
        return finite(a - b)
    if kind is timedelta and other is timedelta:
        return in_range(a - b)
    if isinstance(a, datetime):
        if other is timedelta:
            return shift(a, -b)
        if isinstance(b, datetime):
            return in_range(a - b)
    raise _mismatch("-", a, b)


def multiply(a: Value, b: Value, _: Fuel) -> Value:
    """Multiply numbers."""
    kind, other = type(a), type(b)
    if kind is int and other is int:
        return whole(a * b)
    if kind in _NUMBERS and other in _NUMBERS:
        return finite(a * b)
    raise _mismatch("*", a, b)


def divide(a: Value, b: Value, _: Fuel) -> Value:
    """Divide numbers; two integers give an integer, cut towards zero."""
    kind, other = type(a), type(b)
    if kind not in _NUMBERS or other not in _NUMBERS:
        raise _mismatch("/", a, b)
    if b == 0:
        raise failed("division by zero")
    if kind is int and other is int:
        quotient = abs(a) // abs(b)
        return whole(quotient if (a < 0) == (b < 0) else -quotient)
    return finite(a / b)


def remainder(a: Value, b: Value, _: Fuel) -> Value:
    """Give the remainder with the sign of the dividend, as C does; doubles by `fmod`."""
    kind, other = type(a), type(b)
    if kind not in _NUMBERS or other not in _NUMBERS:
        raise _mismatch("%", a, b)
    if b == 0:
        raise failed("division by zero")
    if kind is int and other is int:
        # In CEL the quotient of the least integer and -1 overflows, and its remainder with it.
        if b == -1:
            return 0 if a != INT_MIN else whole(-a)
        rest = abs(a) % abs(b)
        return rest if a >= 0 else -rest
    return math.fmod(a, b)


ARITHMETIC: Final[Mapping[str, Callable[[Value, Value, Fuel], Value]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
}


def negate(value: Value) -> Value:
    """Change the sign of a number."""
    if type(value) is int:
        return whole(-value)
    if type(value) is float:
        return -value
    raise failed(f"no operator - for {kind_of(value)}")


ORDER: Final[Mapping[str, Callable[[Value, Value], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(sign: str, a: Value, b: Value, fuel: Fuel) -> bool:
    """Order two numbers, or two values of one kind: text by code points, false before true."""
    kind, other = type(a), type(b)
    if kind is other and kind in _ORDERED:
        if kind is str or kind is bytes:
            fuel.burn(min(cost_of_text(a), cost_of_text(b)))
        return ORDER[sign](a, b)
    if kind in _NUMBERS and other in _NUMBERS:
        return ORDER[sign](float(a), float(b))
    if isinstance(a, datetime) and isinstance(b, datetime):
        return ORDER[sign](a, b)
    raise _mismatch(sign, a, b)


def contains(item: Value, items: Value, fuel: Fuel) -> bool:
    """Tell whether a list has an equal element, or a map this key; burns 1 per element looked at."""
    if is_map(items):
        if type(item) is float:
            return item.is_integer() and int(item) in items
        if type(item) not in _KEYS:
            raise _mismatch("in", item, items)
        return key_of(item) in items
    if not is_list(items):
        raise _mismatch("in", item, items)
    for element in items:
        fuel.burn(1)
        if are_equal(item, element, fuel):
            return True
    return False


def index(value: Value, key: Value) -> Value:
    """Give an element of a list or the value of a key; a double that is whole counts as an integer."""
    found = find(value, key)
    if found is not ABSENT:
        return found
    if is_map(value):
        raise failed(f"no such key: {key!r}" if type(key) in (int, bool) else missing_text(key))
    raise failed("list index out of range")


def missing_text(key: Value) -> str:
    """Name a key that a map lacks; long keys may hold data and are cut."""
    return f"no such key: {key[:64]!r}" if type(key) is str else "no such key"


def find(value: Value, key: Value) -> Value:
    """Do as `index`, but give `ABSENT` for a key or position that is not there."""
    if type(key) is float and key.is_integer():
        key = int(key)
    if is_map(value):
        return value.get(key_of(key), ABSENT) if type(key) in _KEYS else ABSENT
    if not is_list(value):
        raise failed(f"no operator [] for {kind_of(value)}")
    if type(key) is not int:
        raise failed(f"a list has no index of type {kind_of(key)}")
    return value[key] if 0 <= key < len(value) else ABSENT


def select(value: Value, name: str) -> Value:
    """Give the value of a map's key."""
    if is_map(value):
        found = value.get(name, ABSENT)
        if found is not ABSENT:
            return found
        raise failed(missing_text(name))
    raise failed(f"a value of type {kind_of(value)} has no field {name!r}")
