"""Routes of people who decide: the decisions that wait for them, and taking one (semantics.md S28)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from core.engine.approving import COMMENT_CHARACTERS_MAX, ApprovalView, Approving
from core.errors import (
    ApprovalNotFound,
    BodyUndecodable,
    NodeStopping,
    OutcomeUnknown,
    QueueFull,
    RequestInvalid,
)
from driver_adapters.http.dag_wire import read_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, MediaTypeUnsupported
from driver_adapters.http.instance_routes import EXAMPLE_STARTED
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply, path_id
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import EndedBody
from pkg.cursor import write_cursor

_JSON_TYPE = frozenset({b"application/json"})
_CURSOR_KIND = "approvals"
_EXAMPLE: dict[str, Any] = {
    "id": "01JD3V7B9Q4M8S7W6X5Y3Z2A1C",
    "title": "Refund order 4711?",
    "instance_id": EXAMPLE_STARTED["id"],
    "dag_id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
    "version": "v1.0.0",
    "task": "refund",
    "form": {"type": "object", "properties": {"amount": {"type": "number"}}},
    "approvers": ["role:approver"],
    "since": "2026-01-31T08:30:01.002Z",
    "due_at": None,
}


class ApprovalPageBody(msgspec.Struct, frozen=True):
    """Open decisions, oldest first; `next` is the cursor of the page that follows, null = there is none."""

    items: tuple[ApprovalView, ...]
    next: str | None = None


class DecisionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was decided. `data` must fit the form when it is approved; `comment` says why."""

    decision: Literal["approved", "rejected"]
    data: Any = None
    comment: Annotated[str, msgspec.Meta(max_length=COMMENT_CHARACTERS_MAX)] | None = None


def approval_operations(approving: Approving) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _ApprovalRoutes(approving)
    return [
        Operation(
            id="listApprovals",
            method="GET",
            path="/approvals",
            summary="List open decisions that the caller may take, oldest first",
            tag="Approvals",
            handle=routes.list,
            permission="approval:list",
            query=(LIMIT, CURSOR),
            answers=(Answer(status=200, description="A page.", shape=ApprovalPageBody, example={"items": [_EXAMPLE]}),),
        ),
        Operation(
            id="decideApproval",
            method="POST",
            path="/approvals/{approval_id}",
            summary="Approve or reject; the first decision counts",
            tag="Approvals",
            handle=routes.decide,
            permission="approval:modify",
            body=RequestBody(
                media_types=("application/json",),
                shape=DecisionRequest,
                description="What was decided.",
                example={"decision": "approved", "data": {"amount": 12.5}, "comment": "as agreed"},
            ),
            answers=(
                Answer(
                    status=202,
                    description="Taken, and stands in the journal with who decided.",
                    shape=EndedBody,
                    example=EXAMPLE_STARTED,
                ),
            ),
            problems=(
                ApprovalNotFound,
                BodyUndecodable,
                RequestInvalid,
                QueueFull,
                NodeStopping,
                OutcomeUnknown,
                BodyTooLarge,
                MediaTypeUnsupported,
            ),
        ),
    ]


class _ApprovalRoutes:
    def __init__(self, approving: Approving) -> None:
        self._approving = approving

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        from_id = cursor_place(_CURSOR_KIND, chosen["cursor"], str, "")
        page = await self._approving.list(call.scope, from_id=from_id, limit=chosen["limit"])
        return page_reply(call, page.approvals, None if page.next is None else write_cursor(_CURSOR_KIND, page.next))

    async def decide(self, call: Call) -> Reply:
        read_query(call.query, ())
        approval_id = path_id(call, "approval_id", ApprovalNotFound)
        _, data = await call.body(allowed=_JSON_TYPE)
        request = read_body(data, DecisionRequest)
        instance_id, status = await self._approving.decide(
            call.scope, approval_id, request.decision, data=request.data, comment=request.comment
        )
        return Reply(202, msgspec.json.encode(EndedBody(instance_id, status.value)))
