"""The lists of a DAG (semantics.md 1): walking them, their order, and what is upstream of what."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator

import msgspec

from core.dag.fault import Faults, below
from core.dag.model import Dag, Step

# One cycle is found at a time; a list with more of them shows the first ones.
CYCLES_COUNT_MAX = 20


def lists_of(step: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Give the lists directly below a step with their names (`steps`, branch id, `else`, `on_error`), in text order."""
    for branch in step.branches:
        yield branch.id, branch.steps
    yield from step.lists.items()
    if isinstance(step.on_error, tuple):
        yield "on_error", step.on_error


def top_lists(dag: Dag) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Give the lists that no step holds: the top list and the hooks, with their pointers."""
    yield "/steps", dag.steps
    for name in ("on_failure", "on_finish"):
        hook = getattr(dag.settings, name)
        if hook:
            yield f"/settings/{name}", hook


def walk_lists(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Give a list and every list below it, outer ones first."""
    stack = [steps]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed([inner for step in current for _, inner in lists_of(step)]))


def walk_steps(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Give every step of a list and of the lists below it, in the order of the text."""
    stack = list(reversed(steps))
    while stack:
        step = stack.pop()
        yield step
        stack.extend(reversed([one for _, inner in lists_of(step) for one in inner]))


class Order(msgspec.Struct, frozen=True):
    """The order inside one list, by place in the document.

    Attributes:
        upstream: the steps that each step waits for, ascending. before: all steps that have ended when it starts, as a
            bit set over places.
    """

    upstream: tuple[tuple[int, ...], ...]
    before: tuple[int, ...]


def order_of(steps: tuple[Step, ...]) -> Order:
    """Work out the order of a list whose `depends_on` has been checked; unknown ids and cycles are ignored."""
    upstream = _upstream(steps)
    before = [0] * len(steps)
    for place in _sorted_places(upstream):
        for waited in upstream[place]:
            before[place] |= before[waited] | 1 << waited
    return Order(tuple(tuple(places) for places in upstream), tuple(before))


def _upstream(steps: tuple[Step, ...]) -> list[list[int]]:
    places = {step.id: place for place, step in reversed(list(enumerate(steps)))}
    upstream = []
    for place, step in enumerate(steps):
        if step.depends_on is None:
            upstream.append([place - 1] if place else [])
        else:
            upstream.append(sorted({places[name] for name in step.depends_on if name in places}))
    return upstream


def _sorted_places(upstream: list[list[int]]) -> list[int]:
    """Sort places; while there is a cycle, drop what its first step waits for in it (a fault names it)."""
    for _ in range(CYCLES_COUNT_MAX):
        cycle = _cycle(upstream)
        if not cycle:
            break
        upstream[min(cycle)] = [place for place in upstream[min(cycle)] if place not in cycle]
    try:
        return list(graphlib.TopologicalSorter(dict(enumerate(upstream))).static_order())
    except graphlib.CycleError:
        return []


def _cycle(upstream: list[list[int]]) -> list[int]:
    try:
        graphlib.TopologicalSorter(dict(enumerate(upstream))).prepare()
    except graphlib.CycleError as error:
        cycle: list[int] = error.args[1]
        return cycle
    return []


def check_order(dag: Dag, faults: Faults) -> None:
    """Add the faults of every `depends_on` (semantics.md S4)."""
    known = {step.id for _, steps in top_lists(dag) for step in walk_steps(steps) if step.id}
    for _, top in top_lists(dag):
        for steps in walk_lists(top):
            _check_names(steps, known, faults)
            _check_cycles(steps, faults)


def _check_names(steps: tuple[Step, ...], known: set[str], faults: Faults) -> None:
    here = {step.id for step in steps}
    for step in steps:
        for place, name in enumerate(step.depends_on or ()):
            pointer = below(f"{step.pointer}/depends_on", place)
            if name in here or faults.has_within(pointer):
                continue
            if name in known:
                faults.add("dag.depends_on.unknown", pointer, f"{name} is a step of another list")
            else:
                hint = faults.near(name, here - {step.id, ""})
                faults.add("dag.depends_on.unknown", pointer, f"there is no step {name} in this list", hint=hint)


def _check_cycles(steps: tuple[Step, ...], faults: Faults) -> None:
    upstream = _upstream(steps)
    for _ in range(CYCLES_COUNT_MAX):
        cycle = _cycle(upstream)
        if not cycle:
            return
        first = min(cycle)
        # graphlib closes the circle with its first member and goes against the arrows.
        turned = cycle[:-1]
        start = turned.index(first)
        way = " -> ".join(steps[place].id for place in [*turned[start:], *turned[:start], first])
        faults.add("dag.depends_on.cycle", f"{steps[first].pointer}/depends_on", f"steps wait for each other: {way}")
        upstream[first] = [place for place in upstream[first] if place not in cycle]
