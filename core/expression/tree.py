"""The syntax tree. Nodes are frozen and shared: one parse serves every check and compilation of the same text."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

# Longest expression, in bytes of UTF-8, and how deep one may be nested (dag-language.md 3).
EXPRESSION_BYTES_MAX = 2048
NESTING_MAX = 32


class Read(msgspec.Struct, frozen=True):
    """A static reference to a value outside of the expression: one slot of a program.

    Args:
        path: `("inputs",)`, `("steps", "fetch", "output")`, `("vars", "region")`, `("secrets", "github", "token")` ...
        guarded: every place that reads it stands inside `has()` or behind a guard of the expression itself (S32).
    """

    path: tuple[str, ...]
    guarded: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What every node has: where it stands in the text (in characters), and how many levels lie below it."""

    offset: int
    depth: int = 0


class Literal(Part, frozen=True):
    """A constant: null, bool, int, double, text or bytes."""

    value: bool | int | float | str | bytes | None


class Name(Part, frozen=True):
    """A variable in scope, or a type when nothing has that name."""

    name: str


class Field(Part, frozen=True):
    """The part `.name` of an access."""

    name: str


class Index(Part, frozen=True):
    """The part `[key]` of an access."""

    key: Node


class Access(Part, frozen=True):
    """`operand.field[index]...`: one node for the whole chain, so that long chains do not nest."""

    operand: Node
    steps: tuple[Field | Index, ...]


class Not(Part, frozen=True):
    """`!operand`."""

    operand: Node


class Negate(Part, frozen=True):
    """`-operand`."""

    operand: Node


class Chain(Part, frozen=True):
    """`first + a - b` or `first * a / b % c`, from left to right: one node however long it is."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


class Compare(Part, frozen=True):
    """`left OP right`, with OP one of `== != < <= > >= in`."""

    operator: str
    left: Node
    right: Node


class And(Part, frozen=True):
    """`a && b && ...`."""

    terms: tuple[Node, ...]


class Or(Part, frozen=True):
    """`a || b || ...`."""

    terms: tuple[Node, ...]


class Ternary(Part, frozen=True):
    """`condition ? then : other`."""

    condition: Node
    then: Node
    other: Node


class ListLiteral(Part, frozen=True):
    """`[a, b]`."""

    items: tuple[Node, ...]


class MapLiteral(Part, frozen=True):
    """`{key: value}`."""

    entries: tuple[tuple[Node, Node], ...]


class Call(Part, frozen=True):
    """`function(args)` or `receiver.function(args)`."""

    function: str
    receiver: Node | None
    args: tuple[Node, ...]


class Has(Part, frozen=True):
    """`has(a.b.c)`; the last step of the access is a field."""

    access: Access


class Macro(Part, frozen=True):
    """`items.kind(variable, body)`; `map` may have a condition before its body."""

    kind: str
    items: Node
    variable: str
    condition: Node | None
    body: Node


Node: TypeAlias = (
    Literal
    | Name
    | Access
    | Not
    | Negate
    | Chain
    | Compare
    | And
    | Or
    | Ternary
    | ListLiteral
    | MapLiteral
    | Call
    | Has
    | Macro
)
