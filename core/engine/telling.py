"""What instances tell each other: a child's end its parent, an end of the call its child (semantics.md S29)."""

from __future__ import annotations

from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.draft import Draft
from core.engine.state import CallState, Closing, Frame


def tell_parent(draft: Draft) -> None:
    """Tell the end of this instance, if it has come, to the call that waits for it; with the commit that ends it."""
    header = draft.header
    parent = header.parent
    if parent is not None and parent.is_awaited and header.status.is_terminal:
        ended = s.ChildEnded(
            path=parent.path, instance_id=header.id, status=header.status, outputs=header.outputs, error=header.error,
            reason=header.reason,
        )  # fmt: skip
        draft.beyond().told.append(x.Told(parent.instance_id, ended))


def goes_on(draft: Draft, frame: Frame, index: int, held: CallState, mark: Closing) -> bool:
    """Carry a mark into a waiting call; True = the call goes on until its child, which was told to end, has ended.

    Neither a terminate (S41) nor the end of clean-up waits for it, and nobody waits for a child that is left.
    """
    if not held.ends_too:
        return False
    if mark.cause == "terminate" or mark.is_cleanup_over:
        end_child(draft, held, mark.cause)
        return False
    if held.closing is None:
        draft.emit(e.TaskClosing(frame.path, index, Closing(mark.cause, draft.now, is_grace_over=True)))
        end_child(draft, held, mark.cause)
    return True


def end_child(draft: Draft, held: CallState, cause: str) -> None:
    """Tell a child to end, unless it is left."""
    if not held.ends_too:
        return
    teller = f"instance:{draft.header.id}"
    reason = f"the call of {teller} ended: {cause}"
    stimulus = s.Terminate(reason, teller) if cause == "terminate" else s.Cancel(reason, teller)
    draft.beyond().told.append(x.Told(held.instance_id, stimulus))
