"""Routes of what comes from outside to instances that wait: signals (semantics.md S26)."""

from __future__ import annotations

import msgspec

from core.engine.answering import Answering
from core.engine.service import InstanceService
from core.engine.signals import SIGNAL_BYTES_MAX
from core.errors import (
    BodyUndecodable,
    IdempotencyKeyReused,
    InstanceEnded,
    InstanceNotFound,
    NodeStopping,
    OutcomeUnknown,
    QueueFull,
    RequestInvalid,
    SignalsFull,
)
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported
from driver_adapters.http.instance_routes import EXAMPLE_STARTED
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import EndedBody, read_value

_JSON_TYPE = frozenset({b"application/json"})
_SIGNAL_NAME_CHARACTERS_MAX = 129  # one more than a name may have, so that a longer one is none


def answer_operations(instances: InstanceService, answering: Answering) -> list[Operation]:
    """Declare the routes over these services."""
    routes = _AnswerRoutes(instances, answering)
    return [
        Operation(
            id="signalInstance",
            method="POST",
            path="/instances/{instance_id}/signals/{name}",
            summary="Give an instance a signal, which a wait takes now or later",
            tag="Instances",
            handle=routes.signal,
            permission="instance:modify",
            body=RequestBody(
                media_types=("application/json",),
                description=f"Any JSON of at most {SIGNAL_BYTES_MAX} bytes; absent = `null`.",
                example={"order": 4711, "paid": True},
                is_required=False,
            ),
            answers=(
                Answer(
                    status=202,
                    description="It is durable, and kept until a wait takes it.",
                    shape=EndedBody,
                    example={"id": EXAMPLE_STARTED["id"], "status": "waiting"},
                ),
            ),
            problems=(
                InstanceNotFound,
                InstanceEnded,
                BodyUndecodable,
                RequestInvalid,
                IdempotencyKeyReused,
                SignalsFull,
                QueueFull,
                NodeStopping,
                OutcomeUnknown,
                BodyTooLarge,
                MediaTypeUnsupported,
                HeaderInvalid,
            ),
            takes_key=True,
        )
    ]


class _AnswerRoutes:
    def __init__(self, instances: InstanceService, answering: Answering) -> None:
        self._instances = instances
        self._answering = answering

    async def signal(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        key = call.idempotency_key()
        await self._instances.check(call.scope, instance_id)  # before the body: what is not there takes nothing
        _, data = await call.body(allowed=_JSON_TYPE)
        value = read_value(data) if data else None
        name = call.path_values["name"][:_SIGNAL_NAME_CHARACTERS_MAX]
        status = await self._answering.signal(call.scope, instance_id, name, value, key=key)
        return Reply(202, msgspec.json.encode(EndedBody(instance_id, status.value)))
