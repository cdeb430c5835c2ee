"""What is known at a place of a dry run: names whose value no outcome that is open can change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from core.dag.plan import Node, Plan
from core.engine.draft import Draft
from core.engine.names import Place, evaluate, outward, place_of, slots_for
from core.engine.state import Frame
from core.engine.sure import sure
from core.expression import ABSENT, Program, Read, Rendering


class Spot(NamedTuple):
    """Where a step stands: the innermost list around it that was entered, and the owners of lists below it."""

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
                return self._plan.by_id[step_id] not in self._spot.crossed
            case ("item",) | ("index",):
                return not any(self._plan.nodes[owner].kind == "map" for owner in self._spot.crossed)
            case ("error",):
                return not self._spot.crossed
            case _:
                return True

    def _at(self, number: int) -> Place | None:
        return next((at for at in outward(self.draft, self._spot.place) if at.list == number), None)

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


def spot_of(draft: Draft, frame: Frame, index: int) -> Spot:
    """Give the spot of a task."""
    return Spot(place_of(draft, frame, index))
