"""The journal store as the engine sees it: everything of an instance in one atomic write domain (reliability.md 1.2).

Values are ids, numbers, times and bytes; the engine encodes and decodes the bytes. Times are aware UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

from core.ports.audit_log import AuditEntry
from core.ports.shard_store import Fence

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from core.ports.output_cache import CachedOutput
    from core.ports.permits import PermitAct

BODY_BYTES_MAX = 262_144  # no row of any table passes 256 KiB (engine.md 1)
JOURNAL_TAIL_ROWS = 64  # `load` reads this many of the newest journal rows (engine.md 1)
READ_ROWS_MAX = 1_000  # a page asks for at most this many rows: one read transaction must stay short (engine.md 4)
MANUAL = "manual"  # the kind of trigger of an instance that a person or a program started
TERMINAL_STATUSES = frozenset({"succeeded", "failed", "cancelled"})  # instances that `open_instances` leaves out


class InstanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """The row of one instance. `seq` is the number of its newest journal row; 0 = accepted, not yet decided.

    `status` is a value of `InstanceStatus`; counters are of open attempts, tasks that are ready and open frames.
    `trigger_kind` says what started it; `labels` are texts by name, None = it has none; `rerun_of` is the instance that
    it is a rerun of; `parent_id`, `parent_path` are the instance and task that called it, of a child.
    `priority` is the start's own, None = the DAG's.
    What a later commit may change: seq, status, the counters, epoch and updated_at; the rest is fixed by the insert.
    """

    id: str
    domain_id: str
    shard: int
    dag_id: str
    dag_hash: str
    dag_version: str
    seq: int
    status: str
    open_attempts: int
    ready: int
    open_frames: int
    epoch: int
    created_at: datetime
    updated_at: datetime
    trigger_kind: str = MANUAL
    labels: dict[str, str] | None = None
    rerun_of: str | None = None
    parent_id: str | None = None
    parent_path: str | None = None
    priority: int | None = None


class JournalRow(msgspec.Struct, frozen=True, array_like=True):
    """The events of one commit of one instance; `version` is the codec's."""

    instance_id: str
    seq: int
    version: int
    body: bytes


class FrameRow(msgspec.Struct, frozen=True, array_like=True):
    """A checkpoint of one frame, true up to journal row `seq`."""

    instance_id: str
    path: str
    seq: int
    is_open: bool
    body: bytes


class PayloadRow(msgspec.Struct, frozen=True, array_like=True):
    """Part `part` (from 0) of the values that commit `seq` appended; parts but the last hold BODY_BYTES_MAX bytes."""

    instance_id: str
    seq: int
    part: int
    body: bytes


class PayloadObject(msgspec.Struct, frozen=True, array_like=True):
    """All values that commit `seq` appended, laid end to end in one object of the object store (ADR 0025).

    In place of payload rows. `key` is never used a second time, and is noted as loose when the commit comes: the
    commit takes the note away, or refuses the item when there is none.
    """

    instance_id: str
    seq: int
    key: str
    bytes_count: int


class PayloadRange(msgspec.Struct, frozen=True, array_like=True):
    """`length` bytes from `offset` within all parts of commit `seq` laid end to end."""

    seq: int
    offset: int
    length: int


class ObjectRange(msgspec.Struct, frozen=True, array_like=True):
    """Where a range of values lies that is in no row: `length` bytes from `offset` of an object of its domain."""

    key: str
    offset: int
    length: int


class SnapshotRow(msgspec.Struct, frozen=True, array_like=True):
    """A frame as it was at journal row `seq`, kept for reading the past."""

    instance_id: str
    path: str
    seq: int
    body: bytes


class TimerRow(msgspec.Struct, frozen=True, array_like=True):
    """Something to wake an instance for at `due_at`; `n` is unique in the instance; `kind` is the engine's word."""

    shard: int
    due_at: datetime
    instance_id: str
    n: int
    path: str
    kind: str


class StartKey(msgspec.Struct, frozen=True, array_like=True):
    """The record that makes a keyed start happen once; unique by (domain_id, trigger, key)."""

    domain_id: str
    trigger: str
    key: str
    instance_id: str
    req_hash: str


