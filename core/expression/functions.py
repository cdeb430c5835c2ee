"""The functions of the language: what each does and what it costs (dag-language.md 3, semantics.md S38).

Each takes its fuel first, then receiver and arguments. Fuel is burned before anything is built, so that it bounds
memory too. A function that is dearer than a step of the tree burns a weight: fuel stands for time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Final
from urllib.parse import quote

import msgspec

from core.expression.json_reader import read_json
from core.expression.moment import (
    EPOCH,
    GETTERS,
    TEXT_LENGTH_MAX,
    parse_duration,
    parse_timestamp,
    part_of,
    timestamp_of_epoch,
    zone_of,
)
from core.expression.pattern import Pattern, compile_pattern
from core.expression.plain import duration_text, json_text, timestamp_text
from core.expression.value import (
    INT_MAX,
    INT_MIN,
    ExpressionFailed,
    Fuel,
    TypeName,
    Value,
    cost_of_text,
    failed,
    finite,
    is_list,
    is_map,
    kind_of,
)

Implementation = Callable[..., Value]

# Weights: how many steps of the tree one call takes, measured (tests/oracle/expression_figures.py holds the bound).
TIME_TEXT_WEIGHT: Final = 18
NUMBER_TEXT_WEIGHT: Final = 5
DOUBLE_TEXT_WEIGHT: Final = 12
HASH_WEIGHT: Final = 6
MATCH_WEIGHT: Final = 36
EXTRACT_WEIGHT: Final = 72
# A zone whose name is computed may be searched for in the file system.
ZONE_WEIGHT: Final = 600
GETTER_WEIGHT: Final = 6
ZONED_GETTER_WEIGHT: Final = 18
URL_BYTES_PER_BYTE: Final = 3
# Longest text of a number: the shortest form of a double has 24 characters; more is padding.
NUMBER_LENGTH_MAX: Final = 64

_TRUTHS: Final = {"1": True, "t": True, "true": True, "TRUE": True, "True": True} | {
    "0": False,
    "f": False,
    "false": False,
    "FALSE": False,
    "False": False,
}
# Doubles between 0.0001 and a million are written without an exponent.
_FIXED_EXPONENT_MIN: Final = -4
_FIXED_EXPONENT_MAX: Final = 5
_TYPE_NAMES: Final = {
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}


def _no_overload(name: str, *args: Value) -> ExpressionFailed:
    return failed(f"no function {name}() for {', '.join(kind_of(arg) for arg in args)}")


def size(_: Fuel, value: Value) -> int:
    """Count code points, bytes, elements or entries."""
    if type(value) in (str, bytes, list, dict) or is_list(value) or is_map(value):
        return len(value)
    raise _no_overload("size", value)


def _text_test(name: str, test: Callable[[str, str], bool]) -> Implementation:
    def run(fuel: Fuel, text: Value, part: Value) -> bool:
        if type(text) is not str or type(part) is not str:
            raise _no_overload(name, text, part)
        fuel.burn(cost_of_text(text) + cost_of_text(part))
        return test(text, part)

    return run


def _pattern_of(name: str, fuel: Fuel, text: Value, pattern: Value) -> Pattern:
    """Give the compiled pattern: a constant one was compiled with its program, another is compiled now."""
    if type(text) is str and type(pattern) is Pattern:
        return pattern
    if type(text) is not str or type(pattern) is not str:
        raise _no_overload(name, text, "" if type(pattern) is Pattern else pattern)
    return compile_pattern(pattern, fuel)


def prepare_pattern(pattern: str) -> Pattern:
    """Compile a constant pattern; nothing is burned for it when it runs."""
    return compile_pattern(pattern, Fuel())


def matches(fuel: Fuel, text: Value, pattern: Value) -> bool:
    """Tell whether an expression of RE2 is found in a text."""
    return _pattern_of("matches", fuel, text, pattern).is_found(text, fuel)


def regex_extract(fuel: Fuel, text: Value, pattern: Value) -> Value:
    """Give the first group of the first match, the match itself when there is no group, null without a match."""
    return _pattern_of("regex_extract", fuel, text, pattern).extract(text, fuel)


def to_int(fuel: Fuel, value: Value) -> int:
    """Convert a double (cut towards zero), a decimal text or a timestamp (seconds since 1970) to an integer."""
    match value:
        case bool():
            raise _no_overload("int", value)
        case int():
            return value
        case float() if INT_MIN < value < INT_MAX:
            return int(value)
        case str():
            fuel.burn(NUMBER_TEXT_WEIGHT)
            digits = value[1:] if value[:1] in ("-", "+") else value
            if len(value) <= NUMBER_LENGTH_MAX and digits.isascii() and digits.isdigit():
                number = int(value)
                if INT_MIN <= number <= INT_MAX:
                    return number
            raise failed("the text is not an integer of 64 bits")
        case datetime():
            return (value - EPOCH) // timedelta(seconds=1)
        case float():
            raise failed("the number is out of the range of an integer")
        case _:
            raise _no_overload("int", value)


def to_double(fuel: Fuel, value: Value) -> float:
    """Convert an integer or a decimal text to a double."""
    match value:
        case bool():
            raise _no_overload("double", value)
        case int() | float():
            return float(value)
        case str():
            fuel.burn(NUMBER_TEXT_WEIGHT)
            try:
                # float() also takes underscores, spaces and other scripts' digits, which are no numbers here.
                if len(value) <= NUMBER_LENGTH_MAX and value.isascii() and not set(value) & set("_ \t\r\n\f\v"):
                    return finite(float(value))
            except ValueError:
                pass
            raise failed("the text is not a number")
        case _:
            raise _no_overload("double", value)


def to_string(fuel: Fuel, value: Value) -> str:
    """Convert a scalar to text as CEL writes it."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            fuel.burn(NUMBER_TEXT_WEIGHT)
            return str(value)
        case float():
            fuel.burn(DOUBLE_TEXT_WEIGHT)
            return double_text(value)
        case bytes():
            # One wide character makes every character of a text take four bytes.
            fuel.burn(cost_of_text(value) * 5)
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise failed("the bytes are not valid UTF-8") from None
        case datetime():
            fuel.burn(TIME_TEXT_WEIGHT)
            return timestamp_text(value)
        case timedelta():
            fuel.burn(TIME_TEXT_WEIGHT)
            return duration_text(value)
        case _:
            raise _no_overload("string", value)


