"""Leases and epochs in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import Fenced
from core.ports.shard_store import Fence, ShardRow
from driven_adapters.sqlite.stamps import from_stamp_or_none
from driven_adapters.sqlite.statements import RowsStatement, load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driven_adapters.sqlite.database import Database, Reading
    from driven_adapters.sqlite.transaction import Transaction

_MICROS_PER_S = 1_000_000


class SqliteShardStore:
    """`ShardStore` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/shard.sql")
        self._control = load_statements("connection.sql")
        self._fence_check = FenceCheck()

    async def open_lease(self, node: str, ttl_s: float) -> None:
        """Create the lease of one process start."""
        until = self._until(ttl_s)
        insert = self._sql["insert_lease"]
        if await self._database.write(lambda tx: tx.write(insert, {"node": node, "until": until})) == 0:
            raise ValueError(f"node id {node} was used before")

    async def renew(self, node: str, ttl_s: float) -> bool:
        """Move the lease's end; False when it is gone or over."""

        def move_end(tx: Transaction) -> bool:
            bindings = {"node": node, "until": self._until(ttl_s), "now": self._database.now_stamp()}
            return tx.write(self._sql["renew_lease"], bindings) == 1

        return await self._database.write(move_end)

    async def shards(self) -> list[ShardRow]:
        """List every shard, ascending."""

        def list_shards(reading: Reading) -> list[ShardRow]:
            return [
                ShardRow(shard, epoch, owner, from_stamp_or_none(until))
                for shard, epoch, owner, until in reading.rows(self._sql["list_shards"], {})
            ]

        return await self._database.read(list_shards)

    async def living_nodes(self) -> list[str]:
        """List the nodes whose lease is not over."""
        now = {"now": self._database.now_stamp()}
        return await self._database.read(
            lambda reading: [node for (node,) in reading.rows(self._sql["list_living_nodes"], now)]
        )

    async def acquire(self, node: str, shard: int, seen_epoch: int) -> Fence | None:
        """Take a shard that nobody living owns."""

        def take(tx: Transaction) -> Fence | None:
            bindings = {"node": node, "shard": shard, "epoch": seen_epoch, "now": self._database.now_stamp()}
            if tx.write(self._sql["acquire_shard"], bindings) == 0:
                return None
            incarnation = tx.rows(self._control["read_meta"], {"key": "incarnation"})[0][0]
            return Fence(shard, seen_epoch + 1, incarnation)

        return await self._database.write(take)

    async def release(self, node: str, fences: Sequence[Fence]) -> None:
        """Give shards back; lost ones are skipped."""

        def give_back(tx: Transaction) -> None:
            for fence in sorted(fences):
                tx.write(self._sql["release_shard"], {"shard": fence.shard, "epoch": fence.epoch, "node": node})

        await self._database.write(give_back)

    async def settle(self, fences: Sequence[Fence]) -> None:
        """Wait for earlier commits: the writer does one thing after the other, and this takes the write lock too."""
        await self._database.write(lambda tx: self._fence_check.run(tx, fences))

    def _until(self, ttl_s: float) -> int:
        return self._database.now_stamp() + round(ttl_s * _MICROS_PER_S)


class FenceCheck:
    """First statement of every fenced transaction (R3). The write lock is held: what holds now holds to the end."""

    def __init__(self) -> None:
        self._lost_fences = RowsStatement(load_statements("engine/shard.sql")["lost_fences"])

    def run(self, tx: Transaction, fences: Sequence[Fence]) -> None:
        """Check every fence.

        Raises:
            Fenced: naming every shard whose epoch or incarnation is another.
        """
        values = [value for fence in sorted(fences) for value in (fence.shard, fence.epoch, fence.incarnation)]
        lost = tx.rows_of(self._lost_fences, values)
        if lost:
            raise Fenced([shard for (shard,) in lost])
        tx.reach("after_fence")
