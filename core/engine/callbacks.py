"""Callbacks: one call from outside ends a wait, also when it comes before the wait began (semantics.md S27)."""

from __future__ import annotations

from core.engine import closing, ending
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.answer_state import CallbackCall
from core.engine.callback_token import is_proven
from core.engine.draft import Draft
from core.engine.entered import find_entered
from core.engine.names import STATUS_TEXT, Place
from core.engine.state import Value
from core.engine.statuses import TASK_PENDING, TASK_WAITING
from core.engine.sure import sure
from core.engine.waking import end_wait


def take(draft: Draft, event: s.Callback) -> None:
    """End the wait that is meant, or keep the call until it begins; what comes later changes nothing."""
    status = draft.header.status
    if not is_proven(draft.header.callback_secret, event.path, event.proof):
        draft.answer = x.Answer("no_task", status)
        return
    found = find_entered(draft, event.path)
    if found is None:  # its list has ended
        draft.answer = x.Answer("refused", status)
        return
    path, index = found
    if draft.has_marks:  # a frame that an event touches before its sweep is swept first (engine.md 2)
        closing.sweep_frame(draft, path)
    task = sure(draft.frame(path).tasks[index])
    is_early = task.status is TASK_PENDING and task.detail is None
    if not (is_early or task.status is TASK_WAITING):
        draft.answer = x.Answer("refused", status, STATUS_TEXT[task.status])
        return
    data = draft.store(event.data, None, is_read=False)
    error = None if event.error is None else draft.store(event.error, None, is_read=False)
    if is_early:
        draft.emit(e.CallbackKept(path, index, CallbackCall(draft.now, data, error)))
    else:
        _end(draft, path, index, data, error)
    draft.answer = x.Answer("accepted", status)


def take_kept_call(draft: Draft, place: Place, index: int) -> bool:
    """End a wait whose call came before it began; True also while values are missing."""
    held = sure(place.frame.tasks[index]).detail
    if not isinstance(held, CallbackCall):
        return False
    _end(draft, place.frame.path, index, held.data, held.error)
    return True


def _end(draft: Draft, path: str, index: int, data: Value, error: Value | None) -> None:
    if error is None:
        end_wait(draft, path, index, "callback", data)
        return
    told = draft.load(error)
    if not draft.is_missing:
        ending.fail_task(draft, path, index, kind=told["kind"], message=told["message"], data=told.get("data"))
