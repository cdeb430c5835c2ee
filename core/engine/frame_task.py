"""One task of a frame: how it is found, and stored so that the frame's counts stay true."""

from __future__ import annotations

from typing import TypeVar

from core.engine.state import Attempt, Frame, Task, Value
from core.engine.statuses import TASK_READY, TASK_RETRYING, TASK_RUNNING, TASK_UNKNOWN, TASK_WAITING

Held = TypeVar("Held")


class StateInconsistent(Exception):
    """Rows of one instance contradict each other; the instance is quarantined."""


def put(frame: Frame, index: int, old: Task, new: Task) -> None:
    """Store a task and keep the frame's counts true."""
    frame.tasks[index] = new
    status, before = new.status, old.status
    if status is TASK_READY:
        frame.ready += 1
    elif status is TASK_RUNNING and isinstance(new.detail, Attempt):
        frame.running += 1
    elif status is TASK_RETRYING:
        frame.retrying += 1
    elif status is TASK_WAITING or status is TASK_UNKNOWN:
        frame.waiting += 1
    if before is TASK_READY:
        frame.ready -= 1
    elif before is TASK_RUNNING and isinstance(old.detail, Attempt):
        frame.running -= 1
    elif before is TASK_RETRYING:
        frame.retrying -= 1
    elif before is TASK_WAITING or before is TASK_UNKNOWN:
        frame.waiting -= 1
    if new.output is not old.output:
        frame.inline_bytes += inline_bytes(new.output) - inline_bytes(old.output)
    if new.error is not old.error:
        frame.inline_bytes += inline_bytes(new.error) - inline_bytes(old.error)


def inline_bytes(value: Value | None) -> int:
    """Give the bytes of a value that stand in the frame itself."""
    return len(value) if isinstance(value, bytes) else 0


def task_at(frame: Frame, index: int) -> Task:
    """Give the task at `index`.

    Raises:
        StateInconsistent: its list was not entered.
    """
    task = frame.tasks[index]
    if task is None:
        message = f"no task {index} in frame {frame.path!r}"
        raise StateInconsistent(message)
    return task


def attempt_of(task: Task) -> Attempt:
    """Give what a ready, running or retrying task of an operator holds.

    Raises:
        StateInconsistent: it holds something else.
    """
    if not isinstance(task.detail, Attempt):
        message = "the task holds no attempt"
        raise StateInconsistent(message)
    return task.detail


def held_at(frame: Frame, index: int, kind: type[Held]) -> tuple[Task, Held]:
    """Give a task, and what it holds, which must be of this kind."""
    task = task_at(frame, index)
    if not isinstance(task.detail, kind):
        message = f"task {index} of frame {frame.path!r} holds no {kind.__name__}"
        raise StateInconsistent(message)
    return task, task.detail
