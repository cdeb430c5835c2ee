"""DAGs and their versions in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import DagChanged, DagNotFound, DagTitleTaken, DagVersionTaken
from core.ports.definition_store import EVERY_DAG, DagRow, VersionRow
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.key_store import AnswerRows
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.definition_store import DagFilter, DagPlace
    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction


_BEFORE_ALL = {"id": "", "title": "", "updated_at": -(2**63)}
_TITLE_CHARACTERS_MAX = 128  # dag-language.md 1
# Sorts behind every row: the same for whoever goes down.
_BEHIND_ALL = {"id": "\U0010ffff", "title": "\U0010ffff" * (_TITLE_CHARACTERS_MAX + 1), "updated_at": 2**63 - 1}


class SqliteDefinitionStore:
    """`DefinitionStore` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = {**load_statements("dag/definition.sql"), **load_statements("dag/history.sql")}
        self._answers = AnswerRows()

    async def create(
        self, scope: Scope, dag: DagRow, version: VersionRow, *, answer: NewAnswer | None = None
    ) -> KeptAnswer | None:
        """Store a new DAG with its first version."""

        def insert(tx: Transaction) -> KeptAnswer | None:
            kept = self._answers.keep(tx, scope, answer)
            if kept is None:
                self._check_title(tx, scope, dag)
                tx.write(self._sql["insert_dag"], _dag_values(scope, dag))
                tx.write(self._sql["insert_version"], _version_values(scope, dag, version))
            return kept

        return await self._database.write(insert)

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

        def add(tx: Transaction) -> KeptAnswer | None:
            kept = self._answers.keep(tx, scope, answer)
            if kept is not None:
                return kept
            place = {"dag_id": dag.id, "domain_id": scope.domain_id}
            check_revision(tx.rows(self._sql["read_dag"], place), dag.id, expected_revision)
            if version is not None and tx.rows(self._sql["read_version"], {**place, "version": version.version}):
                raise DagVersionTaken(f"DAG {dag.id} has a version {version.version}")
            self._check_title(tx, scope, dag)
            if draft_revision is not None and not tx.write(
                self._sql["take_draft"], {**place, "revision": draft_revision}
            ):
                raise DagChanged(f"the draft of the DAG {dag.id} has another revision than {draft_revision}")
            if version is None:
                tx.write(self._sql["describe_dag"], _dag_values(scope, dag))
            else:
                tx.write(self._sql["update_dag"], _dag_values(scope, dag))
                tx.write(self._sql["insert_version"], _version_values(scope, dag, version))
            return None

        return await self._database.write(add)

    async def get(self, scope: Scope, dag_id: str) -> DagRow | None:
        """Read a DAG by id."""
        return await self._read_dag("read_dag", {"dag_id": dag_id, "domain_id": scope.domain_id})

    async def find_title(self, scope: Scope, title: str) -> DagRow | None:
        """Read a DAG by its title."""
        return await self._read_dag("find_title", {"title": title, "domain_id": scope.domain_id})

    async def list(
        self, scope: Scope, *, after: DagPlace | None, limit: int, chosen: DagFilter = EVERY_DAG, offset: int = 0
    ) -> Sequence[DagRow]:
        """Page DAGs in the order of `chosen`."""
        place = dict(_BEHIND_ALL if chosen.is_descending else _BEFORE_ALL)
        if after is not None:
            place = {"id": after.id, "title": after.title, "updated_at": to_stamp(after.updated_at)}
        bindings = {
            **place,
            "domain_id": scope.domain_id,
            "text": chosen.text,
            "tag": chosen.tag,
            "status": chosen.status,
            "limit": check_limit(limit),
            "offset": offset,
        }
        sql = self._sql[f"list_by_{chosen.sort}" + ("_descending" if chosen.is_descending else "")]
        rows = await self._database.read(lambda reading: reading.rows(sql, bindings))
        return [_to_dag_row(row) for row in rows]

    async def version(self, scope: Scope, dag_id: str, version: str | None) -> VersionRow | None:
        """Read one version, the newest when None."""
        place = {"dag_id": dag_id, "domain_id": scope.domain_id}
        if version is None:
            return await self._read_version("read_newest", place)
        return await self._read_version("read_version", {**place, "version": version})

    async def by_hash(self, domain_id: str, dag_id: str, content_hash: str) -> VersionRow | None:
        """Read the version that an instance is pinned to."""
        bindings = {"dag_id": dag_id, "domain_id": domain_id, "content_hash": content_hash}
        return await self._read_version("read_by_hash", bindings)

    def _check_title(self, tx: Transaction, scope: Scope, dag: DagRow) -> None:
        found = tx.rows(self._sql["find_title"], {"title": dag.title, "domain_id": scope.domain_id})
        if found and found[0][0] != dag.id:
            raise DagTitleTaken(f"a DAG with the title {dag.title!r} exists")

    async def _read_dag(self, name: str, bindings: dict[str, Any]) -> DagRow | None:
        rows = await self._database.read(lambda reading: reading.rows(self._sql[name], bindings))
        return _to_dag_row(rows[0]) if rows else None

    async def _read_version(self, name: str, bindings: dict[str, Any]) -> VersionRow | None:
        rows = await self._database.read(lambda reading: reading.rows(self._sql[name], bindings))
        return _to_version_row(rows[0]) if rows else None


def check_revision(found: list[tuple[Any, ...]], dag_id: str, expected: int | None) -> None:
    """Hold a row of `read_dag` against the revision that a writer expects.

    Raises:
        DagNotFound: there is none. DagChanged: it has another revision (None = any).
    """
    if not found:
        raise DagNotFound(f"DAG {dag_id} does not exist")
    if expected is not None and _to_dag_row(found[0]).revision != expected:
        raise DagChanged(f"the DAG {dag_id} has another revision than {expected}")


def _dag_values(scope: Scope, dag: DagRow) -> dict[str, Any]:
    """Give a row's values under the domain of the request, whatever the row says."""
    return {
        **msgspec.structs.asdict(dag),
        "domain_id": scope.domain_id,
        "tags": msgspec.json.encode(dag.tags).decode(),
        "created_at": to_stamp(dag.created_at),
        "updated_at": to_stamp(dag.updated_at),
    }


def _version_values(scope: Scope, dag: DagRow, version: VersionRow) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(version),
        "dag_id": dag.id,
        "domain_id": scope.domain_id,
        "published_at": to_stamp(version.published_at),
    }


def _to_dag_row(row: tuple[Any, ...]) -> DagRow:
    return DagRow(
        id=row[0],
        domain_id=row[1],
        title=row[2],
        description=row[3],
        tags=msgspec.json.decode(row[4], type=tuple[str, ...]),
        status=row[5],
        type=row[6],
        version=row[7],
        content_hash=row[8],
        created_at=from_stamp(row[9]),
        updated_at=from_stamp(row[10]),
        revision=row[11],
    )


def _to_version_row(row: tuple[Any, ...]) -> VersionRow:
    return VersionRow(
        dag_id=row[0],
        domain_id=row[1],
        version=row[2],
        content_hash=row[3],
        document=row[4],
        change_log=row[5],
        published_at=from_stamp(row[6]),
        published_by=row[7],
    )
