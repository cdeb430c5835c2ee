"""Routes of acts on many instances: begin one, and look how far it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from core.access.kept_answers import KeyedRequest
from core.engine.batch_progress import BatchAction
from core.engine.instance_batch import IDS_COUNT_MAX, BatchView, BatchWish, InstanceBatches
from core.engine.instance_search import InstanceQuery
from core.errors import (
    BatchNotFound,
    BodyUndecodable,
    CommitUnknown,
    IdempotencyKeyReused,
    QueueFull,
    RequestInvalid,
    StoreFull,
)
from driver_adapters.http.dag_wire import LabelValues, TriggerKind, read_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported
from driver_adapters.http.kept_reply import pack_reply, request_hash, unpack_reply
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import Reason

_ID = "batchInstances"  # also the route that its idempotency keys belong to
_JSON_TYPE = frozenset({b"application/json"})
_COME_AGAIN = (b"retry-after", b"1")
_Ulid = Annotated[str, msgspec.Meta(pattern="^[0-9A-HJKMNP-TV-Z]{26}$")]
_Named = Annotated[tuple[_Ulid, ...], msgspec.Meta(min_length=1, max_length=IDS_COUNT_MAX)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class InstanceBatchFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which instances, as in the list; all that is said must hold. Without `status` all that the act concerns."""

    dag_id: Annotated[str, msgspec.Meta(min_length=1, max_length=26)] | msgspec.UnsetType = msgspec.UNSET
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | msgspec.UnsetType = msgspec.UNSET
    status: Literal["queued", "running", "waiting", "paused", "cancelling"] | msgspec.UnsetType = msgspec.UNSET
    trigger: TriggerKind | msgspec.UnsetType = msgspec.UNSET
    labels: LabelValues = {}
    created_from: _Time | msgspec.UnsetType = msgspec.UNSET
    created_to: _Time | msgspec.UnsetType = msgspec.UNSET


class InstanceBatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done, and to which instances: `ids` or `filter`; `dry_run` counts them and does nothing."""

    action: BatchAction
    reason: Reason = ""
    ids: _Named | msgspec.UnsetType = msgspec.UNSET
    filter: InstanceBatchFilter | msgspec.UnsetType = msgspec.UNSET
    dry_run: bool = False


class InstanceBatchRefusal(msgspec.Struct, frozen=True):
    """Why nothing happened to one instance; `code` as in a problem document."""

    id: str
    code: str
    detail: str


class InstanceBatchBody(msgspec.Struct, frozen=True, kw_only=True):
    """How far an act on many instances is.

    `done` were told, `refused` take no such act, `failed` could not be told; `refusals` names the first hundred of
    these. `total` is null when a filter names the instances.
    """

    id: str
    action: BatchAction
    reason: str
    by: str
    status: Literal["running", "done"]
    total: int | None
    done: int
    refused: int
    failed: int
    refusals: tuple[InstanceBatchRefusal, ...]
    created_at: str
    updated_at: str


class InstanceCountBody(msgspec.Struct, frozen=True):
    """How many instances the act would concern now; `has_more` = they were not counted further."""

    count: int
    has_more: bool


_EXAMPLE: dict[str, Any] = {
    "id": "01JD3VB0W1X2Y3Z4A5B6C7D8E9",
    "action": "pause",
    "reason": "the shop is closed",
    "by": "01JD3V5N8P9Q0R1S2T3V4W5X6Y",
    "status": "running",
    "total": None,
    "done": 150,
    "refused": 1,
    "failed": 0,
    "refusals": [
        {"id": "01JD3V7A2B3C4D5E6F7G8H9J0K", "code": "instance-ended", "detail": "instance ended as succeeded"}
    ],
    "created_at": "2026-01-31T08:30:01.000Z",
    "updated_at": "2026-01-31T08:30:01.250Z",
}
_ONE_OF_BOTH = {
    "$ref": "#/components/schemas/InstanceBatchRequest",
    "oneOf": [{"required": ["ids"]}, {"required": ["filter"]}],
}


def instance_batch_operations(batches: InstanceBatches) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _BatchRoutes(batches)
    return [_begin(routes), _get(routes)]


def _begin(routes: _BatchRoutes) -> Operation:
    return Operation(
        id=_ID,
        method="POST",
        path="/instances:batch",
        summary="Cancel, terminate, pause or resume many instances; goes on by itself, also after a crash",
        tag="Instances",
        handle=routes.begin,
        permission="instance:modify",
        body=RequestBody(
            media_types=("application/json",),
            shape=InstanceBatchRequest,
            schemas={"application/json": _ONE_OF_BOTH},
            description="What to do, and to which instances: `ids` or `filter`.",
            example={"action": "pause", "filter": {"labels": {"region": "eu"}}, "reason": "the shop is closed"},
        ),
        answers=(
            Answer(
                status=202,
                description="Stored, and carried out from now on; `Location` says how far it is.",
                shape=InstanceBatchBody,
                example={**_EXAMPLE, "done": 0, "refused": 0, "refusals": []},
                headers=("Location", "Retry-After"),
            ),
            Answer(
                status=200,
                description="With `dry_run`: how many it would concern; nothing was done.",
                shape=InstanceCountBody,
                example={"count": 151, "has_more": False},
            ),
        ),
        problems=(
            BodyUndecodable, RequestInvalid, IdempotencyKeyReused, QueueFull, CommitUnknown, StoreFull, BodyTooLarge,
            MediaTypeUnsupported, HeaderInvalid,
        ),
        takes_key=True,
    )  # fmt: skip


def _get(routes: _BatchRoutes) -> Operation:
    return Operation(
        id="readInstanceBatch",
        method="GET",
        path="/instances:batch/{batch_id}",
        summary="Say how far an act on many instances is",
        tag="Instances",
        handle=routes.get,
        permission="instance:view",
        answers=(Answer(status=200, description="How far it is.", shape=InstanceBatchBody, example=_EXAMPLE),),
        problems=(BatchNotFound,),
    )


class _BatchRoutes:
    def __init__(self, batches: InstanceBatches) -> None:
        self._batches = batches

    async def begin(self, call: Call) -> Reply:
        read_query(call.query, ())
        key = call.idempotency_key()
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_body(data, InstanceBatchRequest)
        wish = _wish(request)
        if request.dry_run:
            return Reply(200, msgspec.json.encode(await self._batches.count(call.scope, wish)))
        keyed = None if key is None else KeyedRequest(_ID, key, request_hash((), data))
        kept = None if keyed is None else await self._batches.recall(call.scope, keyed)
        if kept is None:
            kept = await self._batches.begin(call.scope, wish, keyed, lambda view: pack_reply(_accepted(call, view)))
        return unpack_reply(kept)

    async def get(self, call: Call) -> Reply:
        read_query(call.query, ())
        batch_id = path_id(call, "batch_id", BatchNotFound)
        return Reply(200, msgspec.json.encode(await self._batches.get(call.scope, batch_id)))


def _accepted(call: Call, view: BatchView) -> Reply:
    location = (b"location", f"{call.path}/{view.id}".encode("ascii", "replace"))
    return Reply(202, msgspec.json.encode(view), headers=(location, _COME_AGAIN))


def _wish(request: InstanceBatchRequest) -> BatchWish:
    """Give what is wanted.

    Raises:
        RequestInvalid: not one of ids and filter, or a version without its DAG.
    """
    ids, chosen = request.ids, request.filter
    if isinstance(chosen, msgspec.UnsetType) is isinstance(ids, msgspec.UnsetType):
        raise _refused("", "one of ids and filter says which instances are meant")
    if isinstance(chosen, InstanceBatchFilter):
        asked = {name: said for name, said in msgspec.structs.asdict(chosen).items() if said is not msgspec.UNSET}
        if "version" in asked and "dag_id" not in asked:
            raise _refused("/filter/version", "needs `dag_id`")
        return BatchWish(action=request.action, reason=request.reason, query=InstanceQuery(**asked))
    return BatchWish(action=request.action, reason=request.reason, ids=ids or ())


def _refused(pointer: str, message: str) -> RequestInvalid:
    return RequestInvalid(message, faults=[{"code": "request.schema", "pointer": pointer, "message": message}])
