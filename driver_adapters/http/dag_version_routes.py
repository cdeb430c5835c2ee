"""Routes of versions: list, read, publish the draft, roll back, compare, draw."""

from __future__ import annotations

import msgspec

from core.access.dag_access import DagAccess, Shown
from core.access.kept_answers import KeyedRequest
from core.access.version_access import VersionAccess
from core.dag.service import Draft, Upon
from core.errors import (
    BodyUndecodable,
    DagChanged,
    DagInvalid,
    DagNotFound,
    DagTitleTaken,
    DagVersionTaken,
    DraftMissing,
    IdempotencyKeyReused,
    OutcomeUnknown,
    QueueFull,
    RequestInvalid,
    StoreFull,
)
from core.ports.definition_store import DagRow
from core.ports.scope import Scope
from driver_adapters.http.aside import Aside
from driver_adapters.http.conditions import etag_header, not_modified
from driver_adapters.http.dag_document import EXAMPLE_DAG, EXAMPLE_DOCUMENT
from driver_adapters.http.dag_wire import (
    DiffBody,
    GraphBody,
    PublishRequest,
    VersionDetail,
    VersionPage,
    dag_body,
    read_body,
    version_body,
)
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported
from driver_adapters.http.kept_reply import pack_reply, request_hash, unpack_reply
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply, path_id
from driver_adapters.http.query import Parameter, read_query
from driver_adapters.http.wire import DagBody
from pkg.cursor import write_cursor

_JSON_TYPE = frozenset({b"application/json"})
_CURSOR_KIND = "versions"
_PUBLISH_ID = "publishDraft"  # also the routes that their idempotency keys belong to
_ROLLBACK_ID = "rollbackDag"
_VERSION = Parameter(name="version", kind=str, length_max=32, description="Which version; absent = the newest.")
_EXAMPLE_VERSION = {
    "version": "v1.0.0",
    "content_hash": EXAMPLE_DAG["content_hash"],
    "change_log": "",
    "published_at": EXAMPLE_DAG["created_at"],
    "published_by": "01JD3V6Q0R5M9T8W7X2Y4Z1A3C",
}
_EXAMPLE_DIFF = {
    "is_same_content": False,
    "added": [{"id": "thank", "pointer": "/steps/1"}],
    "removed": [],
    "changed": [{"id": "greet", "pointer": "/steps/0", "other_pointer": "/steps/0", "fields": ["parameters"]}],
    "rewired": [],
    "fields": ["/outputs"],
}
_EXAMPLE_GRAPH = {
    "nodes": [
        {
            "id": "greet",
            "title": "greet",
            "operator": "@debug/noop",
            "pointer": "/steps/0",
            "group": "steps",
            "when": None,
            "join": "all_succeeded",
            "on_error": "fail",
        }
    ],
    "edges": [],
    "groups": [{"id": "steps", "name": "steps", "owner": None, "when": None}],
}
_PUBLISHED = Answer(
    status=201,
    description="The DAG with its newest version; the version that stands when the content is the same.",
    shape=DagBody,
    example=EXAMPLE_DAG,
    headers=("Location",),
)
_PUBLISHING = (
    DagNotFound, DagInvalid, DagChanged, DagTitleTaken, DagVersionTaken, IdempotencyKeyReused, OutcomeUnknown,
    QueueFull, StoreFull, HeaderInvalid,
)  # fmt: skip


def dag_version_operations(dags: DagAccess, versions: VersionAccess) -> list[Operation]:
    """Declare the routes over these services."""
    routes = _VersionRoutes(dags, versions)
    return [_list(routes), _publish(routes), _get(routes), _diff(routes), _rollback(routes), _graph(routes)]


def _list(routes: _VersionRoutes) -> Operation:
    return Operation(
        id="listVersions",
        method="GET",
        path="/dags/{dag_id}/versions",
        summary="List the published versions, newest first",
        tag="Versions",
        handle=routes.list,
        permission="dag:view",
        query=(LIMIT, CURSOR),
        answers=(Answer(status=200, description="A page.", shape=VersionPage, example={"items": [_EXAMPLE_VERSION]}),),
        problems=(DagNotFound,),
    )


