"""Code of references, of selections from values, and of `has()` (semantics.md S31)."""

from __future__ import annotations

from typing import Any, Final

from core.expression import tree
from core.expression.code import Code, Compile, Run, Scope, fold
from core.expression.names import reference_of, static_name
from core.expression.operators import find, index, missing_text, select
from core.expression.tree import Node
from core.expression.value import ABSENT, Fuel, Value, failed, is_map, kind_of

# Roots whose values hold timestamps; all other slots hold JSON alone.
TIMED_ROOTS: Final = frozenset({"trigger", "instance"})


def compile_read(path: tuple[str, ...], scope: Scope) -> Code:
    """Compile the read of one slot."""
    slot = scope.slots[path]
    lacking = f"{'.'.join(path)} has no value"

    def run(slots: Any, _fuel: Fuel) -> Value:
        value = slots[slot]
        if value is ABSENT:
            raise failed(lacking)
        return value

    return Code(run=run, cost=1, is_plain=path[0] not in TIMED_ROOTS, slot=slot)


def compile_access(node: tree.Access, scope: Scope, compile_node: Compile) -> Code:
    """Compile a chain of selections."""
    reference = reference_of(node, scope.bound)
    base = compile_read(reference.path, scope) if reference else compile_node(node.operand, scope)
    steps = reference.rest if reference else node.steps
    if not steps:
        return base
    keys = [compile_node(step.key, scope) if isinstance(step, tree.Index) else None for step in steps]
    cost = base.cost + len(steps) + sum(key.cost for key in keys if key)
    names = [step.name for step in steps if isinstance(step, tree.Field)]
    if len(names) < len(steps):
        run = _select_steps(base.run, steps, keys)
    elif len(names) == 1:
        run = _select_field(base, names[0])
    else:
        run = _select_fields(base.run, names)
    code = Code(run=run, cost=cost, is_plain=base.is_plain)
    return fold(code, [base, *(key for key in keys if key)])


def _select_field(base: Code, name: str) -> Run:
    lacking, slot, inner = missing_text(name), base.slot, base.run

    def from_slot(slots: Any, fuel: Fuel) -> Value:
        value = slots[slot]
        if type(value) is dict:
            try:
                return value[name]
            except KeyError:
                raise failed(lacking) from None
        return select(inner(slots, fuel), name)

    def from_code(slots: Any, fuel: Fuel) -> Value:
        value = inner(slots, fuel)
        if type(value) is dict:
            try:
                return value[name]
            except KeyError:
                raise failed(lacking) from None
        return select(value, name)

    return from_code if slot is None else from_slot


def _select_fields(inner: Run, names: list[str]) -> Run:
    def run(slots: Any, fuel: Fuel) -> Value:
        value = inner(slots, fuel)
        for name in names:
            value = select(value, name)
        return value

    return run


def _select_steps(inner: Run, steps: tuple[tree.Field | tree.Index, ...], keys: list[Code | None]) -> Run:
    parts = _parts(steps, keys)

    def run(slots: Any, fuel: Fuel) -> Value:
        value = inner(slots, fuel)
        for name, key in parts:
            value = select(value, name) if key is None else index(value, key(slots, fuel))
        return value

    return run


def _parts(steps: tuple[tree.Field | tree.Index, ...], keys: list[Code | None]) -> list[tuple[str, Run | None]]:
    return [
        (step.name if isinstance(step, tree.Field) else "", key.run if key else None)
        for step, key in zip(steps, keys, strict=True)
    ]


def compile_has(node: tree.Has, scope: Scope, compile_node: Compile) -> Code:
    """Compile `has()`: false as soon as something on the way is absent, or null with something asked of it."""
    reference = reference_of(node.access, scope.bound)
    base = compile_read(reference.path, scope) if reference else compile_node(node.access.operand, scope)
    steps = reference.rest if reference else node.access.steps
    keys = [compile_node(step.key, scope) if isinstance(step, tree.Index) else None for step in steps]
    cost = 1 + base.cost + len(steps) + sum(key.cost for key in keys if key)
    parts, slot, inner = _parts(steps, keys), base.slot, base.run

    def run(slots: Any, fuel: Fuel) -> bool:
        value = inner(slots, fuel) if slot is None else slots[slot]
        for name, key in parts:
            if value is ABSENT or value is None:
                return False
            value = _find_field(value, name) if key is None else find(value, key(slots, fuel))
        return value is not ABSENT

    return fold(Code(run=run, cost=cost), [base, *(key for key in keys if key)])


def _find_field(value: Value, name: str) -> Value:
    if is_map(value):
        return value.get(name, ABSENT)
    raise failed(f"a value of type {kind_of(value)} has no field {name!r}")


def is_path(node: Node) -> bool:
    """Tell whether an expression is a reference with static selections: its value is handed on, nothing is made."""
    reference = reference_of(node, frozenset())
    if reference is None:
        return False
    return all(
        isinstance(step, tree.Field) or static_name(step) is not None or isinstance(step.key, tree.Literal)
        for step in reference.rest
    )
