"""What the names of an expression mean at one place of an instance: reads become slots (semantics.md S5, S20, S24)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from core.dag.plan import Node
from core.engine.callback_token import token_of
from core.engine.draft import Draft
from core.engine.lists import list_path
from core.engine.state import Frame, Indirect, Joined, LoopState, Reference, Task, TaskStatus, TryState, Value
from core.engine.statuses import TASK_FAILED
from core.engine.sure import sure, sure_of
from core.expression import ABSENT, ExpressionFailed, Program, Read, Rendering

STATUS_TEXT = {status: status.name.lower() for status in TaskStatus}


class Holder(NamedTuple):
    """The task that holds a list: its frame, and its place in it."""

    frame: Frame
    at: int


class Place(NamedTuple):
    """A list in a cell of a frame: where an expression is evaluated, or a task stands.

    `within` = the loop of this list whose next iteration an expression is about (its `condition`).
    """

    frame: Frame
    cell: int
    list: int
    within: Holder | None = None


def place_of(draft: Draft, frame: Frame, index: int) -> Place:
    """Give the place of a task."""
    return Place(frame, draft.cell(frame, index), draft.node(frame, index).list)


def holder_of(draft: Draft, place: Place) -> Holder | None:
    """Give the task that holds the list at `place`, None for the top list and the hooks."""
    plan_list = draft.plan.lists[place.list]
    if plan_list.owner is None:
        return None
    region = draft.plan.regions[place.frame.region]
    if region.root != place.list:
        return Holder(place.frame, place.cell * region.size + draft.plan.nodes[plan_list.owner].slot)
    return Holder(draft.peek(sure(place.frame.parent)), place.frame.parent_index)


def outward(draft: Draft, place: Place) -> Iterator[Place]:
    """Give `place` and every place around it, from the inside out; around a hook lies the top list (S5)."""
    at: Place | None = place
    while at is not None:
        yield at
        holder = holder_of(draft, at)
        if holder is not None:
            at = place_of(draft, holder.frame, holder.at)
        else:
            at = Place(draft.peek(""), 0, 0) if at.list else None


def visible(draft: Draft, place: Place) -> list[Place]:
    """List every place whose steps are seen from `place`: those around it, and a try's `steps` from its later lists."""
    found: list[Place] = []
    for at in outward(draft, place):
        found.append(at)
        holder = holder_of(draft, at)
        tries = None if holder is None else draft.node(holder.frame, holder.at).tries
        if holder is None or tries is None or at.list not in (tries.catch, tries.cleanup):
            continue
        if draft.plan.lists[tries.steps].region == holder.frame.region:
            found.append(Place(holder.frame, at.cell, tries.steps))
        else:
            found.append(Place(draft.peek(list_path(draft, holder.frame, holder.at, tries.steps)), 0, tries.steps))
    return found


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
        case ("loops", step_id, "index"):
            return _index(draft, place, draft.plan.by_id[step_id])
        case ("loops", step_id, _):
            return _last(draft, place, draft.plan.by_id[step_id])
        case ("error",):
            return _error(draft, place)
        case ("trigger",):
            return draft.header.trigger
        case ("callbacks", step_id):
            return _Plain(_callback(draft, place, draft.plan.nodes[draft.plan.by_id[step_id]]))
        case _:
            return _instance(draft)


def _step(draft: Draft, place: Place, node: Node, field: str) -> Value | _Plain | None:
    task = next(_task_at(draft, at, node) for at in visible(draft, place) if at.list == node.list)
    if field == "output":
        return task.output
    if field == "status":
        return _Plain(STATUS_TEXT[task.status])
    if field == "attempts":
        return _Plain(task.attempts)
    is_error_of_failure = field == "error"
    if is_error_of_failure != (task.status is TASK_FAILED):
        return _Plain(None) if is_error_of_failure else None
    return task.error


def _callback(draft: Draft, place: Place, node: Node) -> str:
    """Give the URL of a wait's callback (S27): of the wait that belongs to the same item or iteration."""
    at = next(at for at in visible(draft, place) if at.list == node.list)
    path = draft.task_path(at.frame, at.cell * draft.plan.regions[at.frame.region].size + node.slot)
    return draft.plan.callback_url + token_of(draft.header.id, draft.header.callback_secret, path)


