"""Acts on many instances, in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from core.ports.row_rules import check_body, check_limit, too_many_open
from driven_adapters.memory.audit_log import put_audit
from driven_adapters.memory.key_store import keep_answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.audit_log import AuditEntry
    from core.ports.batch_store import BatchRow
    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryBatchStore:
    """`BatchStore` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(
        self,
        scope: Scope,
        row: BatchRow,
        *,
        open_max: int,
        forget_before: datetime,
        answer: NewAnswer | None = None,
        audit: AuditEntry | None = None,
    ) -> KeptAnswer | None:
        """Store a new one, and forget old ones."""
        check_body(row.body)

        def insert(draft: Draft) -> KeptAnswer | None:
            kept = keep_answer(draft, scope, answer)
            if kept is not None:
                return kept
            own = [one for one in _rows(draft.before) if one.domain_id == scope.domain_id]
            open_count = sum(not one.is_done for one in own)
            if open_count >= open_max:
                raise too_many_open(scope, open_count, open_max)
            for one in own:
                if one.is_done and one.created_at < forget_before:
                    draft.delete("instance_batch", one.id)
            draft.put("instance_batch", row.id, msgspec.structs.replace(row, domain_id=scope.domain_id))
            if audit is not None:
                put_audit(draft, audit)
            return None

        return await self._store.apply("add_batch", insert)

    async def find(self, scope: Scope, batch_id: str) -> BatchRow | None:
        """Read one of this domain."""

        def look(tables: Tables) -> BatchRow | None:
            row: BatchRow | None = tables.group("instance_batch").get(batch_id)
            return row if row is not None and row.domain_id == scope.domain_id else None

        return await self._store.read("find_batch", look)

    async def unfinished(self, *, limit: int) -> Sequence[BatchRow]:
        """List those that are not done."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[BatchRow]:
            rows = [row for row in _rows(tables) if not row.is_done]
            return heapq.nsmallest(limit, rows, key=lambda row: row.id)

        return await self._store.read("unfinished_batches", page)

    async def advance(self, row: BatchRow) -> bool:
        """Write the next step."""
        check_body(row.body)

        def update(draft: Draft) -> bool:
            held: BatchRow | None = draft.get("instance_batch", row.id)
            if held is None or held.is_done or held.step != row.step - 1:
                return False
            changed = msgspec.structs.replace(
                held, step=row.step, is_done=row.is_done, updated_at=row.updated_at, body=row.body
            )
            draft.put("instance_batch", row.id, changed)
            return True

        return await self._store.apply("advance_batch", update)


def _rows(tables: Tables) -> Sequence[BatchRow]:
    return tuple(tables.group("instance_batch").values())