def _publish(routes: _VersionRoutes) -> Operation:
    return Operation(
        id=_PUBLISH_ID,
        method="POST",
        path="/dags/{dag_id}/versions",
        summary="Publish the draft as the next version",
        tag="Versions",
        handle=routes.publish,
        permission="dag:modify",
        body=RequestBody(
            media_types=("application/json",),
            shape=PublishRequest,
            description="Its version and what changed, when the draft does not say so.",
            example={"version": "v1.1.0", "change_log": "greets twice"},
            is_required=False,
        ),
        answers=(_PUBLISHED,),
        problems=(
            *_PUBLISHING, DraftMissing, BodyUndecodable, RequestInvalid, BodyTooLarge, MediaTypeUnsupported,
        ),
        takes_key=True,
    )  # fmt: skip


def _get(routes: _VersionRoutes) -> Operation:
    example = _EXAMPLE_VERSION | {"dag_id": EXAMPLE_DAG["id"], "document": EXAMPLE_DOCUMENT}
    return Operation(
        id="getVersion",
        method="GET",
        path="/dags/{dag_id}/versions/{version}",
        summary="Read a version as it was published",
        tag="Versions",
        handle=routes.get,
        permission="dag:view",
        answers=(
            Answer(status=200, description="The version.", shape=VersionDetail, example=example, headers=("ETag",)),
            Answer(status=304, description="As it was read before.", media_type=""),
        ),
        problems=(DagNotFound,),
        takes_none_match=True,
    )


def _diff(routes: _VersionRoutes) -> Operation:
    return Operation(
        id="diffVersions",
        method="GET",
        path="/dags/{dag_id}/versions/{version}/diff/{other_version}",
        summary="Compare two versions: steps added, removed, changed, rewired",
        tag="Versions",
        handle=routes.diff,
        permission="dag:view",
        answers=(Answer(status=200, description="The differences.", shape=DiffBody, example=_EXAMPLE_DIFF),),
        problems=(DagNotFound, QueueFull),
    )


def _rollback(routes: _VersionRoutes) -> Operation:
    return Operation(
        id=_ROLLBACK_ID,
        method="POST",
        path="/dags/{dag_id}/versions/{version}/rollback",
        summary="Publish the content of an old version as the next one",
        tag="Versions",
        handle=routes.rollback,
        permission="dag:modify",
        answers=(_PUBLISHED,),
        problems=_PUBLISHING,
        takes_key=True,
    )


def _graph(routes: _VersionRoutes) -> Operation:
    return Operation(
        id="readGraph",
        method="GET",
        path="/dags/{dag_id}/graph",
        summary="Read what a drawing needs: nodes, edges, groups",
        tag="Versions",
        handle=routes.graph,
        permission="dag:view",
        query=(_VERSION,),
        answers=(Answer(status=200, description="The drawing.", shape=GraphBody, example=_EXAMPLE_GRAPH),),
        problems=(DagNotFound, QueueFull),
    )


