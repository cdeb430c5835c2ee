"""Expressions of the DAG language as Python values: paths, operators and calls that write CEL instead of computing.

An `Expression` in a text gives its template, so `f"{inputs.base_url}/orders"` is `{{ inputs.base_url }}/orders`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1  # semantics.md S30
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Words of CEL that cannot follow a dot.
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"}
    | {"namespace", "null", "package", "return", "true", "var", "void", "while"}
)
# How tightly an expression binds, loosest first; operands that bind less than their operator get parentheses.
_CHOICE, _OR, _AND, _RELATION, _SUM, _PRODUCT, _UNARY, _MEMBER = range(8)


class Expression:
    """CEL text that grows by use: `.name` and `[..]` go deeper, operators combine, `&`, `|`, `~` are and, or, not.

    It is never computed here, so it has no truth value: `if expression:` raises `TypeError`. Attributes that begin with
    an underscore are Python's own; write `["_name"]` for such a field.
    """

    __slots__ = ("_level", "_text")
    __hash__ = None  # type: ignore[assignment]  # what compares by building text is no key

    def __init__(self, text: str, level: int = _CHOICE) -> None:
        self._text = text
        self._level = level

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in _RESERVED or not _IDENTIFIER.fullmatch(name):
            return self[name]
        return Expression(f"{_within(self, _MEMBER)}.{name}", _MEMBER)

    def __getitem__(self, key: object) -> Expression:
        return Expression(f"{_within(self, _MEMBER)}[{bare(key)}]", _MEMBER)

    def __str__(self) -> str:
        return f"{{{{ {self._text} }}}}"

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError(f"a template has no format {spec!r}: format in the DAG, with @text or @time operators")
        return str(self)

    def __repr__(self) -> str:
        return f"cel({self._text!r})"

    def __bool__(self) -> bool:
        raise TypeError(f"{self._text} is computed when the DAG runs: combine with & | ~ and give it to `when`")

    def __iter__(self) -> Any:
        raise TypeError(f"{self._text} is a list only when the DAG runs: use @control/map, `mapped` or `filtered`")

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]  # the DAG compares, not Python
        return _relation(self, "==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]  # as above
        return _relation(self, "!=", other)

    def __lt__(self, other: object) -> Expression:
        return _relation(self, "<", other)

    def __le__(self, other: object) -> Expression:
        return _relation(self, "<=", other)

    def __gt__(self, other: object) -> Expression:
        return _relation(self, ">", other)

    def __ge__(self, other: object) -> Expression:
        return _relation(self, ">=", other)

    def __add__(self, other: object) -> Expression:
        return _binary(self, "+", other, _SUM)

    def __radd__(self, other: object) -> Expression:
        return _binary(other, "+", self, _SUM)

    def __sub__(self, other: object) -> Expression:
        return _binary(self, "-", other, _SUM)

    def __rsub__(self, other: object) -> Expression:
        return _binary(other, "-", self, _SUM)

    def __mul__(self, other: object) -> Expression:
        return _binary(self, "*", other, _PRODUCT)

    def __rmul__(self, other: object) -> Expression:
        return _binary(other, "*", self, _PRODUCT)

    def __truediv__(self, other: object) -> Expression:
        return _binary(self, "/", other, _PRODUCT)

    def __rtruediv__(self, other: object) -> Expression:
        return _binary(other, "/", self, _PRODUCT)

    def __mod__(self, other: object) -> Expression:
        return _binary(self, "%", other, _PRODUCT)

    def __rmod__(self, other: object) -> Expression:
        return _binary(other, "%", self, _PRODUCT)

    def __and__(self, other: object) -> Expression:
        return _binary(self, "&&", other, _AND)

    def __rand__(self, other: object) -> Expression:
        return _binary(other, "&&", self, _AND)

    def __or__(self, other: object) -> Expression:
        return _binary(self, "||", other, _OR)

    def __ror__(self, other: object) -> Expression:
        return _binary(other, "||", self, _OR)

    def __neg__(self) -> Expression:
        return Expression(f"-{_within(self, _MEMBER)}", _UNARY)

    def __invert__(self) -> Expression:
        return Expression(f"!{_within(self, _MEMBER)}", _UNARY)


def cel(text: str) -> Expression:
    """Take CEL as it is written; the server checks it when the DAG is saved."""
    return Expression(text)


def bare(value: object) -> str:
    """Give the CEL text of a value without braces, as `when`, `filter` and `map` of `@data/transform` take it.

    Raises:
        TypeError: the value is neither JSON nor an `Expression`; ValueError: a number that JSON or 64 bits do not hold.
    """
    return _written(value)[0]


def call(function: str, *arguments: object) -> Expression:
    """Call a function of the language: `call("url_encode", item.region)`."""
    return Expression(f"{function}({', '.join(bare(argument) for argument in arguments)})", _MEMBER)


def size(value: object) -> Expression:
    """Count elements of a list or map, or code points of a text."""
    return call("size", value)


def has(path: Expression) -> Expression:
    """Say whether a path is there (semantics.md S31)."""
    return call("has", path)


def contained(value: object, values: object) -> Expression:
    """Say whether a list holds a value, or a map a key."""
    return _relation(value, "in", values)


def chosen(condition: Expression, value: object, otherwise: object) -> Expression:
    """Give one of two values: `condition ? value : otherwise`."""
    texts = [_within(condition, _OR), _within(value, _OR), bare(otherwise)]
    return Expression("{} ? {} : {}".format(*texts), _CHOICE)


def mapped(values: object, body: Callable[[Expression], object]) -> Expression:
    """Give one value per element; the element is called as the function's parameter is."""
    return _macro("map", values, body)


