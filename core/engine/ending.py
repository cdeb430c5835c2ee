"""What follows when a task, a list, a container or the instance ends (semantics.md S6, S9 to S13, S17, S19, S39)."""

from __future__ import annotations

from typing import Any

from core.dag.plan import Node
from core.engine import events as e
from core.engine import hooks
from core.engine.closing import (
    closing_at,
    closing_inside,
    closing_of,
    failing_since,
    mark_instance,
    mark_item,
    mark_task,
)
from core.engine.draft import Draft, TooLarge
from core.engine.ends import ChunkEnd, ItemEnd, ListEnd
from core.engine.lists import enter_list
from core.engine.names import Holder, Place, holder_of, place_of, render
from core.engine.put_off import may_end_paused
from core.engine.state import (
    Closing,
    Container,
    Frame,
    Handling,
    InstanceStatus,
    LoopState,
    MapState,
    Outcome,
    Task,
    TryState,
    Value,
)
from core.engine.statuses import INSTANCE_CANCELLED, INSTANCE_FAILED, INSTANCE_SUCCEEDED, TASK_RUNNING
from core.engine.sure import sure, sure_of
from core.engine.values import encode_json, join
from core.expression import ExpressionFailed, Rendering

MESSAGE_CHARS_MAX = 2_000  # of an error's message: an error stands beside its task, `data` takes the rest


def error_value(
    draft: Draft, frame: Frame | None, *, kind: str, message: str, step: str, attempt: int, data: Any = None
) -> Value:
    """Make an error (S13) and store it."""
    error = {"kind": kind, "message": message[:MESSAGE_CHARS_MAX], "step": step, "attempt": attempt}
    if data is not None:
        error["data"] = data
    return draft.store(encode_json(error), frame, is_read=True, value=error)


def fail_task(
    draft: Draft, path: str, index: int, *, kind: str, message: str, data: Any = None, is_called: bool = True
) -> None:
    """Fail a task with a new error."""
    frame = draft.frame(path)
    task = frame.tasks[index]
    attempt = sure(task).attempts - (not is_called)
    step = draft.task_path(frame, index)
    error = error_value(draft, frame, kind=kind, message=message, step=step, attempt=attempt, data=data)
    fail_with(draft, path, index, error, is_called=is_called)


def fail_with(draft: Draft, path: str, index: int, error: Value, *, is_called: bool = True) -> None:
    """Fail a task: its `on_error` list begins, or its failure is handled, or its list is failing (S9, S11, S12)."""
    frame = draft.frame(path)
    node = draft.node(frame, index)
    closing = closing_of(draft, frame, index)
    if isinstance(node.on_error, int) and closing is None:
        under = failing_since(draft, frame, index)
        draft.emit(e.TaskFailed(path, index, error, "running", is_called, under))
        enter_list(draft, path, index, node.on_error)
        return
    draft.emit(e.TaskFailed(path, index, error, "none", is_called))
    if closing is None and node.on_error != "continue":
        fail_list(draft, place_of(draft, frame, index), error)
    task_ended(draft, path, index)


def fail_list(draft: Draft, place: Place, error: Value) -> None:
    """Make a list failing, and with it what holds it, but for an item that fails alone (S9)."""
    closing = Closing("failing", draft.now, error)
    holder = holder_of(draft, place)
    if holder is None:
        mark_instance(draft, closing, draft.header.status)  # a hook's failure does not end `cancelling`
    elif _fails_alone(draft, place, holder):
        mark_item(draft, place.frame.path, place.cell, closing)
    else:
        mark_task(draft, holder.frame.path, holder.at, closing)


def _fails_alone(draft: Draft, place: Place, holder: Holder) -> bool:
    if not draft.plan.lists[place.list].is_map_body:
        return False
    return sure(draft.node(holder.frame, holder.at).map).on_item_error != "fail"


def task_ended(draft: Draft, path: str, index: int) -> None:
    """Look at what waits for this step, and whether its list has ended."""
    frame = draft.frame(path)
    node = draft.node(frame, index)
    base = index - node.index  # steps of one list are consecutive, in the plan and in the frame
    for number in node.downstream:
        draft.later("advance", path, base + number)
    draft.later("list_may_end", path, draft.cell(frame, index), node.list)


