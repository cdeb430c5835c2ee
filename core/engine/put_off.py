"""Which bounds run longer after a pause, by how much, and how a paused instance may end (semantics.md S42).

What bounds how long something may take (`total_s`, `timeout_s`, clean-up) does not count the time in which nothing
could start. Moments (the next attempt, a wait's end, `queue_s`, the grace of a cancel) stay where they are.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.engine.draft import Draft
from core.engine.state import Timer

PUT_OFF = frozenset({"total", "timeout", "cleanup"})


def rearmed(draft: Draft, timer: Timer) -> Timer:
    """Give the timer as it is after the pauses since it was armed: under a new number, or the same one."""
    longer_s = _paused_s(draft, timer)
    if not longer_s:
        return timer
    return draft.new_timer(timer.due_at + timedelta(seconds=longer_s), timer.kind)


def due_at(draft: Draft, timer: Timer) -> datetime:
    """Give the time at which a bound would act if the instance went on now."""
    since = draft.header.paused_at
    at = timer.due_at + timedelta(seconds=_paused_s(draft, timer))
    return at if since is None else at + (draft.now - since)


def _paused_s(draft: Draft, timer: Timer) -> float:
    if timer.kind not in PUT_OFF:
        return 0.0
    return sum(pause.seconds for pause in draft.header.pauses if timer.n < pause.n)


def may_end_paused(draft: Draft) -> bool:
    """Say whether a paused instance may end when its top list has: it failed, and no hook would have to start."""
    closing = draft.header.closing
    has_hooks = draft.plan.on_failure is not None or draft.plan.on_finish is not None
    return closing is not None and closing.error is not None and not has_hooks
