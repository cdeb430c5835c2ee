"""Simulated time, identity and chance of one process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from flow_automation.testing.chance import Random

STARTED_AT = datetime(2026, 3, 1, tzinfo=UTC)  # of every seed, so that a trace names the same times always
_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, of ULIDs
_ULID_LENGTH = 26


class SimClock:
    """Wall time of one machine: the loop's, `offset_s` beside it; jumps are changes of the offset."""

    def __init__(self, loop: asyncio.AbstractEventLoop, offset_s: float = 0.0) -> None:
        self._loop = loop
        self.offset_s = offset_s

    def now(self) -> datetime:
        """Give the wall time, aware UTC."""
        return STARTED_AT + timedelta(seconds=round(self._loop.time() + self.offset_s, 6))

    def monotonic(self) -> float:
        """Give the loop's time."""
        return self._loop.time()

    async def sleep_until(self, monotonic_at: float) -> None:
        """Sleep until the loop's time."""
        await asyncio.sleep(max(0.0, monotonic_at - self._loop.time()))


class SimIds:
    """ULIDs of simulated time: ascending within one process, unique in all."""

    def __init__(self, clock: SimClock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng
        self._last = 0

    def new_id(self) -> str:
        """Give a ULID."""
        made = int(self._clock.now().timestamp() * 1000) << 80 | self._rng.getrandbits(80)
        self._last = max(made, self._last + 1)
        number, symbols = self._last, []
        for _ in range(_ULID_LENGTH):
            number, symbol = divmod(number, 32)
            symbols.append(_SYMBOLS[symbol])
        return "".join(reversed(symbols))


class SimDice:
    """Seeds of decisions."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def seed(self) -> bytes:
        """Give 16 bytes."""
        return self._rng.randbytes(16)
