"""Code of the macros: loops over lists and the keys of maps. Each element burns 1 and the cost of the body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.expression import tree
from core.expression.code import Code, Compile, Run, Scope
from core.expression.compile_operator import absorb, not_boolean
from core.expression.value import (
    ExpressionFailed,
    Fuel,
    Value,
    failed,
    is_list,
    is_map,
    kind_of,
    out_of_fuel,
    value_of_key,
)


def compile_macro(node: tree.Macro, scope: Scope, compile_node: Compile) -> Code:
    """Compile one macro. Its variable has a slot of its own, so nested macros do not meet."""
    items = compile_node(node.items, scope)
    slot, inner = scope.bind(node.variable, is_plain=items.is_plain)
    body = compile_node(node.body, inner)
    is_plain = True
    match node.kind:
        case "map":
            condition = compile_node(node.condition, inner) if node.condition is not None else None
            run = _map(items.run, slot, condition, body)
            is_plain = body.is_plain
        case "filter":
            run = _filter(items.run, slot, body)
            is_plain = items.is_plain
        case "exists_one":
            run = _exists_one(items.run, slot, body)
        case _:
            run = _any(items.run, slot, body, decides=node.kind == "exists")
    return Code(run=run, cost=items.cost + 1, is_plain=is_plain)


def _elements(value: Value, fuel: Fuel) -> Sequence[Value]:
    """Give what a macro runs over."""
    if type(value) is list:
        return value
    if is_map(value):
        fuel.burn(len(value))
        return [value_of_key(key) for key in value]
    if is_list(value):
        elements: Sequence[Value] = value
        return elements
    raise failed(f"a macro needs a list or a map, not {kind_of(value)}")


def _any(items: Run, slot: int, body: Code, *, decides: bool) -> Run:
    """Code of `exists` and, with the signs turned, `all`: a deciding element wins over failing ones."""
    test, cost = body.run, body.cost + 1
    otherwise = not decides
    name = "exists()" if decides else "all()"

    def run(slots: Any, fuel: Fuel) -> bool:
        failure: ExpressionFailed | None = None
        for item in _elements(items(slots, fuel), fuel):
            fuel.left -= cost
            if fuel.left < 0:
                raise out_of_fuel()
            slots[slot] = item
            try:
                value = test(slots, fuel)
            except ExpressionFailed as error:
                absorbed = absorb(error, fuel)
                failure = failure or absorbed
                continue
            if value is decides:
                return not otherwise
            if value is not otherwise:
                failure = failure or not_boolean(name, value)
        if failure is not None:
            raise failure
        return otherwise

    return run


def _exists_one(items: Run, slot: int, body: Code) -> Run:
    test, cost = body.run, body.cost + 1

    def run(slots: Any, fuel: Fuel) -> bool:
        count = 0
        for item in _elements(items(slots, fuel), fuel):
            fuel.left -= cost
            if fuel.left < 0:
                raise out_of_fuel()
            slots[slot] = item
            count += _truth(test(slots, fuel), "exists_one()")
        return count == 1

    return run


def _filter(items: Run, slot: int, body: Code) -> Run:
    test, cost = body.run, body.cost + 1

    def run(slots: Any, fuel: Fuel) -> list[Value]:
        kept: list[Value] = []
        for item in _elements(items(slots, fuel), fuel):
            fuel.left -= cost
            if fuel.left < 0:
                raise out_of_fuel()
            slots[slot] = item
            if _truth(test(slots, fuel), "filter()"):
                kept.append(item)
        return kept

    return run


def _map(items: Run, slot: int, condition: Code | None, body: Code) -> Run:
    make = body.run
    cost = 1 + (body.cost if condition is None else condition.cost)
    test = None if condition is None else condition.run

    def run(slots: Any, fuel: Fuel) -> list[Value]:
        made: list[Value] = []
        for item in _elements(items(slots, fuel), fuel):
            fuel.left -= cost
            if fuel.left < 0:
                raise out_of_fuel()
            slots[slot] = item
            if test is not None:
                if not _truth(test(slots, fuel), "map()"):
                    continue
                fuel.burn(body.cost)
            made.append(make(slots, fuel))
        return made

    return run


def _truth(value: Value, name: str) -> bool:
    if value is True:
        return True
    if value is False:
        return False
    raise not_boolean(name, value)
