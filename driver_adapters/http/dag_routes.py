"""Routes of DAGs: create and publish, list, read, validate."""

from __future__ import annotations

from typing import Any

import msgspec

from core.access.dag_access import PAGE_ROWS_MAX, DagAccess
from core.access.kept_answers import KeyedRequest
from core.dag.document import Format
from core.dag.service import Draft
from core.engine.views import stamp
from core.errors import (
    DagInvalid,
    DagNotFound,
    DagTitleTaken,
    DagUndecodable,
    DagVersionTaken,
    IdempotencyKeyReused,
    OutcomeUnknown,
    QueueFull,
    StoreFull,
)
from core.ports.definition_store import DagRow
from driver_adapters.http.aside import Aside
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported
from driver_adapters.http.kept_reply import pack_reply, request_hash, unpack_reply
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply, path_id
from driver_adapters.http.query import Parameter, read_query
from driver_adapters.http.wire import DagBody, DagDetail, DagPage, FaultBody, Validity
from pkg.cursor import write_cursor

_YAML_TYPES = (b"application/yaml", b"application/x-yaml", b"text/yaml", b"text/x-yaml")
_FORMATS: dict[bytes, Format] = {b"application/json": "json", **dict.fromkeys(_YAML_TYPES, "yaml")}
_DOCUMENT_TYPES = frozenset(_FORMATS)
_CREATE_ID = "createDag"  # also the route that its idempotency keys belong to

EXAMPLE_DOCUMENT: dict[str, Any] = {
    "title": "Greet",
    "inputs": {"type": "object", "properties": {"name": {"type": "string", "default": "world"}}},
    "steps": [{"id": "greet", "operator": "@debug/noop", "parameters": {"text": "Hello {{ inputs.name }}"}}],
    "outputs": {"text": "{{ steps.greet.output.text }}"},
}
EXAMPLE_DAG: dict[str, Any] = {
    "id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
    "title": "Greet",
    "description": "",
    "tags": [],
    "status": "normal",
    "type": "workflow",
    "version": "v1.0.0",
    "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-01-31T08:30:00.000Z",
    "updated_at": "2026-01-31T08:30:00.000Z",
}
_IF_EXISTS = Parameter(
    name="if_exists",
    kind=str,
    choices=("refuse", "publish"),
    default="refuse",
    description="When the title exists: refuse, or publish the next version (none when the content is the same).",
)
_DOCUMENT = RequestBody(
    media_types=("application/json", "application/yaml"),
    description="A DAG document, at most 1 MiB as JSON or 256 KiB as YAML.",
    example=EXAMPLE_DOCUMENT,
)


def dag_operations(dags: DagAccess) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _DagRoutes(dags)
    return [_create(routes), _list(routes), _validate(routes), _get(routes)]


def _create(routes: _DagRoutes) -> Operation:
    return Operation(
        id=_CREATE_ID,
        method="POST",
        path="/dags",
        summary="Create a DAG and publish its first version",
        tag="DAGs",
        handle=routes.create,
        permission="dag:create",
        query=(_IF_EXISTS,),
        body=_DOCUMENT,
        answers=(
            Answer(status=201, description="Created.", shape=DagBody, example=EXAMPLE_DAG, headers=("Location",)),
        ),
        problems=(
            DagInvalid, DagUndecodable, DagTitleTaken, DagVersionTaken, IdempotencyKeyReused, QueueFull,
            OutcomeUnknown, StoreFull, BodyTooLarge, MediaTypeUnsupported, HeaderInvalid,
        ),
        takes_key=True,
    )  # fmt: skip


def _list(routes: _DagRoutes) -> Operation:
    return Operation(
        id="listDags",
        method="GET",
        path="/dags",
        summary="List the DAGs of the business domain",
        tag="DAGs",
        handle=routes.list,
        permission="dag:list",
        query=(LIMIT, CURSOR),
        answers=(Answer(status=200, description="A page.", shape=DagPage, example={"items": [EXAMPLE_DAG]}),),
    )


