"""`@control/loop`: iterations one after another (semantics.md S20, S21)."""

from __future__ import annotations

from typing import Any

from core.dag.plan import LoopPlan, Node
from core.engine import ending
from core.engine import events as e
from core.engine import rerun_events as r
from core.engine.closing import closing_at, closing_inside, failing_since
from core.engine.containers import succeed_empty
from core.engine.draft import ITEMS_BEGUN_MAX, Draft, TooLarge
from core.engine.lists import look_at_list, total_timer
from core.engine.names import Holder, Place, evaluate, holder_of, place_of, render, require_boolean
from core.engine.reentry import again_of, lend_list
from core.engine.state import Frame, Joined, LoopAgain, LoopState, Value
from core.engine.statuses import TASK_RUNNING
from core.engine.sure import sure, sure_of
from core.engine.values import encode_json, join
from core.executor.operator import ComputeFailed
from core.expression import ExpressionFailed

SLICES_MAX = 16  # of the items of `each`: a task holds a reference to each, an iteration loads one
SLICE_ITEMS_MIN = 256
LEVEL_PARTS_MAX = 16  # values of a level before they are laid together: five levels hold a million


def enter_loop(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Fix how often the body runs, as far as it is known, and begin.

    Raises:
        ExpressionFailed: `limit` or `items` errs. ComputeFailed: they are of the wrong kind, or too many.
        TooLarge: the items are over 64 MiB.
    """
    plan = sure(node.loop)
    items = None if plan.items is None else _whole(draft, place, plan.items)
    count = None if plan.limit is None else _whole(draft, place, plan.limit)
    if draft.is_missing:
        return
    if plan.items is not None:
        if not isinstance(items, list):
            raise ComputeFailed("invalid", f"`items` is {type(items).__name__}, not a list")
        count = len(items)
    elif plan.limit is not None and (type(count) is not int or count < 0):
        raise ComputeFailed("invalid", "`limit` is no whole number from 0 on")
    if count is not None and count > plan.max_iterations:
        raise ComputeFailed("limit", f"{count} iterations are more than max_iterations = {plan.max_iterations}")
    if count == 0:
        succeed_empty(draft, place.frame, index, node, b"[]")
        return
    size = max(SLICE_ITEMS_MIN, -(-(count or 0) // SLICES_MAX))
    slices = [] if items is None else [items[at : at + size] for at in range(0, len(items), size)]
    stored = tuple(draft.store(encode_json(part), None, is_read=False, value=part) for part in slices)
    under = failing_since(draft, place.frame, index)
    again = again_of(place.frame, index)
    detail = LoopState(count, stored, size, under=under)
    if again is not None:
        detail = LoopAgain(count, stored, size, under=under, again=again)
    draft.emit(e.ContainerEntered(place.frame.path, index, detail, total_timer(draft, node)))
    draft.later("loop_may_go_on", place.frame.path, index)


def _whole(draft: Draft, place: Place, rendering: Any) -> Any:
    value, has_holes = render(draft, place, rendering)
    return draft.fill(value) if has_holes else value


def loop_may_go_on(draft: Draft, path: str, index: int) -> None:
    """Begin the next iteration of a loop, or end it."""
    frame = draft.frame(path)
    task = frame.tasks[index]
    if task is None or task.status is not TASK_RUNNING or not isinstance(task.detail, LoopState):
        return
    held = task.detail
    if held.is_open:
        return
    if closing_inside(draft, frame, index) is not None:
        ending.end_container(draft, path, index, b"null", None)
        return
    if draft.is_paused:
        return  # looked at again at resume
    if draft.is_spent or draft.items_begun >= ITEMS_BEGUN_MAX:
        draft.defer(path)
        return
    try:
        goes_on = _goes_on(draft, frame, index, held)
        if draft.is_missing:
            return
        if goes_on:
            _begin(draft, frame, index, held)
        else:
            ending.end_container(draft, path, index, _values(held), None)
    except ExpressionFailed as failure:
        ending.fail_task(draft, path, index, kind=failure.kind, message=failure.message)
    except ComputeFailed as failure:
        ending.fail_task(draft, path, index, kind=failure.error_kind, message=failure.message)


def _goes_on(draft: Draft, frame: Frame, index: int, held: LoopState) -> bool:
    """Say whether another iteration follows.

    Raises:
        ExpressionFailed: the condition errs or is no boolean. ComputeFailed: there were as many as are allowed.
    """
    plan = sure(draft.node(frame, index).loop)
    if held.is_over or held.begun == held.count:
        return False
    if plan.condition is None:
        return True
    place = place_of(draft, frame, index)._replace(within=Holder(frame, index))
    wanted = evaluate(draft, place, plan.condition)
    if draft.is_missing:
        return False
    require_boolean(wanted)
    if wanted and held.begun == plan.max_iterations:
        raise ComputeFailed("limit", f"the condition still holds after max_iterations = {plan.max_iterations}")
    return bool(wanted)


def _begin(draft: Draft, frame: Frame, index: int, held: LoopState) -> None:
    body = draft.plan.lists[sure(draft.node(frame, index).loop).body]
    turn = f"{draft.task_path(frame, index)}.{held.begun}"
    draft.items_begun += 1
    draft.emit(e.IterationBegun(frame.path, index))
    inner = f"{turn}/{body.name}"
    draft.emit(e.FrameOpened(inner, body.region, frame.path, index, f"{turn}.", 0, 1, None))
    if not isinstance(held, LoopAgain):
        look_at_list(draft, inner, 0, body.index)
        return
    holder = draft.task_path(frame, index)
    if not lend_list(draft, held.again, holder, inner, 0, body.index, first=held.begun):
        draft.emit(r.ListAnew(frame.path, index))


def iteration_may_end(draft: Draft, path: str) -> None:
    """End an iteration whose steps have all ended: its value, and whether it was the last."""
    if not draft.has_frame(path):
        return
    frame = draft.frame(path)
    place = Place(frame, 0, draft.plan.regions[frame.region].root)
    holder = sure(holder_of(draft, place))
    value, is_over = None, False
    if closing_at(draft, place) is None:
        if draft.is_spent:
            draft.defer(path)
            return
        value, is_over = _came_to(draft, place, holder, sure(draft.node(holder.frame, holder.at).loop))
        if draft.is_missing:
            return
    held = sure_of(LoopState, sure(draft.frame(holder.frame.path).tasks[holder.at]).detail)
    draft.emit(e.FrameClosed(path))
    merged = () if value is None else _merged(draft, held.levels, value)
    draft.emit(e.IterationEnded(holder.frame.path, holder.at, value, is_over, merged))
    draft.later("loop_may_go_on", holder.frame.path, holder.at)


def _came_to(draft: Draft, place: Place, holder: Holder, plan: LoopPlan) -> tuple[Value | None, bool]:
    """Give the iteration's value, and whether it breaks the loop; no value when an expression errs, which fails it."""
    try:
        if plan.outputs is None:
            value = draft.far(ending.value_of(draft, place))
        else:
            rendered, has_holes = render(draft, place, plan.outputs)
            if draft.is_missing:
                return None, False
            value = draft.far(draft.store_any(rendered, None, is_read=False, has_holes=has_holes))
        return value, _breaks(draft, place, plan)
    except (ExpressionFailed, TooLarge) as failure:
        kind = failure.kind if isinstance(failure, ExpressionFailed) else "limit"
        step = draft.task_path(holder.frame, holder.at)
        error = ending.error_value(draft, place.frame, kind=kind, message=str(failure), step=step, attempt=0)
        ending.fail_list(draft, place, error)
        return None, False


def _breaks(draft: Draft, place: Place, plan: LoopPlan) -> bool:
    """Say whether the iteration at `place` is the last.

    Raises:
        ExpressionFailed: `break_when` errs or is no boolean.
    """
    if plan.break_when is None:
        return False
    is_over = evaluate(draft, place, plan.break_when)
    if not draft.is_missing:
        require_boolean(is_over)
    return bool(is_over)


def _merged(draft: Draft, levels: tuple[tuple[Value, ...], ...], value: Value) -> tuple[Value, ...]:
    """Lay full levels together, from the lowest up."""
    merged: list[Value] = []
    carried, level = value, 0
    while level < len(levels) and len(levels[level]) + 1 == LEVEL_PARTS_MAX:
        form: Any = "concat" if level else "list"
        carried = draft.far(Joined(form, (*levels[level], carried)))
        merged.append(carried)
        level += 1
    return tuple(merged)


def _values(held: LoopState) -> Value:
    """Lay the values of all iterations together, oldest first: the higher a level, the older."""
    older = [part for level in reversed(held.levels[1:]) for part in level]
    newest = join("list", held.levels[0])
    return join("concat", (*older, newest)) if older else newest
