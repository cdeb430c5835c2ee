"""Journal events: past-tense facts. Each changes exactly one frame, or the header; together they are the instance.

`frame` is a frame's path, `index` a task's place in it. Replay applies them and evaluates nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from core.engine.answer_state import ApprovalState, CallbackCall
from core.engine.ends import ChunkEnd, ListEnd
from core.engine.life_events import CallbacksOpened as CallbacksOpened  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import ChildBegun as ChildBegun  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import HookEnded as HookEnded  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import HookEntered as HookEntered  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceActed as InstanceActed  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceClosing as InstanceClosing  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceConcluded as InstanceConcluded  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceEnded as InstanceEnded  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstancePaused as InstancePaused  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceResumed as InstanceResumed  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceStarted as InstanceStarted  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceWaiting as InstanceWaiting  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import InstanceWoken as InstanceWoken  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import PauseCounted as PauseCounted  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import SignalReceived as SignalReceived  # noqa: PLC0414 - events are looked for here
from core.engine.life_events import SignalTaken as SignalTaken  # noqa: PLC0414 - events are looked for here
from core.engine.permit_events import PermitEvent
from core.engine.rerun_events import RerunEvent
from core.engine.state import (
    CallState,
    Closing,
    Container,
    LoopAgain,
    LoopState,
    MapAgain,
    MapState,
    Timer,
    TryAgain,
    TryState,
    Value,
    WaitState,
)


class _Event(msgspec.Struct, frozen=True, array_like=True):
    """What all events share: the way they are encoded."""


class FrameOpened(_Event, frozen=True, tag=4):
    """A list, or a chunk of a map, was entered; a list's tasks are pending at once, a chunk's as items begin."""

    frame: str
    region: int
    parent: str | None
    parent_index: int
    prefix: str
    first: int
    cells: int
    items: Value | None


class ItemsBegun(_Event, frozen=True, tag=5):
    """The next `count` cells of a chunk were entered."""

    frame: str
    count: int


class ListEntered(_Event, frozen=True, tag=6):
    """A list nested in a map item was entered: its tasks are pending."""

    frame: str
    cell: int
    list: int


class FrameClosed(_Event, frozen=True, tag=7):
    """All tasks of the frame have ended."""

    frame: str


class TaskSkipped(_Event, frozen=True, tag=10):
    """pending -> skipped; reason `join`, `when`, `failing` or `returned`.

    By hand (`hand`) also from other open statuses, perhaps with an output.
    """

    frame: str
    index: int
    reason: str
    output: Value | None = None


class TaskReadied(_Event, frozen=True, tag=11):
    """pending -> ready, with the parameters rendered once; timers of `queue_s` and `total_s`."""

    frame: str
    index: int
    parameters: Value
    timers: tuple[Timer, ...] = ()


class TaskRequeued(_Event, frozen=True, tag=12):
    """retrying -> ready; timers replace the task's."""

    frame: str
    index: int
    timers: tuple[Timer, ...] = ()


class AttemptStarted(_Event, frozen=True, tag=13):
    """ready -> running: attempt `number` may be called under this token and epoch; timers replace the task's."""

    frame: str
    index: int
    number: int
    token: bytes
    epoch: int
    timers: tuple[Timer, ...] = ()


class AttemptLost(_Event, frozen=True, tag=14):
    """running -> retrying: the attempt's epoch is over and its outcome will never be known; it is no failure."""

    frame: str
    index: int


class AttemptFailed(_Event, frozen=True, tag=15):
    """running -> retrying: another attempt follows when the timer (none = at once) is due; timers replace."""

    frame: str
    index: int
    error: Value
    timers: tuple[Timer, ...] = ()


class ContainerEntered(_Event, frozen=True, tag=16):
    """pending -> running: a branch, parallel, map, loop or try began, with what was chosen."""

    frame: str
    index: int
    detail: Container | MapState | LoopState | TryState | MapAgain | LoopAgain | TryAgain
    timers: tuple[Timer, ...] = ()


class TaskSucceeded(_Event, frozen=True, tag=17):
    """pending or running -> succeeded; `errors` is a collecting map's list."""

    frame: str
    index: int
    output: Value | None
    errors: Value | None = None


class TaskFailed(_Event, frozen=True, tag=18):
    """pending, ready, running or retrying -> failed. `is_called` False: this attempt never reached its operator."""

    frame: str
    index: int
    error: Value
    handling: Literal["none", "running"] = "none"
    is_called: bool = True
    under: datetime | None = None


