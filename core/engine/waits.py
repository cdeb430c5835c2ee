"""`@control/wait`, and when an instance is `waiting` (semantics.md S25; dag-language.md 6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.dag.plan import Node, WaitPlan
from core.engine import ending
from core.engine import events as e
from core.engine.callbacks import take_kept_call
from core.engine.draft import Draft
from core.engine.lists import total_timer
from core.engine.names import Place, render
from core.engine.signals import begin_signal_wait
from core.engine.state import Timer, WaitState
from core.engine.statuses import INSTANCE_RUNNING, INSTANCE_WAITING
from core.engine.sure import sure
from core.engine.waking import end_wait
from core.executor.operator import ComputeFailed
from core.expression import ExpressionFailed
from core.expression.moment import parse_timestamp

WAIT_END_MAX = datetime(9999, 12, 31, tzinfo=UTC)  # what a timer's row can hold; a wait until then never ends


def begin_wait(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Wait until a time, for a signal or a callback; what has passed or come already ends it at once (S25 to S27).

    Raises:
        ExpressionFailed: a parameter errs. ComputeFailed: it is no time, or negative, or no name.
    """
    plan = sure(node.wait)
    if plan.event is not None:
        name = begin_signal_wait(draft, place, index, node)
        if name is not None:
            _wait_for_answer(draft, place, index, node, WaitState(draft.now, name))
        return
    if plan.is_callback:
        if not take_kept_call(draft, place, index):
            _wait_for_answer(draft, place, index, node, WaitState(draft.now, callback=True))
        return
    due_at = _due_at(draft, place, plan)
    if draft.is_missing:
        return
    if due_at <= draft.now:
        wait_is_over(draft, place.frame.path, index)
        return
    timers = (draft.new_timer(due_at, "wait"), *total_timer(draft, node))
    draft.emit(e.WaitBegun(place.frame.path, index, WaitState(draft.now), timers))


def _wait_for_answer(draft: Draft, place: Place, index: int, node: Node, held: WaitState) -> None:
    """Wait for something from outside, not longer than `timeout_s`."""
    timers = (*expiry_timer(draft, node), *total_timer(draft, node))
    draft.emit(e.WaitBegun(place.frame.path, index, held, timers))


def expiry_timer(draft: Draft, node: Node) -> tuple[Timer, ...]:
    """Make the timer of `timeout_s`, if what comes from outside has one."""
    timeout_s = node.expiry_s
    return () if timeout_s is None else (draft.new_timer(later_by(draft.now, timeout_s), "expiry"),)


def later_by(now: datetime, seconds: float) -> datetime:
    """Give the time so many seconds later, at most WAIT_END_MAX."""
    return now + timedelta(seconds=min(seconds, (WAIT_END_MAX - now).total_seconds()))


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
    return later_by(draft.now, value)


def wait_is_over(draft: Draft, path: str, index: int) -> None:
    """Succeed: the time has come (S17)."""
    end_wait(draft, path, index, "time")


def expire(draft: Draft, path: str, index: int) -> None:
    """Fail: nothing came in time (S25)."""
    bound = draft.node(draft.frame(path), index).expiry_s
    ending.fail_task(draft, path, index, kind="timeout", message=f"timeout_s of {bound:g} s is over")


def settle_status(draft: Draft) -> None:
    """Say that the instance waits, or no longer does: nothing of it is under way but waits."""
    status = draft.header.status
    if status not in (INSTANCE_RUNNING, INSTANCE_WAITING):
        return
    frames = draft.open_frames()
    is_busy = any(frame.ready or frame.running or frame.retrying for frame in frames) or bool(draft.deferred)
    is_waiting = not is_busy and draft.header.closing is None and any(frame.waiting for frame in frames)
    if is_waiting and status is INSTANCE_RUNNING:
        draft.emit(e.InstanceWaiting())
    elif not is_waiting and status is INSTANCE_WAITING:
        draft.emit(e.InstanceWoken())
