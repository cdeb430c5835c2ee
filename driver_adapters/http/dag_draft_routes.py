"""Routes of drafts: read what is to be edited, save it with faults or without."""

from __future__ import annotations

import msgspec

from core.access.dag_access import DagAccess
from core.access.version_access import VersionAccess
from core.dag.document import Document, Format
from core.dag.history import DraftView
from core.engine.values import stamp
from core.errors import (
    DagChanged,
    DagInvalid,
    DagNotFound,
    DagUndecodable,
    OutcomeUnknown,
    QueueFull,
    StoreFull,
)
from driver_adapters.http.aside import Aside
from driver_adapters.http.conditions import etag_header, matched, not_modified
from driver_adapters.http.dag_document import DOCUMENT, EXAMPLE_DAG, EXAMPLE_DOCUMENT, read_document_body
from driver_adapters.http.dag_wire import DraftBody, SavedDraft
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, MediaTypeUnsupported, PreconditionMissing
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import FaultBody

_EXAMPLE_SAVED = {
    "dag_id": EXAMPLE_DAG["id"],
    "is_valid": True,
    "errors": [],
    "saved_at": EXAMPLE_DAG["updated_at"],
    "saved_by": "01JD3V6Q0R5M9T8W7X2Y4Z1A3C",
}
_EXAMPLE_DRAFT = {
    "dag_id": EXAMPLE_DAG["id"],
    "is_saved": True,
    "document": EXAMPLE_DOCUMENT,
    "saved_at": EXAMPLE_DAG["updated_at"],
    "saved_by": "01JD3V6Q0R5M9T8W7X2Y4Z1A3C",
}


def dag_draft_operations(dags: DagAccess, versions: VersionAccess) -> list[Operation]:
    """Declare the routes over these services."""
    routes = _DraftRoutes(dags, versions)
    return [_get(routes), _save(routes)]


def _get(routes: _DraftRoutes) -> Operation:
    return Operation(
        id="getDraft",
        method="GET",
        path="/dags/{dag_id}/draft",
        summary="Read the draft, or the newest version while none is saved",
        tag="Versions",
        handle=routes.get,
        permission="dag:view",
        answers=(
            Answer(
                status=200,
                description="What is to be edited.",
                shape=DraftBody,
                example=_EXAMPLE_DRAFT,
                headers=("ETag",),
            ),
            Answer(status=304, description="As it was read before.", media_type=""),
        ),
        problems=(DagNotFound,),
        takes_none_match=True,
    )


def _save(routes: _DraftRoutes) -> Operation:
    return Operation(
        id="saveDraft",
        method="PUT",
        path="/dags/{dag_id}/draft",
        summary="Save a draft, with faults or without; nothing is published",
        tag="Versions",
        handle=routes.save,
        permission="dag:modify",
        body=DOCUMENT,
        answers=(
            Answer(
                status=200,
                description="Saved, with every fault that keeps it from being published.",
                shape=SavedDraft,
                example=_EXAMPLE_SAVED,
                headers=("ETag",),
            ),
        ),
        problems=(
            DagNotFound, DagChanged, PreconditionMissing, DagInvalid, DagUndecodable, OutcomeUnknown, QueueFull,
            StoreFull, BodyTooLarge, MediaTypeUnsupported,
        ),
        needs_match=True,
    )  # fmt: skip


class _DraftRoutes:
    def __init__(self, dags: DagAccess, versions: VersionAccess) -> None:
        self._dags = dags
        self._versions = versions
        self._aside = Aside()

    async def get(self, call: Call) -> Reply:
        read_query(call.query, ())
        view = await self._versions.draft(call.scope, path_id(call, "dag_id", DagNotFound))
        known = not_modified(call, _shown_tag(view))
        if known is not None:
            return known
        draft = view.draft
        body = DraftBody(
            dag_id=view.dag.id,
            is_saved=draft is not None,
            document=msgspec.Raw(view.document),
            saved_at=None if draft is None else stamp(draft.saved_at),
            saved_by=None if draft is None else draft.saved_by,
        )
        return Reply(200, msgspec.json.encode(body), headers=(etag_header(_shown_tag(view)),))

    async def save(self, call: Call) -> Reply:
        read_query(call.query, ())
        scope, dag_id = call.scope, path_id(call, "dag_id", DagNotFound)
        await self._dags.find(scope, dag_id, "modify")
        view = await self._versions.draft(scope, dag_id)
        is_held = matched(call, _shown_tag(view))
        form, data = await read_document_body(call)
        document, faults = await self._aside.run(lambda: self._read(call, data, form), len(data))
        expected = view.revision if is_held else None
        row = await self._versions.save_draft(scope, dag_id, document, expected_revision=expected)
        body = SavedDraft(
            dag_id=dag_id,
            is_valid=not faults,
            errors=faults,
            saved_at=stamp(row.saved_at),
            saved_by=row.saved_by,
        )
        return Reply(200, msgspec.json.encode(body), headers=(etag_header(_tag(row.revision)),))

    def _read(self, call: Call, data: bytes, form: Format | None) -> tuple[Document, tuple[FaultBody, ...]]:
        document = self._versions.read_draft(call.scope, data, form)
        return document, msgspec.convert(self._versions.faults(call.scope, document), tuple[FaultBody, ...])


def _tag(revision: int) -> str:
    return f"draft-{revision}"


def _shown_tag(view: DraftView) -> str:
    """Name what is shown: without a draft that is the newest version, which changes with the DAG."""
    return _tag(view.revision) if view.draft is not None else f"{_tag(view.revision)}-of-{view.dag.revision}"
