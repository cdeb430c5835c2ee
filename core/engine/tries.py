"""`@control/try`: its lists one after another, whatever becomes of them (semantics.md S22)."""

from __future__ import annotations

from core.dag.plan import Node, TryPlan
from core.engine import ending
from core.engine import events as e
from core.engine import rerun_events as r
from core.engine.closing import cleanup_timer, closing_of, ends_cleanup, failing_since
from core.engine.draft import Draft
from core.engine.lists import enter_list, list_path, total_timer
from core.engine.names import Holder, Place
from core.engine.reentry import again_of
from core.engine.state import Frame, TryAgain, TryState, Value
from core.engine.sure import sure


def enter_try(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Enter `steps`."""
    first, under = sure(node.tries).steps, failing_since(draft, place.frame, index)
    again = again_of(place.frame, index)
    detail = TryState(first, under=under) if again is None else TryAgain(first, under=under, again=again)
    draft.emit(e.ContainerEntered(place.frame.path, index, detail, total_timer(draft, node)))
    _enter(draft, place.frame.path, index, first)


def _enter(draft: Draft, path: str, index: int, number: int) -> None:
    """Enter the list whose turn it is; once something of one runs anew, those after it take nothing over."""
    held = sure(draft.frame(path).tasks[index]).detail
    again = held.again if isinstance(held, TryAgain) else None
    if not enter_list(draft, path, index, number, again) and again is not None:
        draft.emit(r.ListAnew(path, index))


def tried_list_ended(draft: Draft, path: str, index: int, number: int, value: Value | None) -> None:
    """Go on after list `number` of a try has ended; `value` None = it failed, or was swept."""
    frame = draft.frame(path)
    held = sure(frame.tasks[index]).detail
    if not isinstance(held, TryState) or held.list != number:
        return  # every step of the list that ended last has said so
    plan = sure(draft.node(frame, index).tries)
    result, error = _result(draft, Holder(frame, index), held, plan, value)
    if draft.is_missing:
        return
    following = _following(draft, frame, index, held, plan, value)
    if following is None:
        _close_lists(draft, frame, index)
        ending.settle_container(draft, path, index, result or b"null", None, error)
        return
    if draft.is_paused:
        return  # looked at again at resume
    timers = sure(frame.tasks[index]).timers
    if following == plan.cleanup:  # what bounded the rest does not bound it; after a timeout it has a bound of its own
        is_late = held.closing is not None and held.closing.cause == "timeout"
        timers = (cleanup_timer(draft),) if is_late else ()
    draft.emit(e.TryAdvanced(path, index, following, result, error, timers))
    _enter(draft, path, index, following)


def _result(
    draft: Draft, holder: Holder, held: TryState, plan: TryPlan, value: Value | None
) -> tuple[Value | None, Value | None]:
    """Give the value and the error of the lists so far; neither when they were swept from above."""
    own = None if held.closing is None else held.closing.error
    if held.list == plan.cleanup:  # it adds nothing to the output, and an earlier error stays
        late = own if value is None and held.error is None else held.error
        return (held.value if late is None else None), late
    if value is not None:
        return value, None
    if held.list == plan.catch and own is not None:
        return None, ending.with_cause(draft, holder, own, held.error)
    return None, own or held.error


def _following(
    draft: Draft, frame: Frame, index: int, held: TryState, plan: TryPlan, value: Value | None
) -> int | None:
    """Give the list that comes next, None when the try ends."""
    if held.list == plan.cleanup:
        return None
    above = closing_of(draft, frame, index)
    is_caught = value is None and above is None and held.closing is not None and held.closing.cause == "failing"
    if held.list == plan.steps and is_caught and plan.catch is not None:
        return plan.catch
    return None if above is not None and ends_cleanup(above) else plan.cleanup


def _close_lists(draft: Draft, frame: Frame, index: int) -> None:
    """Close the frames of the lists, which stood open to be read by the later ones (S5)."""
    plan = sure(draft.node(frame, index).tries)
    for number in (plan.steps, plan.catch, plan.cleanup):
        if number is not None and draft.has_frame(path := list_path(draft, frame, index, number)):
            draft.emit(e.FrameClosed(path))
