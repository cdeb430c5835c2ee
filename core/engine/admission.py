"""Who waited for a permit and has it now, and how instances come to the gate of their DAG (semantics.md S16, S46)."""

from __future__ import annotations

from datetime import timedelta

from core.engine import closing, ending, gates
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.advance import start_attempt
from core.engine.draft import Draft
from core.engine.entered import find_entered
from core.engine.lists import look_at_list
from core.engine.names import Place
from core.engine.passages import gate_of
from core.engine.permit_events import InstanceAdmitted, InstanceGated, TaskAdmitted
from core.engine.state import Attempt, Closing, Timer
from core.engine.statuses import INSTANCE_CANCELLED, INSTANCE_RUNNING, TASK_READY
from core.engine.sure import sure
from core.expression import ExpressionFailed
from core.ports.permits import PermitAct

SKIPPED = "concurrency"  # the reason of an instance that ends since others run


def enter(draft: Draft, *, is_stored: bool) -> bool:
    """Let the instance, whose top frame was opened, pass the gate of its DAG; gives whether it begins now.

    Args:
        is_stored: somebody was told already that it is there: it cannot be refused any more, and is skipped. Else the
            store refuses it, who knows its key: a repeat of a start that runs is no other one (R16).
    """
    plan = sure(draft.plan.gate)
    may_refuse = plan.on_limit == "reject" and not is_stored
    try:
        permit = gates.ask(draft, Place(draft.frame(""), 0, 0), plan, takes=may_refuse)
    except ExpressionFailed as failure:
        error = ending.error_value(draft, None, kind=failure.kind, message=failure.message, step="", attempt=0)
        closing.mark_instance(draft, Closing("failing", draft.now, error), INSTANCE_RUNNING)
        return False
    if permit is None:
        return False
    if permit.is_held or plan.on_limit in ("queue", "cancel_running"):
        draft.emit(InstanceGated(permit))
        return permit.is_held
    gate = gate_of(draft.header.domain_id, permit)
    draft.passing().note(PermitAct("pass", gate, "", plan.most, draft.priority, draft.now))
    end_unbegun(draft, SKIPPED, None)
    return False


def end_unbegun(draft: Draft, reason: str, acted: e.InstanceActed | None) -> None:
    """End an instance of which nothing has begun: no hook, nothing to clean up (S41)."""
    for index in range(len(draft.frame("").tasks)):
        draft.emit(e.TaskCancelled("", index, SKIPPED if acted is None else "cancel"))
    draft.emit(e.FrameClosed(""))
    if acted is not None:
        draft.emit(acted)
    draft.emit(e.InstanceEnded(draft.now, INSTANCE_CANCELLED, None, None, reason))
    draft.effects.append(x.InstanceDone(INSTANCE_CANCELLED))


def timeout_timer(draft: Draft) -> Timer | None:
    """Make the timer of `settings.timeout_s`, if there is one (S40)."""
    timeout_s = draft.plan.timeout_s
    return None if timeout_s is None else draft.new_timer(draft.now + timedelta(seconds=timeout_s), "timeout")


def granted(draft: Draft, event: s.Granted) -> None:
    """Go on with what waited for a permit; one that waits no more has given it up already."""
    if event.path:
        _admit_task(draft, event.path)
        return
    permit = draft.header.permit
    if permit is not None and not permit.is_held:
        draft.emit(InstanceAdmitted(draft.now, timeout_timer(draft)))
        look_at_list(draft, "", 0, 0)


def _admit_task(draft: Draft, task_path: str) -> None:
    found = find_entered(draft, task_path)
    if found is None:
        return
    path, index = found
    if draft.has_marks:  # a frame that an event touches before its sweep is swept first (engine.md 2)
        closing.sweep_frame(draft, path)
    task = sure(draft.frame(path).tasks[index])
    permit = task.detail.permit if isinstance(task.detail, Attempt) else None
    if task.status is not TASK_READY or permit is None or permit.is_held:
        return
    draft.emit(TaskAdmitted(path, index))
    if draft.room > draft.attempts_started:
        start_attempt(draft, path, index)
