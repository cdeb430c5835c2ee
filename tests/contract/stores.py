"""Both stores behind one face, so that each behaviour is written once: open, reopen, time by hand, faults at points."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from core.ports.access_store import AccessStore
from core.ports.audit_log import AuditLog
from core.ports.batch_store import BatchStore
from core.ports.definition_store import DefinitionHistory, DefinitionStore
from core.ports.file_store import FileStore
from core.ports.instance_store import InstanceStore
from core.ports.instance_views import InstanceViews
from core.ports.key_store import KeyStore
from core.ports.object_notes import ObjectNotes
from core.ports.output_cache import OutputCache
from core.ports.permits import PermitStore
from core.ports.shard_store import Fence, ShardStore
from core.ports.store_audit import StoreAudit
from core.ports.task_log import TaskLog
from driven_adapters.memory import (
    MemoryAccessStore,
    MemoryAuditLog,
    MemoryBatchStore,
    MemoryDefinitionHistory,
    MemoryDefinitionStore,
    MemoryFileStore,
    MemoryInstanceStore,
    MemoryInstanceViews,
    MemoryKeyStore,
    MemoryObjectNotes,
    MemoryOutputCache,
    MemoryPermitStore,
    MemoryShardStore,
    MemoryStore,
    MemoryStoreAudit,
    MemoryTaskLog,
)
from driven_adapters.sqlite import (
    Database,
    SqliteAccessStore,
    SqliteAuditLog,
    SqliteBatchStore,
    SqliteDefinitionHistory,
    SqliteDefinitionStore,
    SqliteFileStore,
    SqliteInstanceStore,
    SqliteInstanceViews,
    SqliteKeyStore,
    SqliteObjectNotes,
    SqliteOutputCache,
    SqlitePermitStore,
    SqliteShardStore,
    SqliteStoreAudit,
    SqliteTaskLog,
    renew_incarnation,
)
from tests.contract.rows import NOON

SHARD_COUNT = 8
LEASE_S = 3.0


class Crash(Exception):
    """What a test lets happen at a point; no adapter knows it."""


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self._wall = NOON
        self._monotonic = 100.0

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep_until(self, monotonic_at: float) -> None:
        self.move(max(0.0, monotonic_at - self._monotonic))

    def move(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)
        self._monotonic += seconds


class Points:
    """Passes the named points of every transaction; a test puts what it likes there, such as a crash."""

    def __init__(self) -> None:
        self.on_pass: Callable[[str], None] | None = None

    def __call__(self, point: str) -> None:
        if self.on_pass is not None:
            self.on_pass(point)


class Stores(Protocol):
    """One store with its ports.

    Capabilities: `frees_on_open` says that opening frees what an earlier process had leased.
    """

    frees_on_open: bool
    clock: HandClock
    points: Points
    shards: ShardStore
    instances: InstanceStore
    views: InstanceViews
    audit: StoreAudit
    definitions: DefinitionStore
    history: DefinitionHistory
    access: AccessStore
    keys: KeyStore
    batches: BatchStore
    acts: AuditLog
    files: FileStore
    notes: ObjectNotes
    outputs: OutputCache
    permits: PermitStore
    log: TaskLog

    async def open(self) -> None:
        """Open an empty store, or the one that was closed."""

    async def close(self) -> None:
        """Close it; what it holds stays."""

    async def renew_incarnation(self) -> None:
        """Make it another store with the same rows."""

    async def flush_log(self) -> None:
        """Store the lines that wait in memory."""

    def short_views(self, walk_rows_max: int) -> InstanceViews:
        """Give views of which a list looks at so many rows at most."""


class MemoryStores:
    """The memory adapter; closing keeps its durable image, opening makes new objects upon it."""

    frees_on_open = False
    shards: ShardStore
    instances: InstanceStore
    views: InstanceViews
    audit: StoreAudit
    definitions: DefinitionStore
    history: DefinitionHistory
    access: AccessStore
    keys: KeyStore
    batches: BatchStore
    acts: AuditLog
    files: FileStore
    notes: ObjectNotes
    outputs: OutputCache
    permits: PermitStore
    log: TaskLog

    def __init__(self) -> None:
        self.clock = HandClock()
        self.points = Points()
        self._store = MemoryStore(self.clock, shard_count=SHARD_COUNT, on_point=self.points)
        self._image = self._store.copy()

    async def open(self) -> None:
        self._store = MemoryStore(self.clock, shard_count=SHARD_COUNT, on_point=self.points)
        self._store.restore(self._image)
        self.shards = MemoryShardStore(self._store)
        self.instances = MemoryInstanceStore(self._store)
        self.views = MemoryInstanceViews(self._store)
        self.audit = MemoryStoreAudit(self._store)
        self.definitions = MemoryDefinitionStore(self._store)
        self.history = MemoryDefinitionHistory(self._store)
        self.access = MemoryAccessStore(self._store)
        self.keys = MemoryKeyStore(self._store)
        self.batches = MemoryBatchStore(self._store)
        self.acts = MemoryAuditLog(self._store)
        self.files = MemoryFileStore(self._store)
        self.notes = MemoryObjectNotes(self._store)
        self.outputs = MemoryOutputCache(self._store)
        self.permits = MemoryPermitStore(self._store)
        self.log = MemoryTaskLog(self._store)

    async def close(self) -> None:
        self._image = self._store.copy()

    async def renew_incarnation(self) -> None:
        self._store.renew_incarnation()

    async def flush_log(self) -> None:
        pass

    def short_views(self, walk_rows_max: int) -> InstanceViews:
        return MemoryInstanceViews(self._store, walk_rows_max=walk_rows_max)


class SqliteStores:
    """The SQLite adapter on a file."""

    frees_on_open = True
    shards: ShardStore
    instances: InstanceStore
    views: InstanceViews
    audit: StoreAudit
    definitions: DefinitionStore
    history: DefinitionHistory
    access: AccessStore
    keys: KeyStore
    batches: BatchStore
    acts: AuditLog
    files: FileStore
    notes: ObjectNotes
    outputs: OutputCache
    permits: PermitStore
    log: TaskLog

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.points = Points()
        self.database = Database(folder / "flow.db", self.clock, shard_count=SHARD_COUNT, on_point=self.points)

    async def open(self) -> None:
        await self.database.open()
        self.shards = SqliteShardStore(self.database)
        self.instances = SqliteInstanceStore(self.database)
        self.views = SqliteInstanceViews(self.database)
        self.audit = SqliteStoreAudit(self.database)
        self.definitions = SqliteDefinitionStore(self.database)
        self.history = SqliteDefinitionHistory(self.database)
        self.access = SqliteAccessStore(self.database)
        self.keys = SqliteKeyStore(self.database)
        self.batches = SqliteBatchStore(self.database)
        self.acts = SqliteAuditLog(self.database)
        self.files = SqliteFileStore(self.database)
        self.notes = SqliteObjectNotes(self.database)
        self.outputs = SqliteOutputCache(self.database)
        self.permits = SqlitePermitStore(self.database)
        self.log = self._log = SqliteTaskLog(self.database, self.clock)

    async def close(self) -> None:
        await self.database.close()

    async def renew_incarnation(self) -> None:
        await renew_incarnation(self.database)

    async def flush_log(self) -> None:
        await self._log.flush()

    def short_views(self, walk_rows_max: int) -> InstanceViews:
        return SqliteInstanceViews(self.database, walk_rows_max=walk_rows_max)


async def own(stores: Stores, *shards: int, node: str = "node-1") -> list[Fence]:
    """Open a lease and take shards that nobody owns."""
    await stores.shards.open_lease(node, LEASE_S)
    epochs = {row.shard: row.epoch for row in await stores.shards.shards()}
    fences = [await stores.shards.acquire(node, shard, epochs[shard]) for shard in shards]
    assert None not in fences
    return [fence for fence in fences if fence is not None]
