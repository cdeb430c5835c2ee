"""Acts on many instances, as they are kept until they are done and for some days after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.audit_log import AuditEntry
    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One act on many instances: what is wanted and how far it is, in `body`, which the engine encodes.

    Attributes:
        id: ULID.
        step: how often it was advanced; whoever advances it names the step that follows.
        is_done: nothing follows.
        body: at most BODY_BYTES_MAX.
    """

    id: str
    domain_id: str
    step: int
    is_done: bool
    created_at: datetime
    updated_at: datetime
    body: bytes


@runtime_checkable
class BatchStore(Protocol):
    """Acts on many instances. `find` and `add` serve one tenant, the rest whoever carries them out."""

    async def add(
        self,
        scope: Scope,
        row: BatchRow,
        *,
        open_max: int,
        forget_before: datetime,
        answer: NewAnswer | None = None,
        audit: AuditEntry | None = None,
    ) -> KeptAnswer | None:
        """Store a new one under the domain of the scope; done ones of it that are older than `forget_before` go.

        `audit` is written with it.

        Returns:
            None when it was stored, else the answer that the request's key has already: then nothing was stored.

        Raises:
            ValueError: the body is too long.
            QueueFull: the domain has `open_max` that are not done; nothing was stored.
            CommitUnknown: perhaps.
        """
        ...

    async def find(self, scope: Scope, batch_id: str) -> BatchRow | None:
        """Read one; None when it is not in this domain."""
        ...

    async def unfinished(self, *, limit: int) -> Sequence[BatchRow]:
        """List those of every domain that are not done, oldest first. `limit` is 1..READ_ROWS_MAX; ValueError else."""
        ...

    async def advance(self, row: BatchRow) -> bool:
        """Write `step`, `is_done`, `updated_at` and `body` over the step before; False when somebody else did already.

        Raises:
            ValueError: the body is too long. CommitUnknown: perhaps.
        """
        ...
