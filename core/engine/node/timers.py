"""Timers: memory holds only the least due time of the owned shards; the rows stay in the store (engine.md 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from core.engine.node.hot import Input
from core.engine.node.intake import Intake
from core.engine.node.marks import Marks
from core.engine.node.moment import NodeTime
from core.engine.node.ownership import OUTAGE, Ownership
from core.engine.node.pauses import Backoff, wait_until
from core.engine.stimuli import TimerFired
from core.ports.clock import Clock, Dice
from core.ports.instance_store import READ_ROWS_MAX, InstanceStore, TimerRow

PAGE_ROWS = 256  # timers fired at once; a forward jump of the clock fires the rest page by page (R29)
IN_FLIGHT_MAX = 512  # fired and not committed: above it the store keeps them


class TimerWatch:
    """Fires timers that are due, each once per epoch."""

    def __init__(
        self,
        *,
        store: InstanceStore,
        ownership: Ownership,
        intake: Intake,
        marks: Marks,
        time: NodeTime,
        clock: Clock,
        dice: Dice,
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._intake = intake
        self._marks = marks
        self._time = time
        self._clock = clock
        self._backoff = Backoff(clock, dice)
        self._least: datetime | None = None
        self._changed = asyncio.Event()
        self.lowered = asyncio.Event()  # for who looks ahead of the least due time

    def lower(self, rows: Iterable[TimerRow]) -> None:
        """Hear of timers that a commit has set."""
        for row in rows:
            if self._least is None or row.due_at < self._least:
                self._least = row.due_at
                self._changed.set()
                self.lowered.set()

    def reread(self) -> None:
        """Ask the store anew: shards were acquired, or a commit of unknown fate may have set timers (M1)."""
        self._least = self._time.now()
        self._changed.set()
        self.lowered.set()

    async def run(self) -> None:
        """Wait for the least due time, fire, and look for the next."""
        while True:
            await wait_until(self._clock, self._changed, self.due_monotonic())
            self._changed.clear()
            if self._least is None or self._least > self._time.now():
                continue
            try:
                await self.fire()
                self._backoff.reset()
            except OUTAGE:
                self.reread()
                await self._backoff.pause()

    async def fire(self) -> None:
        """Fire what is due and keep the next due time."""
        owned = tuple(self._ownership.owned)
        if len(self._marks.timers) >= IN_FLIGHT_MAX:
            # The timers on their way leave with their commits.
            self._marks.timers_low.clear()
            await wait_until(self._clock, self._marks.timers_low, self._clock.monotonic() + self._backoff.delay_s())
            self.reread()
            return
        self._least = None  # what commits set from here on is heard of by `lower`
        limit = min(READ_ROWS_MAX, self._marks.seen_timer_count + PAGE_ROWS)
        rows = await self._store.due_timers(owned, until=None, limit=limit) if owned else []
        now = self._time.now()
        for row in rows:
            if self._marks.has_timer(row) or self._ownership.fence(row.shard) is None:
                continue
            if row.due_at > now:
                self.lower((row,))
                return
            self._fire_one(row)
        if len(rows) == limit:
            self.reread()

    def _fire_one(self, row: TimerRow) -> None:
        frame, _, index = row.path.rpartition("@")
        given = Input(row.instance_id, TimerFired(row.n, frame, int(index)), timer=row)
        self._marks.begin(given)
        self._intake.put(given)

    def due_monotonic(self, ahead_s: float = 0.0) -> float | None:
        """Give the time of the monotonic clock so long before the least due time; None while none is known."""
        if self._least is None:
            return None
        return self._clock.monotonic() + max(0.0, (self._least - self._time.now()).total_seconds() - ahead_s)
