"""Routes of DAGs: create and publish, list, read, validate."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from core.access.dag_access import DagAccess
from core.access.kept_answers import KeyedRequest
from core.dag.document import Format
from core.dag.service import Draft
from core.engine.values import stamp
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
from core.ports.definition_store import DagFilter, DagPlace, DagRow, place_of
from driver_adapters.http.aside import Aside
from driver_adapters.http.conditions import etag_header, not_modified
from driver_adapters.http.dag_document import DOCUMENT, EXAMPLE_DAG, EXAMPLE_DOCUMENT, dag_tag, read_document_body
from driver_adapters.http.dag_wire import DAG_FIELDS, dag_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported, QueryInvalid
from driver_adapters.http.kept_reply import pack_reply, request_hash, unpack_reply
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, numbered_page_reply, page_reply, path_id
from driver_adapters.http.query import Parameter, read_query
from driver_adapters.http.wire import DagBody, DagDetail, DagPage, FaultBody, Validity
from pkg.cursor import write_cursor

_CREATE_ID = "createDag"  # also the route that its idempotency keys belong to

_SORTS: dict[str, Literal["id", "title", "updated_at"]] = {
    "created_at": "id",  # ids are in the order of creation
    "title": "title",
    "updated_at": "updated_at",
}
_IF_EXISTS = Parameter(
    name="if_exists",
    kind=str,
    choices=("refuse", "publish"),
    default="refuse",
    description="When the title exists: refuse, or publish the next version (none when the content is the same).",
)
_STATUS = Parameter(name="status", kind=str, choices=("normal", "stopped"), description="Only with this status.")
_TEXT = Parameter(name="text", kind=str, description="Stands in the title; ASCII letters match in either case.")
_TAG = Parameter(name="tag", kind=str, description="Only with this tag.")
_SORT = Parameter(
    name="sort",
    kind=str,
    choices=("created_at", "-created_at", "title", "-title", "updated_at", "-updated_at"),
    default="created_at",
    description="The order; with a minus from the other end.",
)
_EACH_FIELD = "|".join(DAG_FIELDS)
_FIELDS = Parameter(
    name="fields",
    kind=str,
    pattern=f"({_EACH_FIELD})(,({_EACH_FIELD})){{0,{len(DAG_FIELDS) - 1}}}",
    description=f"Only these fields, with commas between: {', '.join(DAG_FIELDS)}.",
)
PAGE_MAX = 1_000  # whoever reads further uses the cursor, which costs no more for later pages
_PAGE = Parameter(
    name="page",
    kind=int,
    minimum=1,
    maximum=PAGE_MAX,
    description="Which page of `limit` DAGs, for clients without cursors; not beside `cursor`.",
)
_LIST_QUERY = (LIMIT, CURSOR, _PAGE, _TEXT, _TAG, _STATUS, _SORT, _FIELDS)


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
        body=DOCUMENT,
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
        query=_LIST_QUERY,
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
        body=DOCUMENT,
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
        answers=(
            Answer(status=200, description="The DAG.", shape=DagDetail, example=example, headers=("ETag",)),
            Answer(status=304, description="As it was read before.", media_type=""),
        ),
        problems=(DagNotFound,),
        takes_none_match=True,
    )


class _DagRoutes:
    def __init__(self, dags: DagAccess) -> None:
        self._dags = dags
        self._aside = Aside()

    async def create(self, call: Call) -> Reply:
        if_exists = read_query(call.query, (_IF_EXISTS,))["if_exists"]
        key = call.idempotency_key()
        form, data = await read_document_body(call)
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
        chosen = read_query(call.query, _LIST_QUERY)
        fields = _chosen_fields(chosen["fields"])
        sort, limit, page = chosen["sort"], chosen["limit"], chosen["page"]
        if page is not None and chosen["cursor"] is not None:
            message = "stands beside cursor; one of them says where the page begins"
            raise QueryInvalid(message, faults=[{"code": "request.query", "pointer": "?page", "message": message}])
        place = cursor_place(_cursor_kind(sort), chosen["cursor"], DagPlace | None, None)  # type: ignore[arg-type] # a union is a shape as well
        rows = await self._dags.list(
            call.scope,
            after=place,
            limit=limit,
            chosen=DagFilter(
                text=chosen["text"],
                tag=chosen["tag"],
                status=chosen["status"],
                sort=_SORTS[sort.removeprefix("-")],
                is_descending=sort.startswith("-"),
            ),
            offset=0 if page is None else (page - 1) * limit,
        )
        items = [_picked(row, fields) for row in rows]
        is_last = len(rows) < limit
        if page is not None:
            return numbered_page_reply(call, items, None if is_last or page == PAGE_MAX else page + 1)
        return page_reply(call, items, None if is_last else write_cursor(_cursor_kind(sort), place_of(rows[-1])))

    async def validate(self, call: Call) -> Reply:
        read_query(call.query, ())
        form, data = await read_document_body(call)
        found = await self._aside.run(lambda: self._dags.validate(call.scope, data, form), len(data))
        faults = msgspec.convert(found, tuple[FaultBody, ...])
        return Reply(200, msgspec.json.encode(Validity(not faults, faults)))

    async def get(self, call: Call) -> Reply:
        read_query(call.query, ())
        row, version = await self._dags.get(call.scope, path_id(call, "dag_id", DagNotFound))
        known = not_modified(call, dag_tag(row))
        if known is not None:
            return known
        detail = DagDetail(
            **msgspec.structs.asdict(dag_body(row)),
            document=msgspec.Raw(version.document),
            published_at=stamp(version.published_at),
            published_by=version.published_by,
            change_log=version.change_log,
        )
        return Reply(200, msgspec.json.encode(detail), headers=(etag_header(dag_tag(row)),))


def _created(call: Call, row: DagRow) -> Reply:
    location = f"{call.path}/{row.id}".encode()
    return Reply(201, msgspec.json.encode(dag_body(row)), headers=((b"location", location),))


def _cursor_kind(sort: str) -> str:
    return f"dags{sort}"


def _chosen_fields(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    return tuple(dict.fromkeys(text.split(",")))


def _picked(row: DagRow, fields: tuple[str, ...]) -> Any:
    body = dag_body(row)
    return {name: getattr(body, name) for name in fields} if fields else body
