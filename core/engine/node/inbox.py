"""Commands that other nodes stored for the owner of a shard: how they are written, and their way in (engine.md 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from core.engine.kinship import Parent
from core.engine.node.hot import Input
from core.engine.node.intake import Intake
from core.engine.node.marks import Marks
from core.engine.node.ownership import OUTAGE, Ownership
from core.engine.node.pauses import wait_until
from core.engine.node.terms import StartRequest
from core.engine.origin import trigger_kind
from core.engine.starting import permit_sought
from core.engine.state import Reference, Value
from core.engine.statuses import INSTANCE_QUEUED
from core.engine.stimuli import (
    Act,
    Callback,
    Cancel,
    ChildEnded,
    Command,
    Granted,
    Pause,
    Resume,
    Signal,
    Start,
    Stimulus,
    Terminate,
    Verdict,
)
from core.engine.values import encode_json, refer
from core.ports.clock import Clock
from core.ports.instance_store import (
    BODY_BYTES_MAX,
    READ_ROWS_MAX,
    InboxRow,
    InstanceRow,
    InstanceStore,
    NewCommand,
    NewStart,
    PayloadRow,
    SeenKey,
    StartKey,
)
from core.ports.permits import KIND_DISPLACED, KIND_GRANTED

IN_FLIGHT_MAX = 512  # inbox rows on their way into commits; the rest stay in the store
PAGE_ROWS = 256  # new rows asked for at once: one batch
SEEN_S = 86_400.0  # how long a command's key is known; a node that repeats one does so within seconds
SOURCE = "node"  # of commands that a node passes on to the owner
DISPLACED = "concurrency"  # why an instance is cancelled for which a newer one takes its place (S46)
KIND_START, KIND_ACT = "start", "act"
KIND_SIGNAL, KIND_CALLBACK, KIND_VERDICT, KIND_CHILD = "signal", "callback", "verdict", "child"
_ONE_WORDED: dict[str, type[Cancel | Terminate | Pause | Resume]] = {
    "cancel": Cancel,
    "terminate": Terminate,
    "pause": Pause,
    "resume": Resume,
}


class IngestedStart(msgspec.Struct, frozen=True):
    """Body of a `start` row: JSON of the trigger, and where the inputs lie (seq 0), and behind them a rerun.

    `parent` is what called, of a child.
    """

    trigger: bytes
    inputs_at: Reference
    rerun_at: Reference | None = None
    parent: Parent | None = None


class IngestedEnd(msgspec.Struct, frozen=True):
    """Body of a `cancel`, `terminate`, `pause` or `resume` row; `by` is not in those of older releases."""

    reason: str
    by: str = ""


_encode = msgspec.msgpack.Encoder().encode
_start_decoder = msgspec.msgpack.Decoder(IngestedStart)
_end_decoder = msgspec.msgpack.Decoder(IngestedEnd)
_act_decoder = msgspec.msgpack.Decoder(Act)  # the stimulus itself is the body of an `act` row
_signal_decoder = msgspec.msgpack.Decoder(Signal)  # and of a `signal` row
_callback_decoder = msgspec.msgpack.Decoder(Callback)  # and of a `callback` row
_verdict_decoder = msgspec.msgpack.Decoder(Verdict)  # and of a `verdict` row
_child_decoder = msgspec.msgpack.Decoder(ChildEnded)  # and of a `child` row


class InboxUnreadable(Exception):
    """A stored command is of an unknown kind or broken; its instance is quarantined, nothing is guessed (R32)."""


def new_start(request: StartRequest, shard: int, at: datetime) -> NewStart:
    """Make what a node stores that does not own the shard: the instance at seq 0, its inputs, one inbox row."""
    start = request.stimulus()
    stored = stored_start(start, request.start_key, shard, at)
    return msgspec.structs.replace(stored, seeks=permit_sought(request.plan, start, at))


def stored_start(start: Start, key: StartKey | None, shard: int, at: datetime) -> NewStart:
    """Make the rows of a start that its owner decides: the instance at seq 0, its inputs, one inbox row."""
    inputs = encode_json(start.inputs)
    rerun = b"" if start.rerun is None else encode_json(start.rerun)
    parent = start.parent
    rerun_at = refer(rerun, seq=0, offset=len(inputs)) if rerun else None
    data = inputs + rerun
    parts = range(0, len(data), BODY_BYTES_MAX)
    return NewStart(
        row=InstanceRow(
            id=start.id,
            domain_id=start.domain_id,
            shard=shard,
            dag_id=start.dag_id,
            dag_hash=start.dag_hash,
            dag_version=start.dag_version,
            seq=0,
            status=INSTANCE_QUEUED.value,
            open_attempts=0,
            ready=0,
            open_frames=0,
            epoch=0,
            created_at=start.created_at,
            updated_at=at,
            trigger_kind=trigger_kind(start.trigger),
            labels=start.labels,
            rerun_of=None if start.rerun is None else start.rerun.of,
            parent_id=None if parent is None else parent.instance_id,
            parent_path=None if parent is None else parent.path,
            priority=start.priority,
        ),
        payloads=tuple(
            PayloadRow(start.id, 0, part, data[first : first + BODY_BYTES_MAX]) for part, first in enumerate(parts)
        ),
        start_key=key,
        source=SOURCE,
        kind=KIND_START,
        body=_encode(IngestedStart(start.trigger, refer(inputs, seq=0, offset=0), rerun_at, parent)),
        at=at,
    )


def new_command(row: InstanceRow, stimulus: Command, key: str, at: datetime) -> NewCommand:
    """Make the inbox row of a command for an instance whose shard another node owns."""
    return stored_command(row.domain_id, row.id, row.shard, stimulus, key, at)


def stored_command(
    domain_id: str, instance_id: str, shard: int, stimulus: Command, key: str, at: datetime
) -> NewCommand:  # fmt: skip
    """Make the inbox row of a command that the owner of the shard decides."""
    kind, body = _written(stimulus)
    seen = key_of(domain_id, instance_id, stimulus, at) or SeenKey(domain_id, SOURCE, key, expiry_of(at))
    return NewCommand(
        domain_id=domain_id,
        shard=shard,
        instance_id=instance_id,
        source=seen.source,
        key=seen.key,
        kind=kind,
        body=body,
        at=at,
        seen_expires_at=seen.expires_at,
        req_hash=seen.req_hash,
    )


def key_of(domain_id: str, instance_id: str, stimulus: Command, at: datetime) -> SeenKey | None:
    """Give the key by which a stimulus is taken in once, wherever it comes in; None when doing it again is no harm."""
    if not isinstance(stimulus, Signal):
        return None
    return SeenKey(domain_id, f"signal:{instance_id}", stimulus.key, expiry_of(at), stimulus.req_hash)


def expiry_of(at: datetime) -> datetime:
    """Say until when a key that was used then is known."""
    return at + timedelta(seconds=SEEN_S)


def _written(stimulus: Command) -> tuple[str, bytes]:
    if isinstance(stimulus, Signal):
        return KIND_SIGNAL, _encode(stimulus)
    if isinstance(stimulus, Callback):
        return KIND_CALLBACK, _encode(stimulus)
    if isinstance(stimulus, Verdict):
        return KIND_VERDICT, _encode(stimulus)
    if isinstance(stimulus, ChildEnded):
        return KIND_CHILD, _encode(stimulus)
    if isinstance(stimulus, Act):
        return KIND_ACT, _encode(stimulus)
    kind = next(kind for kind, made in _ONE_WORDED.items() if isinstance(stimulus, made))
    return kind, _encode(IngestedEnd(stimulus.reason, stimulus.by))


def start_of(body: bytes) -> IngestedStart:
    """Read the body of a `start` row.

    Raises:
        InboxUnreadable: it is none.
    """
    try:
        return _start_decoder.decode(body)
    except msgspec.DecodeError as fault:
        raise InboxUnreadable("a stored start cannot be read") from fault


def stimulus_of(row: InboxRow) -> Stimulus:
    """Make the stimulus of a row; a start's is completed from its instance's row when it is decided.

    Raises:
        InboxUnreadable: the kind is unknown, or the body is none of it.
    """
    try:
        if row.kind == KIND_START:
            held = start_of(row.body)
            at: Value = held.inputs_at
            return Start(
                id=row.instance_id, domain_id=row.domain_id, dag_id="", dag_hash="", dag_version="", created_at=row.at,
                inputs=None, trigger=held.trigger, inputs_at=at, rerun_at=held.rerun_at,
                parent=held.parent,
            )  # fmt: skip
        if row.kind == KIND_GRANTED:  # the gate knows no body: the key says all
            return Granted(row.key)
        if row.kind == KIND_DISPLACED:
            return Cancel(DISPLACED)
        if row.kind in _ONE_WORDED:
            told = _end_decoder.decode(row.body)
            return _ONE_WORDED[row.kind](told.reason, told.by)
        if row.kind == KIND_ACT:
            return _act_decoder.decode(row.body)
        if row.kind == KIND_CALLBACK:
            return _callback_decoder.decode(row.body)
        if row.kind == KIND_VERDICT:
            return _verdict_decoder.decode(row.body)
        if row.kind == KIND_CHILD:
            return _child_decoder.decode(row.body)
        if row.kind == KIND_SIGNAL:  # its sender was answered when it was stored
            return msgspec.structs.replace(_signal_decoder.decode(row.body), is_stored=True)
    except msgspec.DecodeError as fault:
        raise InboxUnreadable(f"a stored {row.kind} cannot be read") from fault
    raise InboxUnreadable(f"a stored command of kind {row.kind!r} is not known to this release")


class InboxWatch:
    """Brings stored commands in: by presence, less those on their way into a commit (M14)."""

    def __init__(
        self,
        *,
        store: InstanceStore,
        ownership: Ownership,
        intake: Intake,
        marks: Marks,
        clock: Clock,
        poll_s: float,
        on_unreadable: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._intake = intake
        self._marks = marks
        self._clock = clock
        self._poll_s = poll_s
        self._on_unreadable = on_unreadable
        self._hint = asyncio.Event()
        self.grant_count = 0

    def wake(self) -> None:
        """Look at once: somebody stored a command, or an instance waits for its start's row."""
        self._hint.set()

    async def run(self) -> None:
        """Look every `poll_s`, and when woken; a lost hint costs at most one poll."""
        while True:
            await wait_until(self._clock, self._hint, self._clock.monotonic() + self._poll_s)
            self._hint.clear()
            if len(self._marks.inbox) >= IN_FLIGHT_MAX:
                continue
            try:
                await self.pull()
            except OUTAGE:
                continue  # the next poll asks again

    async def pull(self) -> None:
        """Bring in what is there."""
        owned = tuple(self._ownership.owned)
        if not owned:
            return
        limit = min(READ_ROWS_MAX, self._marks.seen_inbox_count + PAGE_ROWS)
        for row in await self._store.pull_inbox(owned, limit=limit):
            # A row may have been taken, or its shard lost, while the page was read.
            if self._marks.has_inbox(row) or self._ownership.fence(row.shard) is None:
                continue
            try:
                given = Input(row.instance_id, stimulus_of(row), inbox=row)
            except InboxUnreadable as fault:
                self._marks.bar_inbox(row)
                self._on_unreadable(row.instance_id, fault)
                continue
            self.grant_count += row.kind == KIND_GRANTED
            self._marks.begin(given)
            self._intake.put(given)
