"""Routes of acts on a task: skip, complete, fail, retry by hand (semantics.md S43)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from core.engine.service import REASON_CHARACTERS_MAX, InstanceService, TaskAct
from core.errors import (
    BodyUndecodable,
    InstanceEnded,
    InstanceNotFound,
    NodeStopping,
    QueueFull,
    RequestInvalid,
    TaskNotFound,
    TaskNotOpen,
)
from core.executor.error_kind import ERROR_KINDS
from core.executor.pipeline import MESSAGE_CHARS_MAX
from driver_adapters.http.dag_wire import read_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, MediaTypeUnsupported
from driver_adapters.http.instance_reading_routes import TASK_PATH_CHARACTERS_MAX
from driver_adapters.http.instance_routes import EXAMPLE_STARTED
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import EndedBody

_JSON_TYPE = frozenset({b"application/json"})
_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]


class RetryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a task is tried again at once."""

    reason: _Reason


class SkipRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a task is skipped, and perhaps the output that later steps read of it."""

    reason: _Reason
    output: Any | msgspec.UnsetType = msgspec.UNSET


class CompleteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a task counts as succeeded, and its output."""

    reason: _Reason
    output: Any


class GivenError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of semantics.md S13, and a sentence."""

    kind: Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(sorted(ERROR_KINDS))})$")] = "failed"
    message: Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARS_MAX)] = ""


class FailRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a task fails, and with which error."""

    reason: _Reason
    error: GivenError = GivenError()


_SHAPES: dict[str, tuple[type[Any], str, dict[str, Any]]] = {
    "skip": (SkipRequest, "Skip a task that does not run", {"reason": "the shop is closed", "output": {"rows": 0}}),
    "complete": (CompleteRequest, "Let a task that does not run succeed", {"reason": "booked by hand", "output": 7}),
    "fail": (
        FailRequest,
        "Let a task that does not run fail",
        {"reason": "it was not booked", "error": {"kind": "failed", "message": "not booked"}},
    ),
    "retry": (RetryRequest, "Try a task again at once", {"reason": "the other side is up again"}),
}


def task_act_operations(instances: InstanceService) -> list[Operation]:
    """Declare the routes over this service."""
    return [_operation(_ActRoute(instances, name, shape), name, *told) for name, (shape, *told) in _SHAPES.items()]


def _operation(route: _ActRoute, name: str, summary: Any, example: Any) -> Operation:
    return Operation(
        id=f"{name}Task",
        method="POST",
        path=f"/instances/{{instance_id}}/tasks/{{task}}/{name}",
        summary=summary,
        tag="Instances",
        handle=route.act,
        permission="instance:modify",
        body=RequestBody(
            media_types=("application/json",),
            shape=route.shape,
            description="Why, and what comes of it.",
            example=example,
        ),
        answers=(
            Answer(
                status=202,
                description="Done, and stands in the journal with who did it and why.",
                shape=EndedBody,
                example=EXAMPLE_STARTED,
            ),
        ),
        problems=(
            InstanceNotFound,
            TaskNotFound,
            InstanceEnded,
            TaskNotOpen,
            BodyUndecodable,
            RequestInvalid,
            QueueFull,
            NodeStopping,
            BodyTooLarge,
            MediaTypeUnsupported,
        ),
    )


class _ActRoute:
    def __init__(self, instances: InstanceService, name: str, shape: type[Any]) -> None:
        self.shape = shape
        self._instances = instances
        self._name: Any = name

    async def act(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        await self._instances.check(call.scope, instance_id)  # before the body: what is not there has no shape of one
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_body(data, self.shape)
        error = getattr(request, "error", GivenError())
        act = TaskAct(
            act=self._name,
            path=call.path_values["task"][:TASK_PATH_CHARACTERS_MAX],
            reason=request.reason,
            output=getattr(request, "output", msgspec.UNSET),
            error_kind=error.kind,
            message=error.message,
        )
        status = await self._instances.act(call.scope, instance_id, act)
        return Reply(202, msgspec.json.encode(EndedBody(instance_id, status.value)))
