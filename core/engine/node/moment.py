"""The time of decisions: the wall clock, which never goes back within one process (R27)."""

from __future__ import annotations

from datetime import UTC, datetime

from core.ports.clock import Clock

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class NodeTime:
    """Times of decisions and of due timers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = _BEGIN

    def now(self) -> datetime:
        """Give the wall time, or the newest one given before when the clock went back."""
        now = self._clock.now()
        self._last = max(self._last, now)
        return self._last