def list_may_end(draft: Draft, path: str, cell: int, number: int) -> None:
    """End a list whose steps have all ended."""
    if not draft.has_frame(path):
        return
    frame = draft.frame(path)
    plan_list = draft.plan.lists[number]
    first = cell * draft.plan.regions[frame.region].size + plan_list.first_slot
    for index in range(first + len(plan_list.nodes) - 1, first - 1, -1):
        task = frame.tasks[index]
        if task is None or not task.has_ended:
            return
    place = Place(frame, cell, number)
    holder = holder_of(draft, place)
    if holder is None:
        _end_top(draft, place)
    elif plan_list.is_map_body:
        _end_item(draft, place, holder)
    elif draft.node(holder.frame, holder.at).loop is not None and plan_list.name == "steps":
        draft.later("iteration_may_end", path)
    else:
        _end_nested(draft, place, holder)


def _end_top(draft: Draft, place: Place) -> None:
    """End the top list, or a hook's; a paused instance can only fail, and no hook starts (S42)."""
    if draft.is_paused and not may_end_paused(draft):
        return  # looked at again at resume
    if place.list:
        draft.later("hook_may_end", place.frame.path, place.list)
    elif draft.header.outcome is None:
        _conclude(draft, place)


def value_of(draft: Draft, place: Place) -> Value:
    """Give a list's value: the output of its last step (S17)."""
    last = draft.plan.nodes[draft.plan.lists[place.list].last]
    task = place.frame.tasks[place.cell * draft.plan.regions[place.frame.region].size + last.slot]
    return sure(task).output or b"null"


def _end_nested(draft: Draft, place: Place, holder: Holder) -> None:
    task = sure(draft.frame(holder.frame.path).tasks[holder.at])
    if not _is_list_open(draft.node(holder.frame, holder.at), task, place.list):
        return
    has_succeeded = closing_at(draft, place) is None
    value = value_of(draft, place) if has_succeeded else None
    if isinstance(task.detail, TryState):  # its frame stays open: the lists that follow read it
        draft.later("tried_list_ended", holder.frame.path, holder.at, place.list, value)
        return
    if draft.plan.regions[place.frame.region].root == place.list:
        draft.emit(e.FrameClosed(place.frame.path))
    if isinstance(task.detail, Handling):
        _end_handling(draft, holder, task, task.detail, value)
    else:
        draft.emit(e.ListEnded(holder.frame.path, holder.at, place.list, ListEnd(has_succeeded, value)))
        container_may_end(draft, holder.frame.path, holder.at)


def _is_list_open(node: Node, task: Task, number: int) -> bool:
    """Say whether list `number` of a task runs; lists that ended lie in a map item's chunk beside those that run."""
    held = task.detail
    if isinstance(held, Container):
        return task.status is TASK_RUNNING and held.ends[held.lists.index(number)] is None
    if isinstance(held, TryState):
        return task.status is TASK_RUNNING and held.list == number
    return isinstance(held, Handling) and held.phase == "running" and node.on_error == number


def _end_handling(draft: Draft, holder: Holder, task: Task, held: Handling, value: Value | None) -> None:
    """End an `on_error` list: its value is the fallback; its error takes the first one's place (S12)."""
    path, index = holder.frame.path, holder.at
    if value is not None:
        draft.emit(e.HandlingEnded(path, index, value, None))
    elif held.closing is not None and closing_of(draft, holder.frame, index) is None:
        error = with_cause(draft, holder, held.closing.error, task.error)
        if draft.is_missing:
            return
        draft.emit(e.HandlingEnded(path, index, None, error))
        fail_list(draft, place_of(draft, draft.frame(path), index), error)
    else:
        draft.emit(e.HandlingEnded(path, index, None, task.error))
    task_ended(draft, path, index)


def with_cause(draft: Draft, holder: Holder, second: Value | None, first: Value | None) -> Value:
    """Give the second error with the first one as its `cause` (S12, S22)."""
    error, cause = draft.load(second), draft.load(first)
    if draft.is_missing:
        return b"null"
    merged = {**error, "cause": cause}
    return draft.store(encode_json(merged), holder.frame, is_read=True, value=merged)


