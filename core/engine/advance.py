"""A pending step whose upstream has ended: join, `when`, and what its kind does (semantics.md S6, S7, S14, S17-S24)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from core.dag.plan import Node
from core.engine import approvals, cache, calls, containers, ending, gates, loops, reuse, tries, waits
from core.engine import effects as x
from core.engine import events as e
from core.engine import rerun_events as r
from core.engine.closing import closing_of, mark_instance
from core.engine.draft import Draft, TooLarge
from core.engine.handled import is_handled
from core.engine.lending import Lent
from core.engine.lists import kept_timers, total_timer
from core.engine.names import Place, evaluate, place_of, render, require_boolean, variable_place
from core.engine.permit_events import TaskGated
from core.engine.reentry import again_of
from core.engine.retry import token_of
from core.engine.state import Attempt, Closing, Frame, Task, Timer
from core.engine.statuses import INSTANCE_RUNNING, TASK_PENDING, TASK_SKIPPED, TASK_SUCCEEDED
from core.engine.sure import sure, sure_of
from core.engine.values import encode_json
from core.executor.operator import ComputeFailed
from core.expression import ExpressionFailed

COMPUTED_INSIDE_MAX = 1_000  # items; larger transforms run outside of decide in slices (engine.md 2)


def advance(draft: Draft, path: str, index: int) -> None:
    """Start a pending task if everything before it has ended, while steps of the instance may begin."""
    if not draft.may_begin or not draft.has_frame(path):
        return
    frame = draft.frame(path)
    task = frame.tasks[index]
    if task is None or task.status is not TASK_PENDING:
        return
    if task.detail is not None and isinstance(task.detail, Lent):
        if closing_of(draft, frame, index) is None:
            reuse.take_over(draft, frame, index, task.detail)
        return
    node = draft.node(frame, index)
    base = index - node.index  # steps of one list are consecutive, in the plan and in the frame
    upstream: list[Task] = []
    for number in node.upstream:
        before = frame.tasks[base + number]
        if before is None or not before.has_ended:
            return
        upstream.append(before)
    if closing_of(draft, frame, index) is not None:
        return
    if draft.is_spent:
        draft.defer(path)
        return
    if not is_join_met(draft, node, upstream):
        draft.emit(e.TaskSkipped(path, index, "join"))
        ending.task_ended(draft, path, index)
        return
    _start(draft, frame, index, node)


def is_join_met(draft: Draft, node: Node, upstream: list[Task]) -> bool:
    """Say whether the join is met, all upstream tasks having ended (S6)."""
    if not upstream or node.join == "all_done":
        return True
    if node.join == "any_succeeded":
        return any(task.status is TASK_SUCCEEDED for task in upstream)
    for number, task in zip(node.upstream, upstream, strict=True):
        if task.status is TASK_SUCCEEDED or task.status is TASK_SKIPPED:
            continue
        if node.join == "none_failed" or not is_handled(draft.plan.nodes[number], task):
            return False
    return True


def _start(draft: Draft, frame: Frame, index: int, node: Node) -> None:
    place, again = place_of(draft, frame, index), again_of(frame, index)
    try:
        if again is not None and again.failure is not None:
            reuse.fail_again(draft, frame, index, again)
            return
        if node.when is not None:
            wanted = evaluate(draft, place, node.when)
            if draft.is_missing:
                return
            if wanted is False:
                draft.emit(e.TaskSkipped(frame.path, index, "when"))
                ending.task_ended(draft, frame.path, index)
                return
            require_boolean(wanted)
        _KINDS[node.kind](draft, place, index, node)
    except ExpressionFailed as failure:
        ending.fail_task(draft, frame.path, index, kind=failure.kind, message=failure.message)
    except ComputeFailed as failure:
        ending.fail_task(draft, frame.path, index, kind=failure.error_kind, message=failure.message)
    except TooLarge as failure:
        ending.fail_task(draft, frame.path, index, kind="limit", message=str(failure))


class _Rendered(NamedTuple):
    """Rendered parameters: as they are stored, and as JSON."""

    value: Any
    has_holes: bool
    whole: Any


def _rendered(draft: Draft, place: Place, node: Node) -> _Rendered | None:
    """Render and check the parameters; None when values are missing.

    Raises:
        ExpressionFailed: as the rendering does. ComputeFailed: they miss the operator's schema.
    """
    value, has_holes = render(draft, place, sure(node.parameters))
    whole = draft.fill(value) if has_holes else value
    if draft.is_missing:
        return None
    faults = [] if node.parameter_faults is None else node.parameter_faults(whole)
    if faults:
        raise ComputeFailed("invalid", "parameters: " + "; ".join(faults[:5]))
    return _Rendered(value, has_holes, whole)


def _uncached(draft: Draft, place: Place, index: int, node: Node) -> tuple[_Rendered, bytes | None] | None:
    """Give the parameters, and the key under which the output will be kept; None when it was kept, or is missing.

    Raises:
        ExpressionFailed, ComputeFailed: as `_rendered`.
    """
    plan, key = node.cache, None
    if plan is not None and plan.key is not None:
        key = cache.named_key(draft, place, node)
        if draft.is_missing or cache.is_hit(draft, place, index, node, key):
            return None
    rendered = _rendered(draft, place, node)
    if rendered is None:
        return None
    if plan is not None and key is None:
        key = cache.key_of(plan, rendered.whole)
        if cache.is_hit(draft, place, index, node, key):
            return None
    return rendered, key


def _attempt(draft: Draft, place: Place, index: int, node: Node) -> None:
    found = _uncached(draft, place, index, node)
    if found is not None:
        _ready_with(draft, place, index, node, *found)


def _ready_with(
    draft: Draft, place: Place, index: int, node: Node, rendered: _Rendered, key: bytes | None
) -> None:  # fmt: skip
    """Make the task ready, and start its attempt when it may; under `key` its output will be kept."""
    permit = None
    if node.limit is not None:
        permit = gates.ask(draft, place, node.limit)
        if draft.is_missing:
            return
    path = place.frame.path
    parameters = draft.store_any(rendered.value, place.frame, is_read=True, has_holes=rendered.has_holes)
    timers = total_timer(draft, node)
    may_start = draft.room > draft.attempts_started and (permit is None or permit.is_held)
    waiting = timers if may_start else timers + queue_timer(draft, node)
    draft.emit(e.TaskReadied(path, index, parameters, waiting))
    if key is not None:
        draft.emit(r.CacheMissed(path, index, key))
    if permit is not None:
        draft.emit(TaskGated(path, index, permit))
    if may_start:
        start_attempt(draft, path, index)


def queue_timer(draft: Draft, node: Node) -> tuple[Timer, ...]:
    """Make the timer of `queue_s`, if the step has one; each wait from `ready` to the attempt has its own (S15)."""
    if node.timeout.queue_s is None:
        return ()
    return (draft.new_timer(draft.now + timedelta(seconds=node.timeout.queue_s), "queue"),)


def start_attempt(draft: Draft, path: str, index: int) -> None:
    """Commit to the next attempt of a ready task; its call leaves after the commit (R21)."""
    frame = draft.frame(path)
    task = sure(frame.tasks[index])
    held = sure_of(Attempt, task.detail)
    number = held.number + 1
    task_path = draft.task_path(frame, index)
    token = token_of(draft.seed, task_path, number)
    kept = kept_timers(task)
    draft.emit(e.AttemptStarted(path, index, number, token, draft.state.epoch, kept))
    draft.attempts_started += 1
    node = draft.node(frame, index)
    draft.effects.append(x.StartAttempt(path, index, number, token, node.index, task_path, held.parameters))


def _pure(draft: Draft, place: Place, index: int, node: Node) -> None:
    found = _uncached(draft, place, index, node)
    if found is None:
        return
    rendered, key = found
    items = rendered.whole.get("items") if isinstance(rendered.whole, dict) else None
    if isinstance(items, list) and len(items) > COMPUTED_INSIDE_MAX:
        _ready_with(draft, place, index, node, rendered, key)
        return
    fuel = draft.fuel()
    given = fuel.left
    try:
        output = sure(node.compute)(rendered.whole, draft.now, fuel)
    finally:
        draft.burned(given, fuel)
    faults = [] if node.output_faults is None else node.output_faults(output)
    if faults:
        raise ComputeFailed("invalid", "output: " + "; ".join(faults[:5]))
    stored = draft.store_any(output, place.frame, is_read=node.keeps_output, has_holes=False)
    draft.emit(e.TaskSucceeded(place.frame.path, index, stored))
    if key is not None:
        cache.keep(draft, node, key, stored)
    ending.task_ended(draft, place.frame.path, index)


def _variable(draft: Draft, place: Place, index: int, node: Node) -> None:
    value, has_holes = render(draft, place, sure(node.value))
    if draft.is_missing:
        return
    name = sure(node.variable)
    home = place if node.kind == "define" else variable_place(draft, place, name)
    stored = draft.store_any(value, home.frame, is_read=True, has_holes=has_holes)
    draft.emit(e.VariableSet(home.frame.path, home.cell, name, stored))
    draft.emit(e.TaskSucceeded(place.frame.path, index, stored))
    ending.task_ended(draft, place.frame.path, index)


def _return(draft: Draft, place: Place, index: int, node: Node) -> None:
    plan = sure(node.returns)
    given = plan.outputs if plan.result == "success" else plan.reason
    value, has_holes = (None, False) if given is None else render(draft, place, given)
    if draft.is_missing:
        return
    if plan.result == "success":
        returned = draft.store_any({} if given is None else value, None, is_read=True, has_holes=has_holes)
        closing = Closing("return", draft.now)
    else:
        reason = draft.fill(value)
        if draft.is_missing:
            return
        returned = None
        text = reason if isinstance(reason, str) else "" if reason is None else encode_json(reason).decode()
        path = draft.task_path(place.frame, index)
        error = ending.error_value(draft, None, kind="failed", message=text, step=path, attempt=0)
        closing = Closing("return", draft.now, error)
    draft.emit(e.TaskSucceeded(place.frame.path, index, b"null"))
    ending.task_ended(draft, place.frame.path, index)
    mark_instance(draft, closing, INSTANCE_RUNNING, returned=returned)


_KINDS = {
    "attempt": _attempt,
    "pure": _pure,
    "branch": containers.enter_branch,
    "parallel": containers.enter_parallel,
    "map": containers.enter_map,
    "loop": loops.enter_loop,
    "try": tries.enter_try,
    "wait": waits.begin_wait,
    "approval": approvals.ask,
    "call": calls.begin,
    "return": _return,
    "define": _variable,
    "assign": _variable,
}
