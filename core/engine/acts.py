"""Acts of people on a task: skip, complete, fail, retry (semantics.md S43)."""

from __future__ import annotations

import msgspec

from core.engine import closing, ending, outcome, telling
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.draft import Draft
from core.engine.entered import find_entered
from core.engine.names import STATUS_TEXT
from core.engine.state import CallState
from core.engine.statuses import INSTANCE_QUEUED
from core.engine.sure import sure
from core.engine.transitions import RETRIED_BY_HAND, SETTLED_BY_HAND

FAULTS_SHOWN_MAX = 20


def act(draft: Draft, event: s.Act) -> None:
    """Do what somebody wants of a task, or say why it cannot be done; what it cannot take changes nothing."""
    # The list of an instance that waits for its permit is not entered (S1).
    found = find_entered(draft, event.path) if draft.header.status is not INSTANCE_QUEUED else None
    status = draft.header.status
    if found is None:
        draft.answer = x.Answer("no_task", status)
        return
    path, index = found
    if draft.has_marks:  # a frame that an event touches before its sweep is swept first (engine.md 2)
        closing.sweep_frame(draft, path)
    task = sure(draft.frame(path).tasks[index])
    if task.status not in (RETRIED_BY_HAND if event.act == "retry" else SETTLED_BY_HAND):
        draft.answer = x.Answer("refused", status, STATUS_TEXT[task.status])
        return
    faults = _faults(draft, path, index, event)
    if faults:
        draft.answer = x.Answer("invalid", status, faults=tuple(faults[:FAULTS_SHOWN_MAX]))
        return
    draft.emit(e.TaskActed(path, index, event.act, event.by, event.reason))
    _settle(draft, path, index, event)
    draft.answer = x.Answer("accepted", status)


def _faults(draft: Draft, path: str, index: int, event: s.Act) -> list[str]:
    """List what the step's output schema has against the output that completes it."""
    node = draft.node(draft.frame(path), index)
    if event.act != "complete" or node.output_faults is None:
        return []
    return node.output_faults(msgspec.json.decode(event.output or b"null"))


def _settle(draft: Draft, path: str, index: int, event: s.Act) -> None:
    held = sure(draft.frame(path).tasks[index]).detail
    if isinstance(held, CallState):
        telling.end_child(draft, held, f"{event.act} by hand")  # nobody asks what it comes to
    if event.act == "retry":
        outcome.requeue(draft, path, index)
        return
    if event.act == "fail":
        ending.fail_task(draft, path, index, kind=event.error_kind, message=event.message)
        return
    frame = draft.frame(path)
    is_read = draft.node(frame, index).keeps_output
    output = None if event.output is None else draft.store(event.output, frame, is_read=is_read)
    if event.act == "skip":
        draft.emit(e.TaskSkipped(path, index, "hand", output))
    else:
        draft.emit(e.TaskSucceeded(path, index, output or b"null"))
    ending.task_ended(draft, path, index)
