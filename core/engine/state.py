"""State of an instance: a header, and a tree of frames that hold tasks (engine.md 1).

All that the journal folds to. A `Value` is JSON: its bytes when small, else where they lie, else how they are joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from core.engine.answer_state import ApprovalState, CallbackCall, KeptSignal
from core.engine.answer_state import WaitState as WaitState  # noqa: PLC0414 - told on: it is what tasks hold
from core.engine.ends import ChunkEnd, ItemEnd, ListEnd
from core.engine.kinship import Parent
from core.engine.lending import Again, Lent, Reused
from core.engine.paused_time import PausedTime
from core.engine.permit import Permit
from core.engine.statuses import TASK_PENDING, TASK_SUCCEEDED
from core.engine.statuses import InstanceStatus as InstanceStatus  # noqa: PLC0414 - told on, as values are
from core.engine.statuses import TaskStatus as TaskStatus  # noqa: PLC0414 - the same
from core.engine.stored import Indirect as Indirect  # noqa: PLC0414 - told on: whoever reads state reads its values
from core.engine.stored import Joined as Joined  # noqa: PLC0414 - the same
from core.engine.stored import Reference as Reference  # noqa: PLC0414 - the same
from core.engine.stored import Value as Value  # noqa: PLC0414 - the same
from core.engine.timer import Timer as Timer  # noqa: PLC0414 - the same
from core.executor.retry_budget import RetryBudget
from core.ports.permits import Gate, GateView

VALUE_INLINE_BYTES_MAX = 4_096  # a value that expressions read stands beside its task up to this size (engine.md 1)
VALUE_TINY_BYTES_MAX = 16  # a value no longer than a reference to it always stands in its place, also in chunks
FRAME_INLINE_BYTES_MAX = 65_536  # of all values in one frame (engine.md 1)
VALUE_BYTES_MAX = 67_108_864  # one value, and all that one decision may hold (engine.md 1)
LOST_IN_A_ROW_MAX = 8  # then the task fails as `unavailable` (engine.md 5)


class Closing(msgspec.Struct, frozen=True, array_like=True):
    """Why everything below this mark ends, since when, and the error that the marked one will have.

    `grace` ends running attempts, `cleanup` the `finally` lists that run in spite of the mark (S41, S39).
    """

    cause: Literal["failing", "timeout", "cancel", "return", "terminate"]
    at: datetime
    error: Value | None = None
    is_grace_over: bool = False
    grace: Timer | None = None
    reason: str | None = None
    cleanup: Timer | None = None
    is_cleanup_over: bool = False


class Attempt(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """What a ready, running or retrying task of an operator holds.

    `number` of the newest attempt (0 = none yet), counted in `Task.attempts`, too; `lost` of them do not count against
    `max_attempts`; `lost_in_a_row` up to now. `token` and `epoch` are the newest attempt's. Under `cache_key` the
    output will be kept, None = it will not. `permit` is that of its step's limit, None = it has none.
    """

    parameters: Value
    number: int = 0
    token: bytes = b""
    epoch: int = 0
    lost: int = 0
    lost_in_a_row: int = 0
    cache_key: bytes | None = None
    permit: Permit | None = None


class Container(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A running branch or parallel: the lists entered, in order, and how each ended (None = open).

    `under` (here and below): entered by an `all_done` step when a failing mark of this time stood above; that mark, and
    older ones, do not hold for what is inside (S10).
    """

    lists: tuple[int, ...]
    ends: tuple[ListEnd | None, ...]
    closing: Closing | None = None
    under: datetime | None = None


