"""Seals what people did, soon after it was done (reliability.md R35)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.engine.audit_chain import seals
from core.errors import CommitUnknown, QueueFull, StoreBroken, StoreFull, StoreTimeout, StoreUnavailable
from core.ports.audit_log import AuditLog
from core.ports.clock import Clock

GATHER_S = 0.25  # acts that come together are sealed together; well within the second that is promised
RETRY_S = 1.0  # the store is away
PORTION_ROWS = 256  # a transaction of some milliseconds: the most that a commit of the engine waits for it
_OUTAGE = (StoreUnavailable, StoreTimeout, StoreFull, CommitUnknown, QueueFull)  # acts wait for the next try


class AuditSealer:
    """Continues each domain's chain with the acts that it does not cover yet.

    Safe on any number of nodes, and after a crash at any point: what is not sealed is found by looking, and seals are
    written only where they follow the newest one.
    """

    def __init__(self, log: AuditLog, clock: Clock, on_fatal: Callable[[BaseException], None]) -> None:
        """Take where the acts lie; `on_fatal` is called when the store is broken (R12)."""
        self._log = log
        self._clock = clock
        self._on_fatal = on_fatal
        self._hint = asyncio.Event()
        self._hint.set()  # what an earlier process left
        self._waiting_since_s: float | None = clock.monotonic()

    def hint(self) -> None:
        """Hear that acts may have been written; without it nothing is asked of the store."""
        self._hint.set()
        if self._waiting_since_s is None:
            self._waiting_since_s = self._clock.monotonic()

    def age_s(self) -> float:
        """Give for how long at most an act has waited for its seal, in this process; 0 = none waits."""
        return 0.0 if self._waiting_since_s is None else self._clock.monotonic() - self._waiting_since_s

    async def run(self) -> None:
        """Seal whenever something was done, until cancelled or the store is broken."""
        while True:
            await self._hint.wait()
            await self._clock.sleep_until(self._clock.monotonic() + GATHER_S)
            self._hint.clear()
            try:
                while await self.seal():
                    pass
            except _OUTAGE:
                self._hint.set()
                await self._clock.sleep_until(self._clock.monotonic() + RETRY_S)
            except StoreBroken as fault:
                self._on_fatal(fault)
                return
            else:
                # What was written meanwhile has set the hint again, and waits since now at most.
                self._waiting_since_s = self._clock.monotonic() if self._hint.is_set() else None

    async def seal(self) -> bool:
        """Seal the oldest acts that are not sealed, at most PORTION_ROWS; gives whether more may follow.

        Raises:
            StoreUnavailable, StoreTimeout, StoreFull, CommitUnknown, QueueFull: perhaps nothing was sealed.
            StoreBroken: end the process.
        """
        found = await self._log.unsealed(limit=PORTION_ROWS)
        made = [
            seal
            for domain_id, rows in found.rows.items()
            for seal in seals(domain_id, found.heads.get(domain_id), rows)
        ]
        if not made:
            return False
        # When somebody else was there first, what is left is looked for anew.
        return not await self._log.seal(made) or len(made) == PORTION_ROWS
