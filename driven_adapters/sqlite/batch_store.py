"""Acts on many instances, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.ports.batch_store import BatchRow
from core.ports.row_rules import check_body, check_limit, too_many_open
from driven_adapters.sqlite.audit_log import AuditRows
from driven_adapters.sqlite.key_store import AnswerRows
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.audit_log import AuditEntry
    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction


class SqliteBatchStore:
    """`BatchStore` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/batch.sql")
        self._answers = AnswerRows()
        self._audit = AuditRows()

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
        domain = {"domain_id": scope.domain_id}

        def insert(tx: Transaction) -> KeptAnswer | None:
            kept = self._answers.keep(tx, scope, answer)
            if kept is not None:
                return kept
            open_count = tx.rows(self._sql["count_open"], domain)[0][0]
            if open_count >= open_max:
                raise too_many_open(scope, open_count, open_max)
            tx.write(self._sql["forget_batches"], {**domain, "before": to_stamp(forget_before)})
            tx.write(self._sql["insert_batch"], {**_values(row), **domain, "created_at": to_stamp(row.created_at)})
            if audit is not None:
                self._audit.put(tx, audit)
            return None

        return await self._database.write(insert)

    async def find(self, scope: Scope, batch_id: str) -> BatchRow | None:
        """Read one of this domain."""
        bindings = {"domain_id": scope.domain_id, "batch_id": batch_id}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["read_batch"], bindings))
        return _to_row(rows[0]) if rows else None

    async def unfinished(self, *, limit: int) -> Sequence[BatchRow]:
        """List those that are not done."""
        bindings = {"limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_unfinished"], bindings))
        return [_to_row(row) for row in rows]

    async def advance(self, row: BatchRow) -> bool:
        """Write the next step."""
        check_body(row.body)
        return await self._database.write(lambda tx: tx.write(self._sql["advance_batch"], _values(row)) == 1)


def _values(row: BatchRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "step": row.step,
        "is_done": row.is_done,
        "updated_at": to_stamp(row.updated_at),
        "body": row.body,
    }


def _to_row(row: tuple[Any, ...]) -> BatchRow:
    return BatchRow(
        id=row[0],
        domain_id=row[1],
        step=row[2],
        is_done=bool(row[3]),
        created_at=from_stamp(row[4]),
        updated_at=from_stamp(row[5]),
        body=row[6],
    )
