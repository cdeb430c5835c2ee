"""When tasks became ready, ran and ended, told from their events and the times of the commits that hold these."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from core.dag.plan import Plan
from core.engine.events import (
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    AttemptUnknown,
    ContainerEntered,
    Event,
    FrameOpened,
    HandlingEnded,
    TaskCancelled,
    TaskFailed,
    TaskReadied,
    TaskRequeued,
    TaskSkipped,
    TaskSucceeded,
    WaitBegun,
)
from core.engine.rerun_events import CancelReused, FailureReused, SkipReused, TaskReused
from core.engine.state import Value

_ENDS: dict[type[Event], str] = {
    TaskSucceeded: "succeeded",
    TaskFailed: "failed",
    TaskCancelled: "cancelled",
    TaskSkipped: "skipped",
    TaskReused: "succeeded",
    SkipReused: "skipped",
    FailureReused: "failed",
    CancelReused: "cancelled",
}


class AttemptSpan(msgspec.Struct):
    """One attempt: when it was made, when its outcome was committed (None = not yet), and what that was."""

    number: int
    started_at: datetime | None
    ended_at: datetime | None = None
    outcome: str = "running"
    error: Value | None = None


class TaskSpan(msgspec.Struct):
    """One task; times are None when they have not come, or were not written down.

    Attributes:
        ready_at: first ready. started_at: first attempt, or the entering of a container.
        waited_s: in all between being ready and being called, up to the newest call.
        parameters: as they were rendered, of an operator's task.
    """

    path: str
    step: str
    status: str = "pending"
    ready_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waited_s: float = 0.0
    attempts: list[AttemptSpan] = []
    parameters: Value | None = None
    waits_since: datetime | None = None


class FramePlace(msgspec.Struct, frozen=True):
    """What of a frame names its tasks."""

    region: int
    prefix: str
    first: int
    cells: int


class Timeline:
    """Spans in the order in which their tasks were first touched; give it every journal row once, ascending.

    Args:
        plan: of the instance's version.
        path: of the one task that is asked for; None = all.
    """

    def __init__(self, plan: Plan, path: str | None = None) -> None:
        """Begin before the first row."""
        self.spans: dict[tuple[str, int], TaskSpan] = {}
        self._plan = plan
        self._path = path
        self._frames: dict[str, FramePlace] = {}
        self.wanted: tuple[str, int] | None = None

    def read(self, at: datetime | None, events: Sequence[Event]) -> None:
        """Take the events of one row."""
        for event in events:
            if isinstance(event, FrameOpened):
                self._open(event)
            else:
                index = getattr(event, "index", None)
                if index is not None and (self._path is None or self.wanted == (event.frame, index)):  # type: ignore[union-attr] # every event with an index has a frame
                    _move(self, at, event)

    def span(self, frame: str, index: int) -> TaskSpan:
        """Give a task's span, a new one when it was not touched before."""
        key = (frame, index)
        found = self.spans.get(key)
        if found is None:
            found = self.spans[key] = TaskSpan(*self._name(self._frames[frame], index))
        return found

    def _open(self, event: FrameOpened) -> None:
        place = FramePlace(event.region, event.prefix, event.first, event.cells)
        self._frames[event.frame] = place
        if self._path is not None and self.wanted is None:
            index = find_index(self._plan, place, self._path)
            self.wanted = None if index is None else (event.frame, index)

    def _name(self, place: FramePlace, index: int) -> tuple[str, str]:
        region = self._plan.regions[place.region]
        step = self._plan.nodes[region.nodes[index % region.size]].id
        if region.map_node is None:
            return place.prefix + step, step
        return f"{place.prefix}{place.first + index // region.size}.{step}", step


def find_index(plan: Plan, place: FramePlace, path: str) -> int | None:
    """Give the index of the task with this path (S2) in a frame; None when it cannot be in there."""
    head, dot, step = path.rpartition(".")
    number = plan.by_id.get(step)
    region = plan.regions[place.region]
    if number is None or plan.nodes[number].slot >= region.size or region.nodes[plan.nodes[number].slot] != number:
        return None
    slot = plan.nodes[number].slot
    if region.map_node is None:
        return slot if head + dot == place.prefix else None
    item = head.removeprefix(place.prefix)
    if not head.startswith(place.prefix) or not (item.isascii() and item.isdecimal()) or str(int(item)) != item:
        return None
    cell = int(item) - place.first
    return cell * region.size + slot if 0 <= cell < place.cells else None


def _move(timeline: Timeline, at: datetime | None, event: Event) -> None:
    match event:
        case TaskReadied():
            span = timeline.span(event.frame, event.index)
            span.status, span.ready_at, span.waits_since, span.parameters = "ready", at, at, event.parameters
        case TaskRequeued():
            span = timeline.span(event.frame, event.index)
            span.status, span.waits_since = "ready", at
        case AttemptStarted():
            _start(timeline.span(event.frame, event.index), at, event.number)
        case AttemptFailed():
            _end_attempt(timeline.span(event.frame, event.index), at, "failed", event.error, "retrying")
        case AttemptLost():
            _end_attempt(timeline.span(event.frame, event.index), at, "lost", None, "retrying")
        case AttemptUnknown():
            _end_attempt(timeline.span(event.frame, event.index), at, "unknown", None, "unknown")
        case ContainerEntered() | WaitBegun():
            span = timeline.span(event.frame, event.index)
            span.status = "waiting" if isinstance(event, WaitBegun) else "running"
            span.started_at = at
        case HandlingEnded():
            timeline.span(event.frame, event.index).ended_at = at
        case TaskSucceeded() | TaskFailed() | TaskCancelled() | TaskSkipped():
            outcome = _ENDS[type(event)]
            error = event.error if isinstance(event, TaskFailed) else None
            span = timeline.span(event.frame, event.index)
            _end_attempt(span, at, outcome, error, outcome)
            span.ended_at = at
        case TaskReused() | SkipReused() | FailureReused() | CancelReused():
            span = timeline.span(event.frame, event.index)
            span.status, span.ended_at = _ENDS[type(event)], at
        case _:
            return  # progress of a container: no time of a task's own


def _start(span: TaskSpan, at: datetime | None, number: int) -> None:
    span.status = "running"
    span.started_at = span.started_at or at
    if at is not None and span.waits_since is not None:
        span.waited_s += max(0.0, (at - span.waits_since).total_seconds())
    span.attempts = [*span.attempts, AttemptSpan(number, at)]


def _end_attempt(span: TaskSpan, at: datetime | None, outcome: str, error: Value | None, status: str) -> None:
    span.status = status
    if span.attempts and span.attempts[-1].outcome == "running":
        newest = span.attempts[-1]
        newest.ended_at, newest.outcome, newest.error = at, outcome, error
