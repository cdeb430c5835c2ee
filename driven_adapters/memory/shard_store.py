"""Leases and epochs in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.errors import Fenced
from core.ports.shard_store import Fence, ShardRow
from driven_adapters.memory.store import StoredShard, incarnation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryShardStore:
    """`ShardStore` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def open_lease(self, node: str, ttl_s: float) -> None:
        """Create the lease of one process start."""

        def open_it(draft: Draft) -> None:
            if draft.get("lease", node) is not None:
                raise ValueError(f"node id {node} was used before")
            draft.put("lease", node, self._store.now() + timedelta(seconds=ttl_s))

        await self._store.apply("open_lease", open_it)

    async def renew(self, node: str, ttl_s: float) -> bool:
        """Move the lease's end; False when it is gone or over."""

        def move_end(draft: Draft) -> bool:
            if not self._is_live(draft, node):
                return False
            draft.put("lease", node, self._store.now() + timedelta(seconds=ttl_s))
            return True

        return await self._store.apply("renew", move_end)

    async def shards(self) -> list[ShardRow]:
        """List every shard, ascending."""

        def list_shards(tables: Tables) -> list[ShardRow]:
            leases = tables.group("lease")
            return [
                ShardRow(shard, row.epoch, row.owner, leases.get(row.owner))
                for shard, row in sorted(tables.group("shard").items())
            ]

        return await self._store.read("shards", list_shards)

    async def living_nodes(self) -> list[str]:
        """List the nodes whose lease is not over."""

        def list_living(tables: Tables) -> list[str]:
            now = self._store.now()
            return [node for node, until in sorted(tables.group("lease").items()) if until > now]

        return await self._store.read("living_nodes", list_living)

    async def acquire(self, node: str, shard: int, seen_epoch: int) -> Fence | None:
        """Take a shard that nobody living owns."""

        def take(draft: Draft) -> Fence | None:
            row: StoredShard | None = draft.get("shard", shard)
            if row is None or row.epoch != seen_epoch or not self._is_live(draft, node):
                return None
            if row.owner is not None and self._is_live(draft, row.owner):
                return None
            draft.put("shard", shard, StoredShard(row.epoch + 1, node))
            return Fence(shard, row.epoch + 1, incarnation_of(draft.get("meta", "incarnation")))

        return await self._store.apply("acquire", take)

    async def release(self, node: str, fences: Sequence[Fence]) -> None:
        """Give shards back; lost ones are skipped."""

        def give_back(draft: Draft) -> None:
            for fence in sorted(fences):
                row: StoredShard | None = draft.get("shard", fence.shard)
                if row is not None and row.epoch == fence.epoch and row.owner == node:
                    draft.put("shard", fence.shard, StoredShard(row.epoch, None))

        await self._store.apply("release", give_back)

    async def settle(self, fences: Sequence[Fence]) -> None:
        """Wait for earlier commits under these fences."""
        await self._store.apply("settle", lambda draft: check_fences(draft, fences))

    def _is_live(self, draft: Draft, node: str) -> bool:
        until = draft.get("lease", node)
        return until is not None and until > self._store.now()


def check_fences(draft: Draft, fences: Sequence[Fence]) -> None:
    """Begin a transaction with its fences.

    Raises:
        Fenced: naming every shard whose epoch or incarnation is another.
    """
    incarnation = incarnation_of(draft.get("meta", "incarnation"))
    lost = [fence.shard for fence in sorted(fences) if not _holds(draft, fence, incarnation)]
    if lost:
        raise Fenced(lost)
    draft.reach("after_fence")


def _holds(draft: Draft, fence: Fence, incarnation: str) -> bool:
    row: StoredShard | None = draft.get("shard", fence.shard)
    return row is not None and row.epoch == fence.epoch and fence.incarnation == incarnation
