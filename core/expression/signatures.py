"""Which forms of functions and operators exist, and what they give: the check's side of functions.py."""

from __future__ import annotations

from typing import Final

import msgspec

from core.expression.moment import DURATION_GETTERS, GETTERS
from core.expression.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NUMBER,
    NUMBERS,
    STRING,
    TIMESTAMP,
    TYPE,
    Type,
    element_of,
    join,
    list_of,
)


class Form(msgspec.Struct, frozen=True):
    """One form of a function.

    Args:
        kinds: kinds of its operands, the receiver first; `any` takes everything.
        result: what it gives.
        is_method: it is written `receiver.f(...)`.
        is_function: it is written `f(...)`.
    """

    kinds: tuple[str, ...]
    result: Type
    is_method: bool = False
    is_function: bool = True


def _functions(result: Type, *kinds: str) -> tuple[Form, ...]:
    return tuple(Form((kind,), result) for kind in kinds)


def _methods(result: Type, *kinds: str) -> tuple[Form, ...]:
    return (Form(kinds, result, is_method=True, is_function=False),)


_SIZED: Final = ("string", "bytes", "list", "map")

FORMS: Final[dict[str, tuple[Form, ...]]] = {
    "size": tuple(Form((kind,), INT, is_method=True) for kind in _SIZED),
    "contains": _methods(BOOL, "string", "string"),
    "startsWith": _methods(BOOL, "string", "string"),
    "endsWith": _methods(BOOL, "string", "string"),
    "matches": (Form(("string", "string"), BOOL, is_method=True),),
    "int": _functions(INT, "int", "double", "number", "string", "timestamp"),
    "double": _functions(DOUBLE, "int", "double", "number", "string"),
    "string": _functions(STRING, "string", "bool", "int", "double", "number", "bytes", "timestamp", "duration"),
    "bool": _functions(BOOL, "bool", "string"),
    "bytes": _functions(BYTES, "bytes", "string"),
    "timestamp": _functions(TIMESTAMP, "timestamp", "string", "int", "number"),
    "duration": _functions(DURATION, "duration", "string"),
    "type": _functions(TYPE, "any"),
    "dyn": _functions(DYN, "any"),
    "json": _functions(STRING, "any"),
    "parse_json": _functions(DYN, "string"),
    "now": (Form((), TIMESTAMP),),
    "hash": _functions(STRING, "string", "bytes"),
    "base64": _functions(STRING, "string", "bytes"),
    "url_encode": _functions(STRING, "string"),
    "regex_extract": (Form(("string", "string"), DYN),),
    **{
        name: (*_methods(INT, "timestamp"), *_methods(INT, "timestamp", "string"))
        + (_methods(INT, "duration") if name in DURATION_GETTERS else ())
        for name in GETTERS
    },
}


def form_of(name: str, operands: list[Type], *, is_method: bool) -> Form | None:
    """Find the form that takes these operands; the first one when a `dyn` leaves several open."""
    for form in FORMS[name]:
        is_written_so = form.is_method if is_method else form.is_function
        if is_written_so and len(form.kinds) == len(operands) and all(map(_takes, form.kinds, operands)):
            return form
    return None


def _takes(kind: str, operand: Type) -> bool:
    return kind in ("any", operand.kind) or operand.kind == "dyn"


def arithmetic_type(sign: str, left: Type, right: Type) -> Type | None:
    """Give the type of `left sign right`, None when there is no such operator."""
    kinds = (left.kind, right.kind)
    if left.kind in NUMBERS and right.kind in NUMBERS:
        if kinds == ("int", "int"):
            return INT
        return DOUBLE if "double" in kinds else NUMBER
    if sign in "+-" and kinds in _TIMES and (kinds, sign) not in _NO_TIMES:
        return _TIMES[kinds] if kinds != ("timestamp", "timestamp") else DURATION
    if sign == "+" and left.kind == right.kind and left.kind in ("string", "bytes", "list"):
        return list_of(join([element_of(left), element_of(right)])) if left.kind == "list" else left
    known = {left.kind, right.kind} - {"dyn"}
    return DYN if "dyn" in kinds and known <= _OPERANDS[sign] else None


_TIMES: Final = {
    ("timestamp", "duration"): TIMESTAMP,
    ("duration", "timestamp"): TIMESTAMP,
    ("duration", "duration"): DURATION,
    ("timestamp", "timestamp"): DURATION,
}
_NO_TIMES: Final = frozenset({(("duration", "timestamp"), "-"), (("timestamp", "timestamp"), "+")})
_SUBTRACTED: Final = NUMBERS | {"timestamp", "duration"}
# What may stand on one side while the other is not known.
_OPERANDS: Final = {
    "+": _SUBTRACTED | {"string", "bytes", "list"},
    "-": _SUBTRACTED,
    "*": NUMBERS,
    "/": NUMBERS,
    "%": NUMBERS,
}
_ORDERED: Final = frozenset({"bool", "string", "bytes", "timestamp", "duration"})


def can_be_ordered(left: Type, right: Type) -> bool:
    """Tell whether `<` may have a meaning for two types."""
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return True
    known = {left.kind, right.kind} - {"dyn"}
    return known <= NUMBERS or (len(known) == 1 and known <= _ORDERED)


def can_be_equal(left: Type, right: Type) -> bool:
    """Tell whether two values of these types may be equal; comparing with null always makes sense."""
    kinds = {left.kind, right.kind}
    return bool(kinds & {"dyn", "null"}) or kinds <= NUMBERS or len(kinds) == 1
