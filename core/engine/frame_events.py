"""What each event does to a frame: the only code that changes one, in decisions and in replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine import events as e
from core.engine.ends import ItemEnd
from core.engine.frame_task import StateInconsistent as StateInconsistent  # noqa: PLC0414 - told on: folding raises it
from core.engine.frame_task import attempt_of, held_at, inline_bytes, put, task_at
from core.engine.journal import is_attempt_running
from core.engine.policy_changes import POLICY_CHANGES
from core.engine.state import (
    PENDING_TASK,
    Attempt,
    Container,
    Frame,
    Handling,
    Holding,
    LoopState,
    MapState,
    Task,
    TryState,
    Value,
)
from core.engine.statuses import TASK_PENDING
from core.engine.transitions import moved


def open_frame(plan: Plan, event: e.FrameOpened) -> Frame:
    """Make the frame that `event` opened; an ordinary list's tasks are pending at once."""
    region = plan.regions[event.region]
    frame = Frame(
        path=event.frame, region=event.region, parent=event.parent, parent_index=event.parent_index,
        prefix=event.prefix, first=event.first, cells=event.cells, size=region.size, items=event.items,
    )  # fmt: skip
    if region.map_node is None:
        frame.begun = 1
        frame.tasks = [PENDING_TASK] * region.size
    return frame


def apply_frame(plan: Plan, frame: Frame, event: Any) -> None:
    """Change `frame` as `event` says; checks every arrow against the transition table."""
    _APPLY[type(event)](plan, frame, event)


def _items_begun(plan: Plan, frame: Frame, event: e.ItemsBegun) -> None:
    region = plan.regions[frame.region]
    root = plan.lists[region.root]
    pending = [PENDING_TASK] * len(root.nodes)
    for cell in range(frame.begun, frame.begun + event.count):
        start = cell * region.size + root.first_slot
        frame.tasks[start : start + len(pending)] = pending
    frame.begun += event.count


def _list_entered(plan: Plan, frame: Frame, event: e.ListEntered) -> None:
    entered = plan.lists[event.list]
    start = event.cell * plan.regions[frame.region].size + entered.first_slot
    frame.tasks[start : start + len(entered.nodes)] = [PENDING_TASK] * len(entered.nodes)


def _frame_closed(_plan: Plan, frame: Frame, _event: e.FrameClosed) -> None:
    frame.is_open = False


def _task_skipped(_plan: Plan, frame: Frame, event: e.TaskSkipped) -> None:
    old = task_at(frame, event.index)
    new = Task(moved(event, old.status), old.attempts, event.output, reason=event.reason)
    put(frame, event.index, old, new)


def _task_readied(_plan: Plan, frame: Frame, event: e.TaskReadied) -> None:
    old = task_at(frame, event.index)
    new = Task(moved(event, old.status), 0, None, None, Attempt(event.parameters), event.timers)
    put(frame, event.index, old, new)


def _task_requeued(_plan: Plan, frame: Frame, event: e.TaskRequeued) -> None:
    old = task_at(frame, event.index)
    new = Task(moved(event, old.status), old.attempts, None, old.error, old.detail, event.timers)
    put(frame, event.index, old, new)


def _attempt_started(plan: Plan, frame: Frame, event: e.AttemptStarted) -> None:
    old = task_at(frame, event.index)
    held = attempt_of(old)
    detail = Attempt(
        held.parameters, event.number, event.token, event.epoch, held.lost, held.lost_in_a_row, held.cache_key,
        held.permit,
    )  # fmt: skip
    calls = old.attempts + (_node_kind(plan, frame, event.index) == "attempt")
    put(frame, event.index, old, Task(moved(event, old.status), calls, None, old.error, detail, event.timers))


def _wait_begun(_plan: Plan, frame: Frame, event: e.WaitBegun) -> None:
    old = task_at(frame, event.index)
    put(frame, event.index, old, Task(moved(event, old.status), 0, None, None, event.detail, event.timers))


def _callback_kept(_plan: Plan, frame: Frame, event: e.CallbackKept) -> None:
    old = task_at(frame, event.index)
    if old.status is not TASK_PENDING or old.detail is not None:
        message = f"task {event.index} of frame {frame.path!r} keeps no call"
        raise StateInconsistent(message)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=event.call)


