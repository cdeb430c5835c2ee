"""The lists of a DAG (semantics.md 1): walking them, their order, and what is upstream of what."""

from __future__ import annotations

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
            bit set over places. cycles: steps that wait for each other, each cycle from its first step on in the order
            of the arrows; at most `CYCLES_COUNT_MAX`.
    """

    upstream: tuple[tuple[int, ...], ...]
    before: tuple[int, ...]
    cycles: tuple[tuple[int, ...], ...] = ()


def order_of(steps: tuple[Step, ...]) -> Order:
    """Work out the order of a list; unknown ids, and what the first step of a cycle waits for in it, are left out."""
    sorting = _Sorting(_upstream(steps))
    cycles = sorting.finish()
    before = [0] * len(steps)
    for place in sorting.order:
        for waited in sorting.upstream[place]:
            before[place] |= before[waited] | 1 << waited
    return Order(tuple(map(tuple, sorting.upstream)), tuple(before), cycles)


class Orders:
    """The orders of a DAG's lists, each worked out once: several passes ask for them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[Step, ...], Order]] = {}

    def of(self, steps: tuple[Step, ...]) -> Order:
        """Give `order_of` of a list."""
        known = self._known.get(id(steps))
        if known is None:
            # The list is kept beside its order: as long as it lives, no other one has its identity.
            known = self._known[id(steps)] = (steps, order_of(steps))
        return known[1]


def _upstream(steps: tuple[Step, ...]) -> list[list[int]]:
    places = {step.id: place for place, step in reversed(list(enumerate(steps)))}
    upstream = []
    for place, step in enumerate(steps):
        if step.depends_on is None:
            upstream.append([place - 1] if place else [])
        else:
            upstream.append(sorted({places[name] for name in step.depends_on if name in places}))
    return upstream


class _Sorting:
    """Kahn's way through a list: steps that wait for nothing are taken off until none is left, or a cycle is.

    `order` = the places taken off so far; `upstream` loses what is cut.
    """

    def __init__(self, upstream: list[list[int]]) -> None:
        self.upstream = upstream
        self.order: list[int] = []
        self._waits_count = [len(places) for places in upstream]
        self._followers: list[list[int]] = [[] for _ in upstream]
        for place, waited in enumerate(upstream):
            for one in waited:
                self._followers[one].append(place)

    def finish(self) -> tuple[tuple[int, ...], ...]:
        """Take off all, cutting every cycle at its first step; gives the cycles, the first `CYCLES_COUNT_MAX`."""
        cycles: list[tuple[int, ...]] = []
        self._take([place for place, count in enumerate(self._waits_count) if not count])
        while len(self.order) < len(self.upstream) and len(cycles) < CYCLES_COUNT_MAX:
            cycles.append(self._cycle())
            self._cut(cycles[-1])
        return tuple(cycles)

    def _take(self, ready: list[int]) -> None:
        while ready:
            taken = ready.pop()
            self.order.append(taken)
            for place in self._followers[taken]:
                self._waits_count[place] -= 1
                if not self._waits_count[place]:
                    ready.append(place)

    def _cycle(self) -> tuple[int, ...]:
        """Follow what waits to what it waits for: every step that is left waits for one that is left."""
        place = next(place for place, count in enumerate(self._waits_count) if count)
        way: dict[int, None] = {}
        while place not in way:
            way[place] = None
            place = next(one for one in self.upstream[place] if self._waits_count[one])
        circle = list(way)
        circle = circle[circle.index(place) :][::-1]
        start = circle.index(min(circle))
        return (*circle[start:], *circle[:start])

    def _cut(self, cycle: tuple[int, ...]) -> None:
        first, members = cycle[0], set(cycle)
        for place in members.intersection(self.upstream[first]):
            self._followers[place].remove(first)
            self._waits_count[first] -= 1
        self.upstream[first] = [place for place in self.upstream[first] if place not in members]
        if not self._waits_count[first]:
            self._take([first])


def check_order(dag: Dag, orders: Orders, faults: Faults) -> None:
    """Add the faults of every `depends_on` (semantics.md S4)."""
    known = {step.id for _, steps in top_lists(dag) for step in walk_steps(steps) if step.id}
    for _, top in top_lists(dag):
        for steps in walk_lists(top):
            _check_names(steps, known, faults)
            _check_cycles(steps, orders.of(steps), faults)


def _check_names(steps: tuple[Step, ...], known: set[str], faults: Faults) -> None:
    here = dict.fromkeys(step.id for step in steps)
    for step in steps:
        if here.keys() >= set(step.depends_on or ()):
            continue
        for place, name in enumerate(step.depends_on or ()):
            pointer = below(f"{step.pointer}/depends_on", place)
            if name in here or faults.has_within(pointer):
                continue
            if name in known:
                faults.add("dag.depends_on.unknown", pointer, f"{name} is a step of another list")
            else:
                hint = faults.near(name, (other for other in here if other not in (step.id, "")))
                faults.add("dag.depends_on.unknown", pointer, f"there is no step {name} in this list", hint=hint)


def _check_cycles(steps: tuple[Step, ...], order: Order, faults: Faults) -> None:
    for cycle in order.cycles:
        way = " -> ".join(steps[place].id for place in (*cycle, cycle[0]))
        pointer = f"{steps[cycle[0]].pointer}/depends_on"
        faults.add("dag.depends_on.cycle", pointer, f"steps wait for each other: {way}")
