"""Removes what need not be kept any longer, in portions between the engine's commits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from core.errors import CommitUnknown, QueueFull, StoreBroken, StoreFull, StoreTimeout, StoreUnavailable
from core.ports.clock import Clock
from core.ports.key_store import KeyStore

PURGE_PERIOD_S = 60.0  # keys are kept for hours: a minute more is nothing, and an idle store is asked once a minute
PORTION_ROWS = 256  # a transaction of some milliseconds: the most that a commit of the engine waits for it
PORTION_PAUSE_S = 0.05  # commits of the engine come in between, and a disk that is busy with them stays theirs
PORTIONS_MAX = 400  # in one round: 100 000 rows and 20 s of pauses, so rounds do not run into each other
KEPT_LONGER_S = 300.0  # clocks of two nodes may differ by this much, and no node may miss a key that it still counts
_OUTAGE = (StoreUnavailable, StoreTimeout, StoreFull, CommitUnknown, QueueFull)  # the next round does it


class Retention:
    """Purges expired keys. Safe on any number of nodes at once: a row that is gone is no error."""

    def __init__(self, keys: KeyStore, clock: Clock, on_fatal: Callable[[BaseException], None]) -> None:
        """Take the store.

        Args:
            keys: where the keys lie.
            clock: wall time for what is due, monotonic time for when to look.
            on_fatal: called when the process must end: the store is broken (R12).
        """
        self._keys = keys
        self._clock = clock
        self._on_fatal = on_fatal

    async def run(self) -> None:
        """Purge once a period, until cancelled or the store is broken."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + PURGE_PERIOD_S)
            try:
                await self.purge_keys()
            except _OUTAGE:
                continue
            except StoreBroken as fault:
                self._on_fatal(fault)
                return

    async def purge_keys(self) -> int:
        """Remove what is due now, at most PORTIONS_MAX portions; gives how many rows.

        Raises:
            StoreUnavailable, StoreTimeout, StoreFull, CommitUnknown, QueueFull: the rest is left to the next round.
            StoreBroken: end the process.
        """
        now = self._clock.now() - timedelta(seconds=KEPT_LONGER_S)
        removed = 0
        for _ in range(PORTIONS_MAX):
            portion = await self._keys.purge(now=now, limit=PORTION_ROWS)
            removed += portion
            if portion < PORTION_ROWS:
                break
            await self._clock.sleep_until(self._clock.monotonic() + PORTION_PAUSE_S)
        return removed
