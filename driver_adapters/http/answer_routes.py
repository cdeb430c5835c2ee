"""Routes of what comes from outside to instances that wait: signals and callbacks (semantics.md S26, S27)."""

from __future__ import annotations

import msgspec

from core.access.request_rates import RequestRates
from core.engine.answering import Answering, CallbackBody
from core.engine.service import InstanceService
from core.engine.signals import SIGNAL_BYTES_MAX, SIGNAL_NAME
from core.errors import (
    BodyUndecodable,
    CallbackNotFound,
    CallbackOver,
    IdempotencyKeyReused,
    InstanceEnded,
    InstanceNotFound,
    NodeStopping,
    OutcomeUnknown,
    QueueFull,
    RateLimited,
    RequestInvalid,
    SignalsFull,
)
from core.ports.rate_limiter import RateStanding
from driver_adapters.http.dag_wire import read_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported, RouteNotFound
from driver_adapters.http.instance_routes import EXAMPLE_STARTED
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.rates import peer_of
from driver_adapters.http.wire import EndedBody, read_value

_JSON_TYPE = frozenset({b"application/json"})


def answer_operations(instances: InstanceService, answering: Answering, rates: RequestRates) -> list[Operation]:
    """Declare the routes over these services."""
    routes = _AnswerRoutes(instances, answering)
    return [_signal(routes), _callback(_CallbackRoute(answering, rates))]


def _signal(routes: _AnswerRoutes) -> Operation:
    return Operation(
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


def _callback(route: _CallbackRoute) -> Operation:
    return Operation(
        id="callBack",
        method="POST",
        path="/callbacks/{token}",
        summary="End a wait by its callback; the token in the URL is the credential",
        tag="Instances",
        handle=route.call_back,
        body=RequestBody(
            media_types=("application/json",),
            shape=CallbackBody,
            description=f"What came of the work, at most {SIGNAL_BYTES_MAX} bytes; absent = it succeeded.",
            example={"status": "succeeded", "data": {"parcel": "LX-4711"}},
            is_required=False,
        ),
        answers=(Answer(status=202, description="Taken, for good.", shape=TakenBody, example={"taken": True}),),
        problems=(
            CallbackNotFound,
            CallbackOver,
            BodyUndecodable,
            RequestInvalid,
            RateLimited,
            QueueFull,
            NodeStopping,
            OutcomeUnknown,
            BodyTooLarge,
            MediaTypeUnsupported,
        ),
    )


class TakenBody(msgspec.Struct, frozen=True):
    """A call was taken."""

    taken: bool


class _CallbackRoute:
    """Open to everybody: tokens that are none are counted by address, as keys that are none."""

    def __init__(self, answering: Answering, rates: RequestRates) -> None:
        self._answering = answering
        self._rates = rates

    async def call_back(self, call: Call) -> Reply:
        address = peer_of({"client": call.client})
        self._require_room(await self._rates.look_at(address), address)
        try:
            await self._take(call)
        except (CallbackNotFound, CallbackOver):
            self._require_room(await self._rates.count_denied(address), address)
            raise
        return Reply(202, msgspec.json.encode(TakenBody(taken=True)))

    async def _take(self, call: Call) -> None:
        read_query(call.query, ())
        token = call.path_values["token"]
        self._answering.read(token)  # before the body: what is no token takes nothing
        _, data = await call.body(allowed=_JSON_TYPE)
        await self._answering.call_back(token, read_body(data, CallbackBody) if data else CallbackBody())

    def _require_room(self, standing: RateStanding | None, address: str) -> None:
        if standing is not None and standing.is_refused:
            raise self._rates.refusal(standing, address)


class _AnswerRoutes:
    def __init__(self, instances: InstanceService, answering: Answering) -> None:
        self._instances = instances
        self._answering = answering

    async def signal(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        name = call.path_values["name"]
        if not SIGNAL_NAME.fullmatch(name):
            raise RouteNotFound("a signal's name has letters, digits and _ . : -, at most 128, and begins with no mark")
        key = call.idempotency_key()
        await self._instances.check(call.scope, instance_id)  # before the body: what is not there takes nothing
        _, data = await call.body(allowed=_JSON_TYPE)
        value = read_value(data) if data else None
        status = await self._answering.signal(call.scope, instance_id, name, value, key=key)
        return Reply(202, msgspec.json.encode(EndedBody(instance_id, status.value)))
