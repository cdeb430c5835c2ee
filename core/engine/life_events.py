"""Journal events that change the header: the life of the instance as a whole. `core.engine.events` has all of them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from core.engine.answer_state import KeptSignal
from core.engine.kinship import Parent
from core.engine.paused_time import PausedTime
from core.engine.state import Closing, InstanceStatus, Outcome, Timer, Value


class _Event(msgspec.Struct, frozen=True, array_like=True):
    """What all events share: the way they are encoded."""


class InstanceStarted(_Event, frozen=True, tag=1):
    """queued -> running; `timer` is that of `settings.timeout_s`, `labels` are by name, None = it has none."""

    at: datetime
    id: str
    domain_id: str
    dag_id: str
    dag_hash: str
    dag_version: str
    created_at: datetime
    inputs: Value
    trigger: bytes
    timer: Timer | None
    labels: dict[str, str] | None = None


class InstanceClosing(_Event, frozen=True, tag=2):
    """Everything in the instance ends from here on; `returned` = the outputs of a return that succeeded."""

    closing: Closing
    status: InstanceStatus
    returned: Value | None = None


class InstanceEnded(_Event, frozen=True, tag=3):
    """The outcome; nothing follows it."""

    at: datetime
    status: InstanceStatus
    outputs: Value | None
    error: Value | None
    reason: str | None


class InstanceWaiting(_Event, frozen=True, tag=35):
    """running -> waiting: nothing of the instance is under way but waits."""


class InstanceWoken(_Event, frozen=True, tag=36):
    """waiting -> running."""


class InstanceConcluded(_Event, frozen=True, tag=31):
    """The outcome is decided and hooks follow; `timer` is their bound."""

    outcome: Outcome
    timer: Timer


class HookEntered(_Event, frozen=True, tag=32):
    """A hook's list begins; its frame is opened beside this."""

    list: int


class HookEnded(_Event, frozen=True, tag=33):
    """A hook's list ended; `outcome` is what it left of the outcome."""

    outcome: Outcome


class SignalReceived(_Event, frozen=True, tag=39):
    """A signal came; it is unread until a wait takes it."""

    signal: KeptSignal


class SignalTaken(_Event, frozen=True, tag=40):
    """The wait of task path `by` took signal `number`; what it came to follows."""

    number: int
    by: str


class CallbacksOpened(_Event, frozen=True, tag=41):
    """Tokens of this instance's callbacks are made with this secret from here on."""

    secret: bytes


class InstanceActed(_Event, frozen=True, tag=45):
    """Somebody paused, resumed, cancelled or terminated the instance; what it came to follows."""

    act: str
    by: str
    reason: str


class InstancePaused(_Event, frozen=True, tag=46):
    """running or waiting -> paused: nothing starts, and no timer acts."""

    at: datetime


class PauseCounted(_Event, frozen=True, tag=47):
    """The pause is over, and how long it was; `timer` is the instance's own, which runs so much longer."""

    paused: PausedTime
    timer: Timer | None


class ChildBegun(_Event, frozen=True, tag=70):
    """The instance is a child: a call of another one started it."""

    parent: Parent


class InstanceResumed(_Event, frozen=True, tag=48):
    """paused -> running."""
