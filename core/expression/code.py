"""Compiled code: closures over the slots of an evaluation, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from core.expression.names import NOTHING, Bound
from core.expression.tree import Node
from core.expression.value import ExpressionFailed, Fuel, Value

# Takes the slots (reads, then the time, then variables of macros) and the fuel.
Run: TypeAlias = Callable[[Any, Fuel], Value]

NOT_CONSTANT: Final = object()
# Fuel for working out constants when a version is compiled; what needs more is left for the evaluation.
FOLD_FUEL: Final = 2000


class Code(msgspec.Struct, frozen=True):
    """One compiled node.

    Args:
        run: gives the value.
        cost: fuel for the node and all below it that surely run with it. The enclosing block burns it, once, at its
            start; branches that may not run, and bodies of macros, are blocks of their own.
        is_plain: what it gives is JSON already, so nothing needs to be converted when it leaves.
        constant: its value when that is known, else `NOT_CONSTANT`.
        slot: the slot it reads, when it does nothing else.
    """

    run: Run
    cost: int
    is_plain: bool = True
    constant: Value = NOT_CONSTANT
    slot: int | None = None


class Scope(msgspec.Struct, frozen=True):
    """Where names are found while a program is compiled.

    Args:
        slots: slot of each reference.
        variables: of the macros around: their slot, and whether their values are plain.
        depth: how many macros are around; each has a slot of its own.
        now: slot of the time of the event.
        plain_roots: whether values under a root are JSON without timestamps.
    """

    slots: Mapping[tuple[str, ...], int]
    now: int
    variables: Mapping[str, tuple[int, bool]] = {}
    depth: int = 0

    @property
    def bound(self) -> Bound:
        """The variables' names."""
        return frozenset(self.variables) if self.variables else NOTHING

    def bind(self, name: str, *, is_plain: bool) -> tuple[int, Scope]:
        """Give a new variable's slot, and the scope in which it is known."""
        slot = self.now + 1 + self.depth
        variables = {**self.variables, name: (slot, is_plain)}
        return slot, Scope(slots=self.slots, now=self.now, variables=variables, depth=self.depth + 1)


Compile: TypeAlias = Callable[[Node, Scope], Code]


def constant(value: Value, cost: int = 1, *, is_plain: bool = True) -> Code:
    """Make the code of a value that is known."""
    return Code(run=lambda _slots, _fuel: value, cost=cost, is_plain=is_plain, constant=value)


def fold(code: Code, operands: Sequence[Code]) -> Code:
    """Work out code whose operands are all constant; a failure is kept for the evaluation, which then raises it."""
    if any(operand.constant is NOT_CONSTANT for operand in operands):
        return code
    try:
        value = code.run((), Fuel(FOLD_FUEL))
    except ExpressionFailed:
        return code
    return constant(value, code.cost, is_plain=code.is_plain)


def failing(message: str, cost: int) -> Code:
    """Make code that only fails: for what the check refuses, should it be evaluated all the same."""

    def run(_slots: Any, _fuel: Fuel) -> Value:
        raise ExpressionFailed("expression", message)

    return Code(run=run, cost=cost)