def container_may_end(draft: Draft, path: str, index: int) -> None:
    """End a branch or parallel whose lists have all ended; a map looks after its items, a loop after its iterations."""
    if not draft.has_frame(path):
        return
    frame = draft.frame(path)
    task = frame.tasks[index]
    if task is None or task.status is not TASK_RUNNING:
        return
    if isinstance(task.detail, MapState):
        draft.later("map_may_go_on", path, index)
    elif isinstance(task.detail, LoopState):
        draft.later("loop_may_go_on", path, index)
    elif isinstance(task.detail, Container) and all(end is not None for end in task.detail.ends):
        ends = [end for end in task.detail.ends if end is not None]
        output = _container_output(draft, draft.node(frame, index), task.detail, ends)
        end_container(draft, path, index, output, None)


def _container_output(draft: Draft, node: Node, held: Container, ends: list[ListEnd]) -> Value:
    names = tuple(draft.plan.lists[number].name for number in held.lists)
    values = tuple(end.value or b"null" for end in ends)
    if node.kind == "parallel" or node.takes_all:
        return join("object", values, names)
    return join("object", (encode_json(names[0]), *values), ("branch", "value"))


def end_container(draft: Draft, path: str, index: int, output: Value, errors: Value | None) -> None:
    """End a container in which nothing is open: cancelled, failed or succeeded, by the marks above and on it."""
    own = sure(draft.frame(path).tasks[index]).closing
    error = None if own is None else own.error or b"null"  # a failing or timeout mark has an error
    settle_container(draft, path, index, output, errors, error)


def settle_container(
    draft: Draft, path: str, index: int, output: Value, errors: Value | None, error: Value | None
) -> None:
    """End a container: cancelled by a mark above it, else failed with `error`, else succeeded."""
    frame = draft.frame(path)
    above = closing_of(draft, frame, index)
    if above is not None:
        draft.emit(e.TaskCancelled(path, index, above.cause))
        task_ended(draft, path, index)
    elif error is not None:
        fail_with(draft, path, index, error)
    else:
        _succeed_container(draft, frame, index, output, errors)


def _succeed_container(draft: Draft, frame: Frame, index: int, output: Value, errors: Value | None) -> None:
    node = draft.node(frame, index)
    try:
        kept = draft.keep(output, frame, is_read=node.keeps_output)
        kept_errors = None if errors is None else draft.keep(errors, frame, is_read=True)
    except TooLarge as failure:
        fail_task(draft, frame.path, index, kind="limit", message=str(failure))
        return
    if node.output_faults is not None:
        faults = node.output_faults(draft.load(kept))
        if draft.is_missing:
            return
        if faults:
            fail_task(draft, frame.path, index, kind="invalid", message="output: " + "; ".join(faults[:5]))
            return
    draft.emit(e.TaskSucceeded(frame.path, index, kept, kept_errors))
    task_ended(draft, frame.path, index)


def _end_item(draft: Draft, place: Place, holder: Holder) -> None:
    """End a map item; its map may begin another."""
    if place.frame.ends[place.cell] is not None:
        return
    closing = closing_at(draft, place)
    outputs = sure(draft.node(holder.frame, holder.at).map).outputs
    if closing is not None:
        mark = place.frame.closing.get(place.cell)
        ended = e.ItemEnded(place.frame.path, place.cell, succeeded=False, error=None if mark is None else mark.error)
    elif outputs is None:
        ended = e.ItemEnded(place.frame.path, place.cell, succeeded=True)
    elif draft.is_spent:
        draft.defer(place.frame.path)
        return
    else:
        ended = _item_output(draft, place, holder, outputs)
    if draft.is_missing:
        return
    draft.emit(ended)
    key = (holder.frame.path, holder.at)
    draft.item_ends[key] = draft.item_ends.get(key, 0) + 1
    draft.later("frame_may_end", place.frame.path)
    draft.later("map_may_go_on", *key)


def _item_output(draft: Draft, place: Place, holder: Holder, outputs: Rendering) -> e.ItemEnded:
    path, cell = place.frame.path, place.cell
    try:
        value, has_holes = render(draft, place, outputs)
        if draft.is_missing:
            return e.ItemEnded(path, cell, succeeded=True)
        stored = draft.store_any(value, place.frame, is_read=False, has_holes=has_holes)
        return e.ItemEnded(path, cell, succeeded=True, value=stored)
    except (ExpressionFailed, TooLarge) as failure:
        kind = failure.kind if isinstance(failure, ExpressionFailed) else "limit"
        step = draft.task_path(holder.frame, holder.at)
        error = error_value(draft, place.frame, kind=kind, message=str(failure), step=step, attempt=0)
        fail_list(draft, place, error)
        return e.ItemEnded(path, cell, succeeded=False, error=error)


