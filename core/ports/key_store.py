"""Idempotency keys of requests: the answer that stands under each, for as long as it is kept (reliability.md R19)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

    from core.ports.scope import Scope


class KeptAnswer(msgspec.Struct, frozen=True):
    """What the first request under a key was answered; `status` and `response` are the driver's, opaque to us."""

    req_hash: str
    status: int
    response: bytes


class NewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to keep, written in the transaction that makes it true: verbs of other ports take it as a value.

    Unique by (domain, principal, route, key) of the request's scope until `expires_at`, held against the next answer's
    `at`. `response` has at most `BODY_BYTES_MAX` bytes of `core.ports.instance_store`.
    """

    route: str
    key: str
    req_hash: str
    status: int
    response: bytes
    at: datetime
    expires_at: datetime


@runtime_checkable
class KeyStore(Protocol):
    """Keys that were used. What writes them are the verbs that do a request's work."""

    async def find_answer(self, scope: Scope, route: str, key: str, *, now: datetime) -> KeptAnswer | None:
        """Read the answer that this principal's key has on this route; None when there is none, or its time is over."""
        ...

    async def purge(self, *, now: datetime, limit: int) -> int:
        """Remove keys of all tenants whose time is over at `now`: of requests (`idem`), stimuli (`seen`), kept outputs.

        One short transaction; none when nothing is due, so that an idle store stays idle. Start keys are not among
        them: they are kept as long as their instance (engine.md 3) and go with it.

        Args:
            now: aware UTC; the adapter must not read its own clock.
            limit: rows removed at most, 1..READ_ROWS_MAX; ValueError else.

        Returns:
            How many rows were removed; fewer than `limit` when no more are due, or the store cannot take the work now.

        Raises:
            StoreUnavailable, StoreFull, QueueFull: nothing was removed. CommitUnknown: perhaps; it may be asked again.
        """
        ...
