"""`@control/approval`: a person decides, once, or nobody in time (semantics.md S28)."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from core.dag.plan import Node
from core.engine import closing, ending, waits
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.answer_state import ApprovalState
from core.engine.draft import Draft
from core.engine.entered import find_entered
from core.engine.instance_time import id_of
from core.engine.lists import total_timer
from core.engine.names import STATUS_TEXT, Place, render
from core.engine.state import Value
from core.engine.statuses import TASK_WAITING
from core.engine.sure import sure
from core.engine.values import encode_json, join, stamp
from core.executor.operator import ComputeFailed

TITLE_CHARACTERS_MAX = 300  # one line in a list
APPROVER_CHARACTERS_MAX = 128
APPROVERS_COUNT_MAX = 100  # rendered; the document's own bound is the same
ID_RANDOM_BYTES = 10


def ask(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Ask for a decision; the list of open ones has it with this commit.

    Raises:
        ExpressionFailed: a parameter errs. ComputeFailed: it is no title, or no list of approvers.
    """
    plan = sure(node.approval)
    title, approvers = _title(draft, place, node), _approvers(draft, place, node)
    if draft.is_missing:
        return
    timers = (*waits.expiry_timer(draft, node), *total_timer(draft, node))
    path = draft.task_path(place.frame, index)
    held = ApprovalState(draft.now, _id_of(draft, path))
    draft.emit(e.WaitBegun(place.frame.path, index, held, timers))
    due_at = None if plan.timeout_s is None else timers[0].due_at
    asked = x.ApprovalSet(held.id, path, title, approvers, held.since, due_at)
    draft.beyond().approvals_set[held.id] = asked


def _id_of(draft: Draft, path: str) -> str:
    """Make a ULID of the decision's time and seed: lists of approvals are in the order in which they were asked for."""
    drawn = hashlib.blake2b(path.encode(), digest_size=ID_RANDOM_BYTES, key=draft.seed, person=b"approval").digest()
    return id_of(draft.now, drawn)


def _title(draft: Draft, place: Place, node: Node) -> str:
    given, has_holes = render(draft, place, sure(node.approval).title)
    title = draft.fill(given) if has_holes else given
    if draft.is_missing:
        return ""
    if not isinstance(title, str) or not 0 < len(title) <= TITLE_CHARACTERS_MAX:
        raise ComputeFailed("invalid", f"`title` is no text of 1 to {TITLE_CHARACTERS_MAX} characters")
    return title


def _approvers(draft: Draft, place: Place, node: Node) -> tuple[str, ...] | None:
    wanted = sure(node.approval).approvers
    if wanted is None:
        return None
    given, has_holes = render(draft, place, wanted)
    approvers = draft.fill(given) if has_holes else given
    if draft.is_missing:
        return None
    is_list = isinstance(approvers, list) and 0 < len(approvers) <= APPROVERS_COUNT_MAX
    if not is_list or not all(isinstance(one, str) and 0 < len(one) <= APPROVER_CHARACTERS_MAX for one in approvers):
        raise ComputeFailed("invalid", f"`approvers` is no list of 1 to {APPROVERS_COUNT_MAX} names")
    return tuple(approvers)


def take(draft: Draft, event: s.Verdict) -> None:
    """Take a decision, if that is still asked for; who may decide, and what fits the form, was looked at before."""
    status = draft.header.status
    found = find_entered(draft, event.path)
    if found is None:
        draft.answer = x.Answer("refused", status)
        return
    path, index = found
    if draft.has_marks:  # a frame that an event touches before its sweep is swept first (engine.md 2)
        closing.sweep_frame(draft, path)
    task = sure(draft.frame(path).tasks[index])
    is_asked = isinstance(task.detail, ApprovalState) and task.detail.id == event.id
    if task.status is not TASK_WAITING or not is_asked:
        draft.answer = x.Answer("refused", status, STATUS_TEXT[task.status])
        return
    data = draft.store(event.data, None, is_read=False)
    _settle(draft, path, index, event.decision, event.by, event.comment, data)
    draft.answer = x.Answer("accepted", status)


def expire(draft: Draft, path: str, index: int) -> None:
    """End what waited for something from outside that did not come in time (S25, S28)."""
    plan = draft.node(draft.frame(path), index).approval
    if plan is None or plan.on_timeout == "fail":
        waits.expire(draft, path, index)
        return
    decision: Literal["approved", "rejected"] = "approved" if plan.on_timeout == "approve" else "rejected"
    comment = f"nobody decided within {plan.timeout_s:g} s"
    _settle(draft, path, index, decision, "", comment, b"null")


def _settle(
    draft: Draft, path: str, index: int, decision: Literal["approved", "rejected"], by: str, comment: str | None,
    data: Value,
) -> None:  # fmt: skip
    draft.emit(e.ApprovalAnswered(path, index, decision, by, comment, data))
    if decision == "rejected":
        told: dict[str, Any] = {"by": by, "comment": comment}
        ending.fail_task(draft, path, index, kind="rejected", message=comment or f"rejected by {by}", data=told)
        return
    frame = draft.frame(path)
    parts = (b'"approved"', encode_json(by), encode_json(stamp(draft.now)), data, encode_json(comment))
    joined = join("object", parts, ("decision", "by", "at", "data", "comment"))
    output = draft.keep(joined, frame, is_read=draft.node(frame, index).keeps_output)
    draft.emit(e.TaskSucceeded(path, index, output))
    ending.task_ended(draft, path, index)