def double_text(number: float) -> str:
    """Write a double with the fewest digits that read back as the same, as CEL does: from a million with exponent."""
    text = repr(number)
    digits = text.partition("e")[0].lstrip("-").replace(".", "").strip("0")
    scientific = f"{number:.{max(len(digits), 1) - 1}e}"
    if _FIXED_EXPONENT_MIN <= int(scientific.partition("e")[2]) <= _FIXED_EXPONENT_MAX:
        return text.removesuffix(".0")
    return scientific


def to_bool(_: Fuel, value: Value) -> bool:
    """Convert the texts `true`, `t`, `1` and their opposites."""
    if type(value) is bool:
        return value
    if type(value) is not str:
        raise _no_overload("bool", value)
    if value in _TRUTHS:
        return _TRUTHS[value]
    raise failed("the text is neither true nor false")


def to_bytes(fuel: Fuel, value: Value) -> bytes:
    """Convert text to its UTF-8."""
    if type(value) is bytes:
        return value
    if type(value) is not str:
        raise _no_overload("bytes", value)
    fuel.burn(cost_of_text(value))
    return value.encode()


def to_timestamp(_: Fuel, value: Value) -> datetime:
    """Convert RFC 3339, or seconds since 1970, to a timestamp."""
    match value:
        case datetime():
            return value
        case str():
            return parse_timestamp(value)
        case int() if type(value) is int:
            return timestamp_of_epoch(value)
        case _:
            raise _no_overload("timestamp", value)


def to_duration(fuel: Fuel, value: Value) -> timedelta:
    """Convert text such as `1h30m` to a duration."""
    match value:
        case timedelta():
            return value
        case str():
            fuel.burn(min(len(value), TEXT_LENGTH_MAX))
            return parse_duration(value)
        case _:
            raise _no_overload("duration", value)


def type_of(_: Fuel, value: Value) -> TypeName:
    """Give the type of a value."""
    kind = kind_of(value)
    return TypeName(_TYPE_NAMES.get(kind, kind))


