"""Drafts, lists of versions and the end of a DAG, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import DagChanged
from core.ports.definition_store import DraftRow, VersionHead
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.definition_store import check_revision
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction


class SqliteDefinitionHistory:
    """`DefinitionHistory` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = {**load_statements("dag/definition.sql"), **load_statements("dag/history.sql")}

    async def versions(self, scope: Scope, dag_id: str, *, before: str | None, limit: int) -> Sequence[VersionHead]:
        """Page the versions of a DAG, newest first."""
        bindings = {**_place(scope, dag_id), "before": before, "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_versions"], bindings))
        return [_to_head(row) for row in rows]

    async def draft(self, scope: Scope, dag_id: str) -> DraftRow | None:
        """Read the draft."""
        bindings = _place(scope, dag_id)
        rows = await self._database.read(lambda reading: reading.rows(self._sql["read_draft"], bindings))
        return _to_draft(rows[0]) if rows else None

    async def save_draft(self, scope: Scope, draft: DraftRow, *, expected_revision: int) -> None:
        """Write the draft in place of the one with this revision."""
        place = _place(scope, draft.dag_id)
        values = {
            **msgspec.structs.asdict(draft),
            **place,
            "revision": expected_revision + 1,
            "saved_at": to_stamp(draft.saved_at),
        }

        def save(tx: Transaction) -> None:
            check_revision(tx.rows(self._sql["read_dag"], place), draft.dag_id, None)
            found = tx.rows(self._sql["read_draft"], place)
            if (found[0][2] if found else 0) != expected_revision:
                raise DagChanged(f"the draft of the DAG {draft.dag_id} has another revision than {expected_revision}")
            tx.write(self._sql["write_draft"], values)

        await self._database.write(save)

    async def remove(self, scope: Scope, dag_id: str, *, expected_revision: int | None) -> None:
        """Take a DAG and its draft away."""
        place = _place(scope, dag_id)

        def delete(tx: Transaction) -> None:
            check_revision(tx.rows(self._sql["read_dag"], place), dag_id, expected_revision)
            tx.write(self._sql["delete_draft"], place)
            tx.write(self._sql["delete_dag"], place)

        await self._database.write(delete)


def _place(scope: Scope, dag_id: str) -> dict[str, Any]:
    return {"dag_id": dag_id, "domain_id": scope.domain_id}


def _to_head(row: tuple[Any, ...]) -> VersionHead:
    return VersionHead(
        dag_id=row[0],
        domain_id=row[1],
        version=row[2],
        content_hash=row[3],
        change_log=row[4],
        published_at=from_stamp(row[5]),
        published_by=row[6],
    )


def _to_draft(row: tuple[Any, ...]) -> DraftRow:
    return DraftRow(
        dag_id=row[0],
        domain_id=row[1],
        revision=row[2],
        document=row[3],
        saved_at=from_stamp(row[4]),
        saved_by=row[5],
    )
