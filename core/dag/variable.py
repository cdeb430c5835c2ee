"""Run variables (semantics.md S24): who defines them, where they are seen, and who may assign."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from core.dag.control import ASSIGN, BRANCH, DEFINE, MAP, PARALLEL
from core.dag.fault import Faults
from core.dag.lists import Orders, lists_of, top_lists, walk_steps
from core.dag.model import Dag, Step


class _Seen(msgspec.Struct, frozen=True):
    """What a list sees: variables defined before it; `shielded` ones can be read, but not assigned, from here."""

    names: frozenset[str]
    shielded: frozenset[str]


def name_of(step: Step) -> str:
    """Give the variable that a define or assign names, empty text when it has none."""
    name = step.parameters.get("name")
    return name if step.operator in (DEFINE, ASSIGN) and isinstance(name, str) else ""


def definitions(dag: Dag) -> Iterator[Step]:
    """Give every define in the order of the text."""
    for _, top in top_lists(dag):
        for step in walk_steps(top):
            if step.operator == DEFINE and name_of(step):
                yield step


def check_variables(dag: Dag, orders: Orders, faults: Faults) -> None:
    """Add every fault of S24 (`dag.variable`), at the name."""
    seen: set[str] = set()
    for step in definitions(dag):
        name = name_of(step)
        if name in dag.vars:
            faults.add("dag.variable", _at(step), f"{name} is one of the document's vars, a constant")
        elif name in seen:
            faults.add("dag.variable", _at(step), f"{name} is defined already")
        seen.add(name)
    tops = dict(top_lists(dag))
    at_end = frozenset(name_of(step) for step in dag.steps if step.operator == DEFINE)
    for at, steps in tops.items():
        _check_list(steps, _Seen(at_end if at != "/steps" else frozenset(), frozenset()), dag, orders, faults)


def _at(step: Step) -> str:
    return f"{step.pointer}/parameters/name"


def _check_list(steps: tuple[Step, ...], seen: _Seen, dag: Dag, orders: Orders, faults: Faults) -> None:
    order = orders.of(steps)
    defined = [(place, name_of(step)) for place, step in enumerate(steps) if step.operator == DEFINE]
    for place, step in enumerate(steps):
        before = frozenset(name for other, name in defined if order.before[place] >> other & 1)
        if step.operator == ASSIGN and name_of(step):
            _check_assign(step, seen.names | before, seen.shielded, dag, faults)
        for name, inner in lists_of(step):
            below = _Seen(seen.names | before, seen.names | before if _is_parallel(step, name) else seen.shielded)
            _check_list(inner, _with_try(step, name, below), dag, orders, faults)
    _check_order(steps, order.before, faults)


def _with_try(step: Step, name: str, seen: _Seen) -> _Seen:
    """Let `catch` and `finally` see what the tried list defines (S5)."""
    if name not in ("catch", "finally"):
        return seen
    tried = frozenset(name_of(one) for one in step.lists.get("steps", ()) if one.operator == DEFINE)
    return _Seen(seen.names | tried, seen.shielded)


def _is_parallel(step: Step, name: str) -> bool:
    if name == "on_error":
        return False
    return step.operator in (MAP, PARALLEL) or (step.operator == BRANCH and step.parameters.get("mode") == "all")


def _check_assign(step: Step, names: frozenset[str], shielded: frozenset[str], dag: Dag, faults: Faults) -> None:
    name = name_of(step)
    if name in dag.vars:
        faults.add("dag.variable", _at(step), f"{name} is one of the document's vars, a constant")
    elif name not in names:
        hint = faults.near(name, names) or f"define {name} with @data/define in a step before"
        faults.add("dag.variable", _at(step), f"no step before defines {name}", hint=hint)
    elif name in shielded:
        faults.add("dag.variable", _at(step), f"{name} is defined outside of lists that run side by side")


def _check_order(steps: tuple[Step, ...], before: tuple[int, ...], faults: Faults) -> None:
    """Refuse two assigns of one variable in steps of this list of which neither waits for the other."""
    assigned: dict[str, list[tuple[int, Step]]] = {}
    for place, step in enumerate(steps):
        inside = {name_of(one) for one in walk_steps((step,)) if one.operator == DEFINE}
        for one in walk_steps((step,)):
            if one.operator == ASSIGN and name_of(one) and name_of(one) not in inside:
                assigned.setdefault(name_of(one), []).append((place, one))
    for name, found in assigned.items():
        # A step that waits for another has more steps before it: neighbours in this order tell about all pairs.
        found.sort(key=lambda one: (before[one[0]].bit_count(), one[0]))
        for (place, _), (later, step) in pairwise(found):
            if place != later and not before[later] >> place & 1:
                faults.add("dag.variable", _at(step), f"{name} is assigned in a step that may run at the same time")
