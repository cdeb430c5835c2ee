"""`@control/call`: another DAG runs as an instance of its own, and its end is the step's (semantics.md S29, S17)."""

from __future__ import annotations

import hashlib
from typing import Any

from core.dag.callee import Callee
from core.dag.calling import CallPlan
from core.dag.plan import Node, Plan
from core.engine import closing, ending, telling
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.borrowing import IsGone, whole
from core.engine.draft import Draft
from core.engine.entered import find_entered
from core.engine.instance_time import id_of
from core.engine.kinship import REHEARSED, Asked, Parent
from core.engine.lists import total_timer
from core.engine.names import Place, render
from core.engine.origin import labels_of_start
from core.engine.state import CallState, Closing, Value
from core.engine.statuses import INSTANCE_CANCELLED, INSTANCE_FAILED, TASK_WAITING
from core.engine.stored import GONE
from core.engine.sure import sure
from core.engine.values import encode_json
from core.errors import InputInvalid
from core.executor.operator import ComputeFailed

DEPTH_MAX = 10  # instances above one another (dag-language.md 4, S53)
INPUTS_BYTES_MAX = 1_048_576  # of one call's inputs: they lie in rows, as those of a start by request
CHILDREN_BYTES_MAX = 1_048_576  # of the inputs of all children of one decision: what a group commit holds
CHILDREN_MAX = 64  # of one decision; each is a handful of rows
ASKED_BYTES = 128  # what a looked-up DAG counts in the node's memory, by estimate
ID_RANDOM_BYTES = 10
FAULTS_SHOWN_MAX = 5


