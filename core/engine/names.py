"""What the names of an expression mean at one place of an instance: reads become slots (semantics.md S5, S20, S24)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from core.dag.plan import Node
from core.engine.draft import Draft
from core.engine.state import Frame, Indirect, Joined, Reference, Task, TaskStatus, Value
from core.engine.sure import sure
from core.expression import ABSENT, ExpressionFailed, Program, Read, Rendering

STATUS_TEXT = {status: status.name.lower() for status in TaskStatus}


class Place(NamedTuple):
    """A list in a cell of a frame: where an expression is evaluated, or a task stands."""

    frame: Frame
    cell: int
    list: int


class Holder(NamedTuple):
    """The task that holds a list: its frame, and its place in it."""

    frame: Frame
    at: int


def place_of(draft: Draft, frame: Frame, index: int) -> Place:
    """Give the place of a task."""
    return Place(frame, draft.cell(frame, index), draft.node(frame, index).list)


def holder_of(draft: Draft, place: Place) -> Holder | None:
    """Give the task that holds the list at `place`, None for the top list."""
    plan_list = draft.plan.lists[place.list]
    if plan_list.owner is None:
        return None
    region = draft.plan.regions[place.frame.region]
    if region.root != place.list:
        return Holder(place.frame, place.cell * region.size + draft.plan.nodes[plan_list.owner].slot)
    return Holder(draft.peek(sure(place.frame.parent)), place.frame.parent_index)


def outward(draft: Draft, place: Place) -> Iterator[Place]:
    """Give `place` and every place around it, from the inside out."""
    at: Place | None = place
    while at is not None:
        yield at
        holder = holder_of(draft, at)
        at = None if holder is None else place_of(draft, holder.frame, holder.at)


def slots_for(draft: Draft, place: Place, reads: Sequence[Read]) -> list[Any]:
    """Give the values of `reads` at `place`; what is not at hand is noted in `draft.missing`."""
    return [_loaded(draft, _find(draft, place, read.path)) for read in reads]


def evaluate(draft: Draft, place: Place, program: Program) -> Any:
    """Evaluate an expression. Only meaningful while `draft.is_missing` is False afterwards.

    Raises:
        ExpressionFailed: as the program does.
    """
    slots = slots_for(draft, place, program.reads)
    if draft.is_missing:
        return None
    fuel = draft.fuel()
    given = fuel.left
    try:
        return program.run(slots, fuel, draft.now)
    finally:
        draft.burned(given, fuel)


def require_boolean(value: Any) -> None:
    """Refuse the result of a condition that is no boolean (S7).

    Raises:
        ExpressionFailed: kind `expression`.
    """
    if not isinstance(value, bool):
        raise ExpressionFailed("expression", f"the condition gave {type(value).__name__}, not a boolean")


def render(draft: Draft, place: Place, rendering: Rendering) -> tuple[Any, bool]:
    """Render a template; gives the value, and whether stored values stand in it unloaded (bare paths, S36).

    Raises:
        ExpressionFailed: as the rendering does.
    """
    if rendering.is_constant:
        return rendering.constant, False
    slots: list[Any] = []
    has_references = False
    for position, read in enumerate(rendering.reads):
        found = _find(draft, place, read.path)
        if isinstance(found, Reference | Joined | Indirect) and position in rendering.handed_on:
            slots.append(found)
            has_references = True
        else:
            slots.append(_loaded(draft, found))
    if draft.is_missing:
        return None, False
    fuel = draft.fuel()
    given = fuel.left
    try:
        return rendering.render(slots, fuel, draft.now), has_references
    finally:
        draft.burned(given, fuel)


class _Plain:
    """A value that is JSON already, told from a stored one."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _loaded(draft: Draft, found: Value | _Plain | None) -> Any:
    if found is None:
        return ABSENT
    return found.value if isinstance(found, _Plain) else draft.load(found)


def _find(draft: Draft, place: Place, path: tuple[str, ...]) -> Value | _Plain | None:
    match path:
        case ("steps", step_id, field):
            return _step(draft, place, draft.plan.nodes[draft.plan.by_id[step_id]], field)
        case ("vars", name):
            return _variable(draft, place, name)
        case ("vars",):
            return _Plain(draft.plan.constants)
        case ("inputs",):
            return draft.header.inputs
        case ("item",):
            return _item(draft, place, None)
        case ("index",):
            return _index(draft, place, None)
        case ("loops", step_id, "item"):
            return _item(draft, place, draft.plan.by_id[step_id])
        case ("loops", step_id, _):
            return _index(draft, place, draft.plan.by_id[step_id])
        case ("error",):
            return _error(draft, place)
        case ("trigger",):
            return draft.header.trigger
        case _:
            return _instance(draft)


def _step(draft: Draft, place: Place, node: Node, field: str) -> Value | _Plain | None:
    task = next(_task_at(draft, at, node) for at in outward(draft, place) if at.list == node.list)
    if field == "output":
        return task.output
    if field == "status":
        return _Plain(STATUS_TEXT[task.status])
    if field == "attempts":
        return _Plain(task.attempts)
    is_error_of_failure = field == "error"
    if is_error_of_failure != (task.status is TaskStatus.FAILED):
        return _Plain(None) if is_error_of_failure else None
    return task.error


def _task_at(draft: Draft, at: Place, node: Node) -> Task:
    task = at.frame.tasks[at.cell * draft.plan.regions[at.frame.region].size + node.slot]
    return sure(task)


def variable_place(draft: Draft, place: Place, name: str) -> Place:
    """Give the place whose list defines the run variable."""
    home = draft.plan.nodes[draft.plan.variables[name]].list
    return next(at for at in outward(draft, place) if at.list == home)


def _variable(draft: Draft, place: Place, name: str) -> Value | _Plain | None:
    if name in draft.plan.constants:
        return _Plain(draft.plan.constants[name])
    at = variable_place(draft, place, name)
    return at.frame.variables.get((at.cell, name))


def _chunk(draft: Draft, place: Place, map_node: int | None) -> Place:
    """Give the place of the map item around `place`: of this map, or the innermost."""
    return next(at for at in outward(draft, place) if _is_item_of(draft, at, map_node))


def _is_item_of(draft: Draft, at: Place, map_node: int | None) -> bool:
    region = draft.plan.regions[at.frame.region]
    return region.map_node is not None and region.root == at.list and map_node in {None, region.map_node}


def _item(draft: Draft, place: Place, map_node: int | None) -> _Plain:
    at = _chunk(draft, place, map_node)
    items = draft.load(at.frame.items)
    return _Plain(items[at.cell] if items else None)  # nothing is at hand when the items are not


def _index(draft: Draft, place: Place, map_node: int | None) -> _Plain:
    at = _chunk(draft, place, map_node)
    return _Plain(at.frame.first + at.cell)


def _error(draft: Draft, place: Place) -> Value | None:
    """Give the error that the innermost `on_error` list around `place` handles."""
    at = next(at for at in outward(draft, place) if draft.plan.lists[at.list].name == "on_error")
    holder = sure(holder_of(draft, at))
    return sure(holder.frame.tasks[holder.at]).error


def _instance(draft: Draft) -> _Plain:
    header = draft.header
    return _Plain({"id": header.id, "started_at": header.started_at, "version": header.dag_version, "parent": None})
