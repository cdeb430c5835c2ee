"""What is on its way into a commit: rows found by presence and keys of starts, per epoch (engine.md 3, 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from core.engine.node.hot import Input
from core.ports.instance_store import InboxRow, SeenKey, StartKey, TimerRow

TIMERS_LOW = 256  # so few on their way into a commit that more may follow


class Marks:
    """Timer rows, inbox rows and keys of inputs whose fate is not known.

    `timers_low` is set whenever a fate was found and at most TIMERS_LOW timers are left.
    """

    def __init__(self) -> None:
        self.timers: set[tuple[str, int]] = set()
        self.timers_low = asyncio.Event()
        self.inbox: set[tuple[int, int]] = set()
        self._barred_timers: set[tuple[str, int]] = set()
        self._barred_inbox: set[tuple[int, int]] = set()
        self._keys: dict[tuple[str, str, str], Input] = {}

    def has_timer(self, row: TimerRow) -> bool:
        """Say whether a timer was fired already under this epoch."""
        return (row.instance_id, row.n) in self.timers or (row.instance_id, row.n) in self._barred_timers

    def has_inbox(self, row: InboxRow) -> bool:
        """Say whether a stored command was brought in already under this epoch."""
        return (row.shard, row.n) in self.inbox or (row.shard, row.n) in self._barred_inbox

    @property
    def seen_timer_count(self) -> int:
        """Rows that a page of timers shows and that are not fired again."""
        return len(self.timers) + len(self._barred_timers)

    @property
    def seen_inbox_count(self) -> int:
        """Rows that a page of the inbox shows and that are not brought in again."""
        return len(self.inbox) + len(self._barred_inbox)

    def bar(self, given: Input) -> None:
        """Leave an input's rows in the store under this epoch: its instance may not go on. Its key is free again."""
        if given.timer is not None:
            self._barred_timers.add((given.timer.instance_id, given.timer.n))
        if given.inbox is not None:
            self._barred_inbox.add((given.inbox.shard, given.inbox.n))
        self.end(given)

    def bar_inbox(self, row: InboxRow) -> None:
        """Leave a stored command that cannot be read where it is."""
        self._barred_inbox.add((row.shard, row.n))

    def begin(self, given: Input) -> bool:
        """Mark what an input takes; gives False when one with its key is on its way: it is answered with that (M6)."""
        if given.timer is not None:
            self.timers.add((given.timer.instance_id, given.timer.n))
        if given.inbox is not None:
            self.inbox.add((given.inbox.shard, given.inbox.n))
        key = _key_of(given)
        first = given if key is None else self._keys.setdefault(_place(key), given)
        if first is given:
            return True
        first.repeats.append(given)
        return False

    def end(self, given: Input) -> None:
        """Take an input's marks away: its fate is known."""
        if given.timer is not None:
            self.timers.discard((given.timer.instance_id, given.timer.n))
            if len(self.timers) <= TIMERS_LOW:
                self.timers_low.set()
        if given.inbox is not None:
            self.inbox.discard((given.inbox.shard, given.inbox.n))
        key = _key_of(given)
        if key is not None:
            place = _place(key)
            if self._keys.get(place) is given:
                del self._keys[place]

    def forget(self, shards: Collection[int], shard_of: Callable[[str], int]) -> None:
        """Take away the marks of lost shards: they are per epoch, and the next one finds the rows by presence."""
        self.timers = {mark for mark in self.timers if shard_of(mark[0]) not in shards}
        self.timers_low.set()
        self.inbox = {mark for mark in self.inbox if mark[0] not in shards}
        self._barred_timers = {mark for mark in self._barred_timers if shard_of(mark[0]) not in shards}
        self._barred_inbox = {mark for mark in self._barred_inbox if mark[0] not in shards}

    def first(self, key: StartKey | SeenKey) -> Input | None:
        """Find the start, or signal, with this key that is on its way (M6)."""
        return self._keys.get(_place(key))


def _key_of(given: Input) -> StartKey | SeenKey | None:
    return given.seen if given.request is None else given.request.start_key


def _place(key: StartKey | SeenKey) -> tuple[str, str, str]:
    source = key.trigger if isinstance(key, StartKey) else key.source
    return key.domain_id, source, key.key