def _validate(routes: _DagRoutes) -> Operation:
    return Operation(
        id="validateDag",
        method="POST",
        path="/dags/validate",
        summary="List every fault of a document; nothing is stored",
        tag="DAGs",
        handle=routes.validate,
        permission="dag:create",
        body=_DOCUMENT,
        answers=(
            Answer(
                status=200,
                description="All faults, or none.",
                shape=Validity,
                example={"is_valid": True, "errors": []},
            ),
        ),
        problems=(QueueFull, BodyTooLarge, MediaTypeUnsupported),
    )


def _get(routes: _DagRoutes) -> Operation:
    example = EXAMPLE_DAG | {
        "document": EXAMPLE_DOCUMENT,
        "published_at": EXAMPLE_DAG["created_at"],
        "published_by": "01JD3V6Q0R5M9T8W7X2Y4Z1A3C",
        "change_log": "",
    }
    return Operation(
        id="getDag",
        method="GET",
        path="/dags/{dag_id}",
        summary="Read a DAG and the document of its newest version",
        tag="DAGs",
        handle=routes.get,
        permission="dag:view",
        answers=(Answer(status=200, description="The DAG.", shape=DagDetail, example=example),),
        problems=(DagNotFound,),
    )


class _DagRoutes:
    def __init__(self, dags: DagAccess) -> None:
        self._dags = dags
        self._aside = Aside()

    async def create(self, call: Call) -> Reply:
        if_exists = read_query(call.query, (_IF_EXISTS,))["if_exists"]
        key = call.idempotency_key()
        form, data = await _document(call)
        if key is None:
            draft = await self._read(call, form, data)
            return _created(call, await self._dags.create(call.scope, draft, if_exists=if_exists))
        request = KeyedRequest(_CREATE_ID, key, request_hash((form, if_exists), data))
        kept = await self._dags.recall(call.scope, request)
        if kept is None:
            draft = await self._read(call, form, data)
            kept = await self._dags.create_once(
                call.scope, draft, request, lambda row: pack_reply(_created(call, row)), if_exists=if_exists
            )
        return unpack_reply(kept)

    async def _read(self, call: Call, form: Format | None, data: bytes) -> Draft:
        return await self._aside.run(lambda: self._dags.read(call.scope, data, form), len(data))

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        after = cursor_place("dags", chosen["cursor"], str, "")
        limit = min(chosen["limit"], PAGE_ROWS_MAX)
        rows = await self._dags.list(call.scope, after=after, limit=limit)
        cursor = write_cursor("dags", rows[-1].id) if len(rows) == limit else None
        return page_reply(call, tuple(_shown(row) for row in rows), cursor)

    async def validate(self, call: Call) -> Reply:
        read_query(call.query, ())
        form, data = await _document(call)
        found = await self._aside.run(lambda: self._dags.validate(call.scope, data, form), len(data))
        faults = msgspec.convert(found, tuple[FaultBody, ...])
        return Reply(200, msgspec.json.encode(Validity(not faults, faults)))

    async def get(self, call: Call) -> Reply:
        read_query(call.query, ())
        row, version = await self._dags.get(call.scope, path_id(call, "dag_id", DagNotFound))
        detail = DagDetail(
            **msgspec.structs.asdict(_shown(row)),
            document=msgspec.Raw(version.document),
            published_at=stamp(version.published_at),
            published_by=version.published_by,
            change_log=version.change_log,
        )
        return Reply(200, msgspec.json.encode(detail))


async def _document(call: Call) -> tuple[Format | None, bytes]:
    media_type, data = await call.body(allowed=_DOCUMENT_TYPES)
    return _FORMATS.get(media_type), data


def _created(call: Call, row: DagRow) -> Reply:
    location = f"{call.path}/{row.id}".encode()
    return Reply(201, msgspec.json.encode(_shown(row)), headers=((b"location", location),))


def _shown(row: DagRow) -> DagBody:
    return DagBody(
        id=row.id,
        title=row.title,
        description=row.description,
        tags=row.tags,
        status=row.status,
        type=row.type,
        version=row.version,
        content_hash=row.content_hash,
        created_at=stamp(row.created_at),
        updated_at=stamp(row.updated_at),
    )
