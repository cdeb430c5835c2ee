"""What people did, in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from core.ports.audit_log import STRAYS_MAX, AuditRow, ChainEnd, ChainHead, SealedAct, SealedPage, Unsealed
from core.ports.row_rules import check_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.audit_log import AuditEntry, Seal
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

    async def unsealed(self, *, limit: int) -> Unsealed:
        """Read the oldest acts that no seal covers."""
        check_limit(limit)

        def read(tables: Tables) -> Unsealed:
            heads: dict[str, ChainHead] = dict(tables.group("audit_chain"))
            newest = max((head.n for head in heads.values()), default=0)
            found = ((row, domain_id) for domain_id, row in tables.every("audit") if row.n > newest)
            rows: dict[str, tuple[AuditRow, ...]] = {}
            for row, domain_id in heapq.nsmallest(limit, found, key=lambda one: one[0].n):
                rows[domain_id] = (*rows.get(domain_id, ()), row)
            return Unsealed(rows, {domain_id: head for domain_id, head in heads.items() if domain_id in rows})

        return await self._store.read("unsealed", read)

    async def seal(self, seals: Sequence[Seal]) -> bool:
        """Write seals, unless somebody else was there first."""

        def write(draft: Draft) -> bool:
            newest: dict[str, Seal] = {}
            for one in seals:
                if one.domain_id not in newest:
                    head: ChainHead | None = draft.get("audit_chain", one.domain_id)
                    if one.position != (0 if head is None else head.position) + 1:
                        return False
                newest[one.domain_id] = one
            for one in seals:
                draft.put("audit_seal", one.position, one, group=one.domain_id)
            for domain_id, one in newest.items():
                draft.put("audit_chain", domain_id, ChainHead(one.position, one.n, one.hash))
            return True

        return await self._store.apply("seal", write)

    async def sealed(self, scope: Scope, *, after: int, limit: int) -> SealedPage:
        """Page seals with their acts."""
        check_limit(limit)

        def read(tables: Tables) -> SealedPage:
            acts: dict[int, AuditRow] = dict(tables.group("audit", scope.domain_id))
            seals: dict[int, Seal] = dict(tables.group("audit_seal", scope.domain_id))
            chosen = [seals[position] for position in sorted(seals) if position > after][:limit]
            if not chosen:
                return SealedPage((), ())
            above, below = 0 if after == 0 else min(one.n for one in chosen), max(one.n for one in chosen)
            known = {one.n: None for one in seals.values()}
            strays = [n for n in sorted(acts) if above < n < below and n not in known][:STRAYS_MAX]
            return SealedPage(tuple(SealedAct(one, acts.get(one.n)) for one in chosen), tuple(strays))

        return await self._store.read("sealed", read)

    async def chain_end(self, scope: Scope) -> ChainEnd:
        """Say where the chain ends."""

        def read(tables: Tables) -> ChainEnd:
            head: ChainHead | None = tables.group("audit_chain").get(scope.domain_id)
            rows: list[AuditRow] = list(tables.group("audit", scope.domain_id).values())
            behind = [row.at for row in rows if head is None or row.n > head.n]
            return ChainEnd(head, len(behind), min(behind, default=None))

        return await self._store.read("chain_end", read)


def put_audit(draft: Draft, entry: AuditEntry) -> None:
    """Write one act into the draft."""
    n = (draft.get("meta", "audit_n") or 0) + 1
    draft.put("meta", "audit_n", n)
    draft.put("audit", n, AuditRow(n, entry.shard, entry.at, entry.body), group=entry.domain_id)
