"""The end of a wait: what it came to, and its output (semantics.md S17)."""

from __future__ import annotations

from core.engine import ending
from core.engine import events as e
from core.engine.answer_state import ApprovalState
from core.engine.draft import Draft
from core.engine.state import CallState, Task, Value, WaitState
from core.engine.statuses import TASK_WAITING
from core.engine.values import encode_json, join, stamp


def end_wait(draft: Draft, path: str, index: int, reason: str, data: Value = b"null") -> None:
    """Let a wait succeed: `reason` says what came, `data` is what that brought."""
    frame = draft.frame(path)
    is_read = draft.node(frame, index).keeps_output
    parts = (encode_json(reason), encode_json(stamp(draft.now)), data)
    output = draft.keep(join("object", parts, ("reason", "at", "data")), frame, is_read=is_read)
    draft.emit(e.TaskSucceeded(path, index, output))
    ending.task_ended(draft, path, index)


def is_asking(task: Task) -> bool:
    """Say whether a task waits for something from outside: nobody knows when that comes, or whether."""
    held = task.detail
    is_wait = isinstance(held, WaitState | ApprovalState | CallState) and held.asks is not None
    return is_wait and task.status is TASK_WAITING
