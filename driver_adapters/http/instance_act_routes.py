"""Routes of acts on a whole instance: cancel, terminate, pause, resume (semantics.md S41, S42)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from core.engine.service import InstanceService, Told
from core.errors import (
    BodyUndecodable,
    FlowError,
    InstanceEnded,
    InstanceNotFound,
    InstanceNotOpen,
    NodeStopping,
    QueueFull,
    RequestInvalid,
)
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, MediaTypeUnsupported
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import EndedBody, EndRequest, read_end_request

_JSON_TYPE = frozenset({b"application/json"})
_EXAMPLE_ID = "01JD3V7A2B3C4D5E6F7G8H9J0K"


class _About(NamedTuple):
    """What is told of one act: its summary, its answer, the status that its example shows, problems of its own."""

    summary: str
    answer: str
    status: str
    problems: tuple[type[FlowError], ...] = ()


_ACTS: dict[Told, _About] = {
    "cancel": _About(
        "Cancel: running attempts get 30 s, `finally` lists run",
        "Accepted, also when it was cancelled before.",
        "cancelling",
    ),
    "terminate": _About(
        "Terminate: end at once, without grace", "Accepted, also when it was cancelled before.", "cancelling"
    ),
    "pause": _About(
        "Pause: running attempts end and count, nothing starts until it is resumed",
        "Accepted, also when it was paused before.",
        "paused",
        (InstanceNotOpen,),
    ),
    "resume": _About(
        "Resume: a paused instance goes on",
        "Accepted, also when it was not paused.",
        "running",
        (InstanceNotOpen,),
    ),
}


def instance_act_operations(instances: InstanceService) -> list[Operation]:
    """Declare the routes over this service."""
    return [_operation(_ActRoute(instances, what), about) for what, about in _ACTS.items()]


def _operation(route: _ActRoute, about: _About) -> Operation:
    return Operation(
        id=f"{route.what}Instance",
        method="POST",
        path=f"/instances/{{instance_id}}/{route.what}",
        summary=about.summary,
        tag="Instances",
        handle=route.act,
        permission="instance:modify",
        body=RequestBody(
            media_types=("application/json",),
            shape=EndRequest,
            description="Why.",
            example={"reason": "started by mistake"},
            is_required=False,
        ),
        answers=(
            Answer(
                status=202,
                description=about.answer,
                shape=EndedBody,
                example={"id": _EXAMPLE_ID, "status": about.status},
            ),
        ),
        problems=(
            InstanceNotFound,
            InstanceEnded,
            *about.problems,
            BodyUndecodable,
            RequestInvalid,
            QueueFull,
            NodeStopping,
            BodyTooLarge,
            MediaTypeUnsupported,
        ),
    )


class _ActRoute:
    def __init__(self, instances: InstanceService, what: Told) -> None:
        self.what = what
        self._instances = instances

    async def act(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_end_request(data)
        status = await self._instances.tell(call.scope, instance_id, self.what, request.reason)
        return Reply(202, msgspec.json.encode(EndedBody(instance_id, status.value)))