class TaskCancelled(_Event, frozen=True, tag=19):
    """pending, ready, running or retrying -> cancelled."""

    frame: str
    index: int
    reason: str


class HandlingEnded(_Event, frozen=True, tag=20):
    """A failed task's `on_error` list ended: handled, with a fallback output, or failed, with a new error."""

    frame: str
    index: int
    output: Value | None
    error: Value | None


class ListEnded(_Event, frozen=True, tag=21):
    """A list of the container at `index` ended."""

    frame: str
    index: int
    list: int
    end: ListEnd


class ItemEnded(_Event, frozen=True, tag=22):
    """A map item ended in its chunk."""

    frame: str
    cell: int
    succeeded: bool
    value: Value | None = None
    error: Value | None = None


class MapAdvanced(_Event, frozen=True, tag=23):
    """The map at `index` has this many items begun and open."""

    frame: str
    index: int
    begun: int
    open: int


class ChunkEnded(_Event, frozen=True, tag=24):
    """Chunk `number` of the map at `index` folded into its values."""

    frame: str
    index: int
    number: int
    end: ChunkEnd


class TaskClosing(_Event, frozen=True, tag=25):
    """Everything in the container (or handling) at `index` ends from here on."""

    frame: str
    index: int
    closing: Closing


class ItemClosing(_Event, frozen=True, tag=26):
    """Everything in this map item ends from here on."""

    frame: str
    cell: int
    closing: Closing


class VariableSet(_Event, frozen=True, tag=27):
    """A run variable got a value, for the list of this frame's cell and those below."""

    frame: str
    cell: int
    name: str
    value: Value


class TryAdvanced(_Event, frozen=True, tag=28):
    """A list of the try at `index` ended and the next one, `list`, begins; timers replace the task's."""

    frame: str
    index: int
    list: int
    value: Value | None
    error: Value | None
    timers: tuple[Timer, ...] = ()


class IterationBegun(_Event, frozen=True, tag=29):
    """The next iteration of the loop at `index` began."""

    frame: str
    index: int


class IterationEnded(_Event, frozen=True, tag=30):
    """The iteration ended: with a value, or None when it failed or was swept; `is_over` = a break.

    `merged` = by level from 0, what the values that stood there were laid together to.
    """

    frame: str
    index: int
    value: Value | None
    is_over: bool = False
    merged: tuple[Value, ...] = ()


class WaitBegun(_Event, frozen=True, tag=34):
    """pending -> waiting; timers of the wait and of `total_s`."""

    frame: str
    index: int
    detail: WaitState | ApprovalState | CallState
    timers: tuple[Timer, ...]


class AttemptUnknown(_Event, frozen=True, tag=37):
    """running -> unknown: the outcome of an attempt that must not be made again will never be known."""

    frame: str
    index: int


class TaskActed(_Event, frozen=True, tag=38):
    """Somebody settled or retried the task by hand; what it came to follows. `by` is a principal's id."""

    frame: str
    index: int
    act: str
    by: str
    reason: str


class CallbackKept(_Event, frozen=True, tag=42):
    """A callback was called before its wait began, which is pending."""

    frame: str
    index: int
    call: CallbackCall


class TimersRearmed(_Event, frozen=True, tag=49):
    """Timers replace the task's: its bounds run longer by a pause, or its retry found no budget and was put off."""

    frame: str
    index: int
    timers: tuple[Timer, ...]


class ApprovalAnswered(_Event, frozen=True, tag=43):
    """Somebody decided, or nobody in time (`by` is empty then); what the task came to follows."""

    frame: str
    index: int
    decision: Literal["approved", "rejected"]
    by: str
    comment: str | None
    data: Value


Event = (
    InstanceStarted | InstanceClosing | InstanceEnded | FrameOpened | ItemsBegun | ListEntered | FrameClosed
    | TaskSkipped | TaskReadied | TaskRequeued | AttemptStarted | AttemptLost | AttemptFailed | ContainerEntered
    | TaskSucceeded | TaskFailed | TaskCancelled | HandlingEnded | ListEnded | ItemEnded | MapAdvanced | ChunkEnded
    | TaskClosing | ItemClosing | VariableSet | TryAdvanced | IterationBegun | IterationEnded | InstanceConcluded
    | HookEntered | HookEnded | WaitBegun | InstanceWaiting | InstanceWoken | AttemptUnknown | TaskActed
    | SignalReceived | SignalTaken | CallbacksOpened | CallbackKept | ApprovalAnswered
    | InstanceActed | InstancePaused | PauseCounted | InstanceResumed | TimersRearmed
    | RerunEvent | ChildBegun | PermitEvent
)  # fmt: skip
