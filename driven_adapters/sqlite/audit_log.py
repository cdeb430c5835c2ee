"""What people did, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ports.audit_log import AuditRow
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.audit_log import AuditEntry
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction

_NEWEST = 2**63 - 1


class SqliteAuditLog:
    """`AuditLog` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/act.sql")

    async def list(self, scope: Scope, *, before: int | None, limit: int) -> Sequence[AuditRow]:
        """Page acts, newest first."""
        bindings = {
            "domain_id": scope.domain_id,
            "before": _NEWEST if before is None else before,
            "limit": check_limit(limit),
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_audit"], bindings))
        return [AuditRow(n, shard, from_stamp(at), body) for n, shard, at, body in rows]


class AuditRows:
    """Writes acts inside the transactions of other stores."""

    def __init__(self) -> None:
        self._sql = load_statements("engine/act.sql")

    def put(self, tx: Transaction, entry: AuditEntry) -> None:
        """Write one act; there are few, so each is a statement of its own."""
        tx.write(
            self._sql["insert_audit"],
            {"shard": entry.shard, "domain_id": entry.domain_id, "at": to_stamp(entry.at), "body": entry.body},
        )
