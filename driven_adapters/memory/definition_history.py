"""Drafts, lists of versions and the end of a DAG, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.errors import DagChanged
from core.ports.definition_store import VersionHead
from core.ports.row_rules import check_limit
from driven_adapters.memory.definition_store import stored_dag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.definition_store import DagRow, DraftRow, VersionRow
    from core.ports.scope import Scope
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryDefinitionHistory:
    """`DefinitionHistory` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def versions(self, scope: Scope, dag_id: str, *, before: str | None, limit: int) -> Sequence[VersionHead]:
        """Page the versions of a DAG, newest first."""
        check_limit(limit)

        def list_versions(tables: Tables) -> Sequence[VersionHead]:
            dag: DagRow | None = tables.group("dag").get(dag_id)
            if dag is None or dag.domain_id != scope.domain_id:
                return []
            rows: dict[str, VersionRow] = tables.group("dag_version", dag_id)
            names = list(rows)
            if before is not None:
                names = names[: names.index(before)] if before in rows else []
            return [_head(rows[name]) for name in names[::-1][:limit]]

        return await self._store.read("definition", list_versions)

    async def draft(self, scope: Scope, dag_id: str) -> DraftRow | None:
        """Read the draft."""

        def find(tables: Tables) -> DraftRow | None:
            row: DraftRow | None = tables.group("dag_draft").get(dag_id)
            return row if row is not None and row.domain_id == scope.domain_id else None

        return await self._store.read("definition", find)

    async def save_draft(self, scope: Scope, draft: DraftRow, *, expected_revision: int) -> None:
        """Write the draft in place of the one with this revision."""

        def save(rows: Draft) -> None:
            stored_dag(rows, scope, draft.dag_id, None)
            found: DraftRow | None = rows.get("dag_draft", draft.dag_id)
            if (0 if found is None else found.revision) != expected_revision:
                raise DagChanged(f"the draft of the DAG {draft.dag_id} has another revision than {expected_revision}")
            row = msgspec.structs.replace(draft, domain_id=scope.domain_id, revision=expected_revision + 1)
            rows.put("dag_draft", draft.dag_id, row)

        await self._store.apply("save_draft", save)

    async def remove(self, scope: Scope, dag_id: str, *, expected_revision: int | None) -> None:
        """Take a DAG and its draft away."""

        def delete(rows: Draft) -> None:
            stored = stored_dag(rows, scope, dag_id, expected_revision)
            rows.delete("dag_title", (scope.domain_id, stored.title))
            rows.delete("dag_draft", dag_id)
            rows.delete("dag", dag_id)

        await self._store.apply("remove", delete)


def _head(row: VersionRow) -> VersionHead:
    return VersionHead(**{name: getattr(row, name) for name in VersionHead.__struct_fields__})
