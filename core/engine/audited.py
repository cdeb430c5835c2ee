"""Tasks and frames as the audit of invariants sees them: what their events told, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.dag.plan import Node, Plan
from core.engine.answer_state import ApprovalState
from core.engine.events import (
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    AttemptUnknown,
    ContainerEntered,
    Event,
    FrameOpened,
    HandlingEnded,
    HookEntered,
    InstanceConcluded,
    InstanceEnded,
    InstancePaused,
    InstanceResumed,
    ItemsBegun,
    IterationBegun,
    IterationEnded,
    MapAdvanced,
    TaskCancelled,
    TaskFailed,
    TaskReadied,
    TaskRequeued,
    TaskSkipped,
    TaskSucceeded,
    TryAdvanced,
    WaitBegun,
)
from core.engine.rerun_events import CancelReused, FailureReused, SkipReused, TaskReused
from core.engine.state import CallState, Container, InstanceStatus, LoopState, MapState, TaskStatus, WaitState
from core.engine.statuses import (
    INSTANCE_FAILED,
    INSTANCE_RUNNING,
    INSTANCE_WAITING,
    TASK_CANCELLED,
    TASK_FAILED,
    TASK_PENDING,
    TASK_READY,
    TASK_RETRYING,
    TASK_RUNNING,
    TASK_SKIPPED,
    TASK_SUCCEEDED,
    TASK_UNKNOWN,
    TASK_WAITING,
)

PENDING, READY, RUNNING, RETRYING = TASK_PENDING, TASK_READY, TASK_RUNNING, TASK_RETRYING
WAITING, UNKNOWN = TASK_WAITING, TASK_UNKNOWN
PAUSED = InstanceStatus.PAUSED

# dag-language.md 6, less what this release has no operators for. Written down apart from `transitions`: two tables must
# be wrong in the same way before a wrong arrow goes unseen.
_BY_HAND = frozenset({PENDING, READY, RETRYING, WAITING, UNKNOWN})
_OPEN = _BY_HAND | {RUNNING}
ARROWS: dict[type, tuple[frozenset[TaskStatus], TaskStatus]] = {
    TaskSkipped: (_BY_HAND, TASK_SKIPPED),
    TaskReadied: (frozenset({PENDING}), READY),
    TaskRequeued: (frozenset({RETRYING, UNKNOWN}), READY),
    AttemptStarted: (frozenset({READY}), RUNNING),
    AttemptLost: (frozenset({RUNNING}), RETRYING),
    AttemptUnknown: (frozenset({RUNNING}), UNKNOWN),
    AttemptFailed: (frozenset({RUNNING}), RETRYING),
    ContainerEntered: (frozenset({PENDING}), RUNNING),
    WaitBegun: (frozenset({PENDING}), WAITING),
    TaskSucceeded: (_OPEN, TASK_SUCCEEDED),
    TaskFailed: (_OPEN, TASK_FAILED),
    TaskCancelled: (_OPEN, TASK_CANCELLED),
    HandlingEnded: (frozenset({TASK_FAILED}), TASK_FAILED),
    TaskReused: (frozenset({PENDING}), TASK_SUCCEEDED),
    SkipReused: (frozenset({PENDING}), TASK_SKIPPED),
    FailureReused: (frozenset({PENDING}), TASK_FAILED),
    CancelReused: (frozenset({PENDING}), TASK_CANCELLED),
}


# What of these arrows nobody's act is needed for.
BY_THEMSELVES: dict[type, frozenset[TaskStatus]] = {
    TaskSkipped: frozenset({PENDING}),
    TaskRequeued: frozenset({RETRYING}),
    TaskSucceeded: frozenset({PENDING, RUNNING, WAITING}),
}


# What must not happen while an instance is paused (S42), or waits for a permit (S46).
BEGINNINGS = (
    TaskReadied, AttemptStarted, ContainerEntered, WaitBegun, ItemsBegun, IterationBegun, TryAdvanced,
    InstanceConcluded, HookEntered,
)  # fmt: skip


class TaskAudit:
    """One task as its events tell it.

    `results` counts accepted outcomes, `lists` a container's that have not ended. `is_between` = a loop none of whose
    iterations is open, or a map with items left and none open: the engine itself goes on with it, also in a next batch.
    """

    __slots__ = (
        "asks", "child", "count", "epoch", "is_acted", "is_between", "is_handled", "is_handling", "is_loop", "lists",
        "lost", "number", "results", "status", "token",
    )  # fmt: skip

    def __init__(self) -> None:
        """Begin as pending."""
        self.status = PENDING
        self.number = 0
        self.token = b""
        self.epoch = 0
        self.results = 0
        self.asks: str | None = None  # for a signal of this name
        self.child = ""  # of a call that waits
        self.is_acted = False  # somebody acted on it, and what it came to follows
        self.is_handling = False
        self.is_handled = False
        self.lost = 0
        self.lists: set[int] = set()
        self.is_loop = False
        self.is_between = False
        self.count = 0

    @property
    def has_ended(self) -> bool:
        """Say whether the step has ended (S6)."""
        return self.status.is_terminal and not self.is_handling

    @property
    def is_asking(self) -> bool:
        """Say whether it waits for something from outside, which may come at any time."""
        return self.status is WAITING and self.asks is not None

    @property
    def has_inside(self) -> bool:
        """Say whether something in a running container is open."""
        return self.status is RUNNING and (bool(self.lists) or (self.is_loop and not self.is_between))

    def attempt(self, event: AttemptStarted, path: str) -> Iterator[tuple[str, str]]:
        """Begin an attempt; give (invariant, sentence) of what may not be so beside the one before."""
        if event.number != self.number + 1:
            yield "I13", f"attempt {event.number} of {path} follows {self.number}"
        if event.epoch < self.epoch:
            yield "I5", f"attempt {event.number} of {path} is of epoch {event.epoch}, after {self.epoch}"
        if event.token == self.token:
            yield "I14", f"attempt {event.number} of {path} has the token of the one before"
        self.number, self.token, self.epoch = event.number, event.token, event.epoch

    def wait(self, held: WaitState | ApprovalState | CallState) -> None:
        """Note what it waits for."""
        self.asks = held.asks
        self.child = held.instance_id if isinstance(held, CallState) else ""

    def enter(self, event: ContainerEntered) -> None:
        """Note what a container begins with."""
        if isinstance(event.detail, Container):
            self.lists = set(event.detail.lists)
        elif isinstance(event.detail, MapState):
            self.count = event.detail.count
        self.is_loop = isinstance(event.detail, LoopState)
        self.is_between = isinstance(event.detail, LoopState | MapState)

    def advance(self, event: IterationBegun | IterationEnded | MapAdvanced) -> bool:
        """Note how far a loop or map is; gives False when an iteration is out of turn: one at a time (S21)."""
        if isinstance(event, MapAdvanced):
            self.is_between = event.begun < self.count and event.open == 0
            return True
        is_begun = isinstance(event, IterationBegun)
        if not self.is_loop or self.status is not RUNNING or self.is_between is not is_begun:
            return False
        self.is_between = not is_begun
        return True


class FrameAudit:
    """One entered list or chunk of map items: the tasks that its events made, by index."""

    __slots__ = ("begun", "cells", "ended", "first", "is_open", "prefix", "region", "tasks")

    def __init__(self, opened: FrameOpened) -> None:
        """Begin with no task."""
        self.region = opened.region
        self.prefix = opened.prefix
        self.first = opened.first
        self.cells = opened.cells
        self.begun = 0
        self.ended: set[int] = set()
        self.is_open = True
        self.tasks: dict[int, TaskAudit] = {}


def may_follow(event: Event, status: InstanceStatus) -> bool:
    """Say whether pauses allow this event in an instance of this status (S42; dag-language.md 6)."""
    if isinstance(event, InstancePaused):
        return status in {INSTANCE_RUNNING, INSTANCE_WAITING}
    if status is not PAUSED:
        return not isinstance(event, InstanceResumed)
    if isinstance(event, InstanceEnded):
        return event.status is INSTANCE_FAILED
    return not isinstance(event, BEGINNINGS)


def is_joined(node: Node, upstream: Sequence[TaskAudit], continued: set[int]) -> bool:
    """Say whether the join of S6 is met by ended upstream tasks."""
    succeeded = [task.status is TASK_SUCCEEDED for task in upstream]
    clean = [ok or task.status is TASK_SKIPPED for ok, task in zip(succeeded, upstream, strict=True)]
    match node.join:
        case "all_done":
            return True
        case "any_succeeded":
            return not upstream or any(succeeded)
        case "none_failed":
            return all(clean)
        case _:
            handled = [task.is_handled or place in continued for place, task in enumerate(upstream)]
            return all(ok or done for ok, done in zip(clean, handled, strict=True))


def is_attempt(nodes: Sequence[Node], slots: Sequence[int], index: int) -> bool:
    """Say whether the task at `index` is one of an operator, by the nodes of its region."""
    return nodes[slots[index % len(slots)]].kind in {"attempt", "pure"}


def counts_of(plan: Plan, frames: Iterable[FrameAudit]) -> tuple[int, int, int]:
    """Count what an instance's row counts: open attempts, ready tasks, open frames."""
    attempts = ready = open_frames = 0
    for frame in frames:
        nodes = plan.regions[frame.region].nodes
        open_frames += frame.is_open
        for index, task in frame.tasks.items():
            ready += task.status is READY
            attempts += task.status is RUNNING and is_attempt(plan.nodes, nodes, index)
    return attempts, ready, open_frames
