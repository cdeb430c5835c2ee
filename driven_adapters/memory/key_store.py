"""Idempotency keys in memory: kept in the transaction of what they stand for, removed when their time is over."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from core.ports.key_store import KeptAnswer
from core.ports.row_rules import check_answer, check_limit

if TYPE_CHECKING:
    from datetime import datetime

    from core.ports.key_store import NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryKeyStore:
    """`KeyStore` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def find_answer(self, scope: Scope, route: str, key: str, *, now: datetime) -> KeptAnswer | None:
        """Read the answer under a key."""

        def find(tables: Tables) -> KeptAnswer | None:
            return _live(tables.group("idem").get(_place(scope, route, key)), now)

        return await self._store.read("find_answer", find)

    async def purge(self, *, now: datetime, limit: int) -> int:
        """Remove keys whose time is over."""
        check_limit(limit)
        if not await self._store.read("is_any_due", lambda tables: _due(tables, now, 1)):
            return 0

        def remove(draft: Draft) -> int:
            due = _due(draft.before, now, limit)
            for table, place in due:
                draft.delete(table, place)
            return len(due)

        return await self._store.apply("purge", remove)


def keep_answer(draft: Draft, scope: Scope, answer: NewAnswer | None) -> KeptAnswer | None:
    """Keep a request's answer, or give the one that its key has already; without an answer do nothing.

    Raises:
        ValueError: a row that no store holds.
    """
    if answer is None:
        return None
    check_answer(answer)
    place = _place(scope, answer.route, answer.key)
    kept = _live(draft.get("idem", place), answer.at)
    if kept is None:
        draft.put("idem", place, answer)
    return kept


def _live(row: NewAnswer | None, now: datetime) -> KeptAnswer | None:
    if row is None or row.expires_at <= now:
        return None
    return KeptAnswer(row.req_hash, row.status, row.response)


def _due(tables: Tables, now: datetime, limit: int) -> list[tuple[str, tuple[Any, ...]]]:
    """List the rows whose time is over, oldest first: of stimuli, then of requests, then outputs."""
    seen = [(row.expires_at, place) for place, row in tables.group("seen").items() if row.expires_at <= now]
    found: list[tuple[str, tuple[Any, ...]]] = [("seen", place) for _, place in heapq.nsmallest(limit, seen)]
    idem = [(row.expires_at, place) for place, row in tables.group("idem").items() if row.expires_at <= now]
    found += [("idem", place) for _, place in heapq.nsmallest(limit - len(found), idem)]
    kept = [(row.expires_at, place) for place, row in tables.group("output_cache").items() if row.expires_at <= now]
    return found + [("output_cache", place) for _, place in heapq.nsmallest(limit - len(found), kept)]


def _place(scope: Scope, route: str, key: str) -> tuple[str, str, str, str]:
    return (scope.domain_id, scope.principal.id, route, key)