class MapState(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A running map. `items` has one list per chunk, `ends` what ended chunks folded into.

    `count` items (batches, with `batch_size`), `chunk_items` per chunk as recorded when it began, `begun` items begun
    in order, `open` of them not ended.
    """

    count: int
    chunk_items: int
    items: tuple[Value, ...]
    ends: tuple[ChunkEnd | None, ...]
    begun: int = 0
    open: int = 0
    closing: Closing | None = None
    under: datetime | None = None


class MapAgain(MapState, frozen=True, array_like=True, tag=63):
    """A running map of a rerun: what ended well in items that are the same is taken over."""

    again: Again = Again("", "")


class Handling(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A failed task's `on_error` list: while it runs the step has not ended. It failed in instance `reused_from`."""

    phase: Literal["running", "handled", "failed"]
    closing: Closing | None = None
    under: datetime | None = None
    reused_from: str | None = None


class TryState(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A running try: the list that runs, and what came of those before it: a value, an error, or neither (swept).

    `closing` is of the list that runs; a list that begins has none.
    """

    list: int
    value: Value | None = None
    error: Value | None = None
    closing: Closing | None = None
    under: datetime | None = None


class TryAgain(TryState, frozen=True, array_like=True, tag=65):
    """A running try of a rerun: what ended well in its lists is taken over."""

    again: Again = Again("", "")


class LoopState(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A running loop. `begun` iterations began, the last of them runs while `is_open`; `is_over` = a break.

    `count` of a `while` is None; `items` of `each` lie in lists of `slice_items`. `levels[0]` has the newest values of
    iterations, each level above those of sixteen of the level below as one list; `last` is the newest value.
    """

    count: int | None
    items: tuple[Value, ...] = ()
    slice_items: int = 0
    begun: int = 0
    is_open: bool = False
    is_over: bool = False
    last: Value | None = None
    levels: tuple[tuple[Value, ...], ...] = ((),)
    closing: Closing | None = None
    under: datetime | None = None


class LoopAgain(LoopState, frozen=True, array_like=True, tag=64):
    """A running loop of a rerun: what ended well in its iterations is taken over."""

    again: Again = Again("", "")


class CallState(msgspec.Struct, frozen=True, array_like=True, tag=70):
    """A task that waits for the end of its child, since when (S29): an instance of that DAG in that version.

    `ends_too` = the child is told to end when the task ends before it. `closing` stands once it was told so.
    """

    since: datetime
    instance_id: str
    dag_id: str
    dag_version: str
    ends_too: bool
    closing: Closing | None = None
    under: datetime | None = None

    @property
    def asks(self) -> str:
        """Give "": it waits for something from outside."""
        return ""


Detail = (
    Attempt | Container | MapState | Handling | TryState | LoopState | WaitState | ApprovalState | CallbackCall | Lent
    | Again | Reused | MapAgain | LoopAgain | TryAgain | CallState
)  # fmt: skip
# What has lists below it, or another instance, and may be closing.
Holding = Container | MapState | Handling | TryState | LoopState | CallState


class Task(msgspec.Struct, frozen=True, array_like=True):
    """One step within one instance. `attempts` counts calls of the operator (S14).

    `error` of a succeeded map holds the list `steps.<id>.errors` instead.
    """

    status: TaskStatus = TASK_PENDING
    attempts: int = 0
    output: Value | None = None
    error: Value | None = None
    detail: Detail | None = None
    timers: tuple[Timer, ...] = ()
    reason: str | None = None

    @property
    def closing(self) -> Closing | None:
        """Give the mark on what the task holds: container, map or `on_error` list."""
        return getattr(self.detail, "closing", None)

    @property
    def has_ended(self) -> bool:
        """Say whether the step has ended: terminal, and no `on_error` list of it runs (S6)."""
        detail = self.detail
        is_handling = detail is not None and isinstance(detail, Handling) and detail.phase == "running"
        return self.status >= TASK_SUCCEEDED and not is_handling


PENDING_TASK = Task()


class Frame:
    """One entered list, or one chunk of map items: `tasks[cell * region.size + slot]`, None = list not entered.

    `parent` and `parent_index` name the task that holds it (None, -1 for the top). `first` is the number of its first
    item, `begun` the cells begun, `ends` how begun cells ended. `variables` are by (cell, name), `closing` by cell.
    `seq` is the journal row that it was last changed by.

    The counts `ready`, `running` (attempts), `retrying`, `waiting` (unknown ones, too), `ended` (items) and
    `inline_bytes` follow from the rest; they are kept so that nobody must look at all tasks.
    """

    __slots__ = (
        "begun", "cells", "closing", "ended", "ends", "first", "inline_bytes", "is_open", "items", "parent",
        "parent_index", "path", "prefix", "ready", "region", "retrying", "running", "seq", "tasks", "variables",
        "waiting",
    )  # fmt: skip

    def __init__(
        self, *, path: str, region: int, parent: str | None, parent_index: int, prefix: str, first: int, cells: int,
        size: int, items: Value | None,
    ) -> None:  # fmt: skip
        """Make an open frame in which nothing has begun."""
        self.path = path
        self.region = region
        self.parent = parent
        self.parent_index = parent_index
        self.prefix = prefix
        self.first = first
        self.cells = cells
        self.items = items
        self.begun = 0
        self.is_open = True
        self.seq = 0
        self.tasks: list[Task | None] = [None] * (cells * size)
        self.ends: list[ItemEnd | None] = [None] * cells
        self.variables: dict[tuple[int, str], Value] = {}
        self.closing: dict[int, Closing] = {}
        self.ended = 0
        self.ready = 0
        self.running = 0
        self.retrying = 0
        self.waiting = 0
        self.inline_bytes = 0

    def copy(self) -> Frame:
        """Give a frame that can be changed without this one noticing; tasks and values are immutable and shared."""
        other = Frame.__new__(Frame)  # attribute by attribute: this runs once per decision
        other.begun = self.begun
        other.cells = self.cells
        other.ended = self.ended
        other.first = self.first
        other.inline_bytes = self.inline_bytes
        other.is_open = self.is_open
        other.items = self.items
        other.parent = self.parent
        other.parent_index = self.parent_index
        other.path = self.path
        other.prefix = self.prefix
        other.ready = self.ready
        other.region = self.region
        other.retrying = self.retrying
        other.running = self.running
        other.waiting = self.waiting
        other.seq = self.seq
        other.tasks = self.tasks.copy()
        other.ends = self.ends.copy()
        other.variables = self.variables.copy()
        other.closing = self.closing.copy()
        return other


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """How the instance will end when its hooks have ended."""

    status: InstanceStatus
    outputs: Value | None
    error: Value | None
    reason: str | None


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What an instance is and where it stands; lies in the top frame's row.

    `trigger` is JSON (kind, data, scheduled_at). `closing` marks the whole instance, and the hook that runs once there
    is an `outcome`; `hook` is that one's list. `timer` is that of `timeout_s`, and later that of the hooks.
    `labels` are by name, None = it has none. `signals` are the unread ones, oldest first, of `signals_count` so far.
    `callback_secret` is what tokens of callbacks are made with, b"" = the DAG has none. `paused_at` while it is paused;
    `pauses` are those that ended. `origin` is what this one is a rerun of, or what called it: no rerun is a child.
    `permit` is that of the DAG's limit, until the end; while it is waited for the instance is `queued`. `priority` is
    the start's own, None = the DAG's.
    """

    id: str
    domain_id: str
    dag_id: str
    dag_hash: str
    dag_version: str
    status: InstanceStatus
    created_at: datetime
    inputs: Value
    trigger: bytes
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outputs: Value | None = None
    error: Value | None = None
    reason: str | None = None
    closing: Closing | None = None
    returned: Value | None = None
    timer: Timer | None = None
    labels: dict[str, str] | None = None
    outcome: Outcome | None = None
    hook: int | None = None
    signals: tuple[KeptSignal, ...] = ()
    signals_count: int = 0
    callback_secret: bytes = b""
    paused_at: datetime | None = None
    pauses: tuple[PausedTime, ...] = ()
    origin: str | Parent | None = None
    permit: Permit | None = None
    priority: int | None = None

    @property
    def rerun_of(self) -> str | None:
        """Give the instance that this one is a rerun of."""
        return self.origin if isinstance(self.origin, str) else None

    @property
    def parent(self) -> Parent | None:
        """Give what called this instance."""
        return self.origin if isinstance(self.origin, Parent) else None


NO_GATES: Mapping[Gate, GateView] = {}


class State:
    """An instance as `decide` gets it: header, its open frames by path, and the values at hand.

    Attributes:
        epoch: of the shard, under which new attempts are made.
        seq: number of the journal row that is being gathered.
        appended_bytes, timers_made: in that row's commit so far (values and timer numbers go on from there).
        values: JSON values of references that are loaded; decide asks for others with `Need`.
        has_marks: False while no task or cell is closing: then nobody need look.
        gates: how gates stand, as far as the node knows; decide asks for others with `Need`.
        retries: how many may begin, only read; None = any number.
    """

    __slots__ = (
        "appended_bytes", "epoch", "frames", "gates", "has_marks", "header", "retries", "seq", "timers_made", "values",
    )  # fmt: skip

    def __init__(
        self, header: Header, frames: dict[str, Frame], *, epoch: int, seq: int, values: Mapping[Reference, Any]
    ) -> None:
        """Hold them; nothing is copied."""
        self.header = header
        self.frames = frames
        self.epoch = epoch
        self.seq = seq
        self.appended_bytes = 0
        self.timers_made = 0
        self.values = values
        self.has_marks = False
        self.gates: Mapping[Gate, GateView] = NO_GATES
        self.retries: RetryBudget | None = None
