"""What people did, written in the transaction of the act (reliability.md R35), for those who may look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.scope import Scope

NO_SHARD = -1  # of acts that are no single instance's


class AuditEntry(msgspec.Struct, frozen=True, array_like=True):
    """One act as it is handed to the store, which gives it its number; `body` is JSON, at most BODY_BYTES_MAX."""

    shard: int
    domain_id: str
    at: datetime
    body: bytes


class AuditRow(msgspec.Struct, frozen=True, array_like=True):
    """One act as it lies in the store; `n` ascends with the order of the commits, and (shard, n) is unique."""

    n: int
    shard: int
    at: datetime
    body: bytes


@runtime_checkable
class AuditLog(Protocol):
    """Reads acts. They are written by `InstanceStore.commit` and `BatchStore.add`; nothing changes or removes them."""

    async def list(self, scope: Scope, *, before: int | None, limit: int) -> Sequence[AuditRow]:
        """Page the acts in this domain, newest first, those with a number below `before`; None = from the newest on.

        `limit` is 1..READ_ROWS_MAX; ValueError else.
        """
        ...
