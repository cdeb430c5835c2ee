"""What proving a store needs to read, in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from core.ports.permits import KIND_GRANTED
from core.ports.row_rules import check_limit
from core.ports.store_audit import Beside, HeldKey, HeldPermit, HeldTimer
from driven_adapters.memory.permits import rows_of_instance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.instance_store import InstanceRow, JournalRow, StartKey, TimerRow
    from core.ports.permits import PermitRow
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Tables


class MemoryStoreAudit:
    """`StoreAudit` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def instances(self, *, domain_id: str | None, after: str, limit: int) -> Sequence[InstanceRow]:
        """Page instances, ascending by id."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[InstanceRow]:
            rows = tables.group("instance").values()
            chosen = (row for row in rows if row.id > after and domain_id in (None, row.domain_id))
            return heapq.nsmallest(limit, chosen, key=lambda row: row.id)

        return await self._store.read("audit", page)

    async def journal(self, instance_id: str, *, after_seq: int, limit: int) -> Sequence[JournalRow]:
        """Page a journal."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[JournalRow]:
            rows = tables.group("journal", instance_id)
            return [rows[seq] for seq in sorted(seq for seq in rows if seq > after_seq)[:limit]]

        return await self._store.read("audit", page)

    async def beside(self, instance_id: str, timers: Sequence[tuple[datetime, int]]) -> Beside | None:
        """Read what stands beside an instance."""

        def look(tables: Tables) -> Beside | None:
            row = tables.group("instance").get(instance_id)
            if row is None:
                return None
            held = {(one.due_at, one.n) for one in tables.group("timer").values() if one.instance_id == instance_id}
            waiting = [one for one in tables.group("inbox", row.shard).values() if one.instance_id == instance_id]
            return Beside(
                seq=row.seq,
                journal_count=len(tables.group("journal", instance_id)),
                timers=frozenset(n for due_at, n in timers if (due_at, n) in held),
                inbox_count=len(waiting),
                foreign_count=sum(one.domain_id != row.domain_id for one in waiting),
                permits=rows_of_instance(tables, instance_id),
                granted=frozenset(one.key for one in waiting if one.kind == KIND_GRANTED),
            )

        return await self._store.read("audit", look)

    async def timers(self, *, after: TimerRow | None, limit: int) -> Sequence[HeldTimer]:
        """Page all timers."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[HeldTimer]:
            instances = tables.group("instance")
            rows: list[TimerRow] = [
                row for row in tables.group("timer").values() if after is None or _place(row) > _place(after)
            ]
            return [
                HeldTimer(row, instances[row.instance_id].status if row.instance_id in instances else None)
                for row in heapq.nsmallest(limit, rows, key=_place)
            ]

        return await self._store.read("audit", page)

    async def start_keys(self, *, after: StartKey | None, limit: int) -> Sequence[HeldKey]:
        """Page all start keys."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[HeldKey]:
            instances = tables.group("instance")
            rows: list[StartKey] = [
                row for row in tables.group("start_key").values() if after is None or _key(row) > _key(after)
            ]
            return [
                HeldKey(row, instances[row.instance_id].domain_id if row.instance_id in instances else None)
                for row in heapq.nsmallest(limit, rows, key=_key)
            ]

        return await self._store.read("audit", page)

    async def permits(self, *, after: PermitRow | None, limit: int) -> Sequence[HeldPermit]:
        """Page all rows at gates."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[HeldPermit]:
            instances = tables.group("instance")
            rows: list[PermitRow] = [row for group in tables.groups("permit") for row in group.values()]
            rows = [row for row in rows if after is None or _holder(row) > _holder(after)]
            return [
                HeldPermit(row, instances[row.instance_id].status if row.instance_id in instances else None)
                for row in heapq.nsmallest(limit, rows, key=_holder)
            ]

        return await self._store.read("audit", page)


def _holder(row: PermitRow) -> tuple[str, ...]:
    return row.gate.domain_id, row.gate.limit, row.gate.key, row.instance_id, row.task_path


def _place(row: TimerRow) -> tuple[datetime, int, str, int]:
    return row.due_at, row.shard, row.instance_id, row.n


def _key(row: StartKey) -> tuple[str, str, str]:
    return row.domain_id, row.trigger, row.key
