"""The working copy of one decision: frames copied when touched, events applied as they are emitted."""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, cast

import msgspec

from core.dag.plan import Node, Plan
from core.engine import effects as x
from core.engine import events as e
from core.engine.answer_state import ApprovalState
from core.engine.fold import HEADER_EVENTS, HeaderEvent, apply_header
from core.engine.frame_events import FRAME_EVENTS, apply_frame, open_frame
from core.engine.origin import priority_of
from core.engine.passages import Passages, gate_of
from core.engine.permit import Permit
from core.engine.state import (
    FRAME_INLINE_BYTES_MAX,
    VALUE_BYTES_MAX,
    VALUE_INLINE_BYTES_MAX,
    VALUE_TINY_BYTES_MAX,
    Closing,
    Frame,
    Header,
    Indirect,
    Joined,
    Reference,
    State,
    Task,
    Timer,
    Value,
)
from core.engine.statuses import INSTANCE_PAUSED, INSTANCE_QUEUED
from core.engine.sure import sure
from core.engine.values import encode_json, refer, resolve
from core.expression import Fuel
from core.ports.permits import PermitAct

DECISION_FUEL_MAX = 200_000  # what one decision may burn in all (engine.md 2)
EVALUATION_FUEL_MAX = 100_000  # what one expression or parameter set may burn (dag-language.md 3)
ITEMS_BEGUN_MAX = 256  # map items that one decision begins (engine.md 2)

Job = Literal[
    "advance", "task_ended", "list_may_end", "frame_may_end", "container_may_end", "map_may_go_on", "sweep_frame",
    "iteration_may_end", "loop_may_go_on", "tried_list_ended", "hook_may_end",
]  # fmt: skip
"""Work that a decision queues for itself; `core.engine.decide` has the table."""


class TooLarge(Exception):
    """One decision would hold more than VALUE_BYTES_MAX of values: the task fails with kind `limit`."""


