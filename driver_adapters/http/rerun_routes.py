"""The route of reruns: an ended instance runs again, anew or from a step on (semantics.md S44)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from core.engine.rerun import InstanceReruns, RerunAsked
from core.errors import (
    BodyUndecodable,
    ConcurrencyReached,
    DagNotFound,
    DagStopped,
    HistoryTooLong,
    IdempotencyKeyReused,
    InputInvalid,
    InstanceNotEnded,
    InstanceNotFound,
    NodeStopping,
    OutcomeUnknown,
    QueueFull,
    RequestInvalid,
    StoreFull,
)
from driver_adapters.http.dag_wire import read_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported
from driver_adapters.http.instance_reading_routes import TASK_PATH_CHARACTERS_MAX
from driver_adapters.http.instance_routes import COME_AGAIN, EXAMPLE_STARTED
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import Priority, Reason, StartedBody

_JSON_TYPE = frozenset({b"application/json"})
VERSION_CHARACTERS_MAX = 32


class RerunRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an instance is run again.

    `from_step` is a task path (`load`, `fan.3.work`) or `@failed`: this and all downstream run anew, the rest is taken
    over; absent = all anew. Without `version`, `inputs` and `priority` they are those of the instance.
    """

    from_step: Annotated[str, msgspec.Meta(min_length=1, max_length=TASK_PATH_CHARACTERS_MAX)] | None = None
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=VERSION_CHARACTERS_MAX)] | None = None
    inputs: Any | msgspec.UnsetType = msgspec.UNSET
    reason: Reason = ""
    priority: Priority | None = None


def rerun_operations(reruns: InstanceReruns) -> list[Operation]:
    """Declare the route over this service."""
    return [
        Operation(
            id="rerunInstance",
            method="POST",
            path="/instances/{instance_id}/rerun",
            summary="Run an ended instance again: all of it, or from a step on",
            tag="Instances",
            handle=_RerunRoute(reruns).rerun,
            permission="dag:run",
            body=RequestBody(
                media_types=("application/json",),
                shape=RerunRequest,
                description="From where, on which version, with which inputs, and why; absent = all anew, as it was.",
                example={"from_step": "@failed", "reason": "the shop is up again"},
                is_required=False,
            ),
            answers=(
                Answer(
                    status=202,
                    description="Accepted: a new instance, linked by `rerun_of`.",
                    shape=StartedBody,
                    example=EXAMPLE_STARTED,
                    headers=("Location", "Retry-After"),
                ),
            ),
            problems=(
                InstanceNotFound, InstanceNotEnded, DagNotFound, DagStopped, ConcurrencyReached, InputInvalid,
                BodyUndecodable, RequestInvalid, HistoryTooLong, IdempotencyKeyReused, QueueFull, NodeStopping,
                OutcomeUnknown, StoreFull, BodyTooLarge, MediaTypeUnsupported, HeaderInvalid,
            ),
            takes_key=True,
        )
    ]  # fmt: skip


class _RerunRoute:
    def __init__(self, reruns: InstanceReruns) -> None:
        self._reruns = reruns

    async def rerun(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        key = call.idempotency_key()
        await self._reruns.check(call.scope, instance_id)  # before the body: what is not there has no shape of one
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_body(data, RerunRequest) if data else RerunRequest()
        asked = RerunAsked(
            from_step=request.from_step, version=request.version, inputs=request.inputs, reason=request.reason,
            priority=request.priority,
        )  # fmt: skip
        started = await self._reruns.rerun(call.scope, instance_id, asked, key=key)
        # Beside the route that was called, whatever the prefix: nothing of the Host header is trusted.
        place = f"{call.path[: call.path.rindex('/instances/')]}/instances/{started.instance_id}"
        location = (b"location", place.encode("ascii", "replace"))
        body = msgspec.json.encode(StartedBody(started.instance_id, started.status.value))
        return Reply(202, body, headers=(location, COME_AGAIN))
