"""`@control/wait`, and when an instance is `waiting` (semantics.md S25; dag-language.md 6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.dag.plan import Node, WaitPlan
from core.engine import ending
from core.engine import events as e
from core.engine.draft import Draft
from core.engine.lists import total_timer
from core.engine.names import Place, render
from core.engine.state import InstanceStatus, WaitState
from core.engine.sure import sure
from core.engine.values import encode_json
from core.executor.operator import ComputeFailed
from core.expression import ExpressionFailed
from core.expression.moment import parse_timestamp

WAIT_END_MAX = datetime(9999, 12, 31, tzinfo=UTC)  # what a timer's row can hold; a wait until then never ends


def begin_wait(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Wait until a time; one that has passed succeeds at once (S25).

    Raises:
        ExpressionFailed: the parameter errs. ComputeFailed: it is no time, or negative.
    """
    due_at = _due_at(draft, place, sure(node.wait))
    if draft.is_missing:
        return
    if due_at <= draft.now:
        wait_is_over(draft, place.frame.path, index)
        return
    timers = (draft.new_timer(due_at, "wait"), *total_timer(draft, node))
    draft.emit(e.WaitBegun(place.frame.path, index, WaitState(draft.now), timers))


def _due_at(draft: Draft, place: Place, plan: WaitPlan) -> datetime:
    given, has_holes = render(draft, place, sure(plan.seconds or plan.until))
    value = draft.fill(given) if has_holes else given
    if draft.is_missing:
        return draft.now
    if plan.seconds is None:
        if not isinstance(value, str):
            raise ComputeFailed("invalid", f"`until` is {type(value).__name__}, not a time")
        try:
            return parse_timestamp(value)
        except ExpressionFailed as failure:
            raise ComputeFailed("invalid", f"`until`: {failure.message}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ComputeFailed("invalid", "`seconds` is no number from 0 on")
    left_s = (WAIT_END_MAX - draft.now).total_seconds()
    return draft.now + timedelta(seconds=min(value, left_s))


def wait_is_over(draft: Draft, path: str, index: int) -> None:
    """Succeed: the time has come (S17)."""
    at = draft.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    frame = draft.frame(path)
    is_read = draft.node(frame, index).keeps_output
    output = draft.store(encode_json({"reason": "time", "at": at, "data": None}), frame, is_read=is_read)
    draft.emit(e.TaskSucceeded(path, index, output))
    ending.task_ended(draft, path, index)


def settle_status(draft: Draft) -> None:
    """Say that the instance waits, or no longer does: nothing of it is under way but waits."""
    status = draft.header.status
    if status not in (InstanceStatus.RUNNING, InstanceStatus.WAITING):
        return
    frames = draft.open_frames()
    is_busy = any(frame.ready or frame.running or frame.retrying for frame in frames) or bool(draft.deferred)
    is_waiting = not is_busy and draft.header.closing is None and any(frame.waiting for frame in frames)
    if is_waiting and status is InstanceStatus.RUNNING:
        draft.emit(e.InstanceWaiting())
    elif not is_waiting and status is InstanceStatus.WAITING:
        draft.emit(e.InstanceWoken())
