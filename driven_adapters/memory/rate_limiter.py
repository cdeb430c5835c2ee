"""Rate limits counted in this process: exact in that no window of time ever holds more than its limit (ADR 0023)."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, get_args

from core.ports.rate_limiter import RATE_WINDOW_S, RateScope, RateStanding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.clock import Clock
    from core.ports.rate_limiter import RateLimit

SLOTS_COUNT = 60  # of a window: its edge is sharp to a second, and a subject costs 0.9 KB
SLOT_S = RATE_WINDOW_S / SLOTS_COUNT
# Of each scope: four times the callers whose keys access remembers, 15 MB. Beyond it the subject that was silent
# longest is forgotten, and with it at most what one window held of it.
SUBJECTS_COUNT_MAX = 16_384
_RING = SLOTS_COUNT + 1  # the slot that the window's beginning lies in counts whole
_NOTHING = bytes(8 * _RING)


class _Window:
    """Requests of one subject by slot. Every slot outside of `first`..`last` is empty."""

    __slots__ = ("counts", "first", "last", "total")

    def __init__(self, slot: int) -> None:
        self.counts = array("Q", _NOTHING)
        self.first = self.last = slot
        self.total = 0

    def move_to(self, slot: int) -> None:
        """Forget what lies before the window that ends in this slot."""
        oldest = slot - SLOTS_COUNT
        if self.last < oldest:
            self.counts = array("Q", _NOTHING)
            self.first, self.total = slot, 0
        while self.first < oldest:
            self.total -= self.counts[self.first % _RING]
            self.counts[self.first % _RING] = 0
            self.first += 1
        self.last = slot

    def add(self) -> None:
        """Count one request in the newest slot."""
        self.counts[self.last % _RING] += 1
        self.total += 1

    def standing(self, limit: RateLimit, now: float, *, is_refused: bool) -> RateStanding:
        """Say how many more this limit takes, and until when the oldest request counts."""
        remaining = max(0, limit.count_max - self.total)
        if not self.total:
            return RateStanding(limit.scope, limit.count_max, remaining, 0.0, is_refused)
        while not self.counts[self.first % _RING]:
            self.first += 1  # each slot is passed once
        reset_s = (self.first + _RING) * SLOT_S - now
        return RateStanding(limit.scope, limit.count_max, remaining, reset_s, is_refused)


class MemoryRateLimiter:
    """`RateLimiter` of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[RateScope, OrderedDict[tuple[str, ...], _Window]] = {
            scope: OrderedDict() for scope in get_args(RateScope)
        }

    async def hit(self, limits: Sequence[RateLimit]) -> RateStanding:
        """Count one request against all limits, or none."""
        now = self._clock.monotonic()
        slot = int(now / SLOT_S)
        windows: list[_Window] = []
        tightest, least = 0, -1
        for place, limit in enumerate(limits):
            window = self._window(limit, slot)
            windows.append(window)
            left = limit.count_max - window.total
            if place == 0 or left < least:
                tightest, least = place, left
        if least <= 0:
            spent = [
                (one, window) for one, window in zip(limits, windows, strict=True) if window.total >= one.count_max
            ]
            return max((window.standing(one, now, is_refused=True) for one, window in spent), key=_reset_s)
        for window in windows:
            window.add()
        return windows[tightest].standing(limits[tightest], now, is_refused=False)

    async def look(self, limit: RateLimit) -> RateStanding:
        """Say what `hit` would; a subject that was never counted gets no window."""
        now = self._clock.monotonic()
        window = self._windows[limit.scope].get(limit.subject)
        if window is None:
            return RateStanding(limit.scope, limit.count_max, limit.count_max, 0.0, is_refused=False)
        window.move_to(int(now / SLOT_S))
        return window.standing(limit, now, is_refused=window.total >= limit.count_max)

    def _window(self, limit: RateLimit, slot: int) -> _Window:
        windows = self._windows[limit.scope]
        window = windows.get(limit.subject)
        if window is None:
            window = windows[limit.subject] = _Window(slot)
            if len(windows) > SUBJECTS_COUNT_MAX:
                windows.popitem(last=False)
            return window
        windows.move_to_end(limit.subject)
        if window.last != slot:
            window.move_to(slot)
        return window


def _reset_s(standing: RateStanding) -> float:
    return standing.reset_s
