"""What people did, in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from core.ports.audit_log import AuditRow
from core.ports.row_rules import check_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.audit_log import AuditEntry
    from core.ports.scope import Scope
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryAuditLog:
    """`AuditLog` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def list(self, scope: Scope, *, before: int | None, limit: int) -> Sequence[AuditRow]:
        """Page acts, newest first."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[AuditRow]:
            rows: Sequence[AuditRow] = tuple(tables.group("audit", scope.domain_id).values())
            older = [row for row in rows if before is None or row.n < before]
            return heapq.nlargest(limit, older, key=lambda row: row.n)

        return await self._store.read("list_audit", page)


def put_audit(draft: Draft, entry: AuditEntry) -> None:
    """Write one act into the draft."""
    n = (draft.get("meta", "audit_n") or 0) + 1
    draft.put("meta", "audit_n", n)
    draft.put("audit", n, AuditRow(n, entry.shard, entry.at, entry.body), group=entry.domain_id)
