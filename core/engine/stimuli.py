"""What may happen to an instance: the third argument of `decide`. Imperative or reported, never stored as such."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from core.engine.kinship import Parent
from core.engine.lending import Rerun
from core.engine.state import InstanceStatus, Reference, Value
from core.executor.operator import Failed


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Begin the instance. `inputs` is complete and checked; `trigger` is JSON; `labels` are by name, None = none.

    `inputs_at` says where the inputs lie already (rows of an ingested start, seq 0). `cancelled` is the reason of a
    cancel that arrived before the start was decided: then both are recorded and nothing begins. `cancelled_by` is who
    sent it. `rerun` says what of an ended instance is taken over; `rerun_at` where that lies (of an ingested start,
    beside its inputs). `parent` is what called, of a child. `priority` is the start's own, None = the DAG's.
    """

    id: str
    domain_id: str
    dag_id: str
    dag_hash: str
    dag_version: str
    created_at: datetime
    inputs: Any
    trigger: bytes
    labels: dict[str, str] | None = None
    inputs_at: Value | None = None
    cancelled: str | None = None
    cancelled_by: str = ""
    rerun: Rerun | None = None
    rerun_at: Reference | None = None
    parent: Parent | None = None
    priority: int | None = None


class Finished(msgspec.Struct, frozen=True):
    """The attempt succeeded: `output` is its JSON, `value` the same decoded."""

    output: bytes
    value: Any


class Stopped(msgspec.Struct, frozen=True):
    """The attempt ended since it was told to."""


class AttemptEnded(msgspec.Struct, frozen=True):
    """An outcome of attempt `number` of the task at `index`; it counts only if number and token are current (R23)."""

    frame: str
    index: int
    number: int
    token: bytes
    result: Finished | Failed | Stopped


class TimerFired(msgspec.Struct, frozen=True):
    """Timer `n`, held by the task at (frame, index), or by the instance when `index` is -1, is due."""

    n: int
    frame: str
    index: int


class Cancel(msgspec.Struct, frozen=True):
    """End the instance with grace for running attempts (S41). `by` is the id of a principal."""

    reason: str
    by: str = ""


class Terminate(msgspec.Struct, frozen=True):
    """End the instance at once (S41). `by` is the id of a principal."""

    reason: str
    by: str = ""


class Pause(msgspec.Struct, frozen=True):
    """Let nothing start and no timer act until it is resumed (S42). `by` is the id of a principal."""

    reason: str
    by: str = ""


class Resume(msgspec.Struct, frozen=True):
    """Let a paused instance go on. `by` is the id of a principal."""

    reason: str
    by: str = ""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Settle or retry a task by hand (S43).

    Attributes:
        path: of the task. by: id of the principal. reason: in the principal's words.
        output: JSON of skip (None = none) and complete. error_kind, message: of fail.
    """

    act: Literal["skip", "complete", "fail", "retry"]
    path: str
    by: str
    reason: str
    output: bytes | None = None
    error_kind: str = "failed"
    message: str = ""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a wait of the instance may take (S26).

    Attributes:
        name: of the signal. id: the sender's word for it. data: JSON.
        key: unique per instance; a repeat of it is taken once. req_hash: of the whole request, told apart by it.
        is_stored: its sender was answered already, so no bound refuses it.
    """

    name: str
    id: str
    data: bytes
    key: str
    req_hash: str
    is_stored: bool = False


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a callback (S27): `proof` shows that the wait at task path `path` is meant.

    `data` is JSON. `error`, of a call that says `failed`, is JSON of its kind, message and data; None = it succeeded.
    """

    path: str
    proof: bytes
    data: bytes
    error: bytes | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an approver decided (S28): of the approval `id` at task path `path`. `data` is JSON that fits its form."""

    path: str
    id: str
    decision: Literal["approved", "rejected"]
    by: str
    comment: str | None
    data: bytes


class ChildEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The child `instance_id`, which the task at `path` called, has ended (S29).

    `outputs` and `error` lie as they lie in the child, among whose values they refer to. `reason` is of a cancel.
    """

    path: str
    instance_id: str
    status: InstanceStatus
    outputs: Value | None = None
    error: Value | None = None
    reason: str | None = None


class Granted(msgspec.Struct, frozen=True):
    """The permit that the task at `path` (of the instance: "") waited for is its own now (S16, S46)."""

    path: str


class SweepFrame(msgspec.Struct, frozen=True):
    """Carry a closing mark above this frame into it."""

    frame: str


class Continue(msgspec.Struct, frozen=True):
    """Look again at everything in this frame: lost attempts, steps that can start, items to begin, lists that ended."""

    frame: str


class Dispatch(msgspec.Struct, frozen=True):
    """There is room again: start attempts of tasks that are ready."""


Command = Cancel | Terminate | Pause | Resume | Act | Signal | Callback | Verdict | ChildEnded
Stimulus = Start | AttemptEnded | TimerFired | Command | Granted | SweepFrame | Continue | Dispatch