def _task_at(draft: Draft, at: Place, node: Node) -> Task:
    task = at.frame.tasks[at.cell * draft.plan.regions[at.frame.region].size + node.slot]
    return sure(task)


def variable_place(draft: Draft, place: Place, name: str) -> Place:
    """Give the place whose list defines the run variable."""
    home = draft.plan.nodes[draft.plan.variables[name]].list
    return next(at for at in visible(draft, place) if at.list == home)


def _variable(draft: Draft, place: Place, name: str) -> Value | _Plain | None:
    if name in draft.plan.constants:
        return _Plain(draft.plan.constants[name])
    at = variable_place(draft, place, name)
    return at.frame.variables.get((at.cell, name))


class _Turn(NamedTuple):
    """One map item or iteration around a place: of which node, its number, and the list in which its item stands.

    `items` None = it has none; `at` = where in them the item stands. `last` of a loop only.
    """

    node: Node
    number: int
    items: Value | None
    at: int
    last: Value | None = None


def _turns(draft: Draft, place: Place) -> list[_Turn]:
    """List the map items and iterations around a place, from the inside out."""
    found = [] if place.within is None else [_iteration(draft, place.within, 0)]
    for at in outward(draft, place):
        if draft.plan.lists[at.list].is_map_body:
            map_node = sure(draft.plan.regions[at.frame.region].map_node)
            found.append(_Turn(draft.plan.nodes[map_node], at.frame.first + at.cell, at.frame.items, at.cell))
            continue
        holder = holder_of(draft, at)
        loop = None if holder is None else draft.node(holder.frame, holder.at).loop
        if holder is not None and loop is not None and loop.body == at.list:
            found.append(_iteration(draft, holder, 1))
    return found


def _iteration(draft: Draft, holder: Holder, begun: int) -> _Turn:
    """Give the iteration that runs (`begun` 1), or the next one (0)."""
    held = sure_of(LoopState, sure(holder.frame.tasks[holder.at]).detail)
    number = held.begun - begun
    node = draft.node(holder.frame, holder.at)
    if not held.items:
        return _Turn(node, number, None, 0, held.last)
    part, at = divmod(number, held.slice_items)
    return _Turn(node, number, held.items[part], at, held.last)


def _turn_of(draft: Draft, place: Place, number: int) -> _Turn:
    return next(turn for turn in _turns(draft, place) if turn.node.index == number)


def _item(draft: Draft, place: Place, number: int | None) -> _Plain:
    """Give the item of this map or loop, or of the innermost that has items."""
    if number is None:
        turn = next(turn for turn in _turns(draft, place) if turn.items is not None)
    else:
        turn = _turn_of(draft, place, number)
    items = draft.load(turn.items)
    return _Plain(items[turn.at] if items else None)  # nothing is at hand when the items are not


def _index(draft: Draft, place: Place, number: int | None) -> _Plain:
    turn = _turns(draft, place)[0] if number is None else _turn_of(draft, place, number)
    return _Plain(turn.number)


def _last(draft: Draft, place: Place, number: int) -> Value:
    """Give the value of the iteration before, null at first."""
    return _turn_of(draft, place, number).last or b"null"


def _error(draft: Draft, place: Place) -> Value | _Plain:
    """Give the error that the innermost `on_error` or `catch` list, or hook, around `place` is about."""
    return next(found for at in outward(draft, place) if (found := _error_of(draft, at)) is not None)


def _error_of(draft: Draft, at: Place) -> Value | _Plain | None:
    """Give the error that one list is about, None when it is about none."""
    holder = holder_of(draft, at)
    if holder is None:
        return _or_null(sure(draft.header.outcome).error)
    task, node = sure(holder.frame.tasks[holder.at]), draft.node(holder.frame, holder.at)
    if node.on_error == at.list:
        return _or_null(task.error)
    if node.tries is not None and node.tries.catch == at.list:
        return _or_null(sure_of(TryState, task.detail).error)
    return None


def _or_null(error: Value | None) -> Value | _Plain:
    return _Plain(None) if error is None else error


def _instance(draft: Draft) -> _Plain:
    header = draft.header
    about = {"id": header.id, "started_at": header.started_at, "version": header.dag_version, "parent": None}
    if header.outcome is not None:
        about["outcome"] = header.outcome.status.value
    return _Plain(about)
