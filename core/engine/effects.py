"""What a decision asks to be done after its commit, and what the decision is."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from core.engine.events import Event
from core.engine.state import Frame, Header, InstanceStatus, Reference, Timer, Value
from core.engine.stimuli import Command, Start
from core.executor.retry_budget import RetriesTaken
from core.ports.permits import PermitAct
from core.predicate import Predicate


class StartAttempt(msgspec.Struct, frozen=True):
    """Call the operator of plan node `node`; answer with `AttemptEnded` of the same frame, index, number and token."""

    frame: str
    index: int
    number: int
    token: bytes
    node: int
    task_path: str
    parameters: Value


class CancelAttempt(msgspec.Struct, frozen=True):
    """Tell a running attempt to stop; its outcome no longer counts."""

    frame: str
    index: int
    number: int


class Sweep(msgspec.Struct, frozen=True):
    """Feed `SweepFrame` for these frames, in this order (deepest first), in later batches."""

    frames: tuple[str, ...]


class ContinueLater(msgspec.Struct, frozen=True):
    """Feed `Continue` for this frame in a next batch: this decision reached its bounds."""

    frame: str


class InstanceDone(msgspec.Struct, frozen=True):
    """The instance ended with this status."""

    status: InstanceStatus


class KeepOutput(msgspec.Struct, frozen=True):
    """Write with the commit where this succeeded output of a step lies, for whoever asks for the key until then."""

    step: str
    version: str
    key: bytes
    output: Value
    expires_at: datetime


Effect = StartAttempt | CancelAttempt | Sweep | ContinueLater | InstanceDone | KeepOutput


class TimerSet(msgspec.Struct, frozen=True):
    """A timer row to write; `frame`, `index` name its holder (index -1 = the instance)."""

    timer: Timer
    frame: str
    index: int


class ApprovalSet(msgspec.Struct, frozen=True):
    """A decision that people are asked for from now on; `approvers` None = whoever may."""

    id: str
    task_path: str
    title: str
    approvers: tuple[str, ...] | None
    since: datetime
    due_at: datetime | None


class Told(msgspec.Struct, frozen=True):
    """Something that another instance is told, with this commit; one that has ended, or is gone, hears nothing."""

    instance_id: str
    stimulus: Command


class Answer(msgspec.Struct, frozen=True):
    """What a person's command came to: `accepted` (also when it was so before), or `ended` with another outcome.

    Of an act on a task also: `no_task`, `refused` by its `task_status`, or `invalid` by the `faults` of its output.
    Of a signal also `full`: the `bound` on what is unread was reached. Of a callback `no_task` = its token is none. Of
    it and of a verdict `refused` = its wait is over.
    """

    result: Literal["accepted", "ended", "no_task", "refused", "invalid", "full"]
    status: InstanceStatus
    task_status: str = ""
    faults: tuple[str, ...] = ()
    bound: Predicate | None = None


class Outward(msgspec.Struct):
    """What a decision does beyond its own instance: rows of the same commit, but for `retries`, which the node counts.

    Attributes:
        approvals_set (by id), approvals_removed (ids): what people are asked.
        children: instances that calls start. told: what other instances are told.
        permits: what is done at gates, in order.
        retries: what is taken from the budget of the business domain (R25); None = nothing.
    """

    approvals_set: dict[str, ApprovalSet] = {}
    approvals_removed: list[str] = []
    children: list[Start] = []
    told: list[Told] = []
    permits: list[PermitAct] = []
    retries: RetriesTaken | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What one stimulus came to. `frames` are the changed ones, closed ones included; the rest is as before.

    Attributes:
        events: in order; empty = nothing changed.
        payloads: values appended, in order, laid end to end from the state's `appended_bytes`.
        fresh: the decoded values of new references, for the node's memory.
        timers_removed: (due_at, n).
        appended_bytes, timers_made, has_marks: the new ones of the state.
        attempts_started: how many places of `room` were taken.
        outward: None = nothing, as of most decisions.
    """

    header: Header
    frames: tuple[Frame, ...]
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    payloads: tuple[bytes, ...]
    fresh: dict[Reference, Any]
    timers_set: tuple[TimerSet, ...]
    timers_removed: tuple[tuple[datetime, int], ...]
    appended_bytes: int
    timers_made: int
    has_marks: bool
    attempts_started: int
    answer: Answer | None = None
    outward: Outward | None = None


class Need(msgspec.Struct, frozen=True):
    """Nothing was decided: these values must be at hand (`State.values`), then ask again with the same arguments."""

    references: tuple[Reference, ...]
