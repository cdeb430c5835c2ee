"""Route of the audit: what people did."""

from __future__ import annotations

import msgspec

from core.engine.audit_reading import Audit
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply
from driver_adapters.http.query import read_query
from pkg.cursor import write_cursor

_KIND = "audit"


class AuditBody(msgspec.Struct, frozen=True, kw_only=True):
    """One act: `instance.pause`, `task.skip`, `batch.cancel` and so on; `by` is the id of a principal."""

    n: int
    at: str
    act: str
    by: str
    reason: str
    instance_id: str | None
    task: str | None
    batch_id: str | None


class AuditPageBody(msgspec.Struct, frozen=True):
    """Acts, newest first; `next` = the cursor of the next page, null = nothing follows."""

    items: tuple[AuditBody, ...]
    next: str | None = None


_EXAMPLE = {
    "n": 17,
    "at": "2026-01-31T08:30:01.000Z",
    "act": "task.skip",
    "by": "01JD3V5N8P9Q0R1S2T3V4W5X6Y",
    "reason": "the shop is closed",
    "instance_id": "01JD3V7A2B3C4D5E6F7G8H9J0K",
    "task": "orders.3.book",
    "batch_id": None,
}


def audit_operations(audit: Audit) -> list[Operation]:
    """Declare the route over this service."""
    return [
        Operation(
            id="listAudit",
            method="GET",
            path="/audit",
            summary="List what people did to instances and tasks, newest first",
            tag="Access",
            handle=_AuditRoute(audit).list,
            permission="audit:list",
            query=(LIMIT, CURSOR),
            answers=(
                Answer(
                    status=200, description="A page.", shape=AuditPageBody, example={"items": [_EXAMPLE], "next": None}
                ),
            ),
        )
    ]


class _AuditRoute:
    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        before = cursor_place(_KIND, chosen["cursor"], int, 0) or None
        page = await self._audit.list(call.scope, before=before, limit=chosen["limit"])
        return page_reply(call, page.items, None if page.next is None else write_cursor(_KIND, page.next))
