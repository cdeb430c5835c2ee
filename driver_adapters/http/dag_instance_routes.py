"""Routes of all instances of one DAG: list them, cancel them."""

from __future__ import annotations

import msgspec

from core.engine.dag_cancel import CancelFilter, DagInstances
from core.engine.service import InstanceService
from core.engine.state import InstanceStatus
from core.errors import BodyUndecodable, DagNotFound, NodeStopping, QueueFull, RequestInvalid
from driver_adapters.http.dag_wire import CancelFilterRequest, CancelledBody, CancelRequest, read_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, MediaTypeUnsupported
from driver_adapters.http.instance_query import CONDITIONS, instance_query, version_of
from driver_adapters.http.instance_routes import EXAMPLE_INSTANCE, instance_page
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import CURSOR, LIMIT, path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import InstancePage

_JSON_TYPE = frozenset({b"application/json"})
_QUERY = (version_of("it"), *CONDITIONS, LIMIT, CURSOR)


def dag_instance_operations(of_dag: DagInstances, instances: InstanceService) -> list[Operation]:
    """Declare the routes over these services."""
    routes = _DagInstanceRoutes(of_dag, instances)
    return [_list(routes), _cancel(routes)]


def _list(routes: _DagInstanceRoutes) -> Operation:
    return Operation(
        id="listDagInstances",
        method="GET",
        path="/dags/{dag_id}/instances",
        summary="List the instances of a DAG, newest first, without their outcomes",
        tag="Instances",
        handle=routes.list,
        permission="instance:list",
        query=_QUERY,
        answers=(Answer(status=200, description="A page.", shape=InstancePage, example={"items": [EXAMPLE_INSTANCE]}),),
        problems=(DagNotFound,),
    )


def _cancel(routes: _DagInstanceRoutes) -> Operation:
    return Operation(
        id="cancelDag",
        method="POST",
        path="/dags/{dag_id}/cancel",
        summary="Cancel a DAG's instances that have not ended, or those in a filter, at most 1 000 per request",
        tag="Instances",
        handle=routes.cancel,
        permission="instance:modify",
        body=RequestBody(
            media_types=("application/json",),
            shape=CancelRequest,
            description="Why, which ones, and whether they are only counted.",
            example={"reason": "started by mistake", "filter": {"version": "v1.0.0"}},
            is_required=False,
        ),
        answers=(
            Answer(
                status=202,
                description="Told to end; each ends as after its own cancel.",
                shape=CancelledBody,
                example={"count": 12, "has_more": False},
            ),
            Answer(
                status=200,
                description="With `dry_run`: how many would be told; nothing was done.",
                shape=CancelledBody,
                example={"count": 12, "has_more": False},
            ),
        ),
        problems=(
            DagNotFound, BodyUndecodable, RequestInvalid, QueueFull, NodeStopping, BodyTooLarge, MediaTypeUnsupported,
        ),
    )  # fmt: skip


class _DagInstanceRoutes:
    def __init__(self, of_dag: DagInstances, instances: InstanceService) -> None:
        self._of_dag = of_dag
        self._instances = instances

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, _QUERY)
        dag_id = path_id(call, "dag_id", DagNotFound)
        query = instance_query(chosen, dag_id=dag_id)
        await self._of_dag.check(call.scope, dag_id)
        return await instance_page(call, self._instances, query, chosen)

    async def cancel(self, call: Call) -> Reply:
        read_query(call.query, ())
        dag_id = path_id(call, "dag_id", DagNotFound)
        await self._of_dag.check(call.scope, dag_id)
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_body(data, CancelRequest) if data else CancelRequest()
        chosen = _chosen(request.filter)
        done = await self._of_dag.cancel(call.scope, dag_id, request.reason, chosen, is_dry_run=request.dry_run)
        body = msgspec.json.encode(CancelledBody(done.count, done.has_more))
        return Reply(200 if request.dry_run else 202, body)


def _chosen(asked: CancelFilterRequest) -> CancelFilter:
    return CancelFilter(
        status=None if asked.status is msgspec.UNSET else InstanceStatus(asked.status),
        version=None if asked.version is msgspec.UNSET else asked.version,
        trigger=None if asked.trigger is msgspec.UNSET else asked.trigger,
        labels=asked.labels,
        created_from=None if asked.created_from is msgspec.UNSET else asked.created_from,
        created_to=None if asked.created_to is msgspec.UNSET else asked.created_to,
    )
