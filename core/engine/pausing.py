"""Pause and resume (semantics.md S42): attempts end and count, nothing starts, no timer acts until it is resumed."""

from __future__ import annotations

import msgspec

from core.engine import closing, outcome
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.draft import Draft
from core.engine.paused_time import PausedTime
from core.engine.put_off import rearmed
from core.engine.state import Closing, InstanceStatus
from core.engine.statuses import INSTANCE_PAUSED, INSTANCE_RUNNING, INSTANCE_WAITING
from core.engine.sure import sure

_GOES_ON = frozenset({INSTANCE_RUNNING, INSTANCE_WAITING})


def pause(draft: Draft, event: s.Pause) -> None:
    """Pause what runs or waits; what is paused already stays so."""
    status = draft.header.status
    if status in _GOES_ON:
        draft.emit(e.InstanceActed("pause", event.by, event.reason))
        draft.emit(e.InstancePaused(draft.now))
    elif status is not INSTANCE_PAUSED:
        draft.answer = _refusal(status)
        return
    draft.answer = x.Answer("accepted", INSTANCE_PAUSED)


def resume(draft: Draft, event: s.Resume) -> None:
    """Let a paused instance go on: every open frame is looked at again, in batches of its own; what runs runs on."""
    status = draft.header.status
    if status is INSTANCE_PAUSED:
        draft.emit(e.InstanceActed("resume", event.by, event.reason))
        count_pause(draft)
        draft.emit(e.InstanceResumed())
        _rearm_mark(draft)
    elif status not in _GOES_ON:
        draft.answer = _refusal(status)
        return
    draft.answer = x.Answer("accepted", draft.header.status)


def _refusal(status: InstanceStatus) -> x.Answer:
    return x.Answer("ended" if status.is_terminal else "refused", status)


def count_pause(draft: Draft) -> None:
    """End a pause, if there is one: bounds run longer by it, and what fell due meanwhile acts, frame by frame."""
    since = draft.header.paused_at
    if since is None:
        return
    paused = PausedTime(draft.next_timer_number, max(0.0, (draft.now - since).total_seconds()))
    timer = draft.header.timer
    if timer is not None:
        timer = draft.new_timer(timer.due_at + (draft.now - since), timer.kind)
    draft.emit(e.PauseCounted(paused, timer))
    for frame in draft.open_frames():
        draft.defer(frame.path)


def _rearm_mark(draft: Draft) -> None:
    """Put off the bounds of a mark on the whole instance; a grace that fell due is over."""
    mark = draft.header.closing
    if mark is None:
        return
    changed = _put_off(draft, mark)
    if changed is not mark:
        draft.emit(e.InstanceClosing(changed, draft.header.status))
    if changed.grace is not None and changed.grace.due_at <= draft.now:
        closing.end_grace(draft, "", -1)


def _put_off(draft: Draft, mark: Closing) -> Closing:
    if mark.cleanup is None:
        return mark
    cleanup = rearmed(draft, mark.cleanup)
    return mark if cleanup is mark.cleanup else msgspec.structs.replace(mark, cleanup=cleanup)


def rearm(draft: Draft, path: str, index: int) -> None:
    """Put off what bounds a task by the pauses since it was armed; doing it again changes nothing."""
    if not draft.header.pauses:
        return
    task = sure(draft.frame(path).tasks[index])
    timers = tuple(rearmed(draft, timer) for timer in task.timers)
    if timers != task.timers:
        draft.emit(e.TimersRearmed(path, index, timers))
    mark = task.closing
    if mark is not None and (changed := _put_off(draft, mark)) is not mark:
        draft.emit(e.TaskClosing(path, index, changed))


def act_on_due(draft: Draft, path: str) -> None:
    """Carry the end of a pause into one frame: bounds are put off, and what fell due meanwhile acts."""
    if not draft.header.pauses or draft.is_paused:
        return
    for index, task in enumerate(draft.frame(path).tasks):
        if task is None or not (task.timers or task.closing):
            continue
        rearm(draft, path, index)
        held = sure(draft.frame(path).tasks[index])
        if held.closing is not None and held.closing.grace is not None and held.closing.grace.due_at <= draft.now:
            closing.end_grace(draft, path, index)
        due = [timer for timer in held.timers if timer.due_at <= draft.now]
        if due:  # one that a container keeps although it fired marks what is marked already
            outcome.timer_fired(draft, path, index, min(due, key=lambda timer: (timer.due_at, timer.n)))
