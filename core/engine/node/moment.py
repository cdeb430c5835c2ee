"""The time of decisions: the wall clock, which never goes back and never stands within one process (R27)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.ports.clock import Clock

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class NodeTime:
    """Times of decisions and of due timers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin = _BEGIN

    def now(self) -> datetime:
        """Give the wall time; once that went back, the time it would be if it had not (ADR 0034).

        A jump forward is followed: a machine that slept has lived through it. After a jump back time goes on by the
        monotonic clock, so timers that were set before are due when they would have been.
        """
        wall = self._clock.now()
        passed = timedelta(seconds=self._clock.monotonic())
        self._begin = max(self._begin, wall - passed)
        return self._begin + passed
