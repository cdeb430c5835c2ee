"""Use cases of the audit: what people did, newest first, and whether it is still what was sealed."""

from __future__ import annotations

import msgspec

from core.access.permission import require
from core.engine.acts_told import decode_act
from core.engine.audit_chain import AuditFault, check, check_end
from core.engine.values import stamp
from core.ports.audit_log import AuditLog, AuditRow, ChainHead
from core.ports.clock import Clock
from core.ports.scope import Scope


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """One act as it is shown; `by` is the id of a principal, what it was done to is named by what is not null."""

    n: int
    at: str
    act: str
    by: str
    reason: str
    instance_id: str | None
    task: str | None
    batch_id: str | None


class AuditPage(msgspec.Struct, frozen=True):
    """Acts, newest first; `next` = the `before` of the next page, None = nothing follows."""

    items: tuple[AuditView, ...]
    next: int | None


class AuditProof(msgspec.Struct, frozen=True, kw_only=True):
    """So many seals were proved, and what is wrong; `head` is the domain's newest seal.

    `unsealed` acts lie behind it, the oldest of them `oldest_unsealed_s` old. `after` None = these were the last.
    """

    sealed: int
    faults: tuple[AuditFault, ...]
    head: ChainHead | None
    unsealed: int
    oldest_unsealed_s: float | None
    after: int | None


class Audit:
    """What callers may see of acts."""

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        """Take where they lie."""
        self._log = log
        self._clock = clock

    async def list(self, scope: Scope, *, before: int | None, limit: int) -> AuditPage:
        """Page the acts in the caller's business domain.

        Raises:
            NotAllowed: `audit:list` is missing.
        """
        require(scope, "audit", "list")
        rows = await self._log.list(scope, before=before, limit=limit)
        return AuditPage(tuple(map(_view, rows)), rows[-1].n if len(rows) == limit else None)

    async def verify(self, scope: Scope, *, after: int, limit: int) -> AuditProof:
        """Hold the seals of the caller's business domain at positions greater than `after` against their acts.

        Raises:
            NotAllowed: `audit:list` is missing.
        """
        require(scope, "audit", "list")
        # The end first: what is sealed while the page is read lies behind it, and is no fault.
        end = await self._log.chain_end(scope)
        page = await self._log.sealed(scope, after=max(0, after - 1), limit=limit + 1)
        sealed_to = 0 if end.head is None else end.head.position
        acts = [one for one in page.acts if one.seal.position <= sealed_to]
        before = acts[0] if after and acts else None
        new = acts[1:] if before is not None else acts[:limit]
        found = check(scope.domain_id, before, new)
        found += [AuditFault("inserted", n, 0, "it lies among sealed acts and was never sealed") for n in page.strays]
        is_last = len(page.acts) <= limit or len(acts) < len(page.acts)
        if is_last:
            found += check_end(end.head, acts[-1] if acts else None)
        age_s = (
            None
            if end.oldest_unsealed_at is None
            else max(0.0, (self._clock.now() - end.oldest_unsealed_at).total_seconds())
        )
        return AuditProof(
            sealed=len(new),
            faults=tuple(found),
            head=end.head,
            unsealed=end.unsealed_count,
            oldest_unsealed_s=age_s,
            after=None if is_last else new[-1].seal.position,
        )


def _view(row: AuditRow) -> AuditView:
    act = decode_act(row.body)
    return AuditView(
        n=row.n, at=stamp(row.at), act=act.act, by=act.by, reason=act.reason, instance_id=act.instance_id,
        task=act.task, batch_id=act.batch_id,
    )  # fmt: skip
