"""Ingest, inbox, loads and the group commit in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from core.errors import Fenced, PayloadMissing
from core.ports.instance_store import (
    JOURNAL_TAIL_ROWS,
    TERMINAL_STATUSES,
    CommitBounds,
    InboxRow,
    Ingested,
    InstanceRow,
    Loaded,
    Refusal,
    TimerRow,
)
from core.ports.row_rules import check_ingest, check_limit, object_range, part_slices
from driven_adapters.memory.commit import commit_change
from driven_adapters.memory.ingest import ingest_item
from driven_adapters.memory.shard_store import check_fences

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from core.ports.instance_store import (
        FrameRow,
        InstanceChange,
        NewCommand,
        NewStart,
        ObjectRange,
        PayloadObject,
        PayloadRange,
    )
    from core.ports.shard_store import Fence
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables

COMMIT_ITEMS_MAX = 256  # the bounds of SQLite (engine.md 4), so that the engine gathers alike on both
COMMIT_BYTES_MAX = 1_048_576
COMMIT_WRITES_MAX = 65_536  # nothing but memory bounds it; a number all the same, far above what 1 MiB makes


class MemoryInstanceStore:
    """`InstanceStore` over a `MemoryStore`."""

    commit_bounds = CommitBounds(COMMIT_ITEMS_MAX, COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, "many")

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def ingest(self, items: Sequence[NewStart | NewCommand]) -> list[Ingested]:
        """Store commands durably, in one transaction."""
        for item in items:
            check_ingest(item)
        return await self._store.apply("ingest", lambda draft: [ingest_item(draft, item) for item in items])

    async def pull_inbox(self, shards: Collection[int], *, limit: int) -> list[InboxRow]:
        """Read waiting commands by presence."""
        check_limit(limit)

        def list_inbox(tables: Tables) -> list[InboxRow]:
            found: list[InboxRow] = []
            for shard in sorted(set(shards)):
                rows = tables.group("inbox", shard)
                found += [rows[n] for n in sorted(rows)]
            return found[:limit]

        return await self._store.read("pull_inbox", list_inbox)

    async def open_instances(self, shard: int, *, after: str, limit: int) -> list[InstanceRow]:
        """Page a shard's instances that are not terminal."""
        check_limit(limit)

        def list_open(tables: Tables) -> list[InstanceRow]:
            rows: list[InstanceRow] = [
                row
                for row in tables.group("instance").values()
                if row.shard == shard and row.id > after and row.status not in TERMINAL_STATUSES
            ]
            return heapq.nsmallest(limit, rows, key=lambda row: row.id)

        return await self._store.read("open_instances", list_open)

    async def load(self, instance_id: str, *, paths: Sequence[str] | None = None) -> Loaded | None:
        """Read one instance with its journal's tail and frames."""
        return await self._store.read("load", lambda tables: load_instance(tables, instance_id, paths))

    async def read_payloads(self, instance_id: str, ranges: Sequence[PayloadRange]) -> list[bytes | ObjectRange]:
        """Read byte ranges of the instance's values."""
        return await self._store.read("read_payloads", lambda tables: read_ranges(tables, instance_id, ranges))

    async def commit(self, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        """Write many instances' changes in one transaction."""

        def commit_all(draft: Draft) -> list[Refusal | None]:
            check_fences(draft, fences)
            unfenced = sorted({change.row.shard for change in changes} - {fence.shard for fence in fences})
            if unfenced:
                raise Fenced(unfenced)
            named: set[str] = set()
            return [commit_change(draft, change, named) for change in changes]

        return await self._store.apply("commit", commit_all)

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
        check_limit(limit)
        owned = set(shards)

        def list_due(tables: Tables) -> list[TimerRow]:
            due: list[TimerRow] = [
                row
                for row in tables.group("timer").values()
                if row.shard in owned
                and (since is None or row.due_at >= since)
                and (until is None or row.due_at <= until)
            ]
            return heapq.nsmallest(skip + limit, due, key=lambda row: (row.due_at, row.shard))[skip:]

        return await self._store.read("due_timers", list_due)


def load_instance(tables: Tables, instance_id: str, paths: Sequence[str] | None) -> Loaded | None:
    """Read one instance as it is now: the newest journal rows, ascending, and frames by path."""
    row = tables.group("instance").get(instance_id)
    if row is None:
        return None
    journal = tables.group("journal", instance_id)
    tail = tuple(journal[seq] for seq in sorted(journal)[-JOURNAL_TAIL_ROWS:])
    held: dict[str, FrameRow] = tables.group("frame", instance_id)
    wanted = sorted(held) if paths is None else sorted({path for path in paths if path in held})
    frames = tuple(held[path] for path in wanted if paths is not None or path == "" or held[path].is_open)
    return Loaded(row, tail, frames)


def read_ranges(tables: Tables, instance_id: str, ranges: Sequence[PayloadRange]) -> list[bytes | ObjectRange]:
    """Read byte ranges in the order asked; what lies in an object is only named.

    Raises:
        PayloadMissing: a part is not there or too short, or an object is too short by its row.
    """
    parts, objects = tables.group("payload", instance_id), tables.group("payload_object", instance_id)
    answers: list[bytes | ObjectRange] = []
    for wanted in ranges:
        held: PayloadObject | None = objects.get(wanted.seq)
        if held is not None and wanted.length:
            answers.append(object_range(held, wanted))
            continue
        pieces = [
            _slice(parts.get((wanted.seq, part)), instance_id, wanted, start, stop)
            for part, start, stop in part_slices(wanted)
        ]
        answers.append(b"".join(pieces))
    return answers


def _slice(part: bytes | None, instance_id: str, wanted: PayloadRange, start: int, stop: int) -> bytes:
    if part is None or len(part) < stop:
        raise PayloadMissing(f"instance {instance_id} has no bytes {wanted.offset}+{wanted.length} of {wanted.seq}")
    return part[start:stop]