def filtered(values: object, condition: Callable[[Expression], object]) -> Expression:
    """Keep the elements for which the condition holds."""
    return _macro("filter", values, condition)


def exists(values: object, condition: Callable[[Expression], object]) -> Expression:
    """Say whether the condition holds for any element."""
    return _macro("exists", values, condition)


def holds_for_all(values: object, condition: Callable[[Expression], object]) -> Expression:
    """Say whether the condition holds for every element."""
    return _macro("all", values, condition)


def rendered(value: object, at: str = "") -> Any:
    """Make a JSON value in which every `Expression` is its template; lists and maps are copied.

    Raises:
        TypeError: something in it is neither JSON nor an `Expression`; names its JSON pointer.
    """
    match value:
        case Expression():
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {_key(name, at): rendered(part, f"{at}/{name}") for name, part in value.items()}
        case list() | tuple():
            return [rendered(part, f"{at}/{place}") for place, part in enumerate(value)]
        case _:
            raise TypeError(f"{type(value).__name__} at {at or '/'} is no JSON value and no expression")


def _key(name: object, at: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the key {name!r} at {at or '/'} is no text")
    return name


def _macro(name: str, values: object, body: Callable[[Expression], object]) -> Expression:
    (variable,) = inspect.signature(body).parameters
    told = bare(body(Expression(variable, _MEMBER)))
    return Expression(f"{_within(values, _MEMBER)}.{name}({variable}, {told})", _MEMBER)


def _relation(left: object, sign: str, right: object) -> Expression:
    # Relations do not chain: `a == b == c` needs parentheses on either side.
    return Expression(f"{_within(left, _SUM)} {sign} {_within(right, _SUM)}", _RELATION)


def _binary(left: object, sign: str, right: object, level: int) -> Expression:
    return Expression(f"{_within(left, level)} {sign} {_within(right, level + 1)}", level)


def _within(value: object, level: int) -> str:
    """Write an operand, in parentheses when it binds less than `level`."""
    text, own = _written(value)
    return text if own >= level else f"({text})"


def _written(value: object) -> tuple[str, int]:
    match value:
        case Expression():
            return value._text, value._level  # noqa: SLF001 - this module is the class's other half
        case None | bool() | str():
            return msgspec.json.encode(value).decode(), _MEMBER
        case int() if INTEGER_MIN <= value <= INTEGER_MAX:
            return str(value), _MEMBER if value >= 0 else _UNARY
        case float() if math.isfinite(value):
            return repr(value), _MEMBER if value >= 0 else _UNARY
        case int() | float():
            raise ValueError(f"{value!r} is no number of the language: 64-bit integers and finite doubles")
        case list() | tuple():
            return f"[{', '.join(bare(part) for part in value)}]", _MEMBER
        case Mapping():
            pairs = (f"{bare(_key(name, ''))}: {bare(part)}" for name, part in value.items())
            return f"{{{', '.join(pairs)}}}", _MEMBER
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value and no expression")


def named(name: str) -> Expression:
    """Give a name in scope."""
    return Expression(name, _MEMBER)


inputs = named("inputs")
"""What the instance was started with."""
variables = named("vars")
"""The document's constants and the run variables of `@data/define`."""
steps = named("steps")
"""Every step by id; `Step.output` and the like are the checked way."""
item = named("item")
"""The innermost map's item; `MapStep.item` names that of a certain map."""
index = named("index")
"""The innermost map's place, from 0."""
error = named("error")
"""What failed, in a list that answers a failure."""
trigger = named("trigger")
"""What started the instance."""
instance = named("instance")
"""The instance itself: id, started_at, version, parent."""
