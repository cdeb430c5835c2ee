"""What an attempt's outcome, its loss, or a task's timer comes to (semantics.md S10, S14, S15; engine.md 5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from core.dag.plan import Node
from core.engine import approvals, cache, calls, ending
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.advance import queue_timer, start_attempt
from core.engine.closing import CLEANUP_S, closing_of, mark_task
from core.engine.draft import Draft, TooLarge
from core.engine.lists import kept_timers
from core.engine.put_off import due_at
from core.engine.retry import delay_s, share_of
from core.engine.state import LOST_IN_A_ROW_MAX, Attempt, CallState, Closing, Frame, Task, Timer, Value
from core.engine.statuses import TASK_RUNNING
from core.engine.sure import sure, sure_of
from core.engine.waits import wait_is_over
from core.executor.operator import Failed
from core.executor.retry_budget import RetriesTaken


def settle(draft: Draft, event: s.AttemptEnded) -> None:
    """Take the outcome of the current attempt of a running task."""
    frame = draft.frame(event.frame)
    node = draft.node(frame, event.index)
    result = event.result
    if isinstance(result, Failed):
        _failed(draft, frame, event.index, node, result)
    elif isinstance(result, s.Finished):
        try:
            stored = draft.store(result.output, frame, is_read=node.keeps_output, value=result.value)
        except TooLarge as failure:
            ending.fail_task(draft, event.frame, event.index, kind="limit", message=str(failure))
            return
        key = None if node.cache is None else _running(frame, event.index)[1].cache_key
        draft.emit(e.TaskSucceeded(event.frame, event.index, stored))
        if key is not None:
            cache.keep(draft, node, key, stored)
        ending.task_ended(draft, event.frame, event.index)
    else:
        _lost(draft, frame, event.index)


def _failed(draft: Draft, frame: Frame, index: int, node: Node, result: Failed) -> None:
    task, held = _running(frame, index)
    due_in_s = _delay(draft, frame, index, node, result)
    if due_in_s is None:
        ending.fail_task(
            draft, frame.path, index, kind=result.error_kind, message=result.message, data=result.data,
            is_called=result.called,
        )  # fmt: skip
        return
    step = draft.task_path(frame, index)
    error = ending.error_value(
        draft, frame, kind=result.error_kind, message=result.message, step=step, attempt=held.number, data=result.data
    )
    kept = kept_timers(task)
    if due_in_s > 0:
        retry = draft.new_timer(draft.now + timedelta(seconds=due_in_s), "retry")
        draft.emit(e.AttemptFailed(frame.path, index, error, (*kept, retry)))
        return
    draft.emit(e.AttemptFailed(frame.path, index, error, kept))
    _retry(draft, frame.path, index, is_in_turn=False)


def _delay(draft: Draft, frame: Frame, index: int, node: Node, result: Failed) -> float | None:
    """Give the seconds until the next attempt, None when none follows."""
    task, held = _running(frame, index)
    failures = held.number - held.lost
    is_closing = closing_of(draft, frame, index) is not None
    if is_closing or result.error_kind not in node.retry.on or failures >= node.retry.max_attempts:
        return None
    path = draft.task_path(frame, index)
    share = share_of(draft.seed, path, held.number)
    wait_s = delay_s(node.retry, failures=failures, share=share, retry_after_s=result.retry_after_s)
    return None if _is_too_late(draft, task, draft.now + timedelta(seconds=wait_s)) else wait_s


def _is_too_late(draft: Draft, task: Task, at: datetime) -> bool:
    """Say whether `total_s` is over when a next attempt would start (S15)."""
    total = next((timer for timer in task.timers if timer.kind == "total"), None)
    return total is not None and at >= due_at(draft, total)


def _retry(draft: Draft, path: str, index: int, *, is_in_turn: bool) -> None:
    """Begin a retry whose delay is over, or put it off while its business domain has no budget for it (R25).

    Only retries of failures come here: one by hand, and an attempt after a lost one, take nothing from it.
    """
    budget = draft.state.retries
    if budget is None:
        requeue(draft, path, index)
        return
    outward = draft.beyond()
    if outward.retries is None:
        outward.retries = RetriesTaken()
    at = budget.next_at(draft.header.domain_id, draft.now, outward.retries, is_in_turn=is_in_turn)
    if at is None:
        outward.retries.began += 1
        requeue(draft, path, index)
        return
    task = sure(draft.frame(path).tasks[index])
    if _is_too_late(draft, task, at):
        ending.fail_with(draft, path, index, cast("Value", task.error))  # of its last attempt
        return
    outward.retries.put_off += 1
    draft.emit(e.TimersRearmed(path, index, (*kept_timers(task), draft.new_timer(at, "put_off"))))


def requeue(draft: Draft, path: str, index: int) -> None:
    """Make a retrying task ready again, and start its attempt when there is room."""
    frame = draft.frame(path)
    task = sure(frame.tasks[index])
    node = draft.node(frame, index)
    kept = kept_timers(task)
    if draft.room > draft.attempts_started:
        draft.emit(e.TaskRequeued(path, index, kept))
        start_attempt(draft, path, index)
    else:
        draft.emit(e.TaskRequeued(path, index, kept + queue_timer(draft, node)))


def find_lost(draft: Draft, path: str) -> None:
    """Find attempts of older epochs: their outcome will never be known (R21)."""
    frame = draft.frame(path)
    for index, task in enumerate(frame.tasks):
        if task is None or task.status is not TASK_RUNNING or not isinstance(task.detail, Attempt):
            continue
        if task.detail.epoch != draft.state.epoch:
            _lost(draft, frame, index)


def _lost(draft: Draft, frame: Frame, index: int) -> None:
    """A lost attempt is no failure: the next number at once; after 8 in a row the task fails (engine.md 5).

    One that must not be made twice may have been made: somebody has to say what came of it (S16).
    """
    closing = closing_of(draft, frame, index)
    if closing is not None:
        draft.emit(e.TaskCancelled(frame.path, index, closing.cause))
        ending.task_ended(draft, frame.path, index)
        return
    if draft.node(frame, index).at_most_once:
        draft.emit(e.AttemptUnknown(frame.path, index))
        return
    _task, held = _running(frame, index)
    if held.lost_in_a_row + 1 >= LOST_IN_A_ROW_MAX:
        message = f"{LOST_IN_A_ROW_MAX} attempts in a row were lost with their node"
        ending.fail_task(draft, frame.path, index, kind="unavailable", message=message)
        return
    draft.emit(e.AttemptLost(frame.path, index))
    requeue(draft, frame.path, index)


def start_if_open(draft: Draft, frame: Frame, index: int) -> None:
    """Start the attempt of a ready task, unless something above it is closing, or it waits for a permit."""
    permit = sure_of(Attempt, sure(frame.tasks[index]).detail).permit
    if (permit is None or permit.is_held) and closing_of(draft, frame, index) is None:
        start_attempt(draft, frame.path, index)


def timer_fired(draft: Draft, path: str, index: int, timer: Timer) -> None:
    """Act on a timer that the task still holds."""
    frame = draft.frame(path)
    task = sure(frame.tasks[index])
    if timer.kind in ("retry", "put_off"):
        _retry(draft, path, index, is_in_turn=timer.kind == "put_off")
        return
    if timer.kind == "wait":
        wait_is_over(draft, path, index)
        return
    if timer.kind == "expiry":
        approvals.expire(draft, path, index)
        return
    node = draft.node(frame, index)
    if timer.kind == "cleanup":
        message = f"`finally` ran longer than {CLEANUP_S:g} s"
    else:
        bound = node.timeout.queue_s if timer.kind == "queue" else node.timeout.total_s
        message = f"{timer.kind}_s of {bound} s is over"
    if task.status is TASK_RUNNING and not isinstance(task.detail, Attempt):
        step = draft.task_path(frame, index)
        error = ending.error_value(draft, frame, kind="timeout", message=message, step=step, attempt=0)
        is_cleanup = timer.kind == "cleanup"
        mark = Closing("timeout", draft.now, error, is_grace_over=is_cleanup, is_cleanup_over=is_cleanup)
        mark_task(draft, path, index, mark)
        return
    if isinstance(task.detail, CallState):
        calls.time_is_over(draft, path, index, message)
        return
    if isinstance(task.detail, Attempt) and task.status is TASK_RUNNING:
        draft.effects.append(x.CancelAttempt(path, index, task.detail.number))
    ending.fail_task(draft, path, index, kind="timeout", message=message)


def _running(frame: Frame, index: int) -> tuple[Task, Attempt]:
    task = sure(frame.tasks[index])
    return task, sure_of(Attempt, task.detail)
