"""The batch that gathers while a commit is in flight; no timer closes it (R10)."""

from __future__ import annotations

import asyncio
from datetime import datetime

from core.engine.node.hot import HotInstance
from core.engine.node.item import Item
from core.ports.instance_store import CommitBounds

INPUTS_MAX = (
    1_024  # one batch: so many decisions take some 0.1 s of the processor, which a caller at its start waits for
)


class Batch:
    """Items that gather now. `filled` is set while there is something to commit, `open` while more may be gathered.

    `is_full` once the store's bounds are reached: later inputs wait for the next batch.
    """

    def __init__(self, bounds: CommitBounds) -> None:
        self._bounds = bounds
        self._items: dict[str, Item] = {}
        self._input_count = 0
        self._bytes = 0
        self._writes = 0
        self.is_full = False
        self.filled = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Item, ...]:
        """The items gathered so far."""
        return tuple(self._items.values())

    def item(self, hot: HotInstance, epoch: int) -> Item:
        """Give the item that gathers an instance's decisions."""
        item = self._items.get(hot.id)
        if item is None:
            item = self._items[hot.id] = Item(hot, epoch)
            hot.gathering = item
            self.filled.set()
        return item

    def grew(self, bytes_count: int, write_count: int) -> None:
        """Count what an input added."""
        self._input_count += 1
        self._bytes += bytes_count
        self._writes += write_count
        bounds = self._bounds
        if (
            len(self._items) >= bounds.items_max
            or self._input_count >= INPUTS_MAX
            or self._bytes >= bounds.bytes_max
            or self._writes >= bounds.writes_max
        ):
            self.is_full = True
            self.open.clear()

    def drop(self, hot: HotInstance) -> None:
        """Take an instance's item out: the state it was gathered upon is dropped."""
        if hot.gathering is not None:
            del self._items[hot.id]
            hot.gathering = None
            if not self._items:
                self._clear()

    def close(self, now: datetime) -> list[list[Item]]:
        """Close the batch: give its items, one list per transaction, and begin an empty one.

        Items whose values are too long for rows come last, in lists of their own: the others do not wait for objects.
        """
        items = list(self._items.values())
        self._clear()
        large: list[Item] = []
        for item in items:
            item.close(now)
            if item.is_large:
                large.append(item)
        if not large:
            return self._transactions(items)
        small = [item for item in items if not item.is_large]
        return [*self._transactions(small), *self._transactions(large)]

    def _transactions(self, items: list[Item]) -> list[list[Item]]:
        if not items:
            return []
        if self._bounds.shards == "many":
            return [items]
        by_shard: dict[int, list[Item]] = {}
        for item in items:
            by_shard.setdefault(item.hot.shard, []).append(item)
        return list(by_shard.values())

    def _clear(self) -> None:
        self._items = {}
        self._input_count = self._bytes = self._writes = 0
        self.is_full = False
        self.filled.clear()
        self.open.set()
