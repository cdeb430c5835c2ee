"""DAGs and their published versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope


class DagRow(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG as it is listed; `version` and `content_hash` are of its newest published version."""

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


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One published, immutable version; `document` is canonical JSON of the whole document."""

    dag_id: str
    domain_id: str
    version: str
    content_hash: str
    document: bytes
    change_log: str
    published_at: datetime
    published_by: str


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
        self, scope: Scope, dag: DagRow, version: VersionRow | None, *, answer: NewAnswer | None = None
    ) -> KeptAnswer | None:
        """Add a version and make it the newest, in one transaction; `dag` replaces the listed row but `created_at`.

        Without a version only what is no content is replaced (S45): title, description, tags, status and `updated_at`;
        the version that is the newest by now stays the newest.

        Returns:
            None when it was written; else what the key of `answer` was answered before.

        Raises:
            DagNotFound: no such DAG in the domain. DagTitleTaken: the new title is another DAG's.
            DagVersionTaken: another publication was faster; nothing happened.
        """
        ...

    async def get(self, scope: Scope, dag_id: str) -> DagRow | None:
        """Read a DAG by id."""
        ...

    async def find_title(self, scope: Scope, title: str) -> DagRow | None:
        """Read a DAG by its title, unique in the domain."""
        ...

    async def list(self, scope: Scope, *, after: str, limit: int) -> Sequence[DagRow]:
        """Page DAGs, ascending by id, ids greater than `after`; `limit` 1..1000, ValueError else."""
        ...

    async def version(self, scope: Scope, dag_id: str, version: str | None) -> VersionRow | None:
        """Read one version, the newest when None."""
        ...

    async def by_hash(self, domain_id: str, dag_id: str, content_hash: str) -> VersionRow | None:
        """Read the version that an instance is pinned to; serves the engine."""
        ...
