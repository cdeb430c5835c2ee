"""Waiting on the clock: back-off with jitter, and waits that an event cuts short."""

from __future__ import annotations

import asyncio

from core.ports.clock import Clock, Dice

DELAY_S_MIN = 0.05  # a store that restarts is asked again soon
DELAY_S_MAX = 1.0  # below the lease's time, so that a store that came back is seen within the same lease
DOUBLINGS_MAX = 5


class Backoff:
    """Pauses between tries: doubled each time, a random half of it left out, so that nodes do not try in step (R4)."""

    def __init__(self, clock: Clock, dice: Dice) -> None:
        self._clock = clock
        self._dice = dice
        self._count = 0

    def delay_s(self) -> float:
        """Give the next pause in seconds."""
        whole = min(DELAY_S_MAX, DELAY_S_MIN * (1 << min(self._count, DOUBLINGS_MAX)))
        self._count += 1
        share = int.from_bytes(self._dice.seed()[:4], "big") / 2**32
        return whole * (0.5 + share / 2)

    async def pause(self) -> None:
        """Wait for the next pause."""
        await self._clock.sleep_until(self._clock.monotonic() + self.delay_s())

    def reset(self) -> None:
        """Begin with short pauses again."""
        self._count = 0


async def wait_until(clock: Clock, event: asyncio.Event, at: float | None) -> None:
    """Return when the event is set, or when the monotonic clock has reached `at` (None = never)."""
    if event.is_set():
        return
    if at is None:
        await event.wait()
        return
    sleeper = asyncio.ensure_future(clock.sleep_until(at))
    waiter = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((sleeper, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        waiter.cancel()