def _attempt_lost(_plan: Plan, frame: Frame, event: e.AttemptLost) -> None:
    old = task_at(frame, event.index)
    held = attempt_of(old)
    detail = _between(held, held.lost + 1, held.lost_in_a_row + 1)
    put(frame, event.index, old, Task(moved(event, old.status), old.attempts, None, old.error, detail, old.timers))


def _attempt_unknown(_plan: Plan, frame: Frame, event: e.AttemptUnknown) -> None:
    old = task_at(frame, event.index)
    held = attempt_of(old)
    detail = _between(held, held.lost + 1, held.lost_in_a_row)
    put(frame, event.index, old, Task(moved(event, old.status), old.attempts, None, old.error, detail, old.timers))


def _told(_plan: Plan, frame: Frame, event: e.TaskActed | e.ApprovalAnswered) -> None:
    """Change nothing: who did it, and why, is for people."""


def _timers_rearmed(_plan: Plan, frame: Frame, event: e.TimersRearmed) -> None:
    frame.tasks[event.index] = msgspec.structs.replace(task_at(frame, event.index), timers=event.timers)


def _attempt_failed(_plan: Plan, frame: Frame, event: e.AttemptFailed) -> None:
    old = task_at(frame, event.index)
    held = attempt_of(old)
    detail = _between(held, held.lost, 0)
    put(frame, event.index, old, Task(moved(event, old.status), old.attempts, None, event.error, detail, event.timers))


def _container_entered(_plan: Plan, frame: Frame, event: e.ContainerEntered) -> None:
    old = task_at(frame, event.index)
    put(frame, event.index, old, Task(moved(event, old.status), 0, None, None, event.detail, event.timers))


def _task_succeeded(_plan: Plan, frame: Frame, event: e.TaskSucceeded) -> None:
    old = task_at(frame, event.index)
    put(frame, event.index, old, Task(moved(event, old.status), old.attempts, event.output, event.errors))


def _task_failed(_plan: Plan, frame: Frame, event: e.TaskFailed) -> None:
    old = task_at(frame, event.index)
    detail = Handling("running", None, event.under) if event.handling == "running" else None
    calls = old.attempts - (not event.is_called and is_attempt_running(old))
    put(frame, event.index, old, Task(moved(event, old.status), calls, None, event.error, detail))


def _task_cancelled(_plan: Plan, frame: Frame, event: e.TaskCancelled) -> None:
    old = task_at(frame, event.index)
    put(frame, event.index, old, Task(moved(event, old.status), old.attempts, reason=event.reason))


def _handling_ended(_plan: Plan, frame: Frame, event: e.HandlingEnded) -> None:
    old = task_at(frame, event.index)
    if not (isinstance(old.detail, Handling) and old.detail.phase == "running"):
        message = f"task {event.index} of frame {frame.path!r} has no running on_error list"
        raise StateInconsistent(message)
    phase = Handling("failed" if event.error is not None else "handled", reused_from=old.detail.reused_from)
    error = old.error if event.error is None else event.error
    put(frame, event.index, old, Task(old.status, old.attempts, event.output, error, phase))


def _list_ended(_plan: Plan, frame: Frame, event: e.ListEnded) -> None:
    old, held = held_at(frame, event.index, Container)
    ends = tuple(event.end if number == event.list else end for number, end in zip(held.lists, held.ends, strict=True))
    detail = Container(held.lists, ends, held.closing, held.under)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _item_ended(_plan: Plan, frame: Frame, event: e.ItemEnded) -> None:
    if frame.ends[event.cell] is not None:
        message = f"item {event.cell} of frame {frame.path!r} ended twice"
        raise StateInconsistent(message)
    frame.ends[event.cell] = ItemEnd(event.succeeded, event.value, event.error)
    frame.ended += 1


