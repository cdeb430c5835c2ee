"""The one place of the memory adapter where reads and transactions meet the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from core.errors import CommitUnknown
from driven_adapters.memory.tables import Draft, Tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from core.ports.clock import Clock

Answer = TypeVar("Answer")

SHARD_COUNT = 64  # engine.md 7: the most nodes, not a speed


class StoredShard(msgspec.Struct, frozen=True):
    """One shard's row; whether its owner still has it depends on the owner's lease."""

    epoch: int
    owner: str | None


class MemoryStore:
    """Tables in memory that five port classes share. Deterministic: time comes from `clock`, nothing from chance.

    A simulation subclasses it and overrides `apply` and `read`: a transaction is a function of a draft that checks and
    writes at once, so calling it later, twice or never is what a late, repeated or lost commit is.

    Args:
        clock: the store's own clock (leases).
        shard_count: fixed for the store's life.
        on_point: called at the named points of every transaction (before_begin, after_fence,
            after_each_statement:<n>, before_commit, after_commit); what it raises ends the transaction there.
    """

    def __init__(
        self, clock: Clock, *, shard_count: int = SHARD_COUNT, on_point: Callable[[str], None] | None = None
    ) -> None:
        self.clock = clock
        self.on_point = on_point or _pass
        self._tables = Tables()
        for shard in range(shard_count):
            self._tables.land("shard", "", shard, StoredShard(0, None))
        self._tables.land("meta", "", "incarnation", 1)

    def now(self) -> datetime:
        """Give the store's time, which leases are held against."""
        return self.clock.now()

    async def apply(self, name: str, transaction: Callable[[Draft], Answer]) -> Answer:
        """Run a transaction; it becomes visible as a whole when it returns, not at all when it raises.

        Args:
            name: the port's verb, for a subclass that treats verbs differently.
            transaction: reads and writes its draft; never waits.

        Raises:
            CommitUnknown: the point `after_commit` raised: landed, and the answer was lost.
        """
        del name
        return self.run(transaction)

    async def read(self, name: str, query: Callable[[Tables], Answer]) -> Answer:
        """Answer a read from the tables as they are now."""
        del name
        return query(self._tables)

    def run(self, transaction: Callable[[Draft], Answer]) -> Answer:
        """Run one transaction now."""
        self.on_point("before_begin")
        draft = Draft(self._tables, self.on_point)
        answer = transaction(draft)
        self.on_point("before_commit")
        draft.land()
        try:
            self.on_point("after_commit")
        except Exception as lost:
            raise CommitUnknown("the answer of a commit was lost") from lost
        return answer

    def copy(self) -> Tables:
        """Give the durable image as it is now."""
        return self._tables.copy()

    def restore(self, image: Tables) -> None:
        """Put the durable image back; the image itself stays as it is."""
        self._tables = image.copy()

    def renew_incarnation(self) -> None:
        """Become another store with the same rows, as after a restored backup (R8): every fence is over."""
        self._tables.land("meta", "", "incarnation", self._tables.group("meta")["incarnation"] + 1)
        for shard, row in dict(self._tables.group("shard")).items():
            self._tables.land("shard", "", shard, StoredShard(row.epoch, None))


def incarnation_of(number: int) -> str:
    """Write the incarnation as fences carry it."""
    return f"memory-{number}"


def _pass(_point: str) -> None:
    """Do nothing: no test watches this store."""
