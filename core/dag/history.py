"""Use cases of a definition's life beside publishing: drafts, versions, their differences, the end."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.dag.document import Document
from core.dag.fault import Fault, as_document
from core.dag.service import CHANGE_TRIES_MAX, LIST_COUNT_MAX, DagService
from core.dag.version import canonical_document, content_of, described
from core.errors import DagChanged, DagInvalid, DraftMissing
from core.ports.clock import Clock
from core.ports.definition_store import DagRow, DefinitionHistory, DraftRow, VersionHead
from core.ports.scope import Scope

DRAFT_BYTES_MAX = 1024 * 1024  # dag-language.md 1: a published document has at most that


class DraftView(msgspec.Struct, frozen=True, kw_only=True):
    """What an editor shows: the draft, or the newest version while none is saved.

    `revision` 0 = none was ever saved; `saved_at` and `saved_by` are of the draft and None without one.
    """

    dag: DagRow
    revision: int
    document: bytes
    draft: DraftRow | None


class DagHistory:
    """Drafts and versions of one installation; every call acts within the scope's business domain."""

    def __init__(self, definitions: DagService, history: DefinitionHistory, clock: Clock) -> None:
        """Take the definitions, and where the rest of their life is written down."""
        self._definitions = definitions
        self._history = history
        self._clock = clock

    async def versions(self, scope: Scope, dag_id: str, *, before: str | None, limit: int) -> Sequence[VersionHead]:
        """Page the published versions, newest first; `limit` 1..`LIST_COUNT_MAX`, more is cut.

        Raises:
            DagNotFound: no such DAG in the domain.
        """
        await self._definitions.get(scope, dag_id)
        limit = max(1, min(limit, LIST_COUNT_MAX))
        return await self._history.versions(scope, dag_id, before=before, limit=limit)

    async def draft(self, scope: Scope, dag_id: str) -> DraftView:
        """Read what is to be edited.

        Raises:
            DagNotFound: no such DAG in the domain.
        """
        row = await self._definitions.get(scope, dag_id)
        draft = await self._history.draft(scope, dag_id)
        revision = 0 if draft is None else draft.revision
        if draft is not None and draft.document is not None:
            return DraftView(dag=row, revision=revision, document=draft.document, draft=draft)
        newest = await self._definitions.document(scope, dag_id, row.version)
        return DraftView(dag=row, revision=revision, document=described(newest.document, row), draft=None)

    async def saved_draft(self, scope: Scope, dag_id: str) -> tuple[bytes, int]:
        """Give the draft that is to be published, and its revision.

        Raises:
            DagNotFound: no such DAG in the domain. DraftMissing: what was saved last is published.
        """
        await self._definitions.get(scope, dag_id)
        draft = await self._history.draft(scope, dag_id)
        if draft is None or draft.document is None:
            raise DraftMissing(f"the DAG {dag_id} has no draft that is not published")
        return draft.document, draft.revision

    async def save_draft(
        self, scope: Scope, dag_id: str, document: Document, *, expected_revision: int | None
    ) -> DraftRow:
        """Save a draft, with faults or without; `expected_revision` None = in place of whatever is there.

        Raises:
            DagNotFound: no such DAG in the domain. DagInvalid: it is no object, or larger than DRAFT_BYTES_MAX.
            DagChanged: the draft has another revision; nothing was stored.
        """
        body = _draft_body(document)
        tries_left = CHANGE_TRIES_MAX
        while True:
            tries_left -= 1
            upon = expected_revision
            if upon is None:
                upon = (await self.draft(scope, dag_id)).revision
            row = DraftRow(
                dag_id=dag_id,
                domain_id=scope.domain_id,
                revision=upon + 1,
                document=body,
                saved_at=self._clock.now(),
                saved_by=scope.principal.id,
            )
            try:
                await self._history.save_draft(scope, row, expected_revision=upon)
            except DagChanged:
                if expected_revision is not None or not tries_left:
                    raise
            else:
                return row

    async def rollback_document(self, scope: Scope, dag_id: str, version: str) -> bytes:
        """Give the document that takes a DAG back to a version when it is published: old content, name of today.

        Raises:
            DagNotFound: no such DAG or version in the domain.
        """
        row = await self._definitions.get(scope, dag_id)
        return content_of((await self._definitions.document(scope, dag_id, version)).document, row)

    async def remove(self, scope: Scope, dag_id: str, *, expected_revision: int | None) -> None:
        """Take a DAG away; its title is free, its instances go on (S45).

        Raises:
            DagNotFound: no such DAG in the domain. DagChanged: it has another revision; nothing happened.
        """
        await self._history.remove(scope, dag_id, expected_revision=expected_revision)


def _draft_body(document: Document) -> bytes:
    value = document.value
    if not isinstance(value, dict):
        raise _refused("dag.schema", "a DAG is an object")
    body = canonical_document(value)
    if len(body) > DRAFT_BYTES_MAX:
        raise _refused("dag.limit", f"a document has at most {DRAFT_BYTES_MAX} bytes as JSON")
    return body


def _refused(code: str, message: str) -> DagInvalid:
    return DagInvalid(message, faults=as_document([Fault(code=code, pointer="", message=message, line=1, column=1)]))