def dyn(_: Fuel, value: Value) -> Value:
    """Give the value itself; only the check forgets its type."""
    return value


def json(fuel: Fuel, value: Value) -> str:
    """Write a value as compact JSON."""
    return json_text(value, fuel)


def parse_json(fuel: Fuel, text: Value) -> Value:
    """Read JSON."""
    if type(text) is not str:
        raise _no_overload("parse_json", text)
    return read_json(text, fuel)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def sha256(fuel: Fuel, value: Value) -> str:
    """Give the SHA-256 of a text's UTF-8, or of bytes, in hexadecimal."""
    if type(value) is not str and type(value) is not bytes:
        raise _no_overload("hash", value)
    fuel.burn(cost_of_text(value))
    return hashlib.sha256(_bytes(value)).hexdigest()


def to_base64(fuel: Fuel, value: Value) -> str:
    """Encode a text's UTF-8, or bytes, as base64 with padding."""
    if type(value) is not str and type(value) is not bytes:
        raise _no_overload("base64", value)
    fuel.burn(cost_of_text(value) * 2)
    return base64.b64encode(_bytes(value)).decode()


def url_encode(fuel: Fuel, text: Value) -> str:
    """Percent-encode all but the unreserved characters of RFC 3986."""
    if type(text) is not str:
        raise _no_overload("url_encode", text)
    # `quote` looks at each byte in Python: about as long as an element of a list.
    fuel.burn(len(text) // 4 + cost_of_text(text) * URL_BYTES_PER_BYTE)
    return quote(text, safe="")


def _getter(name: str) -> Implementation:
    def run(fuel: Fuel, value: Value, zone: Value = None) -> int:
        if zone is None or isinstance(zone, tzinfo):
            return part_of(name, value, zone)
        fuel.burn(ZONE_WEIGHT)
        if type(zone) is not str:
            raise _no_overload(name, value, zone)
        return part_of(name, value, zone_of(zone))

    return run


class Function(msgspec.Struct, frozen=True):
    """One function as the compiler needs it.

    Args:
        run: takes fuel, receiver and arguments.
        cost: fuel of a call, burned with the node.
        is_plain: what it gives is JSON already.
        prepare: makes the last operand ready when it is a constant text: a pattern or a time zone.
    """

    run: Implementation
    cost: int = 1
    is_plain: bool = True
    prepare: Callable[[str], Value] | None = None


# By name and count of operands, a receiver included; which forms exist stands in signatures.py.
FUNCTIONS: Final[Mapping[tuple[str, int], Function]] = {
    ("size", 1): Function(size),
    ("contains", 2): Function(_text_test("contains", lambda text, part: part in text)),
    ("startsWith", 2): Function(_text_test("startsWith", str.startswith)),
    ("endsWith", 2): Function(_text_test("endsWith", str.endswith)),
    ("matches", 2): Function(matches, MATCH_WEIGHT, prepare=prepare_pattern),
    ("regex_extract", 2): Function(regex_extract, EXTRACT_WEIGHT, prepare=prepare_pattern),
    ("int", 1): Function(to_int, 2),
    ("double", 1): Function(to_double, 2),
    ("string", 1): Function(to_string, 2),
    ("bool", 1): Function(to_bool),
    ("bytes", 1): Function(to_bytes, is_plain=False),
    ("timestamp", 1): Function(to_timestamp, TIME_TEXT_WEIGHT, is_plain=False),
    ("duration", 1): Function(to_duration, TIME_TEXT_WEIGHT, is_plain=False),
    ("type", 1): Function(type_of, 2, is_plain=False),
    ("dyn", 1): Function(dyn, is_plain=False),
    ("json", 1): Function(json, 4),
    ("parse_json", 1): Function(parse_json, 8),
    ("hash", 1): Function(sha256, HASH_WEIGHT),
    ("base64", 1): Function(to_base64, 4),
    ("url_encode", 1): Function(url_encode, 8),
    **{(name, 1): Function(_getter(name), GETTER_WEIGHT) for name in GETTERS},
    **{(name, 2): Function(_getter(name), ZONED_GETTER_WEIGHT, prepare=zone_of) for name in GETTERS},
}
