"""The SQLite adapter on a loop without threads: what its threads would do happens on the loop, after a virtual moment."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from core.ports.clock import Clock
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
)
from driven_adapters.sqlite.database import Reader
from driven_adapters.sqlite.migration import SCHEMA_FOLDER
from driven_adapters.sqlite.threads import CallThreads, Desk
from driven_adapters.sqlite.writer import WAL_BYTES_MAX, Writer, WriterOptions
from module.resources import Resources
from tests.sim.chance import Random

MEMORY = Path("/dev/shm")  # noqa: S108 - a crash here loses no page of the kernel; power cuts have tests of their own
WAY_S_MAX = 0.004  # of a call to its desk, and of the answer back: a crash may come between


class InlineCalls(CallThreads):
    """One desk, served by the loop itself."""

    def __init__(self, desk: Desk, chance: Random) -> None:
        super().__init__("inline", [])
        self._desk = desk
        self._chance = chance
        self._turn = asyncio.Lock()
        desk.open()

    async def call(self, work: Any) -> Any:
        async with self._turn:  # first come, first served, as a queue has it
            await asyncio.sleep(self._chance.uniform(0.0, WAY_S_MAX))
            try:
                answer = self._desk.call(work)
            finally:
                self._desk.rest(is_idle=True)
        await asyncio.sleep(self._chance.uniform(0.0, WAY_S_MAX))
        return answer

    def stop(self) -> None:
        self._desk.close()


class InlineDatabase(Database):
    """A `Database` whose work is done on the loop that asks."""

    def __init__(self, path: Path, clock: Clock, chance: Random) -> None:
        super().__init__(path, clock, shard_count=4)
        self._chance = chance

    def open_inline(self, *, is_migrated: bool = True) -> None:
        """Open the file; nothing runs beside."""
        options = WriterOptions(
            path=self.path, schema_folder=SCHEMA_FOLDER, is_migrated=is_migrated, shard_count=self._shard_count,
            vfs=None, wal_bytes_max=WAL_BYTES_MAX, on_point=None,
        )  # fmt: skip
        self._wall_at_open, self._monotonic_at_open = self._clock.now(), self._clock.monotonic()
        self._writer = writer = Writer(options, self.stats)
        self._writes = InlineCalls(writer, self._chance)
        self._reads = InlineCalls(Reader(self.path, None), self._chance)

    def end(self) -> None:
        """Let the file go, as the kernel does for a process that was killed."""
        self._reads.stop()
        self._writes.stop()


def over_sqlite(resources: Resources, database: Database) -> Resources:
    """Give the same resources upon SQLite; lines of tasks stay in memory."""
    return msgspec.structs.replace(
        resources,
        shard_store=SqliteShardStore(database),
        instance_store=SqliteInstanceStore(database),
        instance_views=SqliteInstanceViews(database),
        store_audit=SqliteStoreAudit(database),
        definition_store=SqliteDefinitionStore(database),
        definition_history=SqliteDefinitionHistory(database),
        access_store=SqliteAccessStore(database),
        key_store=SqliteKeyStore(database),
        batch_store=SqliteBatchStore(database),
        audit_log=SqliteAuditLog(database),
        file_store=SqliteFileStore(database),
        object_notes=SqliteObjectNotes(database),
        output_cache=SqliteOutputCache(database),
        permits=SqlitePermitStore(database),
    )


@contextlib.contextmanager
def new_folder() -> Any:
    """Give a folder that lives as long as one history."""
    with tempfile.TemporaryDirectory(prefix="flow-model-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)
