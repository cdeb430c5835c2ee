"""Loads instances shortly before their timers are due, so that many which wake at once need not all be read then."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from core.engine.node.hot import HotInstance, HotTable
from core.engine.node.loader import Loader
from core.engine.node.moment import NodeTime
from core.engine.node.ownership import OUTAGE, Ownership
from core.engine.node.pauses import wait_until
from core.engine.node.timers import TimerWatch
from core.ports.clock import Clock
from core.ports.instance_store import READ_ROWS_MAX, InstanceStore, TimerRow

AHEAD_S = 2.5  # ten thousand instances are loaded within a second
AWAITED_MAX = 16_000  # loaded by one look, in pages; what is due beyond them is loaded when it wakes
LOOK_S = 0.5  # between looks; nothing is looked at while no timer is due within AHEAD_S


class LoadAhead:
    """Keeps in memory what will be woken within AHEAD_S, beside the idle instances that stay there."""

    def __init__(
        self,
        *,
        store: InstanceStore,
        ownership: Ownership,
        table: HotTable,
        loader: Loader,
        timers: TimerWatch,
        time: NodeTime,
        clock: Clock,
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._table = table
        self._loader = loader
        self._timers = timers
        self._time = time
        self._clock = clock
        self._seen_until = time.now()

    async def run(self) -> None:
        """Look whenever something is due within AHEAD_S, at most once in LOOK_S."""
        while True:
            self._timers.lowered.clear()
            at = self._timers.due_monotonic(AHEAD_S)
            if at is None or at > self._clock.monotonic():
                await wait_until(self._clock, self._timers.lowered, at)
                continue
            with contextlib.suppress(*OUTAGE):  # the store is asked again at the next look
                await self.look()
            await self._clock.sleep_until(self._clock.monotonic() + LOOK_S)

    async def look(self) -> None:
        """Load what becomes due until AHEAD_S from now and was not looked at before."""
        now = self._time.now()
        horizon = now + timedelta(seconds=AHEAD_S)
        since = max(self._seen_until, now)
        owned = tuple(self._ownership.owned)
        for skip in range(0, AWAITED_MAX, READ_ROWS_MAX):
            rows = await self._store.due_timers(owned, since=since, skip=skip, until=horizon, limit=READ_ROWS_MAX)
            for row in rows:
                self._load(row)
            self._seen_until = horizon if len(rows) < READ_ROWS_MAX else rows[-1].due_at
            if len(rows) < READ_ROWS_MAX:
                return

    def _load(self, row: TimerRow) -> None:
        instance_id = row.instance_id
        is_held = self._table.get(instance_id) is not None or instance_id in self._table.quarantined
        if not is_held and self._ownership.fence(row.shard) is not None:
            hot = self._table.add(HotInstance(instance_id, "", row.shard))
            hot.is_awaited = True
            self._loader.start(hot)
