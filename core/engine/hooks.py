"""Hooks: what runs between the outcome of an instance and its end (semantics.md S39)."""

from __future__ import annotations

from core.engine import effects as x
from core.engine import events as e
from core.engine.closing import cleanup_timer, closing_at, ends_cleanup
from core.engine.draft import Draft
from core.engine.lists import look_at_list
from core.engine.names import Place
from core.engine.state import Closing, Outcome
from core.engine.statuses import INSTANCE_CANCELLED, INSTANCE_FAILED, INSTANCE_SUCCEEDED, INSTANCE_WAITING
from core.engine.sure import sure


def conclude(draft: Draft, outcome: Outcome) -> None:
    """Take the outcome that the top list came to: hooks follow, or the end."""
    closing = draft.header.closing
    is_over = closing is not None and ends_cleanup(closing)  # clean-up and hooks have their time together
    hook = None if is_over else _hook_after(draft, outcome, None)
    if hook is None:
        _end(draft, outcome)
        return
    timer = None if closing is None else closing.cleanup
    draft.emit(e.InstanceConcluded(outcome, timer or cleanup_timer(draft)))
    _enter(draft, hook)


def hook_may_end(draft: Draft, path: str, number: int) -> None:
    """Go on after a hook whose steps have all ended."""
    if not draft.has_frame(path):
        return
    place = Place(draft.frame(path), 0, number)
    closing = closing_at(draft, place)
    outcome = _outcome_after(draft, number, closing)
    draft.emit(e.FrameClosed(path))
    draft.emit(e.HookEnded(outcome))
    is_over = closing is not None and closing.cause != "failing"
    following = None if is_over else _hook_after(draft, outcome, number)
    if following is None:
        _end(draft, outcome)
    else:
        _enter(draft, following)


def _outcome_after(draft: Draft, number: int, closing: Closing | None) -> Outcome:
    """Give the outcome: a failed `on_finish` turns success into failure; terminate ends as it always does (S41)."""
    outcome = sure(draft.header.outcome)
    if closing is None:
        return outcome
    if closing.cause == "terminate":
        return Outcome(INSTANCE_CANCELLED, None, None, closing.reason)
    if number == draft.plan.on_finish and outcome.status is INSTANCE_SUCCEEDED:
        return Outcome(INSTANCE_FAILED, None, closing.error, None)
    return outcome


def _hook_after(draft: Draft, outcome: Outcome, number: int | None) -> int | None:
    """Give the hook that follows another one (None = the top list)."""
    plan = draft.plan
    if number is None and outcome.status is INSTANCE_FAILED and plan.on_failure is not None:
        return plan.on_failure
    return None if number == plan.on_finish else plan.on_finish


def _enter(draft: Draft, number: int) -> None:
    entered = draft.plan.lists[number]
    path = f"/{entered.name}"
    draft.emit(e.HookEntered(number))
    draft.emit(e.FrameOpened(path, entered.region, None, -1, "", 0, 1, None))
    look_at_list(draft, path, 0, number)


def _end(draft: Draft, outcome: Outcome) -> None:
    if draft.header.status is INSTANCE_WAITING:
        draft.emit(e.InstanceWoken())
    draft.emit(e.FrameClosed(""))
    draft.emit(e.InstanceEnded(draft.now, outcome.status, outcome.outputs, outcome.error, outcome.reason))
    draft.effects.append(x.InstanceDone(outcome.status))