class SeenKey(msgspec.Struct, frozen=True, array_like=True):
    """A stimulus that was taken in; unique by (domain_id, source, key) until `expires_at`.

    `req_hash` tells another request with the same key from a repeat; "" = nobody compares.
    """

    domain_id: str
    source: str
    key: str
    expires_at: datetime
    req_hash: str = ""


class InboxRow(msgspec.Struct, frozen=True, array_like=True):
    """A command that waits for the owner of its shard; `n` is given by the store and unique in the shard."""

    shard: int
    n: int
    domain_id: str
    source: str
    key: str
    instance_id: str
    kind: str
    body: bytes
    at: datetime


class ApprovalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that people are asked for: by the task at `task_path` of an instance of this DAG version.

    `id` is a ULID of `since`. `approvers` are names, None = whoever may. The form is the DAG version's.
    """

    id: str
    domain_id: str
    instance_id: str
    dag_id: str
    dag_hash: str
    dag_version: str
    task_path: str
    title: str
    approvers: tuple[str, ...] | None
    since: datetime
    due_at: datetime | None


class OutwardRows(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit writes beyond its instance's own rows, in the same transaction; most commits write nothing there.

    `cached` outputs take the place of what stands under their keys. Approvals are removed by id; removing one that is
    gone is no error. `permits` are done in their order; whoever gets one that waited for it, or is to end, is told by
    an inbox row in its shard, in the same transaction.

    `passed` are rows of other instances, of any shard: starts, as `ingest` stores them, whose keys must be new, and
    commands, each of which is left out when its instance is not there or has ended, as of this transaction. Their
    business domain is the instance's own.
    """

    cached: tuple[CachedOutput, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    approvals_set: tuple[ApprovalRow, ...] = ()
    approvals_removed: tuple[str, ...] = ()
    passed: tuple[NewStart | NewCommand, ...] = ()
    permits: tuple[PermitAct, ...] = ()


NOTHING_OUTWARD = OutwardRows()


class InstanceChange(msgspec.Struct, frozen=True, kw_only=True):
    """All that one group commit writes for one instance. Applied wholly or not at all, together with its batch.

    `expected_seq` None inserts the instance; a number must be the stored row's seq (R13). Timers are named by
    (due_at, n) when they are removed; removing one that is gone is no error. Every inbox row named in `inbox_taken`
    must still be there. Journal rows continue `expected_seq` without a gap up to `row.seq` (`row_rules.change_fault`).
    """

    row: InstanceRow
    expected_seq: int | None
    start_key: StartKey | None = None
    seen: tuple[SeenKey, ...] = ()
    journal: tuple[JournalRow, ...] = ()
    frames: tuple[FrameRow, ...] = ()
    payloads: tuple[PayloadRow, ...] = ()
    payload_object: PayloadObject | None = None
    snapshots: tuple[SnapshotRow, ...] = ()
    timers_set: tuple[TimerRow, ...] = ()
    timers_removed: tuple[tuple[datetime, int], ...] = ()
    inbox_taken: tuple[int, ...] = ()
    outward: OutwardRows = NOTHING_OUTWARD


class Refusal(msgspec.Struct, frozen=True):
    """Why one item was taken out of a batch that else landed.

    `duplicate`: its start key exists, `instance_id` is the first one's and `req_hash` what was stored with it.
    `seen`: a key of it was seen before; it counts until its `expires_at`, held against the new change's `updated_at`.
    `detail` is that key and `req_hash` what was stored with it.
    `inbox`: an inbox row was gone. `seq`: the stored seq is another (ends in giving the shard up). `invalid`: the store
    cannot hold it (a row too large, `row_rules.change_fault`). `gate`: a permit that was to be taken is not free, or
    one is free that was not to be; `detail` names the limit. `object`: the note of its payload object is gone, and so
    is the object. When several hold, the first of: invalid, duplicate, seen, inbox, seq, object, gate.
    """

    reason: Literal["duplicate", "seen", "inbox", "seq", "object", "gate", "invalid"]
    instance_id: str | None = None
    req_hash: str | None = None
    detail: str = ""


class CommitBounds(msgspec.Struct, frozen=True):
    """How much one transaction of this store takes; `shards` says whether it may mix shards."""

    items_max: int
    bytes_max: int
    writes_max: int
    shards: Literal["one", "many"]


class Loaded(msgspec.Struct, frozen=True):
    """One instance as read in one read transaction; journal rows ascending by seq, frames by path."""

    row: InstanceRow
    journal: tuple[JournalRow, ...]
    frames: tuple[FrameRow, ...]


class NewStart(msgspec.Struct, frozen=True, kw_only=True):
    """A start accepted by a node that does not own the shard: instance at seq 0, its inputs, one inbox row.

    `seeks` is a permit that must be free as of this transaction; it is not taken: the owner does that.
    """

    row: InstanceRow
    payloads: tuple[PayloadRow, ...]
    start_key: StartKey | None
    source: str
    kind: str
    body: bytes
    at: datetime
    seeks: PermitAct | None = None


class NewCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Any other command for an instance whose owner is another node; idempotent by (domain, source, key)."""

    domain_id: str
    shard: int
    instance_id: str
    source: str
    key: str
    kind: str
    body: bytes
    at: datetime
    seen_expires_at: datetime
    req_hash: str = ""


class Ingested(msgspec.Struct, frozen=True):
    """What became of one ingested item: `accepted`, or `duplicate` with the first instance's id and request hash.

    `full`: it is no duplicate, and the permit that it seeks is not free; nothing of it was stored.
    """

    status: Literal["accepted", "duplicate", "full"]
    instance_id: str
    req_hash: str = ""


@runtime_checkable
class InstanceStore(Protocol):
    """Ingest, inbox, loads and the group commit. Serves the engine across tenants."""

    commit_bounds: CommitBounds

    async def ingest(self, items: Sequence[NewStart | NewCommand]) -> list[Ingested]:
        """Store commands durably, all in one unfenced transaction, one answer per item in order.

        Idempotent by start key (without one by instance id), or by (domain, source, key) until that key expires: a
        repeat, also within one call, changes nothing and answers `duplicate`.

        Raises:
            ValueError: a row the store cannot hold; nothing happened.
            StoreUnavailable, StoreFull: nothing happened.
            CommitUnknown: not known; repeat with the same keys.
        """
        ...

    async def pull_inbox(self, shards: Collection[int], *, limit: int) -> list[InboxRow]:
        """Read waiting commands of these shards by presence, ascending by (shard, n); nothing is removed.

        `limit` is of rows in all, 1..READ_ROWS_MAX; ValueError else.
        """
        ...

    async def open_instances(self, shard: int, *, after: str, limit: int) -> list[InstanceRow]:
        """Page the instances of a shard that are not terminal, ascending by id, ids greater than `after`.

        `limit` is 1..READ_ROWS_MAX; ValueError else.
        """
        ...

    async def load(self, instance_id: str, *, paths: Sequence[str] | None = None) -> Loaded | None:
        """Read the instance's row, its newest 64 journal rows, and frames, as they were at one moment.

        Frames are those of `paths`; None = every open frame and the top frame "". Frames without a row are left out.
        """
        ...

    async def read_payloads(self, instance_id: str, ranges: Sequence[PayloadRange]) -> list[bytes | ObjectRange]:
        """Read byte ranges of the instance's values, in the order asked; what lies in an object is only named.

        Raises:
            PayloadMissing: a part is not there or too short, or an object is too short by its row.
        """
        ...

    async def commit(self, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        """Write many instances' changes in one durable transaction under these fences; one answer per item in order.

        A refused item writes nothing; the others land together. When the call returns, what landed is synced. Items are
        looked at in order, each against the store and the items before it; an instance may stand in a batch once.

        Raises:
            Fenced: an epoch is over, or an item's shard has no fence here; nothing was written.
            StoreUnavailable, StoreFull: known: nothing was written.
            CommitUnknown: neither known to have landed nor not; call `ShardStore.settle` before reading (R11).
            StoreBroken: end the process (R12).
        """
        ...

    async def due_timers(
        self,
        shards: Collection[int],
        *,
        since: datetime | None = None,
        skip: int = 0,
        until: datetime | None,
        limit: int,
    ) -> list[TimerRow]:
        """List timers due from `since` on and at or before `until` (None = any), ascending by (due_at, shard).

        The first `skip` of them are passed over.

        `limit` is 1..READ_ROWS_MAX; ValueError else.
        """
        ...
