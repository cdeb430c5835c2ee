"""Why an instance stands where it stands: each predicate that keeps it, its value, who holds it, what comes next.

Pure: a function of the state and of what the node says of its places. What keeps a task is asked in a table, `CHECKS`;
another kind of waiting is one more line in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from core.dag.plan import Node, Plan
from core.engine import closing
from core.engine.answer_state import ApprovalState
from core.engine.draft import Draft
from core.engine.lending import Lent
from core.engine.lines import Line
from core.engine.names import STATUS_TEXT
from core.engine.permit import Permit
from core.engine.state import (
    Attempt,
    CallState,
    Container,
    Frame,
    Handling,
    InstanceStatus,
    LoopState,
    MapState,
    State,
    Task,
    TaskStatus,
    Timer,
    TryState,
    WaitState,
)
from core.engine.sure import sure
from core.predicate import Predicate

TASKS_MAX = 200  # told of one instance; who asks for a task by its path gets it all the same
CHILD = "child_ended"  # what a call waits for; who reads it adds the child's status
APPROVAL = "approval"  # whose value is its id; who reads it adds what is asked, and whom
UPSTREAM_MAX = 20  # told of one task: enough to see what it hangs on


class TaskWhy(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps one task that has not ended."""

    path: str
    step: str
    status: str
    predicates: tuple[Predicate, ...]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps an instance: by itself, and task by task, those first that something is expected of.

    `left_out` tasks are open, too, and not told. `next_at` is the earliest time at which something is due.
    """

    status: str
    seq: int
    predicates: tuple[Predicate, ...]
    tasks: tuple[TaskWhy, ...]
    left_out: int
    next_at: datetime | None


class Places(msgspec.Struct, frozen=True):
    """Attempt places of the node that answers: taken, and how many there are."""

    taken: int
    most: int


NO_PLACES = Places(0, 0)
NO_LINES: Mapping[str, Line] = {}


class Sight(NamedTuple):
    """One open task, and what is around it."""

    draft: Draft
    frame: Frame
    at: int
    node: Node
    task: Task
    places: Places
    lines: Mapping[str, Line] = NO_LINES


Check = Callable[[Sight], Iterable[Predicate]]


def why(
    plan: Plan,
    state: State,
    now: datetime,
    places: Places,
    *,
    path: str | None = None,
    lines: Mapping[str, Line] = NO_LINES,
) -> Why:
    """Say what keeps an instance, or one task of it.

    Args:
        state: with every open frame. path: only of this task; one that has ended, or was not entered, gives no task.
        lines: of the gates at which it waits, by task path ("" = the instance itself).
    """
    draft = Draft(plan, state, now=now, seed=b"", room=0)
    sights = [sight for sight in _open(draft, places, lines) if path in (None, draft.task_path(sight.frame, sight.at))]
    sights.sort(key=lambda sight: _rank(sight.task))
    told = tuple(_told(sight) for sight in sights[:TASKS_MAX])
    own = tuple(_of_instance(draft, lines))
    times = [one.at for one in (*own, *(one for task in told for one in task.predicates)) if one.at is not None]
    return Why(
        status=state.header.status.value,
        seq=state.seq - 1,
        predicates=own,
        tasks=told,
        left_out=len(sights) - len(told),
        next_at=min(times, default=None),
    )


def queued_why(seq: int) -> Why:
    """Say what keeps an instance that was accepted and not yet decided."""
    waits = Predicate(
        name="first_decision", value="queued", holder_kind="node", holder=None,
        next="the node that owns its shard takes it from the inbox",
    )  # fmt: skip
    return Why(status="queued", seq=seq, predicates=(waits,), tasks=(), left_out=0, next_at=None)


def _open(draft: Draft, places: Places, lines: Mapping[str, Line]) -> Iterator[Sight]:
    for frame in draft.open_frames():
        for index, task in enumerate(frame.tasks):
            if task is not None and not task.has_ended:
                yield Sight(draft, frame, index, draft.node(frame, index), task, places, lines)


_RANKS = {
    TaskStatus.UNKNOWN: 0,
    TaskStatus.RUNNING: 1,
    TaskStatus.READY: 2,
    TaskStatus.RETRYING: 3,
    TaskStatus.WAITING: 4,
    TaskStatus.FAILED: 6,
    TaskStatus.PENDING: 7,
}


def _rank(task: Task) -> int:
    """Give the order: what somebody can change first, what only waits for others last."""
    is_container = task.status is TaskStatus.RUNNING and not isinstance(task.detail, Attempt)
    return 5 if is_container else _RANKS[task.status]


def _told(sight: Sight) -> TaskWhy:
    found = [predicate for check in CHECKS for predicate in check(sight)]
    path = sight.draft.task_path(sight.frame, sight.at)
    return TaskWhy(path=path, step=sight.node.id, status=STATUS_TEXT[sight.task.status], predicates=tuple(found))


def waited_permits(plan: Plan, state: State) -> dict[str, Permit]:
    """Give the permits that an instance waits for, and its tasks, by task path."""
    draft = Draft(plan, state, now=state.header.created_at, seed=b"", room=0)
    found = {} if state.header.permit is None else {"": state.header.permit}
    for sight in _open(draft, NO_PLACES, NO_LINES):
        if isinstance(sight.task.detail, Attempt) and sight.task.detail.permit is not None:
            found[draft.task_path(sight.frame, sight.at)] = sight.task.detail.permit
    return {path: permit for path, permit in found.items() if not permit.is_held}


def permit_predicate(permit: Permit, line: Line | None) -> Predicate:
    """Say what a permit is that is waited for (S16, S46)."""
    told = {"limit": permit.limit, "key": permit.key, "max": permit.most}
    return Predicate(
        name="permit", value=told if line is None else line.told(permit.limit, permit.key, permit.most),
        holder_kind="instance", holder=next(iter(line.holders), None) if line is not None else None,
        next="one that holds a permit ends, and the first in line gets it",
    )  # fmt: skip


def _of_instance(draft: Draft, lines: Mapping[str, Line]) -> Iterator[Predicate]:
    header = draft.header
    if header.permit is not None and not header.permit.is_held:
        yield permit_predicate(header.permit, lines.get(""))
    mark = header.closing
    if mark is not None:
        due = mark.grace or mark.cleanup
        yield Predicate(
            name="closing", value=mark.cause, holder_kind="instance", holder=None,
            next="it ends when what runs in it has ended, or when its grace is over",
            at=None if due is None else due.due_at,
        )  # fmt: skip
    if header.outcome is not None:
        name = "" if header.hook is None else draft.plan.lists[header.hook].name
        yield Predicate(
            name="hooks", value=name, holder_kind="instance", holder=None,
            next=f"it ends as {header.outcome.status.value} when its hooks have ended",
            at=None if header.timer is None else header.timer.due_at,
        )  # fmt: skip
    elif header.timer is not None:
        yield Predicate(
            name="timeout_s", value=draft.plan.timeout_s, holder_kind="time", holder=None,
            next="it fails as `timeout`", at=header.timer.due_at,
        )  # fmt: skip
    if header.paused_at is not None:
        yield Predicate(
            name="paused", value={"since": header.paused_at}, holder_kind="person", holder=None,
            next="somebody resumes it; nothing starts, and no timer acts until then",
        )  # fmt: skip
    if header.status is InstanceStatus.WAITING:
        yield Predicate(
            name="waiting", value=True, holder_kind="instance", holder=None,
            next="a wait of one of its tasks ends, or a person settles one",
            at=_next_of(task for frame in draft.open_frames() for task in frame.tasks),
        )  # fmt: skip


def _next_of(tasks: Iterable[Task | None]) -> datetime | None:
    """Give when the first timer of those of these tasks acts that wait; None = they have none."""
    waiting = (task for task in tasks if task is not None and task.status is TaskStatus.WAITING)
    return min((timer.due_at for task in waiting for timer in task.timers), default=None)


# What keeps a task


def _upstream(sight: Sight) -> Iterator[Predicate]:
    """Steps before a pending one that have not ended (S6)."""
    if sight.task.status is not TaskStatus.PENDING:
        return
    base = sight.at - sight.node.index  # steps of one list are consecutive, in the plan and in the frame
    before = {number: sure(sight.frame.tasks[base + number]) for number in sight.node.upstream}
    waits_for = [number for number, task in before.items() if not task.has_ended]
    for number in waits_for[:UPSTREAM_MAX]:
        yield Predicate(
            name="upstream_ended", value=STATUS_TEXT[before[number].status],
            holder_kind="task", holder=sight.draft.task_path(sight.frame, base + number), next="it ends",
        )  # fmt: skip
    if not waits_for and sight.draft.may_begin:  # else the instance itself says what for
        yield Predicate(
            name="decision", value="due", holder_kind="node", holder=None, next="it is decided with a next batch"
        )
    if sight.node.join != "all_succeeded" or len(sight.node.upstream) > 1:
        yield Predicate(
            name="join", value=sight.node.join, holder_kind="task", holder=None,
            next="it is looked at when every step before has ended",
        )  # fmt: skip
    if sight.node.when is not None:
        yield Predicate(
            name="when", value=None, holder_kind="task", holder=None,
            next="it is evaluated when every step before has ended",
        )  # fmt: skip


def _place(sight: Sight) -> Iterator[Predicate]:
    """A ready task that waits for a permit, or has no place for its attempt (R33)."""
    held = sight.task.detail
    permit = held.permit if isinstance(held, Attempt) else None
    if permit is not None and not permit.is_held:
        yield permit_predicate(permit, sight.lines.get(sight.draft.task_path(sight.frame, sight.at)))
    elif sight.task.status is TaskStatus.READY:
        value = {"taken": sight.places.taken, "most": sight.places.most}
        yield Predicate(
            name="attempt_place", value=value, holder_kind="node", holder=None, next="a place becomes free on its node"
        )


def _attempt(sight: Sight) -> Iterator[Predicate]:
    """A running attempt, and the unknown outcome of one (S16)."""
    held = sight.task.detail
    if not isinstance(held, Attempt):
        return
    if sight.task.status is TaskStatus.RUNNING:
        bound_s = sight.node.timeout.attempt_s
        value = {"number": held.number, "most": sight.node.retry.max_attempts, "attempt_s": bound_s}
        yield Predicate(
            name="attempt_outcome", value=value, holder_kind="operator", holder=sight.node.operator.name,
            next="the operator answers, or `attempt_s` ends the attempt" if bound_s else "the operator answers",
        )  # fmt: skip
    if sight.task.status is TaskStatus.UNKNOWN:
        yield Predicate(
            name="outcome_known", value={"number": held.number}, holder_kind="person", holder=None,
            next="somebody settles it: skip, complete, fail or retry",
        )  # fmt: skip


def _inside(sight: Sight) -> Iterator[Predicate]:
    """What runs below: lists of a container, items, iterations, an `on_error` list."""
    value = _progress(sight)
    if value is not None:
        name = "handling_ended" if isinstance(sight.task.detail, Handling) else "inside_ended"
        yield Predicate(
            name=name, value=value, holder_kind="task", holder=sight.draft.task_path(sight.frame, sight.at),
            next="what runs inside ends",
        )  # fmt: skip


def _progress(sight: Sight) -> Any:
    lists = sight.draft.plan.lists
    match sight.task.detail:
        case Container() as held:
            names = zip(held.lists, held.ends, strict=True)
            return {"open": [lists[number].name for number, end in names if end is None]}
        case MapState() as held:
            return {"items": held.count, "begun": held.begun, "open": held.open}
        case LoopState() as held:
            return {"iterations": held.count, "begun": held.begun}
        case TryState() as held:
            return {"open": [lists[held.list].name]}
        case Handling():
            return {"open": ["on_error"]}
        case _:
            return None


_TIMED: dict[str, tuple[str, str]] = {
    "retry": ("retry_due", "the next attempt begins"),
    "put_off": ("retry_put_off", "its turn comes: retries of its business domain are over their budget until then"),
    "wait": ("time_come", "the wait ends"),
    "queue": ("queue_s", "it fails as `timeout` when no place was free by then"),
    "total": ("total_s", "it fails as `timeout`"),
    "grace": ("grace_s", "what still runs is abandoned"),
    "expiry": ("timeout_s", "nobody answered in time"),
    "cleanup": ("cleanup_s", "what still cleans up is ended"),
}


def _timers(sight: Sight) -> Iterator[Predicate]:
    """Every timer that the task holds, and that of a mark on it."""
    for timer in sorted((*sight.task.timers, *_of_mark(sight.task)), key=lambda timer: timer.due_at):
        name, following = _TIMED[timer.kind]
        since = sight.task.detail.since if isinstance(sight.task.detail, WaitState | CallState) else None
        value = None if since is None else {"since": since}
        yield Predicate(name=name, value=value, holder_kind="time", holder=None, next=following, at=timer.due_at)


def _of_mark(task: Task) -> tuple[Timer, ...]:
    mark = task.closing
    return () if mark is None else tuple(timer for timer in (mark.grace, mark.cleanup) if timer is not None)


def _closing(sight: Sight) -> Iterator[Predicate]:
    """A mark above, or on what the task holds: everything in there ends (S10, S15, S41)."""
    above = closing.closing_of(sight.draft, sight.frame, sight.at) if sight.draft.has_marks else None
    mark = above or sight.task.closing
    if mark is not None:
        yield Predicate(
            name="closing", value=mark.cause, holder_kind="instance", holder=None,
            next="it ends with what is around it" if above is not None else "it ends when what runs in it has ended",
        )  # fmt: skip


def _answer(sight: Sight) -> Iterator[Predicate]:
    """What a waiting task is to get from outside: a signal, a call, a decision (S26 to S29)."""
    held, until = sight.task.detail, _next_of([sight.task])
    if isinstance(held, WaitState) and held.signal is not None:
        unread = sum(signal.name == held.signal for signal in sight.draft.header.signals)
        yield Predicate(
            name="signal", value={"name": held.signal, "unread": unread}, holder_kind="person", holder=None,
            next="somebody sends a signal that fits", at=until,
        )  # fmt: skip
    elif isinstance(held, WaitState) and held.callback:
        yield Predicate(
            name="callback", value="open", holder_kind="person", holder=None, next="somebody calls its URL", at=until,
        )  # fmt: skip
    elif isinstance(held, CallState):
        value = {"dag_id": held.dag_id, "version": held.dag_version}
        yield Predicate(
            name=CHILD, value=value, holder_kind="instance", holder=held.instance_id, next="it ends", at=until,
        )  # fmt: skip
    elif isinstance(held, ApprovalState):
        yield Predicate(
            name=APPROVAL, value={"id": held.id}, holder_kind="person", holder=None, next="somebody who may decides",
            at=until,
        )  # fmt: skip


def _taken_over(sight: Sight) -> Iterator[Predicate]:
    """What a pending task takes over of the instance that this one is a rerun of (S44)."""
    held = sight.task.detail
    if isinstance(held, Lent):
        yield Predicate(
            name="taken_over", value=held.status, holder_kind="instance", holder=held.lender,
            next="its values are copied with a next batch",
        )  # fmt: skip


CHECKS: tuple[Check, ...] = (_closing, _upstream, _taken_over, _place, _attempt, _inside, _answer, _timers)
