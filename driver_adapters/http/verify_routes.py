"""Route that proves the stored instances of a business domain, a slice at a time."""

from __future__ import annotations

import msgspec

from core.access.permission import require
from core.engine.verify import Verified, Verifier
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import CURSOR, cursor_place
from driver_adapters.http.query import Parameter, read_query
from pkg.cursor import write_cursor

ROWS_MAX = 20_000  # of the journal of one instance, as views of the past: some seconds
LIMIT = Parameter(name="limit", kind=int, minimum=1, maximum=50, default=20, description="How many instances at most.")


class ViolationBody(msgspec.Struct, frozen=True, kw_only=True):
    """One invariant that does not hold: its name, instance, journal row (0 = beside the journal), and a sentence."""

    invariant: str
    instance_id: str
    seq: int
    sentence: str


class VerifiedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What was proved: so many instances and journal rows, and in `items` what does not hold.

    `next` is the cursor of the next slice; `left_out` instances have too many rows for one request.
    """

    items: tuple[ViolationBody, ...]
    instances: int
    rows: int
    left_out: int
    next: str | None


def verify_operations(verifier: Verifier) -> list[Operation]:
    """Declare the route over this service."""

    async def verify(call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        require(call.scope, "instance", "list")
        after = cursor_place("verify", chosen["cursor"], str, "")
        found = await verifier.slice(call.scope.domain_id, after=after, limit=chosen["limit"], rows_max=ROWS_MAX)
        return Reply(200, msgspec.json.encode(verified_body(found)))

    return [
        Operation(
            id="verifyInstances",
            method="GET",
            path="/verify",
            summary="Prove stored instances against their journals; a cursor goes on with later ones",
            tag="Instances",
            handle=verify,
            permission="instance:list",
            query=(LIMIT, CURSOR),
            answers=(
                Answer(
                    status=200,
                    description="What was proved, and what does not hold.",
                    shape=VerifiedBody,
                    example={"items": [], "instances": 20, "rows": 143, "left_out": 0, "next": None},
                ),
            ),
        )
    ]


def verified_body(found: Verified) -> VerifiedBody:
    """Show what was proved."""
    items = tuple(
        ViolationBody(invariant=one.invariant, instance_id=one.instance_id, seq=one.seq, sentence=one.sentence)
        for one in found.violations
    )
    cursor = None if found.after is None else write_cursor("verify", found.after)
    return VerifiedBody(items=items, instances=found.instances, rows=found.rows, left_out=found.left_out, next=cursor)
