"""Routes that change DAGs: update, delete, activate, deactivate, and one act on many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from core.access.dag_access import DagAccess
from core.access.dag_batch import BatchResult, DagBatch
from core.access.version_access import VersionAccess
from core.dag.service import Upon
from core.errors import (
    BodyUndecodable,
    DagChanged,
    DagInvalid,
    DagNotFound,
    DagTitleTaken,
    DagUndecodable,
    OutcomeUnknown,
    QueueFull,
    RequestInvalid,
    StoreFull,
)
from core.ports.definition_store import DagFilter
from driver_adapters.http.aside import Aside
from driver_adapters.http.conditions import matched
from driver_adapters.http.dag_document import DOCUMENT, EXAMPLE_DAG, dag_reply, dag_tag, read_document_body
from driver_adapters.http.dag_wire import (
    DAG_FIELDS,
    BatchBody,
    BatchFault,
    BatchFilter,
    BatchItem,
    BatchRequest,
    dag_body,
    read_body,
)
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, MediaTypeUnsupported, PreconditionMissing
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import DagBody

_JSON_TYPE = frozenset({b"application/json"})
_CONDITIONAL = (DagNotFound, DagChanged, PreconditionMissing, OutcomeUnknown, QueueFull, StoreFull)
_ONE_OF_BOTH = {
    "$ref": "#/components/schemas/BatchRequest",
    "oneOf": [{"required": ["ids"]}, {"required": ["filter"]}],
}
_EXAMPLE_BATCH = {
    "items": [
        {"id": EXAMPLE_DAG["id"], "dag": {"title": "Greet", "status": "stopped"}, "error": None},
        {
            "id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3C",
            "dag": None,
            "error": {"code": "dag-not-found", "detail": "no DAG 01JD3V6Q0R5M9T8W7X2Y4Z1A3C"},
        },
    ],
    "has_more": False,
}


def dag_change_operations(dags: DagAccess, versions: VersionAccess, batch: DagBatch) -> list[Operation]:
    """Declare the routes over these services."""
    routes = _ChangeRoutes(dags, versions, batch)
    return [_update(routes), _delete(routes), *_statuses(routes), _batch(routes)]


def _update(routes: _ChangeRoutes) -> Operation:
    return Operation(
        id="updateDag",
        method="PUT",
        path="/dags/{dag_id}",
        summary="Publish a document as the next version; none when only title, description, tags or status are new",
        tag="DAGs",
        handle=routes.update,
        permission="dag:modify",
        body=DOCUMENT,
        answers=(
            Answer(
                status=200, description="As it is now.", shape=DagBody, example=EXAMPLE_DAG, headers=("ETag",)
            ),
        ),
        problems=(
            *_CONDITIONAL, DagInvalid, DagUndecodable, DagTitleTaken, BodyTooLarge, MediaTypeUnsupported,
        ),
        needs_match=True,
    )  # fmt: skip


def _delete(routes: _ChangeRoutes) -> Operation:
    return Operation(
        id="deleteDag",
        method="DELETE",
        path="/dags/{dag_id}",
        summary="Delete a DAG; its instances go on",
        tag="DAGs",
        handle=routes.delete,
        permission="dag:delete",
        answers=(Answer(status=200, description="As it was.", shape=DagBody, example=EXAMPLE_DAG),),
        problems=_CONDITIONAL,
        needs_match=True,
    )


def _statuses(routes: _ChangeRoutes) -> list[Operation]:
    summaries = {
        "activate": "Let a DAG start instances",
        "deactivate": "Let a DAG start nothing more; accepted instances go on",
    }
    handlers = {"activate": routes.activate, "deactivate": routes.deactivate}
    return [
        Operation(
            id=f"{name}Dag",
            method="POST",
            path=f"/dags/{{dag_id}}/{name}",
            summary=summary,
            tag="DAGs",
            handle=handlers[name],
            permission="dag:modify",
            answers=(
                Answer(
                    status=200,
                    description="As it is now; the same again changes nothing.",
                    shape=DagBody,
                    example=EXAMPLE_DAG,
                    headers=("ETag",),
                ),
            ),
            problems=(DagNotFound, DagChanged, OutcomeUnknown, QueueFull, StoreFull),
        )
        for name, summary in summaries.items()
    ]


def _batch(routes: _ChangeRoutes) -> Operation:
    return Operation(
        id="batchDags",
        method="POST",
        path="/dags:batch",
        summary="Read, activate, deactivate or delete up to 200 DAGs, each with its own result",
        tag="DAGs",
        handle=routes.batch,
        permission="dag:view",
        body=RequestBody(
            media_types=("application/json",),
            shape=BatchRequest,
            schemas={"application/json": _ONE_OF_BOTH},
            description="What to do, and with which DAGs: `ids` or `filter`.",
            example={"action": "deactivate", "filter": {"tag": "finance"}, "fields": ["title", "status"]},
        ),
        answers=(Answer(status=200, description="One item per DAG.", shape=BatchBody, example=_EXAMPLE_BATCH),),
        problems=(BodyUndecodable, RequestInvalid, BodyTooLarge, MediaTypeUnsupported),
    )


class _ChangeRoutes:
    def __init__(self, dags: DagAccess, versions: VersionAccess, batch: DagBatch) -> None:
        self._dags = dags
        self._versions = versions
        self._batch = batch
        self._aside = Aside()

    async def update(self, call: Call) -> Reply:
        read_query(call.query, ())
        current = await self._dags.find(call.scope, path_id(call, "dag_id", DagNotFound), "modify")
        is_held = matched(call, dag_tag(current))
        form, data = await read_document_body(call)
        draft = await self._aside.run(lambda: self._dags.read(call.scope, data, form, "modify"), len(data))
        upon = Upon(revision=current.revision if is_held else None)
        return dag_reply(await self._dags.publish(call.scope, current.id, draft, upon))

    async def delete(self, call: Call) -> Reply:
        read_query(call.query, ())
        current = await self._dags.find(call.scope, path_id(call, "dag_id", DagNotFound), "delete")
        is_held = matched(call, dag_tag(current))
        expected = current.revision if is_held else None
        await self._versions.remove(call.scope, current.id, expected_revision=expected)
        return Reply(200, msgspec.json.encode(dag_body(current)))

    async def activate(self, call: Call) -> Reply:
        return await self._set_status(call, "normal")

    async def deactivate(self, call: Call) -> Reply:
        return await self._set_status(call, "stopped")

    async def _set_status(self, call: Call, status: Literal["normal", "stopped"]) -> Reply:
        read_query(call.query, ())
        return dag_reply(await self._dags.set_status(call.scope, path_id(call, "dag_id", DagNotFound), status))

    async def batch(self, call: Call) -> Reply:
        read_query(call.query, ())
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_body(data, BatchRequest)
        if (request.ids is msgspec.UNSET) == (request.filter is msgspec.UNSET):
            message = "one of ids and filter says which DAGs are meant"
            raise RequestInvalid(message, faults=[{"code": "request.schema", "pointer": "", "message": message}])
        ids, has_more = await self._named(call, request)
        results = await self._batch.act(call.scope, request.action, ids)
        items = tuple(_item(one, request.fields or DAG_FIELDS) for one in results)
        return Reply(200, msgspec.json.encode(BatchBody(items, has_more)))

    async def _named(self, call: Call, request: BatchRequest) -> tuple[Sequence[str], bool]:
        if isinstance(request.filter, BatchFilter):
            given = {name: value for name, value in msgspec.structs.asdict(request.filter).items() if value}
            return await self._batch.named(call.scope, DagFilter(**given))
        return request.ids or (), False


def _item(result: BatchResult, fields: tuple[str, ...]) -> BatchItem:
    body = None if result.row is None else dag_body(result.row)
    error = result.error
    return BatchItem(
        id=result.id,
        dag=None if body is None else {name: getattr(body, name) for name in fields},
        error=None if error is None else BatchFault(error.slug, error.detail or error.title),
    )
