"""The machine's clocks."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time of the machine, and the event loop's monotonic clock.

    `monotonic()` gives seconds since some moment in the past; only differences mean something.
    """

    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        """Give the wall time, aware UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, monotonic_at: float) -> None:
        """Return when `monotonic()` has reached `monotonic_at`."""
        # One turn of the loop even for the past: a caller in a loop must not starve the others.
        await asyncio.sleep(max(0.0, monotonic_at - time.monotonic()))
