"""A trace played forwards and backwards: how the instance stood after each row, and what the row changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine.fold import replay
from core.engine.frame_events import StateInconsistent
from core.engine.journal_view import shown_event
from core.engine.names import STATUS_TEXT
from core.engine.state import Frame, Header, Reference, Task, Value
from core.engine.trace.file import Trace, decoded_values
from core.engine.trace.outline import plan_of
from core.engine.transitions import IllegalTransition
from core.engine.values import resolve, stamp
from core.errors import TraceInvalid

CHECKPOINT_ROWS = 256  # going back folds at most so many rows
_UNREADABLE = (StateInconsistent, IllegalTransition, LookupError, TypeError, ValueError, AttributeError)


class TaskStand(msgspec.Struct, frozen=True, kw_only=True):
    """How a task stands. Values are JSON, or {value_bytes: n} when the file does not hold them."""

    path: str
    step: str
    status: str
    reason: str | None
    attempts: int
    output: Any
    error: Any


class Change(msgspec.Struct, frozen=True):
    """What a row changed: of a task, or of the instance (path ""); statuses before and after, None = not there."""

    path: str
    before: str | None
    after: str | None


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """The instance after row `seq` (0 = before the first): the row's events, what they changed, and every task."""

    seq: int
    at: str | None
    status: str
    reason: str | None
    events: tuple[dict[str, Any], ...]
    changes: tuple[Change, ...]
    tasks: tuple[TaskStand, ...]
    outputs: Any = None
    error: Any = None


class Folded:
    """Header and frames, closed ones included, after some row."""

    def __init__(self, header: Header | None, frames: dict[str, Frame]) -> None:
        """Hold them."""
        self.header = header
        self.frames = frames

    def copy(self) -> Folded:
        """Give one that can be folded on without this one noticing."""
        return Folded(self.header, {path: frame.copy() for path, frame in self.frames.items()})


class Playback:
    """Plays one trace.

    Attributes:
        trace: what is played. plan: its outline as a plan. seq: of the newest row.
    """

    def __init__(self, trace: Trace) -> None:
        """Begin before the first row.

        Raises:
            TraceInvalid: a value of it is no JSON.
        """
        self.trace = trace
        self.plan: Plan = plan_of(trace.plan)
        self.seq = len(trace.rows)
        self.values: Mapping[Reference, Any] = decoded_values(trace)
        self._kept: dict[int, Folded] = {0: Folded(None, {})}
        self._at = 0
        self._now = Folded(None, {})

    def folded(self, seq: int) -> Folded:
        """Give the state after row `seq`, not to be changed; true until another row is asked for.

        Raises:
            TraceInvalid: there is no such row, or the rows contradict each other.
        """
        self._check(seq)
        if seq < self._at or seq - self._at > CHECKPOINT_ROWS:
            self._at = max(kept for kept in self._kept if kept <= seq)
            self._now = self._kept[self._at].copy()
        while self._at < seq:
            self._fold(self._at + 1)
        return self._now

    def stand(self, seq: int) -> Stand:
        """Tell how the instance stood after row `seq`.

        Raises:
            TraceInvalid: there is no such row, or the rows contradict each other.
        """
        self._check(seq)
        if seq == 0:
            return Stand(seq=0, at=None, status="queued", reason=None, events=(), changes=(), tasks=())
        before = _statuses(self.plan, self.folded(seq - 1))
        now = self.folded(seq)
        row = self.trace.rows[seq - 1]
        header = now.header
        if header is None:
            raise TraceInvalid("the first row of the file does not start the instance")
        return Stand(
            seq=seq,
            at=None if row.at is None else stamp(row.at),
            status=header.status.value,
            reason=header.reason,
            events=tuple(shown_event(event) for event in row.events()),
            changes=_changes(before, _statuses(self.plan, now)),
            tasks=tuple(
                self._task(path, step, task)
                for frame in now.frames.values()
                for path, step, task in tasks_of(self.plan, frame)
            ),
            outputs=self.shown(header.outputs),
            error=self.shown(header.error),
        )

    def shown(self, value: Value | None) -> Any:
        """Give a value as JSON; {value_bytes: n} when the file does not hold all of it, None when there is none."""
        if value is None:
            return None
        missing: list[Reference] = []
        found = resolve(value, self.values, missing)
        return {"value_bytes": sum(one.length for one in missing)} if missing else found

    def _task(self, path: str, step: str, task: Task) -> TaskStand:
        return TaskStand(
            path=path,
            step=step,
            status=STATUS_TEXT[task.status],
            reason=task.reason,
            attempts=task.attempts,
            output=self.shown(task.output),
            error=self.shown(task.error),
        )

    def _check(self, seq: int) -> None:
        if not 0 <= seq <= self.seq:
            raise TraceInvalid(f"the file has rows 1 to {self.seq}, and no {seq}")

    def _fold(self, seq: int) -> None:
        now = self._now
        events = self.trace.rows[seq - 1].events()
        try:
            now.header = replay(self.plan, now.header, now.frames, seq, events, {})
        except _UNREADABLE as fault:
            raise TraceInvalid(f"row {seq} does not follow from the rows before it: {fault}") from fault
        self._at = seq
        if seq % CHECKPOINT_ROWS == 0:
            self._kept.setdefault(seq, now.copy())


def tasks_of(plan: Plan, frame: Frame) -> list[tuple[str, str, Task]]:
    """List (path, step id, task) of every task of a frame that was entered."""
    region = plan.regions[frame.region]
    found = []
    for index, task in enumerate(frame.tasks):
        if task is not None:
            step = plan.nodes[region.nodes[index % region.size]].id
            found.append((_path(plan, frame, index, step), step, task))
    return found


def path_at(plan: Plan, frame: Frame, index: int) -> str:
    """Give the path of a task (S2)."""
    region = plan.regions[frame.region]
    step = plan.nodes[region.nodes[index % region.size]].id
    return _path(plan, frame, index, step)


def _path(plan: Plan, frame: Frame, index: int, step: str) -> str:
    region = plan.regions[frame.region]
    item = "" if region.map_node is None else f"{frame.first + index // region.size}."
    return f"{frame.prefix}{item}{step}"


def _statuses(plan: Plan, folded: Folded) -> dict[str, str]:
    found = {"": "queued" if folded.header is None else folded.header.status.value}
    for frame in folded.frames.values():
        found |= {path: STATUS_TEXT[task.status] for path, _, task in tasks_of(plan, frame)}
    return found


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    paths = dict.fromkeys([*before, *after])
    return tuple(
        Change(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)
    )
