"""Ownership of shards by epochs of the store (reliability.md R2 to R8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Fence(msgspec.Struct, frozen=True, order=True):
    """Proof of ownership of one shard: a commit under it lands only while the store still holds these three values."""

    shard: int
    epoch: int
    incarnation: str


class ShardRow(msgspec.Struct, frozen=True):
    """One shard as it lies in the store; `owner` is the lease's node or None."""

    shard: int
    epoch: int
    owner: str | None
    lease_until: datetime | None


@runtime_checkable
class ShardStore(Protocol):
    """Leases and epochs, by the store's own clock; nothing else grants ownership."""

    async def open_lease(self, node: str, ttl_s: float) -> None:
        """Create the lease of one process start, ending `ttl_s` from the store's now. A node id is used once.

        Raises:
            ValueError: the node id was used before.
            StoreUnavailable: nothing happened.
        """
        ...

    async def renew(self, node: str, ttl_s: float) -> bool:
        """Move the lease's end to the store's now + `ttl_s`; 0 ends it. False = it is gone or over: open a new one."""
        ...

    async def shards(self) -> list[ShardRow]:
        """List every shard, ascending (SHARD_COUNT rows, fixed when the store was created)."""
        ...

    async def living_nodes(self) -> list[str]:
        """List the nodes whose lease is not over, ascending."""
        ...

    async def acquire(self, node: str, shard: int, seen_epoch: int) -> Fence | None:
        """Take a shard whose owner is none or whose owner's lease is over: epoch + 1, one compare-and-set.

        Returns:
            The fence of the new epoch, or None when another node was faster or still owns the shard, or when the lease
            of `node` itself is over.
        """
        ...

    async def release(self, node: str, fences: Sequence[Fence]) -> None:
        """Give shards back (`owner = NULL` where the epoch still is ours); a lost one is skipped."""
        ...

    async def settle(self, fences: Sequence[Fence]) -> None:
        """Wait until every earlier commit under these fences has landed or ended, by a locking write on their rows.

        After it a read shows the fate of any commit that was unknown (engine.md 4).

        Raises:
            Fenced: an epoch is over.
        """
        ...
