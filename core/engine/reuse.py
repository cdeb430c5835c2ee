"""What is taken over of other instances: lent tasks end as they had ended, with values that are copied (S44, S16).

Copies lie in the instance's own payloads, so that it needs nothing of the others once it has them (ADR 0031).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from core.engine import ending
from core.engine import events as e
from core.engine import rerun_events as r
from core.engine.borrowing import IsGone, borrowed, opened, whole
from core.engine.closing import failing_since
from core.engine.draft import Draft, TooLarge
from core.engine.lending import Again, Lent, Rerun
from core.engine.lists import enter_list
from core.engine.names import place_of, variable_place
from core.engine.sharing import is_below
from core.engine.state import Frame, Indirect, Joined, Reference, Value
from core.engine.sure import sure, sure_of
from core.engine.values import encode_json

COPIED_BYTES_MAX = 1_048_576  # of one decision: what a group commit holds; a longer value goes alone
COPIED_PARTS_MAX = 256  # of one decision: as many as map items begin in one


def begin(draft: Draft, rerun: Rerun) -> None:
    """Note what the tasks of the top frame take over; each is looked at like any pending task."""
    draft.borrowed_bytes = draft.appended_bytes - draft.state.appended_bytes  # the inputs share the decision's bound
    for index, lent in rerun.lent:
        draft.emit(r.TaskLent("", index, lent))


def take_over(draft: Draft, frame: Frame, index: int, lent: Lent) -> None:
    """Copy what is left of a lent task's values, and end it when all of them lie here.

    A task whose values are gone, since the other instance was removed meanwhile, is lent no longer: it runs.
    """
    fresh: list[Value] = []
    try:
        leaves = [leaf for value in _values(lent) for leaf in _leaves(draft, value, lent.lender)]
        if not draft.is_missing:
            _copy(draft, leaves[len(lent.copied) :], lent.lender, fresh)
        if draft.is_missing:
            return
        if len(lent.copied) + len(fresh) == len(leaves):
            _end(draft, frame, index, lent, iter((*lent.copied, *fresh)))
            return
    except IsGone:
        _run_anew(draft, frame, index)
        return
    except TooLarge:
        pass  # what is laid together of these values has a place in the next decision
    if fresh:
        draft.emit(r.LentCopied(frame.path, index, tuple(fresh)))
    draft.defer(frame.path)


def _run_anew(draft: Draft, frame: Frame, index: int) -> None:
    """Lend a task no longer: it runs, or goes down with its list when that is closing by now."""
    draft.emit(r.TaskLent(frame.path, index, None))
    draft.later("advance", frame.path, index)
    draft.later("sweep_frame", frame.path)


def fail_again(draft: Draft, frame: Frame, index: int, again: Again) -> None:
    """Fail a task as it had failed, and enter its `on_error` list, in which the rerun begins.

    A task whose error is gone, since the other instance was removed meanwhile, runs.

    Raises:
        TooLarge: the error does not fit into this decision; nothing was recorded.
    """
    failure, node, path = sure(again.failure), draft.node(frame, index), frame.path
    try:
        error = whole(draft, failure.error or b"null", failure.lender)
    except IsGone:
        _run_anew(draft, frame, index)
        return
    if draft.is_missing:
        return
    number = sure_of(int, node.on_error)
    if is_below(draft.plan, error["step"], number):  # the list's own error took its place (S12)
        error = error["cause"]
    stored = draft.store(encode_json(error), frame, is_read=True, value=error)
    under = failing_since(draft, frame, index)
    draft.emit(r.FailureReused(path, index, stored, None, failure.reused_from, "running", under))
    enter_list(draft, path, index, number, again)


def _values(lent: Lent) -> list[Value | None]:
    return [lent.output, lent.error, *(value for _, value in lent.variables)]


def _leaves(draft: Draft, value: Value | None, lender: str) -> list[Reference]:
    """List the references that are to be copied, those behind an `Indirect` included, in the order of `_rebuilt`."""
    match value:
        case Reference():
            return [value]
        case Joined():
            return [leaf for part in value.parts for leaf in _leaves(draft, part, lender)]
        case Indirect():
            return _leaves(draft, opened(draft, value, lender), lender)
        case _:
            return []


def _copy(draft: Draft, leaves: list[Reference], lender: str, fresh: list[Value]) -> None:
    """Copy values up to this decision's bound; their lengths are known before they are at hand.

    Raises:
        IsGone, TooLarge.
    """
    for at in leaves:
        is_full = draft.borrowed_bytes and draft.borrowed_bytes + at.length > COPIED_BYTES_MAX
        if is_full or draft.borrowed_parts >= COPIED_PARTS_MAX:
            return
        draft.borrowed_bytes += at.length
        draft.borrowed_parts += 1
        value = borrowed(draft, at, lender)
        if not draft.is_missing:
            fresh.append(draft.store(encode_json(value), None, is_read=False, value=value))


def _rebuilt(draft: Draft, value: Value, lender: str, copies: Iterator[Value]) -> Value:
    match value:
        case Reference():
            return next(copies)
        case Joined():
            return Joined(value.form, tuple(_rebuilt(draft, part, lender, copies) for part in value.parts), value.keys)
        case Indirect():
            return draft.far(_rebuilt(draft, sure(opened(draft, value, lender)), lender, copies))
        case _:
            return value


def _placed(
    draft: Draft, value: Value, frame: Frame, lender: str, copies: Iterator[Value], *, is_read: bool
) -> Value:  # fmt: skip
    """Give a taken-over value as it lies here."""
    if isinstance(value, bytes):
        return draft.store(value, frame, is_read=is_read)
    return draft.compact(_rebuilt(draft, value, lender, copies))


def _end(draft: Draft, frame: Frame, index: int, lent: Lent, copies: Iterator[Value]) -> None:
    """End a task whose values all lie here.

    Raises:
        TooLarge: they do not fit into this decision; nothing was recorded.
    """
    path, node = frame.path, draft.node(frame, index)
    output, error = lent.output, lent.error
    if output is not None:
        output = _placed(draft, output, frame, lent.lender, copies, is_read=node.keeps_output)
    if error is not None:
        error = _placed(draft, error, frame, lent.lender, copies, is_read=True)
    assigned = [
        (name, _placed(draft, value, frame, lent.lender, copies, is_read=True)) for name, value in lent.variables
    ]
    if node.variable is not None and output is not None:
        assigned.append((node.variable, output))
    place = place_of(draft, frame, index)
    for name, value in assigned:
        home = variable_place(draft, place, name)
        draft.emit(e.VariableSet(home.frame.path, home.cell, name, value))
    if lent.status == "skipped":
        draft.emit(r.SkipReused(path, index, lent.reason or "", output, lent.reused_from))
    elif lent.status == "cancelled":
        draft.emit(r.CancelReused(path, index, lent.reason or "", lent.reused_from))
    elif lent.status == "failed":
        _end_failed(draft, path, index, lent, error or b"null", output)
    else:
        draft.emit(r.TaskReused(path, index, output, error, lent.reused_from))
    ending.task_ended(draft, path, index)


def _end_failed(draft: Draft, path: str, index: int, lent: Lent, error: Value, output: Value | None) -> None:
    """Fail a task as it had failed, and its list with it when nobody had handled that."""
    handling: Literal["handled", "failed"] = "handled" if lent.is_handled else "failed"
    draft.emit(r.FailureReused(path, index, error, output, lent.reused_from, handling))
    if not lent.is_handled:
        ending.fail_list(draft, place_of(draft, draft.frame(path), index), error)
