"""`decide`: total, pure, deterministic; the only code that changes an instance (engine.md 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from core.dag.plan import Plan
from core.engine import (
    acts,
    admission,
    advance,
    approvals,
    callbacks,
    calls,
    closing,
    containers,
    ending,
    hooks,
    loops,
    outcome,
    pausing,
    reuse,
    signals,
    starting,
    telling,
    tries,
    waits,
)
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.draft import Draft, Job
from core.engine.lists import look_at_list
from core.engine.state import Attempt, Closing, State
from core.engine.statuses import (
    INSTANCE_CANCELLED,
    INSTANCE_CANCELLING,
    INSTANCE_PAUSED,
    INSTANCE_QUEUED,
    TASK_PENDING,
    TASK_READY,
    TASK_RUNNING,
)
from core.engine.sure import sure

_JOBS: Mapping[Job, Callable[..., None]] = {
    "advance": advance.advance,
    "task_ended": ending.task_ended,
    "list_may_end": ending.list_may_end,
    "frame_may_end": ending.frame_may_end,
    "container_may_end": ending.container_may_end,
    "map_may_go_on": containers.map_may_go_on,
    "sweep_frame": closing.sweep_frame,
    "iteration_may_end": loops.iteration_may_end,
    "loop_may_go_on": loops.loop_may_go_on,
    "tried_list_ended": tries.tried_list_ended,
    "hook_may_end": hooks.hook_may_end,
}


def decide(plan: Plan, state: State, event: s.Stimulus, now: datetime, seed: bytes, room: int) -> x.Decision | x.Need:
    """Say what `event` changes in the instance and what is to be done after the commit. Changes none of its arguments.

    Args:
        state: as it is after all earlier decisions, committed or not.
        now: aware UTC; all times in the decision come from it.
        seed: 16 bytes, drawn once per event; jitter and tokens come from it.
        room: free attempt places of the node.

    Returns:
        The decision; without events when the stimulus no longer means anything. Or `Need`: these values must be in
        `state.values`, then ask again with the same arguments.

    Source: engine.md 2; the shape is that of a pure automaton fed by events that carry their own time.
    """
    if state.header.status is INSTANCE_PAUSED:
        room = 0  # nothing starts (S42); what is ready by then asks for a place of its own after the resume
    draft = Draft(plan, state, now=now, seed=seed, room=room)
    _HANDLERS[type(event)](draft, event)
    draft.run(_JOBS)
    if draft.missing:
        return x.Need(tuple(dict.fromkeys(draft.missing)))
    if plan.waits:
        waits.settle_status(draft)
    if draft.header.origin is not None and not state.header.status.is_terminal:
        telling.tell_parent(draft)
    if draft.deferred:
        draft.effects += [x.ContinueLater(path) for path in draft.deferred if draft.has_frame(path)]
    return x.Decision(
        header=draft.header,
        frames=tuple(draft.changed.values()),
        events=tuple(draft.events),
        effects=tuple(draft.effects),
        payloads=tuple(draft.payloads),
        fresh=draft.fresh,
        timers_set=tuple(draft.timers_set.values()) if draft.timers_set else (),
        timers_removed=tuple(draft.timers_removed),
        appended_bytes=draft.appended_bytes,
        timers_made=draft.timers_made,
        has_marks=draft.has_marks,
        attempts_started=draft.attempts_started,
        answer=draft.answer,
        outward=draft.outward,
    )


def _start(draft: Draft, event: s.Start) -> None:
    if draft.header.status is not INSTANCE_QUEUED or draft.header.permit is not None:
        return
    starting.record(draft, event)
    if event.cancelled is not None:
        _cancel_unbegun(draft, "cancel", event.cancelled_by, event.cancelled)
        return
    begins = draft.plan.gate is None or admission.enter(draft, is_stored=event.inputs_at is not None)
    if event.rerun is not None and draft.has_frame(""):
        reuse.begin(draft, event.rerun)
    if begins:
        look_at_list(draft, "", 0, 0)


def _cancel_unbegun(draft: Draft, act: str, by: str, reason: str) -> None:
    """Cancel what has not begun (S41)."""
    admission.end_unbegun(draft, reason, e.InstanceActed(act, by, reason))
    draft.answer = x.Answer("accepted", INSTANCE_CANCELLED)


def _attempt_ended(draft: Draft, event: s.AttemptEnded) -> None:
    if not draft.has_frame(event.frame):
        return
    if draft.has_marks:  # a frame that an event touches before its sweep is swept first (engine.md 2)
        closing.sweep_frame(draft, event.frame)
    task = draft.frame(event.frame).tasks[event.index]
    held = None if task is None or task.status is not TASK_RUNNING else task.detail
    if isinstance(held, Attempt) and (held.number, held.token) == (event.number, event.token):
        outcome.settle(draft, event)


def _timer_fired(draft: Draft, event: s.TimerFired) -> None:
    if draft.is_paused:
        return  # its row is gone with this; the holder keeps it, and it acts at resume (S42)
    if event.index < 0:
        _instance_timer(draft, event)
        return
    if not draft.has_frame(event.frame):
        return
    task = draft.frame(event.frame).tasks[event.index]
    if task is None:
        return
    pausing.rearm(draft, event.frame, event.index)  # one that a pause has put off has another number then
    task = sure(draft.frame(event.frame).tasks[event.index])
    timer = next((timer for timer in task.timers if timer.n == event.n), None)
    if timer is not None:
        outcome.timer_fired(draft, event.frame, event.index, timer)
        return
    _mark_timer(draft, getattr(task.detail, "closing", None), event)


def _mark_timer(draft: Draft, mark: Closing | None, event: s.TimerFired) -> None:
    """Act on a timer of a mark, of a task or of the instance (index -1)."""
    if mark is None:
        return
    if mark.grace is not None and mark.grace.n == event.n:
        closing.end_grace(draft, event.frame, event.index)
    elif mark.cleanup is not None and mark.cleanup.n == event.n:
        closing.end_cleanup(draft, event.frame, event.index)


def _instance_timer(draft: Draft, event: s.TimerFired) -> None:
    header = draft.header
    if header.timer is None or header.timer.n != event.n:
        _mark_timer(draft, header.closing, event)
        return
    is_hook = header.outcome is not None
    bound = f"hooks ran longer than {closing.CLEANUP_S:g} s" if is_hook else None
    message = bound or f"the instance ran longer than {draft.plan.timeout_s} s"
    error = ending.error_value(draft, None, kind="timeout", message=message, step="", attempt=0)
    mark = Closing("timeout", draft.now, error, is_grace_over=is_hook, is_cleanup_over=is_hook)
    closing.mark_instance(draft, mark, header.status)


def _cancel(draft: Draft, event: s.Cancel) -> None:
    header = draft.header
    if header.status is INSTANCE_QUEUED:
        _cancel_unbegun(draft, "cancel", event.by, event.reason)
        return
    decided = header.closing is not None and header.closing.cause in {"timeout", "return"}
    if header.status in {INSTANCE_CANCELLING, INSTANCE_CANCELLED}:
        draft.answer = x.Answer("accepted", header.status)
    elif header.outcome is not None:
        draft.answer = x.Answer("ended", header.outcome.status)
    elif header.status.is_terminal or decided:
        draft.answer = x.Answer("ended", header.status)
    else:
        draft.emit(e.InstanceActed("cancel", event.by, event.reason))
        pausing.count_pause(draft)
        mark = Closing("cancel", draft.now, reason=event.reason)
        closing.mark_instance(draft, mark, INSTANCE_CANCELLING)
        draft.answer = x.Answer("accepted", INSTANCE_CANCELLING)


def _terminate(draft: Draft, event: s.Terminate) -> None:
    header = draft.header
    if header.status is INSTANCE_QUEUED:
        _cancel_unbegun(draft, "terminate", event.by, event.reason)
        return
    if header.status.is_terminal:
        result = "accepted" if header.status is INSTANCE_CANCELLED else "ended"
        draft.answer = x.Answer(result, header.status)  # type: ignore[arg-type] # one of the two literals
        return
    if header.closing is None or header.closing.cause != "terminate":
        draft.emit(e.InstanceActed("terminate", event.by, event.reason))
        pausing.count_pause(draft)
    mark = Closing("terminate", draft.now, reason=event.reason)
    closing.mark_instance(draft, mark, INSTANCE_CANCELLING)
    draft.answer = x.Answer("accepted", INSTANCE_CANCELLING)


def _sweep_frame(draft: Draft, event: s.SweepFrame) -> None:
    closing.sweep_frame(draft, event.frame)


def _continue(draft: Draft, event: s.Continue) -> None:
    if not draft.has_frame(event.frame):
        return
    outcome.find_lost(draft, event.frame)
    frame = draft.frame(event.frame)
    closing.sweep_frame(draft, event.frame)
    pausing.act_on_due(draft, event.frame)
    region = draft.plan.regions[frame.region]
    lists = [plan_list for plan_list in draft.plan.lists if plan_list.region == frame.region]
    for index, task in enumerate(frame.tasks):
        if task is None or task.status.is_terminal:
            continue
        if task.status is TASK_PENDING:
            draft.later("advance", event.frame, index)
        else:
            draft.later("container_may_end", event.frame, index)
    for cell in range(frame.begun):
        for plan_list in lists:
            if frame.tasks[cell * region.size + plan_list.first_slot] is not None:
                draft.later("list_may_end", event.frame, cell, plan_list.index)
    draft.later("frame_may_end", event.frame)


def _dispatch(draft: Draft, _event: s.Dispatch) -> None:
    for seen in draft.open_frames():
        if not seen.ready:
            continue
        frame = draft.frame(seen.path)
        for index, task in enumerate(frame.tasks):
            if draft.attempts_started >= draft.room:
                return
            if task is not None and task.status is TASK_READY:
                outcome.start_if_open(draft, frame, index)


_HANDLERS: Mapping[type[s.Stimulus], Callable[[Draft, Any], None]] = {
    s.Start: _start,
    s.AttemptEnded: _attempt_ended,
    s.TimerFired: _timer_fired,
    s.Cancel: _cancel,
    s.Terminate: _terminate,
    s.Pause: pausing.pause,
    s.Resume: pausing.resume,
    s.Act: acts.act,
    s.Signal: signals.take,
    s.Callback: callbacks.take,
    s.Verdict: approvals.take,
    s.ChildEnded: calls.take,
    s.Granted: admission.granted,
    s.SweepFrame: _sweep_frame,
    s.Continue: _continue,
    s.Dispatch: _dispatch,
}
