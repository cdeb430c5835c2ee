"""Routes of instances: start, wait, list, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from core.engine.instance_search import InstanceQuery
from core.engine.service import NO_LABELS, InstanceService
from core.engine.views import TaskPlace
from core.errors import (
    BodyUndecodable,
    ConcurrencyReached,
    DagNotFound,
    DagStopped,
    IdempotencyKeyReused,
    InputInvalid,
    InstanceNotFound,
    NodeStopping,
    OutcomeUnknown,
    PayloadMissing,
    QueueFull,
    RequestInvalid,
    StoreFull,
)
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported
from driver_adapters.http.instance_query import (
    CONDITIONS,
    DAG_ID,
    LABEL_OF_START,
    PRIORITY_OF_START,
    TEXT,
    instance_query,
    labels_of,
    version_of,
)
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply, path_id
from driver_adapters.http.query import Parameter, read_query
from driver_adapters.http.wire import (
    InstanceBody,
    InstancePage,
    JournalPageBody,
    StartedBody,
    TaskPageBody,
    read_value,
)
from pkg.cursor import write_cursor

_JSON_TYPE = frozenset({b"application/json"})
_CURSOR_KIND = "instances"
COME_AGAIN = (b"retry-after", b"1")  # an instance is worth another look after a second; shorter waits use `?wait=`

_VERSION = Parameter(name="version", kind=str, length_max=32, description="Which version; absent = the newest.")
_WAIT = Parameter(
    name="wait", kind=float, minimum=0, maximum=60, default=0.0, description="Seconds to wait for the outcome."
)
_RUN_QUERY = (_VERSION, _WAIT, LABEL_OF_START, PRIORITY_OF_START)
_LIST_QUERY = (DAG_ID, version_of("`dag_id`"), *CONDITIONS, TEXT, LIMIT, CURSOR)

EXAMPLE_STARTED = {"id": "01JD3V7A2B3C4D5E6F7G8H9J0K", "status": "running"}
EXAMPLE_INSTANCE: dict[str, Any] = {
    "id": "01JD3V7A2B3C4D5E6F7G8H9J0K",
    "dag_id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
    "version": "v1.0.0",
    "status": "succeeded",
    "trigger": "manual",
    "labels": {"order": "4711"},
    "priority": None,
    "reason": None,
    "outputs": {"text": "Hello world"},
    "outputs_bytes": None,
    "error": None,
    "rerun_of": None,
    "parent": None,
    "created_at": "2026-01-31T08:30:01.000Z",
    "started_at": "2026-01-31T08:30:01.002Z",
    "ended_at": "2026-01-31T08:30:01.007Z",
    "updated_at": "2026-01-31T08:30:01.007Z",
}
_EXAMPLE_TASK: dict[str, Any] = {
    "path": "greet",
    "step": "greet",
    "status": "succeeded",
    "reason": None,
    "attempts": 1,
    "output": {"text": "Hello world"},
    "output_bytes": None,
    "error": None,
    "errors": None,
    "reused_from": None,
}
_EXAMPLE_ENTRY = {
    "seq": 1,
    "at": "2026-01-31T08:30:01.002Z",
    "events": [{"event": "task_succeeded", "frame": "", "index": 0, "output": {"text": "Hi"}}],
}


def instance_operations(instances: InstanceService) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _InstanceRoutes(instances)
    return [_run(routes), _list(routes), _get(routes), _tasks(routes), _journal(routes)]


def _run(routes: _InstanceRoutes) -> Operation:
    return Operation(
        id="runDag",
        method="POST",
        path="/dags/{dag_id}/run",
        summary="Start an instance; the body holds its inputs",
        tag="Instances",
        handle=routes.run,
        permission="dag:run",
        query=_RUN_QUERY,
        body=RequestBody(
            media_types=("application/json",),
            description="The inputs; absent = `{}`.",
            example={"name": "world"},
            is_required=False,
        ),
        answers=(
            Answer(
                status=202,
                description="Accepted: durable, will run to its end.",
                shape=StartedBody,
                example=EXAMPLE_STARTED,
                headers=("Location", "Retry-After"),
            ),
            Answer(
                status=200,
                description="With `wait`: it ended in time; its outcome.",
                shape=InstanceBody,
                example=EXAMPLE_INSTANCE,
                headers=("Location",),
            ),
        ),
        problems=(
            DagNotFound, DagStopped, ConcurrencyReached, InputInvalid, BodyUndecodable, IdempotencyKeyReused,
            QueueFull, NodeStopping, OutcomeUnknown, StoreFull, BodyTooLarge, MediaTypeUnsupported, HeaderInvalid,
        ),
        takes_key=True,
    )  # fmt: skip


def _list(routes: _InstanceRoutes) -> Operation:
    return Operation(
        id="listInstances",
        method="GET",
        path="/instances",
        summary="List instances, newest first, without their outcomes",
        tag="Instances",
        handle=routes.list,
        permission="instance:list",
        query=_LIST_QUERY,
        answers=(Answer(status=200, description="A page.", shape=InstancePage, example={"items": [EXAMPLE_INSTANCE]}),),
        problems=(RequestInvalid,),
    )


def _get(routes: _InstanceRoutes) -> Operation:
    return Operation(
        id="getInstance",
        method="GET",
        path="/instances/{instance_id}",
        summary="Read an instance and its outcome",
        tag="Instances",
        handle=routes.get,
        permission="instance:view",
        query=(_WAIT,),
        answers=(Answer(status=200, description="The instance.", shape=InstanceBody, example=EXAMPLE_INSTANCE),),
        problems=(InstanceNotFound, PayloadMissing),
    )


def _tasks(routes: _InstanceRoutes) -> Operation:
    return Operation(
        id="listTasks",
        method="GET",
        path="/instances/{instance_id}/tasks",
        summary="List the tasks that were entered",
        tag="Instances",
        handle=routes.tasks,
        permission="instance:view",
        query=(LIMIT, CURSOR),
        answers=(Answer(status=200, description="A page.", shape=TaskPageBody, example={"items": [_EXAMPLE_TASK]}),),
        problems=(InstanceNotFound, PayloadMissing),
    )


def _journal(routes: _InstanceRoutes) -> Operation:
    return Operation(
        id="readJournal",
        method="GET",
        path="/instances/{instance_id}/journal",
        summary="Read what happened, commit by commit",
        tag="Instances",
        handle=routes.journal,
        permission="instance:view",
        query=(LIMIT, CURSOR),
        answers=(
            Answer(status=200, description="A page.", shape=JournalPageBody, example={"items": [_EXAMPLE_ENTRY]}),
        ),
        problems=(InstanceNotFound,),
    )


async def instance_page(
    call: Call, instances: InstanceService, query: InstanceQuery, chosen: Mapping[str, Any]
) -> Reply:
    """Answer a page of instances; `chosen` holds its `limit` and `cursor`."""
    before = cursor_place(_CURSOR_KIND, chosen["cursor"], str, "") or None
    page = await instances.list(call.scope, query, before=before, limit=chosen["limit"])
    return page_reply(call, page.items, None if page.next is None else write_cursor(_CURSOR_KIND, page.next))


class _InstanceRoutes:
    def __init__(self, instances: InstanceService) -> None:
        self._instances = instances

    async def run(self, call: Call) -> Reply:
        dag_id = path_id(call, "dag_id", DagNotFound)
        chosen = read_query(call.query, _RUN_QUERY)
        key = call.idempotency_key()
        _, data = await call.body(allowed=_JSON_TYPE)
        inputs = read_value(data) if data else {}
        scope = call.scope
        labels = labels_of(chosen["label"]) if chosen["label"] else NO_LABELS
        started = await self._instances.start(
            scope, dag_id, inputs, version=chosen["version"], key=key, labels=labels, priority=chosen["priority"]
        )
        # Beside the route that was called, whatever the prefix: nothing of the Host header is trusted.
        prefix = call.path[: call.path.rindex("/dags/")]
        location = (b"location", f"{prefix}/instances/{started.instance_id}".encode("ascii", "replace"))
        if chosen["wait"]:
            ended = await self._instances.wait(scope, started.instance_id, chosen["wait"])
            if ended is not None:
                return Reply(200, msgspec.json.encode(ended), headers=(location,))
        # Laid together by hand: both texts are our own and need no escaping, and this is the busiest answer.
        body = f'{{"id":"{started.instance_id}","status":"{started.status}"}}'.encode()
        return Reply(202, body, headers=(location, COME_AGAIN))

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, _LIST_QUERY)
        query = instance_query(chosen, dag_id=chosen["dag_id"])
        return await instance_page(call, self._instances, query, chosen)

    async def get(self, call: Call) -> Reply:
        chosen = read_query(call.query, (_WAIT,))
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        shown = await self._instances.get(call.scope, instance_id)
        if chosen["wait"] and shown.ended_at is None:
            shown = await self._instances.wait(call.scope, instance_id, chosen["wait"]) or shown
        return Reply(200, msgspec.json.encode(shown))

    async def tasks(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        place = cursor_place("tasks", chosen["cursor"], TaskPlace, TaskPlace())
        page = await self._instances.tasks(call.scope, instance_id, place=place, limit=chosen["limit"])
        cursor = None if page.next is None else write_cursor("tasks", page.next)
        return page_reply(call, page.tasks, cursor)

    async def journal(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        after_seq = cursor_place("journal", chosen["cursor"], int, 0)
        page = await self._instances.journal(call.scope, instance_id, after_seq=after_seq, limit=chosen["limit"])
        cursor = None if page.next is None else write_cursor("journal", page.next)
        return page_reply(call, page.entries, cursor)
