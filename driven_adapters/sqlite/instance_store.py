"""Ingest, inbox, loads and the group commit in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core.ports.instance_store import CommitBounds, InboxRow, Ingested, InstanceRow, Loaded, Refusal, TimerRow
from core.ports.row_rules import check_ingest, check_limit
from driven_adapters.sqlite.faults import UNHOLDABLE
from driven_adapters.sqlite.ingest import Ingest
from driven_adapters.sqlite.instance_commit import GroupCommit
from driven_adapters.sqlite.instance_loads import GatheredLoads
from driven_adapters.sqlite.instance_rows import InstanceReads, to_instance_row
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from core.ports.instance_store import InstanceChange, NewCommand, NewStart, ObjectRange, PayloadRange
    from core.ports.shard_store import Fence
    from driven_adapters.sqlite.database import Database

COMMIT_ITEMS_MAX = 256  # engine.md 4
COMMIT_BYTES_MAX = 1_048_576
COMMIT_WRITES_MAX = 65_536  # SQLite has no bound of its own; far above what 1 MiB makes
_STAMP_MIN, _STAMP_MAX = -(2**63), 2**63 - 1  # of SQLite's integers: "due at any time"


class SqliteInstanceStore:
    """`InstanceStore` over a `Database`."""

    commit_bounds = CommitBounds(COMMIT_ITEMS_MAX, COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, "many")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/instance.sql")
        self._group_commit = GroupCommit()
        self._ingest = Ingest()
        self._reads = InstanceReads(database)
        self._loads = GatheredLoads(database)

    async def ingest(self, items: Sequence[NewStart | NewCommand]) -> list[Ingested]:
        """Store commands durably, in one transaction."""
        for item in items:
            check_ingest(item)
        return await self._database.write(lambda tx: self._ingest.run(tx, items))

    async def pull_inbox(self, shards: Collection[int], *, limit: int) -> list[InboxRow]:
        """Read waiting commands by presence."""
        bindings = {"shards": _json(shards), "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_inbox"], bindings))
        return [_to_inbox_row(row) for row in rows]

    async def open_instances(self, shard: int, *, after: str, limit: int) -> list[InstanceRow]:
        """Page a shard's instances that are not terminal."""
        bindings = {"shard": shard, "after": after, "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_open"], bindings))
        return [to_instance_row(row) for row in rows]

    async def load(self, instance_id: str, *, paths: Sequence[str] | None = None) -> Loaded | None:
        """Read one instance with its journal's tail and frames."""
        if paths is None:
            return await self._loads.load(instance_id)
        return await self._reads.load((self._sql["read_instance"], {"id": instance_id}), paths)

    async def read_payloads(self, instance_id: str, ranges: Sequence[PayloadRange]) -> list[bytes | ObjectRange]:
        """Read byte ranges of the instance's values."""
        return await self._reads.read_ranges((self._sql["read_instance"], {"id": instance_id}), ranges)

    async def commit(self, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        """Write many instances' changes in one transaction."""
        try:
            return await self._database.write(lambda tx: self._group_commit.run(tx, fences, changes))
        except UNHOLDABLE:
            return await self._database.write(lambda tx: self._group_commit.run_singly(tx, fences, changes))

    async def due_timers(
        self,
        shards: Collection[int],
        *,
        since: datetime | None = None,
        skip: int = 0,
        until: datetime | None,
        limit: int,
    ) -> list[TimerRow]:
        """List timers that are due."""
        bindings = {
            "shards": _json(shards),
            "since": _STAMP_MIN if since is None else to_stamp(since),
            "until": _STAMP_MAX if until is None else to_stamp(until),
            "limit": check_limit(limit),
            "skip": skip,
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_due"], bindings))
        return [TimerRow(row[0], from_stamp(row[1]), *row[2:]) for row in rows]


def _to_inbox_row(row: tuple[Any, ...]) -> InboxRow:
    shard, n, domain_id, source, key, instance_id, kind, body, at = row
    return InboxRow(shard, n, domain_id, source, key, instance_id, kind, body, from_stamp(at))


def _json(shards: Collection[int]) -> str:
    return msgspec.json.encode(sorted(set(shards))).decode()