def _map_advanced(_plan: Plan, frame: Frame, event: e.MapAdvanced) -> None:
    old, held = held_at(frame, event.index, MapState)
    detail = msgspec.structs.replace(held, begun=event.begun, open=event.open)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _chunk_ended(_plan: Plan, frame: Frame, event: e.ChunkEnded) -> None:
    old, held = held_at(frame, event.index, MapState)
    ends = (*held.ends[: event.number], event.end, *held.ends[event.number + 1 :])
    detail = msgspec.structs.replace(held, ends=ends)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _task_closing(_plan: Plan, frame: Frame, event: e.TaskClosing) -> None:
    old = task_at(frame, event.index)
    if not isinstance(old.detail, Holding):
        message = f"task {event.index} of frame {frame.path!r} holds nothing that could close"
        raise StateInconsistent(message)
    detail = msgspec.structs.replace(old.detail, closing=event.closing)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _item_closing(_plan: Plan, frame: Frame, event: e.ItemClosing) -> None:
    frame.closing[event.cell] = event.closing


def _variable_set(_plan: Plan, frame: Frame, event: e.VariableSet) -> None:
    key = (event.cell, event.name)
    frame.inline_bytes += inline_bytes(event.value) - inline_bytes(frame.variables.get(key))
    frame.variables[key] = event.value


def _try_advanced(_plan: Plan, frame: Frame, event: e.TryAdvanced) -> None:
    old, held = held_at(frame, event.index, TryState)
    detail = msgspec.structs.replace(held, list=event.list, value=event.value, error=event.error, closing=None)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail, timers=event.timers)


def _iteration_begun(_plan: Plan, frame: Frame, event: e.IterationBegun) -> None:
    old, held = held_at(frame, event.index, LoopState)
    detail = msgspec.structs.replace(held, begun=held.begun + 1, is_open=True)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _iteration_ended(_plan: Plan, frame: Frame, event: e.IterationEnded) -> None:
    old, held = held_at(frame, event.index, LoopState)
    levels, last = held.levels, held.last
    if event.value is not None:
        levels, last = _with_value(levels, event.value, event.merged), event.value
    detail = msgspec.structs.replace(held, is_open=False, is_over=event.is_over, last=last, levels=levels)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _with_value(
    levels: tuple[tuple[Value, ...], ...], value: Value, merged: tuple[Value, ...]
) -> tuple[tuple[Value, ...], ...]:
    """Put a value on level 0; what a level was merged to stands on the next one in its place."""
    grown = [*levels, *[()] * (len(merged) + 1 - len(levels))]
    grown[0] = (*grown[0], value)
    for level, part in enumerate(merged):
        grown[level] = ()
        grown[level + 1] = (*grown[level + 1], part)
    return tuple(grown)


def _between(held: Attempt, lost: int, lost_in_a_row: int) -> Attempt:
    """Give what a task holds while none of its attempts is out."""
    return Attempt(held.parameters, held.number, b"", 0, lost, lost_in_a_row, held.cache_key, held.permit)


def _node_kind(plan: Plan, frame: Frame, index: int) -> str:
    region = plan.regions[frame.region]
    return plan.nodes[region.nodes[index % region.size]].kind


_APPLY: dict[type, Callable[[Plan, Frame, Any], None]] = {
    e.ItemsBegun: _items_begun,
    e.ListEntered: _list_entered,
    e.FrameClosed: _frame_closed,
    e.TaskSkipped: _task_skipped,
    e.TaskReadied: _task_readied,
    e.TaskRequeued: _task_requeued,
    e.AttemptStarted: _attempt_started,
    e.AttemptLost: _attempt_lost,
    e.AttemptFailed: _attempt_failed,
    e.ContainerEntered: _container_entered,
    e.TaskSucceeded: _task_succeeded,
    e.TaskFailed: _task_failed,
    e.TaskCancelled: _task_cancelled,
    e.HandlingEnded: _handling_ended,
    e.ListEnded: _list_ended,
    e.ItemEnded: _item_ended,
    e.MapAdvanced: _map_advanced,
    e.ChunkEnded: _chunk_ended,
    e.TaskClosing: _task_closing,
    e.ItemClosing: _item_closing,
    e.VariableSet: _variable_set,
    e.WaitBegun: _wait_begun,
    e.CallbackKept: _callback_kept,
    e.AttemptUnknown: _attempt_unknown,
    e.TaskActed: _told,
    e.ApprovalAnswered: _told,
    e.TimersRearmed: _timers_rearmed,
    e.TryAdvanced: _try_advanced,
    e.IterationBegun: _iteration_begun,
    e.IterationEnded: _iteration_ended,
    **POLICY_CHANGES,
}


FRAME_EVENTS = _APPLY.keys()
