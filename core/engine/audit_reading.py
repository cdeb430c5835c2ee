"""Use case of the audit: what people did, newest first."""

from __future__ import annotations

import msgspec

from core.access.permission import require
from core.engine.acts_told import decode_act
from core.engine.views import stamp
from core.ports.audit_log import AuditLog, AuditRow
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


class Audit:
    """What callers may see of acts."""

    def __init__(self, log: AuditLog) -> None:
        """Take where they lie."""
        self._log = log

    async def list(self, scope: Scope, *, before: int | None, limit: int) -> AuditPage:
        """Page the acts in the caller's business domain.

        Raises:
            NotAllowed: `audit:list` is missing.
        """
        require(scope, "audit", "list")
        rows = await self._log.list(scope, before=before, limit=limit)
        return AuditPage(tuple(map(_view, rows)), rows[-1].n if len(rows) == limit else None)


def _view(row: AuditRow) -> AuditView:
    act = decode_act(row.body)
    return AuditView(
        n=row.n, at=stamp(row.at), act=act.act, by=act.by, reason=act.reason, instance_id=act.instance_id,
        task=act.task, batch_id=act.batch_id,
    )  # fmt: skip
