"""What people read of instances, in memory."""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections import Counter
from typing import TYPE_CHECKING

from core.errors import PayloadMissing
from core.ports.instance_views import LIST_WALK_ROWS_MAX, StampedRow
from core.ports.row_rules import check_limit, listed
from driven_adapters.memory.instance_store import load_instance, read_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import ApprovalRow, FrameRow, InstanceRow, Loaded, ObjectRange, PayloadRange
    from core.ports.instance_views import InstanceFilter, InstanceList
    from core.ports.scope import Scope
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Tables


class MemoryInstanceViews:
    """`InstanceViews` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore, *, walk_rows_max: int = LIST_WALK_ROWS_MAX) -> None:
        self._store = store
        self._walk_rows_max = walk_rows_max

    async def get(self, scope: Scope, instance_id: str, *, paths: Sequence[str] = ("",)) -> Loaded | None:
        """Read an instance with these frames and its newest journal rows."""

        def load_seen(tables: Tables) -> Loaded | None:
            return load_instance(tables, instance_id, paths) if _sees(tables, scope, instance_id) else None

        return await self._store.read("view", load_seen)

    async def list(self, scope: Scope, chosen: InstanceFilter, *, limit: int) -> InstanceList:
        """Page instances, newest first."""
        check_limit(limit)

        def list_rows(tables: Tables) -> InstanceList:
            within = [row for row in _rows(tables, scope) if _is_within(row, chosen)]
            walked = heapq.nlargest(self._walk_rows_max, within, key=lambda row: row.id)
            floor = walked[-1].id if len(walked) < len(within) else None
            rows = list(itertools.islice((row for row in walked if _matches(row, chosen)), limit))
            return listed(rows, limit=limit, floor=floor)

        return await self._store.read("view", list_rows)

    async def journal(self, scope: Scope, instance_id: str, *, after_seq: int, limit: int) -> Sequence[StampedRow]:
        """Page the journal, ascending."""
        check_limit(limit)

        def list_journal(tables: Tables) -> Sequence[StampedRow]:
            if not _sees(tables, scope, instance_id):
                return []
            rows = tables.group("journal", instance_id)
            # A commit of several rows has one time, under its last row.
            commits = tables.group("commit_at", instance_id)
            lasts = sorted(commits)
            chosen = [seq for seq in sorted(rows) if seq > after_seq][:limit]
            return [StampedRow(rows[seq], commits.get(_at_or_after(lasts, seq))) for seq in chosen]

        return await self._store.read("view", list_journal)

    async def frames(self, scope: Scope, instance_id: str, *, after_path: str | None, limit: int) -> Sequence[FrameRow]:
        """Page the frames, ascending by path."""
        check_limit(limit)

        def list_frames(tables: Tables) -> Sequence[FrameRow]:
            if not _sees(tables, scope, instance_id):
                return []
            rows = tables.group("frame", instance_id)
            return [rows[path] for path in sorted(rows) if after_path is None or path > after_path][:limit]

        return await self._store.read("view", list_frames)

    async def read_payloads(
        self, scope: Scope, instance_id: str, ranges: Sequence[PayloadRange]
    ) -> Sequence[bytes | ObjectRange]:
        """Read byte ranges of an instance's values."""

        def read_seen(tables: Tables) -> Sequence[bytes | ObjectRange]:
            if not _sees(tables, scope, instance_id):
                raise PayloadMissing(f"instance {instance_id} is not there")
            return read_ranges(tables, instance_id, ranges)

        return await self._store.read("view", read_seen)

    async def approvals(self, scope: Scope, *, from_id: str, limit: int) -> Sequence[ApprovalRow]:
        """Page the decisions that people are asked for."""
        check_limit(limit)

        def list_approvals(tables: Tables) -> Sequence[ApprovalRow]:
            rows: list[ApprovalRow] = [
                row
                for row in tables.group("approval").values()
                if row.domain_id == scope.domain_id and row.id >= from_id
            ]
            return heapq.nsmallest(limit, rows, key=lambda row: row.id)

        return await self._store.read("view", list_approvals)

    async def counts(self, scope: Scope) -> dict[str, int]:
        """Count instances by status."""

        def count(tables: Tables) -> dict[str, int]:
            return dict(Counter(row.status for row in _rows(tables, scope)))

        return await self._store.read("view", count)


def _at_or_after(ascending: list[int], seq: int) -> int | None:
    place = bisect.bisect_left(ascending, seq)
    return ascending[place] if place < len(ascending) else None


def _rows(tables: Tables, scope: Scope) -> Sequence[InstanceRow]:
    return [row for row in tables.group("instance").values() if row.domain_id == scope.domain_id]


def _sees(tables: Tables, scope: Scope, instance_id: str) -> bool:
    row = tables.group("instance").get(instance_id)
    return row is not None and row.domain_id == scope.domain_id


def _is_within(row: InstanceRow, chosen: InstanceFilter) -> bool:
    return (chosen.since is None or row.id >= chosen.since) and (chosen.before is None or row.id < chosen.before)


def _matches(row: InstanceRow, chosen: InstanceFilter) -> bool:
    return (
        (chosen.dag_id is None or row.dag_id == chosen.dag_id)
        and (chosen.version is None or row.dag_version == chosen.version)
        and (chosen.status is None or row.status == chosen.status)
        and (chosen.trigger is None or row.trigger_kind == chosen.trigger)
        and (chosen.parent is None or row.parent_id == chosen.parent)
        and chosen.labels.items() <= (row.labels or {}).items()
    )
