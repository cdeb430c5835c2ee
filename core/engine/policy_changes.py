"""What events of reruns, kept outputs and limits do to a frame; `frame_events` has all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine import permit_events as p
from core.engine import rerun_events as r
from core.engine.frame_task import attempt_of, held_at, put, task_at
from core.engine.lending import Lent, Reused
from core.engine.state import Frame, Handling, LoopState, Task, TryState
from core.engine.sure import sure
from core.engine.transitions import moved


def _task_reused(_plan: Plan, frame: Frame, event: r.TaskReused) -> None:
    old = task_at(frame, event.index)
    new = Task(moved(event, old.status), 0, event.output, event.errors, Reused(event.reused_from))
    put(frame, event.index, old, new)


def _skip_reused(_plan: Plan, frame: Frame, event: r.SkipReused) -> None:
    old = task_at(frame, event.index)
    detail = Reused(event.reused_from)
    put(frame, event.index, old, Task(moved(event, old.status), 0, event.output, None, detail, (), event.reason))


def _failure_reused(_plan: Plan, frame: Frame, event: r.FailureReused) -> None:
    old = task_at(frame, event.index)
    detail: Handling | Reused = Reused(event.reused_from, event.handling == "handled")
    if event.handling == "running":
        detail = Handling("running", None, event.under, event.reused_from)
    put(frame, event.index, old, Task(moved(event, old.status), 0, event.output, event.error, detail))


def _cancel_reused(_plan: Plan, frame: Frame, event: r.CancelReused) -> None:
    old = task_at(frame, event.index)
    detail = Reused(event.reused_from)
    put(frame, event.index, old, Task(moved(event, old.status), detail=detail, reason=event.reason))


def _task_lent(_plan: Plan, frame: Frame, event: r.TaskLent) -> None:
    old = task_at(frame, event.index)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=event.lent)


def _lent_copied(_plan: Plan, frame: Frame, event: r.LentCopied) -> None:
    old, held = held_at(frame, event.index, Lent)
    detail = msgspec.structs.replace(held, copied=held.copied + event.parts)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _list_anew(_plan: Plan, frame: Frame, event: r.ListAnew) -> None:
    old = task_at(frame, event.index)
    kind = LoopState if isinstance(old.detail, LoopState) else TryState
    old, held = held_at(frame, event.index, kind)
    plain = kind(*(getattr(held, name) for name in kind.__struct_fields__))
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=plain)


def _cache_missed(_plan: Plan, frame: Frame, event: r.CacheMissed) -> None:
    old = task_at(frame, event.index)
    detail = msgspec.structs.replace(attempt_of(old), cache_key=event.key)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _task_gated(_plan: Plan, frame: Frame, event: p.TaskGated) -> None:
    old = task_at(frame, event.index)
    detail = msgspec.structs.replace(attempt_of(old), permit=event.permit)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=detail)


def _task_admitted(_plan: Plan, frame: Frame, event: p.TaskAdmitted) -> None:
    old = task_at(frame, event.index)
    held = attempt_of(old)
    permit = msgspec.structs.replace(sure(held.permit), is_held=True)
    frame.tasks[event.index] = msgspec.structs.replace(old, detail=msgspec.structs.replace(held, permit=permit))


POLICY_CHANGES: dict[type, Callable[[Plan, Frame, Any], None]] = {
    r.TaskReused: _task_reused,
    r.SkipReused: _skip_reused,
    r.FailureReused: _failure_reused,
    r.CancelReused: _cancel_reused,
    r.TaskLent: _task_lent,
    r.LentCopied: _lent_copied,
    r.CacheMissed: _cache_missed,
    r.ListAnew: _list_anew,
    p.TaskGated: _task_gated,
    p.TaskAdmitted: _task_admitted,
}
