"""What is known at a place of a dry run: names whose value no outcome that is open can change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from core.dag.plan import Node, Plan, PlanList
from core.engine.draft import Draft
from core.engine.names import Place, evaluate, slots_for, visible
from core.engine.sure import sure
from core.expression import ABSENT, Program, Read, Rendering


class Spot(NamedTuple):
    """Where a step stands: the innermost list around it that was entered, and those below it that were not."""

    place: Place
    crossed: frozenset[int] = frozenset()


class Facts:
    """Reads the state of a dry run for one step; evaluates with the fuel of one decision."""

    def __init__(self, plan: Plan, draft: Draft, spot: Spot) -> None:
        self.draft = draft
        self._plan = plan
        self._spot = spot

    def unknown(self, reads: Sequence[Read]) -> list[str]:
        """List the references that have no value yet, or whose value may change."""
        return [".".join(read.path) for read in reads if not self._is_known(read.path)]

    def value(self, program: Program) -> Any:
        """Evaluate an expression of which everything is known.

        Raises:
            ExpressionFailed: as the program does.
        """
        return evaluate(self.draft, self._spot.place, program)

    def render(self, rendering: Rendering) -> tuple[Any, list[str]]:
        """Render what is known; gives the value, and the references that the rest waits for.

        Raises:
            ExpressionFailed: a part that is known has no value.
        """
        unknown = self.unknown(rendering.reads)
        slots, missing = [], []
        for position, read in enumerate(rendering.reads):
            if ".".join(read.path) in unknown:
                slots.append(ABSENT)
                missing.append(position)
            else:
                slots += slots_for(self.draft, self._spot.place, [read])
        fuel = self.draft.fuel()
        return rendering.render_known(slots, frozenset(missing), fuel, self.draft.now), unknown

    def _is_known(self, path: tuple[str, ...]) -> bool:
        match path:
            case ("steps", step_id, _):
                return self._has_ended(self._plan.nodes[self._plan.by_id[step_id]])
            case ("vars", name):
                return name in self._plan.constants or self._is_settled(name)
            case ("loops", step_id, _):
                return all(one.owner != self._plan.by_id[step_id] for one in self._crossed())
            case ("item",):
                return not any(has_items(self._plan, one) for one in self._crossed())
            case ("index",):
                return not any(is_turn(self._plan, one) for one in self._crossed())
            case ("error",):
                return not any(self._is_about_error(one) for one in self._crossed())
            case ("instance",):
                return self.draft.header.outcome is not None or all(one.owner is not None for one in self._crossed())
            case _:
                return True

    def _crossed(self) -> Iterator[PlanList]:
        return (self._plan.lists[number] for number in self._spot.crossed)

    def _is_about_error(self, one: PlanList) -> bool:
        if one.owner is None:
            return self.draft.header.outcome is None
        owner = self._plan.nodes[one.owner]
        return one.index == owner.on_error or (owner.tries is not None and one.index == owner.tries.catch)

    def _at(self, number: int) -> Place | None:
        return next((at for at in visible(self.draft, self._spot.place) if at.list == number), None)

    def _has_ended(self, node: Node) -> bool:
        at = self._at(node.list)
        if at is None:
            return False
        task = at.frame.tasks[at.cell * self._plan.regions[at.frame.region].size + node.slot]
        return sure(task).has_ended

    def _is_settled(self, name: str) -> bool:
        """Say whether a variable has its value for good: defined, and no step assigns it."""
        if any(node.kind == "assign" and node.variable == name for node in self._plan.nodes):
            return False
        at = self._at(self._plan.nodes[self._plan.variables[name]].list)
        return at is not None and (at.cell, name) in at.frame.variables


def is_turn(plan: Plan, one: PlanList) -> bool:
    """Say whether a list is the body of a map or a loop, entered once per item or iteration."""
    loop = None if one.owner is None else plan.nodes[one.owner].loop
    return one.is_map_body or (loop is not None and loop.body == one.index)


def has_items(plan: Plan, one: PlanList) -> bool:
    """Say whether a list is the body of a map, or of a loop over items."""
    if not is_turn(plan, one):
        return False
    loop = plan.nodes[sure(one.owner)].loop
    return loop is None or loop.mode == "each"
