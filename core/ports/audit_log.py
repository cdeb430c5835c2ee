"""What people did, written in the transaction of the act (reliability.md R35), for those who may look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.scope import Scope

NO_SHARD = -1  # of acts that are no single instance's
STRAYS_MAX = 100  # acts without a seal that one page names: one is a reason to look


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


class Seal(msgspec.Struct, frozen=True, array_like=True):
    """One link of a domain's hash chain: positions count from 1; `digest` is of act `n` alone, `hash` of all so far."""

    domain_id: str
    position: int
    n: int
    digest: bytes
    hash: bytes


class ChainHead(msgspec.Struct, frozen=True, array_like=True):
    """The newest seal of a domain, as it was noted when it was made."""

    position: int
    n: int
    hash: bytes


class SealedAct(msgspec.Struct, frozen=True, array_like=True):
    """A seal and its act; None = the act is gone."""

    seal: Seal
    row: AuditRow | None


class SealedPage(msgspec.Struct, frozen=True, array_like=True):
    """Seals of a domain, ascending by position; `strays` are numbers of acts between them that have no seal."""

    acts: tuple[SealedAct, ...]
    strays: tuple[int, ...]


class Unsealed(msgspec.Struct, frozen=True, array_like=True):
    """Acts that no seal covers yet, by domain and ascending by number; `heads` of those domains that have one."""

    rows: dict[str, tuple[AuditRow, ...]]
    heads: dict[str, ChainHead]


class ChainEnd(msgspec.Struct, frozen=True, array_like=True):
    """Where a domain's chain ends; behind it lie so many acts that are not sealed, the oldest of this time."""

    head: ChainHead | None
    unsealed_count: int
    oldest_unsealed_at: datetime | None


@runtime_checkable
class AuditLog(Protocol):
    """Reads and seals acts.

    They are written by `InstanceStore.commit` and `BatchStore.add`; nothing changes or removes them, nor their seals.
    """

    async def list(self, scope: Scope, *, before: int | None, limit: int) -> Sequence[AuditRow]:
        """Page the acts in this domain, newest first, those with a number below `before`; None = from the newest on.

        `limit` is 1..READ_ROWS_MAX; ValueError else.
        """
        ...

    async def unsealed(self, *, limit: int) -> Unsealed:
        """Read the oldest acts of all domains whose number is greater than any sealed one's, `limit` in all."""
        ...

    async def seal(self, seals: Sequence[Seal]) -> bool:
        """Write seals and note the newest of each domain, all in one transaction.

        Of each domain they are given ascending without a gap; the first must follow the newest one there. When it does
        not, somebody else was there first: nothing is written, and the answer is False.
        """
        ...

    async def sealed(self, scope: Scope, *, after: int, limit: int) -> SealedPage:
        """Page the seals of this domain with their acts, those at positions greater than `after`.

        At most STRAYS_MAX strays are named, of those that lie between the page's first and last act.
        """
        ...

    async def chain_end(self, scope: Scope) -> ChainEnd:
        """Say where this domain's chain ends, and what lies behind it."""
        ...