def begin(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Start the child with this commit, and wait for its end, unless the step does not.

    Raises:
        ExpressionFailed: a parameter errs. ComputeFailed: the DAG is missing or stopped, refuses its inputs, or is too
            deep (S29).
    """
    plan = sure(node.call)
    dag, inputs = _dag(draft, place, plan), _inputs(draft, place, plan)
    if draft.is_missing:
        return
    _check_depth(draft)
    asked = Asked(0, 0, ASKED_BYTES, 0, dag, plan.version, draft.now)
    if asked not in draft.state.values:
        draft.missing.append(asked)
        return
    found = draft.state.values[asked]
    path = draft.task_path(place.frame, index)
    if found is REHEARSED:
        child = s.Start(
            id="", domain_id="", dag_id=dag, dag_hash="", dag_version=plan.version or "", created_at=draft.now,
            inputs=inputs, trigger=b"",
        )  # fmt: skip
    else:
        if _is_full(draft, inputs):
            draft.defer(place.frame.path)
            return
        child = _child(draft, plan, path, _callee(draft, found, dag, plan.version), inputs)
        draft.beyond().children.append(child)
    if plan.waits:
        under = closing.failing_since(draft, place.frame, index)
        held = CallState(
            draft.now, child.id, child.dag_id, child.dag_version, plan.on_cancel == "cancel", under=under
        )  # fmt: skip
        draft.emit(e.WaitBegun(place.frame.path, index, held, total_timer(draft, node)))
        return
    ending.settle_container(draft, place.frame.path, index, encode_json({"instance_id": child.id}), None, None)


def _dag(draft: Draft, place: Place, plan: CallPlan) -> str:
    given, has_holes = render(draft, place, plan.dag)
    dag = draft.fill(given) if has_holes else given
    if draft.is_missing:
        return ""
    if not isinstance(dag, str) or not dag:
        raise ComputeFailed("invalid", "`dag` is no id or title of a DAG")
    return dag


def _inputs(draft: Draft, place: Place, plan: CallPlan) -> Any:
    if plan.inputs is None:
        return {}
    given, has_holes = render(draft, place, plan.inputs)
    return draft.fill(given) if has_holes else given


def _above(draft: Draft) -> tuple[str, ...]:
    """Give the DAGs above a child of this instance, its own included."""
    parent = draft.header.parent
    return (*(() if parent is None else parent.dag_ids), draft.header.dag_id)


def _check_depth(draft: Draft) -> None:
    if len(_above(draft)) > DEPTH_MAX:
        raise ComputeFailed("limit", f"{DEPTH_MAX} instances stand above this one already, each called by the last")


def _callee(draft: Draft, found: Any, dag: str, version: str | None) -> Plan:
    """Give what is to run, or say why it does not."""
    if found is GONE:
        raise ComputeFailed("not_found", f"no DAG {dag!r}" + (f" in version {version}" if version else ""))
    callee: Callee = found
    if callee.dag_id in _above(draft):
        raise ComputeFailed(
            "limit", f"the DAG {dag!r} is among those that led to this call: it would go round for ever"
        )
    if callee.status == "stopped":
        raise ComputeFailed("conflict", f"the DAG {dag!r} is stopped and starts nothing")
    if callee.plan is None:
        raise ComputeFailed("invalid", f"this release cannot run the DAG {dag!r}")
    return callee.plan


def _is_full(draft: Draft, inputs: Any) -> bool:
    """Say whether this decision starts enough children; counts the inputs of one more if not.

    Raises:
        ComputeFailed: the inputs alone are too many.
    """
    size = len(encode_json(inputs))
    if size > INPUTS_BYTES_MAX:
        raise ComputeFailed("limit", f"the inputs have {size} bytes, more than {INPUTS_BYTES_MAX}")
    begun = 0 if draft.outward is None else len(draft.outward.children)
    if begun and (draft.children_bytes + size > CHILDREN_BYTES_MAX or begun >= CHILDREN_MAX):
        return True
    draft.children_bytes += size
    return False


def _child(draft: Draft, plan: CallPlan, path: str, callee: Plan, inputs: Any) -> s.Start:
    """Make the start of the child; its version is pinned here, and it goes first where its caller was started to.

    Raises:
        ComputeFailed: the inputs miss its schema, or a label of it has no value.
    """
    header = draft.header
    complete, faults = callee.inputs_complete(inputs)
    if faults:
        listed = "; ".join(f"{fault['pointer']}: {fault['message']}" for fault in faults[:FAULTS_SHOWN_MAX])
        raise ComputeFailed("invalid", f"inputs: {listed}")
    called = {"instance_id": header.id, "task": path}
    trigger = encode_json({"kind": "call", "data": called, "event": None, "scheduled_at": None})
    try:
        labels = labels_of_start(callee, {}, inputs=complete, trigger=trigger, now=draft.now)
    except InputInvalid as refused:
        listed = "; ".join(str(fault["message"]) for fault in refused.faults[:FAULTS_SHOWN_MAX])
        raise ComputeFailed("invalid", f"labels: {listed}") from None
    drawn = hashlib.blake2b(path.encode(), digest_size=ID_RANDOM_BYTES, key=draft.seed, person=b"call").digest()
    parent = Parent(header.id, path, plan.waits, plan.on_cancel == "cancel" and plan.waits, _above(draft))
    return s.Start(
        id=id_of(draft.now, drawn),
        domain_id=header.domain_id,
        dag_id=callee.dag_id,
        dag_hash=callee.content_hash,
        dag_version=callee.version,
        created_at=draft.now,
        inputs=complete,
        trigger=trigger,
        labels=labels,
        parent=parent,
        priority=header.priority,
    )


def take(draft: Draft, event: s.ChildEnded) -> None:
    """End the call whose child has ended; of a call that did not wait for it nothing changes."""
    found = find_entered(draft, event.path)
    if found is None:
        return
    path, index = found
    if draft.has_marks:  # a frame that an event touches before its sweep is swept first (engine.md 2)
        closing.sweep_frame(draft, path)
    frame = draft.frame(path)
    task = sure(frame.tasks[index])
    held = task.detail
    if task.status is not TASK_WAITING or not isinstance(held, CallState) or held.instance_id != event.instance_id:
        return
    if closing.closing_inside(draft, frame, index) is not None:
        ending.end_container(draft, path, index, b"null", None)
    elif event.status is INSTANCE_CANCELLED:
        message = f"instance {held.instance_id} was cancelled: {event.reason}"
        ending.fail_task(draft, path, index, kind="cancelled", message=message, data={"instance_id": held.instance_id})
    else:
        _settle(draft, path, index, held, event)


def _settle(draft: Draft, path: str, index: int, held: CallState, event: s.ChildEnded) -> None:
    is_failed = event.status is INSTANCE_FAILED
    try:
        value = whole(draft, (event.error if is_failed else event.outputs) or b"null", held.instance_id)
    except IsGone:
        message = f"what instance {held.instance_id} came to was removed before it was read"
        ending.fail_task(draft, path, index, kind="unavailable", message=message)
        return
    if draft.is_missing:
        return
    if is_failed:
        ending.fail_with(draft, path, index, _failure(draft, path, index, held, value))
    else:
        ending.settle_container(draft, path, index, encode_json(value), None, None)


def _failure(draft: Draft, path: str, index: int, held: CallState, cause: Any) -> Value:
    """Make the error of a call whose child failed: the child's is its cause."""
    frame = draft.frame(path)
    said = cause.get("message", "") if isinstance(cause, dict) else ""
    error = {
        "kind": "failed",
        "message": f"instance {held.instance_id} failed: {said}"[: ending.MESSAGE_CHARS_MAX],
        "step": draft.task_path(frame, index),
        "attempt": 0,
        "cause": cause,
        "data": {"instance_id": held.instance_id},
    }
    return draft.store(encode_json(error), frame, is_read=True, value=error)


def time_is_over(draft: Draft, path: str, index: int, message: str) -> None:
    """End a call whose `total_s` is over: it fails once its child, which is told to end, has ended (S15)."""
    frame = draft.frame(path)
    held = sure(frame.tasks[index]).detail
    if isinstance(held, CallState) and held.ends_too:
        if held.closing is None:
            step = draft.task_path(frame, index)
            error = ending.error_value(draft, frame, kind="timeout", message=message, step=step, attempt=0)
            draft.has_marks = True
            draft.emit(e.TaskClosing(path, index, Closing("timeout", draft.now, error)))
            telling.end_child(draft, held, "timeout")
        return
    ending.fail_task(draft, path, index, kind="timeout", message=message)
