"""DAGs and their versions in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import DagChanged, DagNotFound, DagTitleTaken, DagVersionTaken
from core.ports.definition_store import EVERY_DAG
from core.ports.row_rules import check_limit
from driven_adapters.memory.key_store import keep_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.definition_store import DagFilter, DagPlace, DagRow, DraftRow, VersionRow
    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryDefinitionStore:
    """`DefinitionStore` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def create(
        self, scope: Scope, dag: DagRow, version: VersionRow, *, answer: NewAnswer | None = None
    ) -> KeptAnswer | None:
        """Store a new DAG with its first version."""

        def insert(draft: Draft) -> KeptAnswer | None:
            kept = keep_answer(draft, scope, answer)
            if kept is None:
                _take_title(draft, scope, dag)
                _put(draft, scope, msgspec.structs.replace(dag, revision=1), version)
            return kept

        return await self._store.apply("create", insert)

    async def publish(
        self,
        scope: Scope,
        dag: DagRow,
        version: VersionRow | None,
        *,
        answer: NewAnswer | None = None,
        expected_revision: int | None = None,
        draft_revision: int | None = None,
    ) -> KeptAnswer | None:
        """Add a version and make it the newest, or only replace what is no content."""

        def add(draft: Draft) -> KeptAnswer | None:
            kept = keep_answer(draft, scope, answer)
            if kept is not None:
                return kept
            stored = stored_dag(draft, scope, dag.id, expected_revision)
            if version is not None and draft.get("dag_version", version.version, group=dag.id) is not None:
                raise DagVersionTaken(f"DAG {dag.id} has a version {version.version}")
            if stored.title != dag.title:
                _take_title(draft, scope, dag)
                draft.delete("dag_title", (scope.domain_id, stored.title))
            row = msgspec.structs.replace(dag, created_at=stored.created_at, revision=stored.revision + 1)
            if version is None:
                row = msgspec.structs.replace(row, version=stored.version, content_hash=stored.content_hash)
            _put(draft, scope, row, version)
            if draft_revision is not None:
                _take_draft(draft, dag.id, draft_revision)
            return None

        return await self._store.apply("publish", add)

    async def get(self, scope: Scope, dag_id: str) -> DagRow | None:
        """Read a DAG by id."""
        return await self._store.read("definition", lambda tables: _find(tables, scope, dag_id))

    async def find_title(self, scope: Scope, title: str) -> DagRow | None:
        """Read a DAG by its title."""

        def find(tables: Tables) -> DagRow | None:
            dag_id = tables.group("dag_title").get((scope.domain_id, title))
            return None if dag_id is None else _find(tables, scope, dag_id)

        return await self._store.read("definition", find)

    async def list(
        self, scope: Scope, *, after: DagPlace | None, limit: int, chosen: DagFilter = EVERY_DAG, offset: int = 0
    ) -> Sequence[DagRow]:
        """Page DAGs in the order of `chosen`."""
        check_limit(limit)

        def list_rows(tables: Tables) -> Sequence[DagRow]:
            rows: Sequence[DagRow] = tuple(tables.group("dag").values())
            found = [row for row in rows if row.domain_id == scope.domain_id and _matches(row, chosen)]
            if after is not None:
                start = _sorted_by(after, chosen)
                found = [
                    row
                    for row in found
                    if (_sorted_by(row, chosen) < start if chosen.is_descending else _sorted_by(row, chosen) > start)
                ]
            first = heapq.nlargest if chosen.is_descending else heapq.nsmallest
            return first(offset + limit, found, key=lambda row: _sorted_by(row, chosen))[offset:]

        return await self._store.read("definition", list_rows)

    async def version(self, scope: Scope, dag_id: str, version: str | None) -> VersionRow | None:
        """Read one version, the newest when None."""

        def find(tables: Tables) -> VersionRow | None:
            dag = _find(tables, scope, dag_id)
            if dag is None:
                return None
            row: VersionRow | None = tables.group("dag_version", dag_id).get(
                dag.version if version is None else version
            )
            return row

        return await self._store.read("definition", find)

    async def by_hash(self, domain_id: str, dag_id: str, content_hash: str) -> VersionRow | None:
        """Read the version that an instance is pinned to."""

        def find(tables: Tables) -> VersionRow | None:
            rows: Sequence[VersionRow] = tuple(tables.group("dag_version", dag_id).values())
            return next((row for row in rows if row.domain_id == domain_id and row.content_hash == content_hash), None)

        return await self._store.read("definition", find)


def _find(tables: Tables, scope: Scope, dag_id: str) -> DagRow | None:
    row: DagRow | None = tables.group("dag").get(dag_id)
    return row if row is not None and row.domain_id == scope.domain_id else None


def stored_dag(draft: Draft, scope: Scope, dag_id: str, expected_revision: int | None) -> DagRow:
    """Read the row that a transaction changes.

    Raises:
        DagNotFound: there is none in the domain. DagChanged: it has another revision (None = any).
    """
    stored: DagRow | None = draft.get("dag", dag_id)
    if stored is None or stored.domain_id != scope.domain_id:
        raise DagNotFound(f"DAG {dag_id} does not exist")
    if expected_revision not in (None, stored.revision):
        raise DagChanged(f"the DAG {dag_id} has another revision than {expected_revision}")
    return stored


def _take_draft(draft: Draft, dag_id: str, revision: int) -> None:
    stored: DraftRow | None = draft.get("dag_draft", dag_id)
    if stored is None or stored.revision != revision:
        raise DagChanged(f"the draft of the DAG {dag_id} has another revision than {revision}")
    draft.put("dag_draft", dag_id, msgspec.structs.replace(stored, document=None, revision=revision + 1))


def _matches(row: DagRow, chosen: DagFilter) -> bool:
    return (
        (chosen.status is None or row.status == chosen.status)
        and (chosen.tag is None or chosen.tag in row.tags)
        # Of bytes, `lower` knows ASCII letters only, as the databases do.
        and (chosen.text is None or chosen.text.encode().lower() in row.title.encode().lower())
    )


def _sorted_by(row: DagRow | DagPlace, chosen: DagFilter) -> tuple[Any, ...]:
    return (row.updated_at, row.id) if chosen.sort == "updated_at" else (getattr(row, chosen.sort),)


def _take_title(draft: Draft, scope: Scope, dag: DagRow) -> None:
    place = (scope.domain_id, dag.title)
    if draft.get("dag_title", place) is not None:
        raise DagTitleTaken(f"a DAG with the title {dag.title!r} exists")
    draft.put("dag_title", place, dag.id)


def _put(draft: Draft, scope: Scope, dag: DagRow, version: VersionRow | None) -> None:
    """Write the rows under the domain of the request, whatever the rows say."""
    draft.put("dag", dag.id, msgspec.structs.replace(dag, domain_id=scope.domain_id))
    if version is None:
        return
    row = msgspec.structs.replace(version, domain_id=scope.domain_id, dag_id=dag.id)
    draft.put("dag_version", version.version, row, group=dag.id)
