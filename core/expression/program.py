"""Tree to program: closures specialised for what is known, called once per evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.expression import tree
from core.expression.code import Code, Run, Scope, constant, failing, fold
from core.expression.compile_access import compile_access, compile_has, compile_read, is_path
from core.expression.compile_macro import compile_macro
from core.expression.compile_operator import (
    compile_chain,
    compile_compare,
    compile_logic,
    compile_negate,
    compile_not,
    compile_ternary,
)
from core.expression.functions import FUNCTIONS, Function
from core.expression.names import TYPE_NAMES, children_of, reads_of
from core.expression.tree import Node, Read
from core.expression.value import ExpressionFailed, Fuel, TypeName, Value, failed, key_of, out_of_fuel


class Program:
    """A compiled expression: pure, shared by threads, kept as long as its version.

    Args:
        node: the tree that it runs.
    """

    __slots__ = ("_code", "_cost", "_variables", "bare", "is_path", "is_plain", "reads")

    def __init__(self, node: Node) -> None:
        # What the slots must hold, in this order.
        self.reads: tuple[Read, ...] = reads_of(node)
        scope = Scope(slots={read.path: slot for slot, read in enumerate(self.reads)}, now=len(self.reads))
        code = _compile(node, scope)
        # The read that is the whole expression, if it is no more than one.
        self.bare: int | None = code.slot
        # Whether it is a reference and static selections: its value is handed on, however large.
        self.is_path: bool = is_path(node)
        # Whether its value is JSON already and needs no `to_json`.
        self.is_plain: bool = code.is_plain
        self._code: Run = code.run
        self._cost: int = code.cost
        depth = _macro_depth(node)
        # Slots of the macros' variables; None for a program that needs neither them nor the time.
        self._variables: list[None] | None = [None] * depth if depth or _uses_time(node) else None

    def run(self, slots: Sequence[Value], fuel: Fuel, now: datetime) -> Value:
        """Evaluate.

        Args:
            slots: the values of `reads`, in their order; `ABSENT` where there is none.
            fuel: burned as architecture.md 4 says; shared by all evaluations of one decision.
            now: aware; what `now()` gives, the time of the event being decided.

        Returns:
            A value of CEL; `to_json` turns it into JSON where `is_plain` is false. It may share parts with the slots
            and with constants of the program, so nobody may change it.

        Raises:
            ExpressionFailed: it has no value, or a limit was passed.
        """
        fuel.left -= self._cost
        if fuel.left < 0:
            raise out_of_fuel()
        if self._variables is None:
            return self._code(slots, fuel)
        return self._code([*slots, now, *self._variables], fuel)


def compile_expression(node: Node) -> Program:
    """Compile a tree that was checked; what a check refuses fails when it is evaluated."""
    return Program(node)


def _compile(node: Node, scope: Scope) -> Code:
    match node:
        case tree.Literal(value=value):
            return constant(value, is_plain=type(value) is not bytes)
        case tree.Name():
            return _compile_name(node, scope)
        case tree.Access():
            return compile_access(node, scope, _compile)
        case tree.Has():
            return compile_has(node, scope, _compile)
        case tree.Compare():
            return compile_compare(node, scope, _compile)
        case tree.And() | tree.Or():
            return compile_logic(node, scope, _compile)
        case tree.Not():
            return compile_not(node, scope, _compile)
        case tree.Negate():
            return compile_negate(node, scope, _compile)
        case tree.Chain():
            return compile_chain(node, scope, _compile)
        case tree.Ternary():
            return compile_ternary(node, scope, _compile)
        case tree.ListLiteral():
            return _compile_list(node, scope)
        case tree.MapLiteral():
            return _compile_map(node, scope)
        case tree.Macro():
            return compile_macro(node, scope, _compile)
        case _:
            return _compile_call(node, scope)


def _compile_name(node: tree.Name, scope: Scope) -> Code:
    variable = scope.variables.get(node.name)
    if variable is not None:
        slot, is_plain = variable
        return Code(run=lambda slots, _fuel: slots[slot], cost=1, is_plain=is_plain)
    if node.name in TYPE_NAMES:
        return constant(TypeName(node.name), is_plain=False)
    return compile_read((node.name,), scope)


def _compile_list(node: tree.ListLiteral, scope: Scope) -> Code:
    items = [_compile(item, scope) for item in node.items]
    runs = [item.run for item in items]

    def run(slots: Any, fuel: Fuel) -> list[Value]:
        return [item(slots, fuel) for item in runs]

    # One for the node, one for each element that is built; the elements' own nodes burn theirs.
    cost = 1 + len(items) + sum(item.cost for item in items)
    return fold(Code(run=run, cost=cost, is_plain=all(item.is_plain for item in items)), items)


def _compile_map(node: tree.MapLiteral, scope: Scope) -> Code:
    entries = [(_compile(key, scope), _compile(value, scope)) for key, value in node.entries]
    runs = [(key.run, value.run) for key, value in entries]

    def run(slots: Any, fuel: Fuel) -> dict[Value, Value]:
        made: dict[Value, Value] = {}
        for key_code, value_code in runs:
            key = key_of(key_code(slots, fuel))
            if key in made:
                raise failed("a map literal has the same key twice")
            made[key] = value_code(slots, fuel)
        return made

    parts = [part for entry in entries for part in entry]
    is_plain = all(type(key.constant) is str and value.is_plain for key, value in entries)
    cost = 1 + len(entries) + sum(part.cost for part in parts)
    return fold(Code(run=run, cost=cost, is_plain=is_plain), parts)


def _compile_call(node: tree.Call, scope: Scope) -> Code:
    operands = [_compile(operand, scope) for operand in (*([node.receiver] if node.receiver else []), *node.args)]
    cost = 1 + sum(operand.cost for operand in operands)
    if node.function == "now" and not operands:
        slot = scope.now
        return Code(run=lambda slots, _fuel: slots[slot], cost=cost, is_plain=False)
    function = FUNCTIONS.get((node.function, len(operands)))
    if function is None:
        return failing(f"there is no function {node.function}() with {len(operands)} operands", cost)
    is_plain = operands[0].is_plain if node.function == "dyn" else function.is_plain
    code = Code(run=_call(function, operands), cost=cost + function.cost, is_plain=is_plain)
    return fold(code, operands)


def _call(function: Function, operands: list[Code]) -> Run:
    call = function.run
    first = operands[0].run
    if len(operands) == 1:
        return lambda slots, fuel: call(fuel, first(slots, fuel))
    second, last = operands[1].run, operands[1].constant
    if function.prepare is not None and type(last) is str:
        try:
            ready = function.prepare(last)
        except ExpressionFailed:
            ready = last  # fails again, with the same message, when it is evaluated
        return lambda slots, fuel: call(fuel, first(slots, fuel), ready)
    return lambda slots, fuel: call(fuel, first(slots, fuel), second(slots, fuel))


def _macro_depth(node: Node) -> int:
    """Count how many macros are nested in each other at most."""
    below = max((_macro_depth(child) for child in children_of(node)), default=0)
    return below + isinstance(node, tree.Macro)


def _uses_time(node: Node) -> bool:
    """Tell whether an expression asks for the time."""
    return (isinstance(node, tree.Call) and node.function == "now") or any(map(_uses_time, children_of(node)))
