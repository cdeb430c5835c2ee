"""Idempotency keys in SQLite: kept in the transaction of what they stand for, removed when their time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.ports.key_store import KeptAnswer
from core.ports.row_rules import check_answer, check_limit
from driven_adapters.sqlite.stamps import to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from datetime import datetime

    from core.ports.key_store import NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction


class SqliteKeyStore:
    """`KeyStore` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("access/idem.sql")

    async def find_answer(self, scope: Scope, route: str, key: str, *, now: datetime) -> KeptAnswer | None:
        """Read the answer under a key."""
        bindings = {**_place(scope, route, key), "now": to_stamp(now)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["find_answer"], bindings))
        return KeptAnswer(*rows[0]) if rows else None

    async def purge(self, *, now: datetime, limit: int) -> int:
        """Remove keys whose time is over."""
        check_limit(limit)
        stamp = to_stamp(now)
        # Asked on a reader first: a transaction that removes nothing would hold up a commit all the same.
        due = await self._database.read(lambda reading: reading.rows(self._sql["is_any_due"], {"now": stamp}))
        if not due[0][0]:
            return 0
        return await self._database.write(lambda tx: self._remove(tx, stamp, limit))

    def _remove(self, tx: Transaction, stamp: int, limit: int) -> int:
        if tx.is_wal_full:
            return 0  # it would make the log longer; the next round comes after a checkpoint
        removed = tx.write(self._sql["purge_seen"], {"now": stamp, "limit": limit})
        for statement in ("purge_answers", "purge_outputs"):
            if removed < limit:
                removed += tx.write(self._sql[statement], {"now": stamp, "limit": limit - removed})
        return removed


class AnswerRows:
    """Keeps answers inside the transactions of other stores."""

    def __init__(self) -> None:
        self._sql = load_statements("access/idem.sql")

    def keep(self, tx: Transaction, scope: Scope, answer: NewAnswer | None) -> KeptAnswer | None:
        """Keep a request's answer, or give the one that its key has already; without an answer do nothing.

        Raises:
            ValueError: a row that no store holds.
        """
        if answer is None:
            return None
        check_answer(answer)
        place = _place(scope, answer.route, answer.key)
        found = tx.rows(self._sql["find_answer"], {**place, "now": to_stamp(answer.at)})
        if found:
            return KeptAnswer(*found[0])
        kept = {"req_hash": answer.req_hash, "status": answer.status, "response": answer.response}
        tx.write(self._sql["keep_answer"], {**place, **kept, "expires_at": to_stamp(answer.expires_at)})
        return None


def _place(scope: Scope, route: str, key: str) -> dict[str, Any]:
    return {"domain_id": scope.domain_id, "principal": scope.principal.id, "route": route, "key": key}
