"""Use cases of drafts and versions for people, and what is shown of DAGs: permissions first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.access.dag_access import DagAccess
from core.access.permission import require
from core.dag.catalog import Catalog, OperatorSpec
from core.dag.diff import DagDiff, compare
from core.dag.document import Document, Format, read_document
from core.dag.graph import Graph, draw, model_of
from core.dag.history import DagHistory, DraftView
from core.dag.parse import parse_document
from core.dag.service import DagService
from core.dag.title import free_titles
from core.errors import CommitUnknown, DagInvalid, OutcomeUnknown
from core.ports.clock import IdSource
from core.ports.definition_store import DraftRow, VersionHead, VersionRow
from core.ports.scope import Scope


class VersionAccess:
    """What callers may do with drafts and versions of DAGs."""

    def __init__(
        self, dags: DagAccess, definitions: DagService, history: DagHistory, catalog: Catalog, ids: IdSource
    ) -> None:
        """Take the DAG domain; `dags` is told of what it must not remember."""
        self._dags = dags
        self._definitions = definitions
        self._history = history
        self._catalog = catalog
        self._ids = ids

    async def versions(self, scope: Scope, dag_id: str, *, before: str | None, limit: int) -> Sequence[VersionHead]:
        """Page the published versions, newest first.

        Raises:
            NotAllowed: `dag:view` is missing. DagNotFound: not in this business domain.
        """
        require(scope, "dag", "view")
        return await self._history.versions(scope, dag_id, before=before, limit=limit)

    async def version(self, scope: Scope, dag_id: str, version: str | None) -> VersionRow:
        """Read a published version as it was published, the newest when None.

        Raises:
            NotAllowed: `dag:view` is missing. DagNotFound: no such DAG or version in this business domain.
        """
        require(scope, "dag", "view")
        return await self._definitions.document(scope, dag_id, version)

    async def draft(self, scope: Scope, dag_id: str) -> DraftView:
        """Read the draft, or the newest version while none is saved.

        Raises:
            NotAllowed: `dag:view` is missing. DagNotFound: not in this business domain.
        """
        require(scope, "dag", "view")
        return await self._history.draft(scope, dag_id)

    def read_draft(self, scope: Scope, data: bytes, form: Format | None) -> Document:
        """Read a draft, with faults or without; touches no store, so that it may run beside the event loop.

        Raises:
            NotAllowed: `dag:modify` is missing. DagUndecodable, DagInvalid: not a document, or too large.
        """
        require(scope, "dag", "modify")
        return read_document(data, form)

    def faults(self, scope: Scope, document: Document) -> Sequence[Mapping[str, Any]]:
        """List what keeps a document from being published; touches no store, so that it may run beside the event loop.

        Raises:
            NotAllowed: `dag:modify` is missing.
        """
        require(scope, "dag", "modify")
        try:
            parse_document(document, catalog=self._catalog)
        except DagInvalid as error:
            return error.faults
        return ()

    async def save_draft(
        self, scope: Scope, dag_id: str, document: Document, *, expected_revision: int | None
    ) -> DraftRow:
        """Save a draft upon the revision that its writer read, None = in place of whatever is there.

        Raises:
            NotAllowed: `dag:modify` is missing. DagNotFound: not in this business domain.
            DagInvalid: it is no object. DagChanged: the draft has another revision; nothing was stored.
            OutcomeUnknown: it may have been saved; read the draft before trying again.
        """
        require(scope, "dag", "modify")
        try:
            return await self._history.save_draft(scope, dag_id, document, expected_revision=expected_revision)
        except CommitUnknown as error:
            raise OutcomeUnknown("the draft may have been saved: read it before trying again") from error

    async def saved_draft(self, scope: Scope, dag_id: str) -> tuple[bytes, int]:
        """Give the draft that is to be published, and its revision.

        Raises:
            NotAllowed: `dag:modify` is missing. DagNotFound: not in this business domain. DraftMissing: there is none.
        """
        require(scope, "dag", "modify")
        return await self._history.saved_draft(scope, dag_id)

    async def rollback_document(self, scope: Scope, dag_id: str, version: str) -> bytes:
        """Give the document that takes the DAG back to a version when it is published.

        Raises:
            NotAllowed: `dag:modify` is missing. DagNotFound: no such DAG or version in this business domain.
        """
        require(scope, "dag", "modify")
        return await self._history.rollback_document(scope, dag_id, version)

    async def remove(self, scope: Scope, dag_id: str, *, expected_revision: int | None) -> None:
        """Take a DAG away; its title is free, its instances go on (S45).

        Raises:
            NotAllowed: `dag:delete` is missing. DagNotFound: not in this business domain.
            DagChanged: it has another revision (None = any); nothing happened.
            OutcomeUnknown: it may be gone; it may be asked again.
        """
        require(scope, "dag", "delete")
        try:
            await self._history.remove(scope, dag_id, expected_revision=expected_revision)
        except CommitUnknown as error:
            raise OutcomeUnknown("the DAG may be gone: read it before trying again") from error
        finally:
            self._dags.forget(scope.domain_id, dag_id)

    async def suggest_title(self, scope: Scope, title: str) -> str:
        """Give a title that no DAG of the business domain has: the one that is wished for, or one like it.

        Raises:
            NotAllowed: `dag:list` is missing.
        """
        found = ""
        for found in free_titles(title, self._ids.new_id()):
            if await self._dags.find_title(scope, found) is None:
                break
        return found

    def operators(self, scope: Scope) -> Sequence[OperatorSpec]:
        """List every operator that the language knows, by name.

        Raises:
            NotAllowed: `operator:list` is missing.
        """
        require(scope, "operator", "list")
        return [self._catalog[name] for name in sorted(self._catalog)]

    def graph(self, version: VersionRow) -> Graph:
        """Give the drawing of a version that was read; some milliseconds for the largest ones."""
        return draw(model_of(version.document))

    def diff(self, version: VersionRow, other: VersionRow) -> DagDiff:
        """Give what is different in `other`, seen from `version`; some milliseconds for the largest ones."""
        is_same = version.content_hash == other.content_hash
        return compare(model_of(version.document), model_of(other.document), is_same_content=is_same)
