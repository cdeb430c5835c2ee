"""Routes of the audit: what people did, and the proof that it is what was sealed."""

from __future__ import annotations

import msgspec

from core.engine.audit_reading import Audit
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply
from driver_adapters.http.query import read_query
from pkg.cursor import write_cursor

_KIND = "audit"
_PROOF = "audit-proof"


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


class AuditFaultBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong: `changed`, `removed`, `inserted`, `reordered` or `chain`; of act `n` (0 = no single one)."""

    kind: str
    n: int
    position: int
    sentence: str


class ChainHeadBody(msgspec.Struct, frozen=True, kw_only=True):
    """The newest seal. Who keeps it elsewhere can tell later whether the chain up to it was made anew."""

    position: int
    n: int
    hash: str


class AuditProofBody(msgspec.Struct, frozen=True, kw_only=True):
    """So many seals were proved; `items` says what is wrong.

    `unsealed` acts came after the newest seal, `head`; the oldest of them is `oldest_unsealed_s` old. `next` is the
    cursor of the next slice.
    """

    items: tuple[AuditFaultBody, ...]
    sealed: int
    head: ChainHeadBody | None
    unsealed: int
    oldest_unsealed_s: float | None
    next: str | None


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
    """Declare the routes over this service."""
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
        ),
        Operation(
            id="verifyAudit",
            method="GET",
            path="/audit/verify",
            summary="Prove that what people did is still what was sealed; a cursor goes on with later acts",
            tag="Access",
            handle=_AuditRoute(audit).verify,
            permission="audit:list",
            query=(LIMIT, CURSOR),
            answers=(
                Answer(
                    status=200,
                    description="How many seals were proved, what is wrong, and what waits for its seal.",
                    shape=AuditProofBody,
                    example={
                        "items": [],
                        "sealed": 17,
                        "head": {"position": 17, "n": 21, "hash": "9f" * 32},
                        "unsealed": 0,
                        "oldest_unsealed_s": None,
                        "next": None,
                    },
                ),
            ),
        ),
    ]


class _AuditRoute:
    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        before = cursor_place(_KIND, chosen["cursor"], int, 0) or None
        page = await self._audit.list(call.scope, before=before, limit=chosen["limit"])
        return page_reply(call, page.items, None if page.next is None else write_cursor(_KIND, page.next))

    async def verify(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        after = cursor_place(_PROOF, chosen["cursor"], int, 0)
        proof = await self._audit.verify(call.scope, after=after, limit=chosen["limit"])
        head = proof.head
        body = AuditProofBody(
            items=tuple(
                AuditFaultBody(kind=one.kind, n=one.n, position=one.position, sentence=one.sentence)
                for one in proof.faults
            ),
            sealed=proof.sealed,
            head=None if head is None else ChainHeadBody(position=head.position, n=head.n, hash=head.hash.hex()),
            unsealed=proof.unsealed,
            oldest_unsealed_s=proof.oldest_unsealed_s,
            next=None if proof.after is None else write_cursor(_PROOF, proof.after),
        )
        return Reply(200, msgspec.json.encode(body))