class Draft:
    """Everything a decision reads and writes. Local names of frames stay true: a touched frame is copied once."""

    __slots__ = (
        "_held_bytes", "_jobs", "_missing_before", "answer", "appended_bytes", "attempts_started",
        "borrowed_bytes", "borrowed_parts", "changed", "children_bytes",
        "deferred", "effects", "events", "fresh", "fuel_burned", "has_marks", "header", "item_ends", "items_begun",
        "missing", "now", "outward", "passages", "payloads", "plan", "room", "seed", "state", "timers_made",
        "timers_removed", "timers_set", "touched", "uncached",
    )  # fmt: skip

    def __init__(self, plan: Plan, state: State, *, now: datetime, seed: bytes, room: int) -> None:
        """Begin upon `state`, which is not changed."""
        self.plan = plan
        self.state = state
        self.now = now
        self.seed = seed
        self.room = room
        self.header: Header = state.header
        self.touched: dict[str, Frame] = {}
        self.changed: dict[str, Frame] = {}
        self.events: list[e.Event] = []
        self.effects: list[x.Effect] = []
        self.payloads: list[bytes] = []
        self.fresh: dict[Reference, Any] = {}
        self.missing: list[Reference] = []
        self.timers_set: dict[int, x.TimerSet] = {}
        self.timers_removed: list[tuple[datetime, int]] = []
        self.appended_bytes = state.appended_bytes
        self.timers_made = state.timers_made
        self.has_marks = state.has_marks
        self.attempts_started = 0
        self.items_begun = 0
        self.borrowed_bytes = 0
        self.borrowed_parts = 0
        self.uncached: set[tuple[str, int]] = set()
        self.fuel_burned = 0
        self.children_bytes = 0
        self.deferred: dict[str, None] = {}
        self.item_ends: dict[tuple[str, int], int] = {}
        self.answer: x.Answer | None = None
        self.outward: x.Outward | None = None
        self.passages: Passages | None = None
        self._jobs: deque[tuple[Job, tuple[Any, ...]]] = deque()
        self._held_bytes = 0
        self._missing_before = 0

    @property
    def is_paused(self) -> bool:
        """Say whether nothing may start now (S42)."""
        return self.header.status is INSTANCE_PAUSED

    @property
    def may_begin(self) -> bool:
        """Say whether steps may begin: the instance is not paused (S42), and waits for no permit (S46)."""
        status = self.header.status
        return status is not INSTANCE_PAUSED and status is not INSTANCE_QUEUED

    @property
    def priority(self) -> int:
        """Give the place of the instance, and of its tasks, among those that wait (S46)."""
        return priority_of(self.plan, self.header.priority)

    # Frames and tasks

    def frame(self, path: str) -> Frame:
        """Give the frame to work on."""
        frame = self.touched.get(path)
        if frame is None:
            frame = self.touched[path] = self.state.frames[path].copy()
        return frame

    def peek(self, path: str) -> Frame:
        """Give the frame only to be looked at."""
        return self.touched.get(path) or self.state.frames[path]

    def has_frame(self, path: str) -> bool:
        """Say whether an open frame is at hand."""
        frame = self.touched.get(path) or self.state.frames.get(path)
        return frame is not None and frame.is_open

    def open_frames(self) -> list[Frame]:
        """List the open frames, only to be looked at."""
        paths = dict.fromkeys([*self.state.frames, *self.touched])
        return [frame for frame in map(self.peek, paths) if frame.is_open]

    def node(self, frame: Frame, index: int) -> Node:
        """Give the plan's node of a task."""
        region = self.plan.regions[frame.region]
        return self.plan.nodes[region.nodes[index % region.size]]

    def cell(self, frame: Frame, index: int) -> int:
        """Give the cell in which a task lies."""
        return index // self.plan.regions[frame.region].size

    def task_path(self, frame: Frame, index: int) -> str:
        """Give a task's path (S2)."""
        region = self.plan.regions[frame.region]
        step_id = self.plan.nodes[region.nodes[index % region.size]].id
        if region.map_node is None:
            return frame.prefix + step_id
        return f"{frame.prefix}{frame.first + index // region.size}.{step_id}"

    # Events

    def emit(self, event: e.Event) -> None:
        """Record `event` and apply it."""
        self.events.append(event)
        kind = type(event)
        if kind in FRAME_EVENTS:
            self._change(event)
        elif kind in HEADER_EVENTS:
            before = self.header
            self.header = apply_header(before, cast("HeaderEvent", event))
            self._follow_timers(_header_timers(before), _header_timers(self.header), "", -1)
            if before.permit is not self.header.permit:
                self._follow_permit(before.permit, self.header.permit, "", self.header.created_at)
        else:
            opened = open_frame(self.plan, cast("e.FrameOpened", event))
            opened.seq = self.state.seq
            self.touched[opened.path] = self.changed[opened.path] = opened

    def _change(self, event: Any) -> None:
        path = event.frame
        frame = self.touched.get(path) or self.frame(path)
        self.changed[path] = frame
        frame.seq = self.state.seq
        index: int | None = getattr(event, "index", None)
        if index is None:
            apply_frame(self.plan, frame, event)
            return
        before = frame.tasks[index]
        apply_frame(self.plan, frame, event)
        after = frame.tasks[index]
        if before is not None and after is not None and (before.timers or after.timers or self.has_marks):
            self._follow_timers(_task_timers(before), _task_timers(after), path, index)
        if before is not None and type(before.detail) is ApprovalState and after is not before:
            self._end_approval(before.detail.id)
        if self.plan.has_step_limits and before is not after and before is not None and after is not None:
            self._follow_permit(_permit_of(before), _permit_of(after), self.task_path(frame, index), self.now)

    def _follow_permit(self, before: Permit | None, after: Permit | None, task_path: str, since: datetime) -> None:
        """Tell the gate of who comes to it, and of who leaves, whatever ended it."""
        permit = after or before
        if permit is None or (before is not None and after is not None):
            return
        kind: Literal["take", "wait", "displace", "leave"] = "leave"
        if after is not None:
            kind = "take" if after.is_held else "wait"
            if kind == "wait" and not task_path and sure(self.plan.gate).on_limit == "cancel_running":
                kind = "displace"
        gate = gate_of(self.header.domain_id, permit)
        self.passing().note(PermitAct(kind, gate, task_path, permit.most, self.priority, since))

    def passing(self) -> Passages:
        """Give what this decision does at gates."""
        if self.passages is None:
            self.passages = Passages(self.state.gates, self.beyond().permits)
        return self.passages

    def beyond(self) -> x.Outward:
        """Give what this decision does beyond its instance, to add to it."""
        if self.outward is None:
            self.outward = x.Outward()
        return self.outward

    def _end_approval(self, id_: str) -> None:
        """Ask nobody any more, whatever ended the wait."""
        outward = self.beyond()
        if outward.approvals_set.pop(id_, None) is None:
            outward.approvals_removed.append(id_)

    def _follow_timers(self, before: tuple[Timer, ...], after: tuple[Timer, ...], frame: str, index: int) -> None:
        for timer in before:
            if timer not in after and self.timers_set.pop(timer.n, None) is None:
                self.timers_removed.append((timer.due_at, timer.n))
        for timer in after:
            if timer not in before:
                self.timers_set[timer.n] = x.TimerSet(timer, frame, index)

    def new_timer(self, due_at: datetime, kind: Any) -> Timer:
        """Make a timer with a number that is unique in the instance."""
        timer = Timer(self.next_timer_number, due_at, kind)
        self.timers_made += 1
        return timer

    @property
    def next_timer_number(self) -> int:
        """Give the number of the next timer: greater than those of all that were made before."""
        return self.state.seq * 65_536 + self.timers_made + 1

    # Values

    def load(self, value: Value | None) -> Any:
        """Give the JSON value (None for none); what is not at hand is noted in `missing`, the result is void then."""
        if isinstance(value, bytes):
            return msgspec.json.decode(value)
        # Made when it is wanted: most decisions load nothing that lies elsewhere.
        values = ChainMap(self.fresh, cast("dict[Reference, Any]", self.state.values))  # only read
        return None if value is None else resolve(value, values, self.missing)

    def store(self, data: bytes, frame: Frame | None, *, is_read: bool, value: Any = msgspec.UNSET) -> Value:
        """Put JSON bytes where they belong: in place when small and read by expressions, else among the payloads.

        `value` is the same decoded, when it is at hand.

        Raises:
            TooLarge: this decision's values would pass 64 MiB.
        """
        size = len(data)
        if size <= VALUE_TINY_BYTES_MAX:
            return data
        if is_read and size <= VALUE_INLINE_BYTES_MAX and self._has_place(frame, size):
            return data
        self._held_bytes += size
        if self._held_bytes > VALUE_BYTES_MAX and size > VALUE_INLINE_BYTES_MAX:  # an error always has a place
            message = "the values of one decision pass 64 MiB"
            raise TooLarge(message)
        reference = refer(data, seq=self.state.seq, offset=self.appended_bytes)
        self.appended_bytes += size
        self.payloads.append(data)
        self.fresh[reference] = msgspec.json.decode(data) if value is msgspec.UNSET else value
        return reference

    def _has_place(self, frame: Frame | None, size: int) -> bool:
        if frame is None:
            return True
        if self.plan.regions[frame.region].map_node is not None:
            return False
        return frame.inline_bytes + size <= FRAME_INLINE_BYTES_MAX

    def store_any(self, value: Any, frame: Frame | None, *, is_read: bool, has_holes: bool) -> Value:
        """Store a JSON value; with `has_holes` stored values stand in place of JSON (S36: a bare path keeps them)."""
        built = _build(value) if has_holes else encode_json(value)
        if isinstance(built, bytes):
            return self.store(built, frame, is_read=is_read, value=msgspec.UNSET if has_holes else value)
        return self.compact(built)

    def far(self, value: Value) -> Value:
        """Put a value that will lie among many others where it takes a reference's place: among the payloads."""
        if isinstance(value, bytes):
            return self.store(value, None, is_read=False)
        if not isinstance(value, Joined):
            return value
        stored = self.store(encode_json(value), None, is_read=False)
        return Indirect(stored) if isinstance(stored, Reference) else value

    def keep(self, value: Value, frame: Frame | None, *, is_read: bool) -> Value:
        """Put a value that was joined from others where it belongs."""
        return self.store(value, frame, is_read=is_read) if isinstance(value, bytes) else self.compact(value)

    @property
    def is_missing(self) -> bool:
        """Say whether the job at hand asked for values that are not at hand: it must do nothing more then."""
        return len(self.missing) > self._missing_before

    def fill(self, value: Any) -> Any:
        """Give the JSON value with stored values in it loaded; what is not at hand is noted in `missing`."""
        return self.load(_build(value))

    def compact(self, value: Value) -> Value:
        """Move a joined value that is too large for its frame among the payloads."""
        if not isinstance(value, Joined):
            return value
        data = encode_json(value)
        if len(data) <= VALUE_INLINE_BYTES_MAX:
            return value
        stored = self.store(data, None, is_read=False)
        return Indirect(stored) if isinstance(stored, Reference) else value

    # Fuel and jobs

    def fuel(self) -> Fuel:
        """Give fuel for one evaluation; report what it used with `burned`."""
        return Fuel(min(EVALUATION_FUEL_MAX, DECISION_FUEL_MAX - self.fuel_burned))

    def burned(self, given: int, fuel: Fuel) -> None:
        """Count what one evaluation burned of what it was given."""
        self.fuel_burned += given - max(0, fuel.left)

    @property
    def is_spent(self) -> bool:
        """Say whether another evaluation could pass the decision's bound; it is put off to a next batch then."""
        return self.fuel_burned > DECISION_FUEL_MAX - EVALUATION_FUEL_MAX

    def defer(self, frame: str) -> None:
        """Look at this frame again in a next batch."""
        self.deferred[frame] = None

    def later(self, job: Job, *arguments: Any) -> None:
        """Queue work of this same decision; first in, first out."""
        self._jobs.append((job, arguments))

    def run(self, table: Mapping[Job, Callable[..., None]]) -> None:
        """Do all queued work."""
        while self._jobs:
            self._missing_before = len(self.missing)
            job, arguments = self._jobs.popleft()
            table[job](self, *arguments)


def _build(value: Any) -> Value:
    if isinstance(value, Reference | Joined | Indirect):
        return value
    if not has_holes(value):
        return encode_json(value)
    if isinstance(value, dict):
        return Joined("object", tuple(map(_build, value.values())), tuple(value))
    return Joined("list", tuple(map(_build, value)))


def has_holes(value: Any) -> bool:
    """Say whether a stored value stands somewhere in this JSON value."""
    if isinstance(value, dict):
        return any(map(has_holes, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_holes, value))
    return isinstance(value, Reference | Joined | Indirect)


def _marked(closing: Closing | None) -> tuple[Timer, ...]:
    """Give the timers of a mark."""
    if closing is None:
        return ()
    return tuple(timer for timer in (closing.grace, closing.cleanup) if timer is not None)


def _permit_of(task: Task) -> Permit | None:
    return getattr(task.detail, "permit", None)


def _task_timers(task: Task) -> tuple[Timer, ...]:
    closing = getattr(task.detail, "closing", None)
    return task.timers if closing is None else task.timers + _marked(closing)


def _header_timers(header: Header) -> tuple[Timer, ...]:
    return ((header.timer,) if header.timer else ()) + _marked(header.closing)
