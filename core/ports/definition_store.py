"""DAGs and their published versions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope


class DagRow(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG as it is listed; `version` and `content_hash` are of its newest published version.

    `revision` counts the changes of this row from 1; the store counts, whatever a row that is written says.
    """

    id: str
    domain_id: str
    title: str
    description: str
    tags: tuple[str, ...]
    status: str
    type: str
    version: str
    content_hash: str
    created_at: datetime
    updated_at: datetime
    revision: int = 1


class VersionHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is listed of a published version; its document may have a megabyte."""

    dag_id: str
    domain_id: str
    version: str
    content_hash: str
    change_log: str
    published_at: datetime
    published_by: str


class VersionRow(VersionHead, frozen=True, kw_only=True):
    """One published, immutable version; `document` is canonical JSON of the whole document."""

    document: bytes


class DraftRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is being written and not published: canonical JSON of any object, whole or not.

    `document` None = nothing was saved since the last publication. `revision` counts savings and publications; it goes
    on for as long as the DAG stands, so that no two states have the same one.
    """

    dag_id: str
    domain_id: str
    revision: int
    document: bytes | None
    saved_at: datetime
    saved_by: str


class DagPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page of DAGs ended; each order goes on from what it sorts by."""

    id: str
    title: str
    updated_at: datetime


def place_of(row: DagRow) -> DagPlace:
    """Give the place behind this row, from which the next page goes on."""
    return DagPlace(id=row.id, title=row.title, updated_at=row.updated_at)


class DagFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which DAGs to list, and in which order; None = any.

    `text` stands in the title, ASCII letters in either case. Ids are in the order of creation.
    """

    text: str | None = None
    tag: str | None = None
    status: str | None = None
    sort: Literal["id", "title", "updated_at"] = "id"
    is_descending: bool = False


EVERY_DAG = DagFilter()


@runtime_checkable
class DefinitionStore(Protocol):
    """Definitions; versions are frozen under their content hash.

    The verbs that write take the answer of a request with an idempotency key and keep it in the same transaction. When
    that key has an answer already, they write nothing and give it: two requests at once do the work once.
    """

    async def create(
        self, scope: Scope, dag: DagRow, version: VersionRow, *, answer: NewAnswer | None = None
    ) -> KeptAnswer | None:
        """Store a new DAG with its first version, in one transaction.

        Returns:
            None when it was stored; else what the key of `answer` was answered before, looked at before the title is.

        Raises:
            DagTitleTaken: the title exists in the domain; nothing happened.
        """
        ...

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
        """Add a version and make it the newest, in one transaction; `dag` replaces the listed row but `created_at`.

        Without a version only what is no content is replaced (S45): title, description, tags, status and `updated_at`;
        the version that is the newest by now stays the newest. With `draft_revision` the draft is taken away: it is
        what was published.

        Returns:
            None when it was written; else what the key of `answer` was answered before.

        Raises:
            DagNotFound: no such DAG in the domain. DagTitleTaken: the new title is another DAG's.
            DagVersionTaken: another publication was faster; nothing happened.
            DagChanged: the row or the draft has another revision than was expected (None = any); nothing happened.
        """
        ...

    async def get(self, scope: Scope, dag_id: str) -> DagRow | None:
        """Read a DAG by id."""
        ...

    async def find_title(self, scope: Scope, title: str) -> DagRow | None:
        """Read a DAG by its title, unique in the domain."""
        ...

    async def list(
        self, scope: Scope, *, after: DagPlace | None, limit: int, chosen: DagFilter = EVERY_DAG, offset: int = 0
    ) -> Sequence[DagRow]:
        """Page DAGs in the order of `chosen`, from behind `after` on, `offset` of them left out.

        `limit` is 1..READ_ROWS_MAX, ValueError else.
        """
        ...

    async def version(self, scope: Scope, dag_id: str, version: str | None) -> VersionRow | None:
        """Read one version, the newest when None."""
        ...

    async def by_hash(self, domain_id: str, dag_id: str, content_hash: str) -> VersionRow | None:
        """Read the version that an instance is pinned to; serves the engine."""
        ...


@runtime_checkable
class DefinitionHistory(Protocol):
    """The rest of a definition's life: drafts, the list of versions, the end. Adapters stand beside `DefinitionStore`.

    A port of its own since a start needs none of it, and a port has few verbs.
    """

    async def versions(self, scope: Scope, dag_id: str, *, before: str | None, limit: int) -> Sequence[VersionHead]:
        """Page the versions of a DAG, newest first, published before the version `before` (None = from the newest).

        Empty for a DAG that is not there. `limit` is 1..READ_ROWS_MAX, ValueError else.
        """
        ...

    async def draft(self, scope: Scope, dag_id: str) -> DraftRow | None:
        """Read the draft; None when none was ever saved, which is revision 0."""
        ...

    async def save_draft(self, scope: Scope, draft: DraftRow, *, expected_revision: int) -> None:
        """Write the draft in place of the one with this revision, 0 = there is none; the new one is one higher.

        Raises:
            DagNotFound: no such DAG in the domain. DagChanged: the draft has another revision; nothing happened.
        """
        ...

    async def remove(self, scope: Scope, dag_id: str, *, expected_revision: int | None) -> None:
        """Take a DAG and its draft away; its title is free. Versions stay for instances that are pinned to them (S45).

        Raises:
            DagNotFound: no such DAG in the domain. DagChanged: it has another revision (None = any); nothing happened.
        """
        ...
