"""How an instance starts: the facts that its first journal row holds, and what must be free before it is accepted."""

from __future__ import annotations

from datetime import datetime

from core.dag.plan import Plan
from core.engine import admission
from core.engine import events as e
from core.engine import rerun_events as r
from core.engine import stimuli as s
from core.engine.callback_token import secret_of
from core.engine.draft import Draft
from core.engine.fold import queued_state
from core.engine.permit_events import PriorityGiven
from core.ports.permits import PermitAct


def record(draft: Draft, event: s.Start) -> None:
    """Record the facts of a start, and enter the top list; none of its steps is looked at."""
    inputs = event.inputs_at or draft.store_any(event.inputs, None, is_read=True, has_holes=False)
    timer = None if event.cancelled is not None else admission.timeout_timer(draft)
    draft.emit(
        e.InstanceStarted(
            draft.now,
            event.id,
            event.domain_id,
            event.dag_id,
            event.dag_hash,
            event.dag_version,
            event.created_at,
            inputs,
            event.trigger,
            timer,
            event.labels,
        )
    )
    if draft.plan.has_callbacks:
        draft.emit(e.CallbacksOpened(secret_of(draft.seed, event.id)))
    rerun = event.rerun
    if rerun is not None:
        draft.emit(r.RerunBegun(rerun.of, rerun.from_step, rerun.by, rerun.reason))
    if event.parent is not None:
        draft.emit(e.ChildBegun(event.parent))
    if event.priority is not None:
        draft.emit(PriorityGiven(event.priority))
    draft.emit(e.FrameOpened("", 0, None, -1, "", 0, 1, None))


def permit_sought(plan: Plan, start: s.Start, now: datetime) -> PermitAct | None:
    """Give the permit that must be free for a start to be accepted (`on_limit: reject`, S46); None = it needs none.

    For a node that stores the start for its owner, who decides: a key that has no value fails the instance there.
    """
    if plan.gate is None or plan.gate.on_limit != "reject":
        return None
    draft = Draft(plan, queued_state(start, epoch=0), now=now, seed=bytes(16), room=0)
    record(draft, start)
    admission.enter(draft, is_stored=False)
    return None if draft.outward is None else draft.outward.permits[0]