def frame_may_end(draft: Draft, path: str) -> None:
    """Fold a chunk of map items that have all ended into its map (engine.md 1)."""
    if not draft.has_frame(path):
        return
    frame = draft.frame(path)
    region = draft.plan.regions[frame.region]
    if region.map_node is None or frame.ended < frame.begun:
        return
    parent = draft.frame(sure(frame.parent))
    closing = closing_inside(draft, parent, frame.parent_index)
    if closing is None and frame.begun < frame.cells:
        return
    held = sure_of(MapState, sure(parent.tasks[frame.parent_index]).detail)
    end = ChunkEnd(b"[]", None, 0) if closing is not None else _fold_chunk(draft, frame)
    if end is None:
        return
    draft.emit(e.FrameClosed(path))
    number = frame.first // held.chunk_items
    draft.emit(e.ChunkEnded(parent.path, frame.parent_index, number, end))
    draft.later("map_may_go_on", parent.path, frame.parent_index)


def _fold_chunk(draft: Draft, frame: Frame) -> ChunkEnd | None:
    map_node = sure(draft.plan.regions[frame.region].map_node)
    is_ignoring = sure(draft.plan.nodes[map_node].map).on_item_error == "ignore"
    values: list[Any] = []
    errors: list[Any] = []
    for cell, end in enumerate(map(sure, frame.ends)):
        if end.succeeded:
            values.append(draft.load(_item_value(draft, frame, cell, end)))
            continue
        if not is_ignoring:
            values.append(None)
        errors.append({"index": frame.first + cell, "error": draft.load(end.error)})
    if draft.is_missing:
        return None
    try:
        stored = draft.store(encode_json(values), frame, is_read=False, value=values)
        kept = draft.store(encode_json(errors), frame, is_read=False, value=errors) if errors else None
    except TooLarge as failure:
        above = sure(frame.parent)
        step = draft.task_path(draft.peek(above), frame.parent_index)
        error = error_value(draft, None, kind="limit", message=str(failure), step=step, attempt=0)
        mark_task(draft, above, frame.parent_index, Closing("failing", draft.now, error))
        return None
    return ChunkEnd(stored, kept, len(errors))


def _item_value(draft: Draft, frame: Frame, cell: int, end: ItemEnd) -> Value:
    if end.value is not None:
        return end.value
    return value_of(draft, Place(frame, cell, draft.plan.regions[frame.region].root))


def _conclude(draft: Draft, place: Place) -> None:
    """Decide the outcome when the top list has ended (S39)."""
    if draft.is_spent:
        draft.defer(place.frame.path)
        return
    closing = draft.header.closing
    status, outputs, error, reason = INSTANCE_FAILED, None, None, None
    if closing is None:
        status, outputs, error = _outputs(draft, place)
        if draft.is_missing:
            return
    elif closing.cause in {"cancel", "terminate"}:
        status, reason = INSTANCE_CANCELLED, closing.reason
    elif closing.cause == "return" and closing.error is None:
        status, outputs = INSTANCE_SUCCEEDED, draft.header.returned
    else:
        error = closing.error
    hooks.conclude(draft, Outcome(status, outputs, error, reason))


def _outputs(draft: Draft, place: Place) -> tuple[InstanceStatus, Value | None, Value | None]:
    if draft.plan.outputs is None:
        return INSTANCE_SUCCEEDED, b"{}", None
    try:
        value, has_holes = render(draft, place, draft.plan.outputs)
        if draft.is_missing:
            return INSTANCE_SUCCEEDED, None, None
        stored = draft.store_any(value, None, is_read=True, has_holes=has_holes)
    except (ExpressionFailed, TooLarge) as failure:
        kind = failure.kind if isinstance(failure, ExpressionFailed) else "limit"
        error = error_value(draft, None, kind=kind, message=str(failure), step="", attempt=0)
        return INSTANCE_FAILED, None, error
    return INSTANCE_SUCCEEDED, stored, None