class _VersionRoutes:
    def __init__(self, dags: DagAccess, versions: VersionAccess) -> None:
        self._dags = dags
        self._versions = versions
        self._aside = Aside()

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        dag_id = path_id(call, "dag_id", DagNotFound)
        before = cursor_place(_CURSOR_KIND, chosen["cursor"], str, "") or None
        rows = await self._versions.versions(call.scope, dag_id, before=before, limit=chosen["limit"])
        cursor = write_cursor(_CURSOR_KIND, rows[-1].version) if len(rows) == chosen["limit"] else None
        return page_reply(call, [version_body(row) for row in rows], cursor)

    async def get(self, call: Call) -> Reply:
        read_query(call.query, ())
        dag_id = path_id(call, "dag_id", DagNotFound)
        row = await self._versions.version(call.scope, dag_id, call.path_values["version"])
        tag = f"{row.version}-{row.content_hash}"
        known = not_modified(call, tag)
        if known is not None:
            return known
        body = VersionDetail(
            **msgspec.structs.asdict(version_body(row)), dag_id=row.dag_id, document=msgspec.Raw(row.document)
        )
        return Reply(200, msgspec.json.encode(body), headers=(etag_header(tag),))

    async def publish(self, call: Call) -> Reply:
        read_query(call.query, ())
        dag_id = (await self._dags.find(call.scope, path_id(call, "dag_id", DagNotFound), "modify")).id
        key = call.idempotency_key()
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_body(data, PublishRequest) if data else PublishRequest()
        keyed = None if key is None else KeyedRequest(_PUBLISH_ID, key, request_hash((dag_id,), data))
        kept = None if keyed is None else await self._dags.recall(call.scope, keyed, "modify")
        if kept is not None:
            return unpack_reply(kept)
        document, revision = await self._versions.saved_draft(call.scope, dag_id)
        given = {name: value for name, value in msgspec.structs.asdict(request).items() if value is not None}
        return await self._published(call, dag_id, _with(document, given), keyed, Upon(draft_revision=revision))

    async def rollback(self, call: Call) -> Reply:
        read_query(call.query, ())
        dag_id = path_id(call, "dag_id", DagNotFound)
        version = call.path_values["version"]
        document = await self._versions.rollback_document(call.scope, dag_id, version)
        key = call.idempotency_key()
        keyed = None if key is None else KeyedRequest(_ROLLBACK_ID, key, request_hash((dag_id, version), b""))
        kept = None if keyed is None else await self._dags.recall(call.scope, keyed, "modify")
        if kept is not None:
            return unpack_reply(kept)
        return await self._published(call, dag_id, document, keyed, Upon())

    async def _published(
        self, call: Call, dag_id: str, document: bytes, keyed: KeyedRequest | None, upon: Upon
    ) -> Reply:
        scope = call.scope
        draft = await self._aside.run(lambda: self._dags.read(scope, document, "json", "modify"), len(document))
        prefix = call.path[: call.path.rindex(f"/{dag_id}/")]

        def reply(row: DagRow) -> Reply:
            location = f"{prefix}/{dag_id}/versions/{row.version}".encode("ascii", "replace")
            return Reply(201, msgspec.json.encode(dag_body(row)), headers=((b"location", location),))

        if keyed is None:
            return reply(await self._dags.publish(scope, dag_id, draft, upon))
        return await self._once(scope, dag_id, draft, keyed, lambda row: pack_reply(reply(row)), upon)

    async def _once(
        self, scope: Scope, dag_id: str, draft: Draft, keyed: KeyedRequest, shown: Shown, upon: Upon
    ) -> Reply:
        return unpack_reply(await self._dags.publish_once(scope, dag_id, draft, keyed, shown, upon))

    async def diff(self, call: Call) -> Reply:
        read_query(call.query, ())
        dag_id = path_id(call, "dag_id", DagNotFound)
        one = await self._versions.version(call.scope, dag_id, call.path_values["version"])
        two = await self._versions.version(call.scope, dag_id, call.path_values["other_version"])
        length = len(one.document) + len(two.document)
        found = await self._aside.run(lambda: msgspec.json.encode(self._versions.diff(one, two)), length)
        return Reply(200, found)

    async def graph(self, call: Call) -> Reply:
        version = read_query(call.query, (_VERSION,))["version"]
        row = await self._versions.version(call.scope, path_id(call, "dag_id", DagNotFound), version)
        found = await self._aside.run(lambda: msgspec.json.encode(self._versions.graph(row)), len(row.document))
        return Reply(200, found)


def _with(document: bytes, given: dict[str, str]) -> bytes:
    """Put what the request says of the version into the draft."""
    return msgspec.json.encode(msgspec.json.decode(document) | given) if given else document
