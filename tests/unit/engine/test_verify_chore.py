"""The chore that proves a store: one round a period, over outages, to the end of a broken store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.engine.verify import ROUND_PERIOD_S, Verifier
from core.errors import StoreBroken, StoreTimeout, StoreUnavailable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Over(Exception):
    """The test has seen enough."""


class Clock:
    """Time that passes while somebody sleeps, so many times."""

    def __init__(self, periods_max: int) -> None:
        self.at_s = 0.0
        self.periods = 0
        self._periods_max = periods_max

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep_until(self, monotonic_at: float) -> None:
        self.periods += monotonic_at - self.at_s >= ROUND_PERIOD_S
        if self.periods > self._periods_max:
            raise Over
        self.at_s = monotonic_at


class Empty:
    """A store without a row; each read first meets what is given."""

    def __init__(self, *fates: Exception) -> None:
        self.fates = list(fates)
        self.asked = 0

    async def instances(self, **_asked: Any) -> list[Any]:
        self.asked += 1
        if self.fates:
            raise self.fates.pop(0)
        return []

    async def timers(self, **_asked: Any) -> list[Any]:
        return []

    async def start_keys(self, **_asked: Any) -> list[Any]:
        return []

    async def permits(self, **_asked: Any) -> list[Any]:
        return []


def verifier(store: Any, clock: Clock, fatal: list[BaseException]) -> Verifier:
    def never(_violation: object) -> None:
        raise AssertionError("nothing is there that could be wrong")

    return Verifier(
        store=store, audit=store, permits=store, plans=store, clock=clock, on_violation=never, on_fatal=fatal.append
    )


def test_round_comes_once_a_period_and_moves_the_time_that_is_proved() -> None:
    clock = Clock(3)
    made = verifier(Empty(), clock, [])
    assert 0.0 == made.age_s()
    with pytest.raises(Over):
        asyncio.run(made.run())

    assert (3 * ROUND_PERIOD_S, 0.0) == (clock.at_s, made.age_s())
    assert NOON + timedelta(seconds=3 * ROUND_PERIOD_S) == made.verified_to


def test_outage_is_left_to_the_next_round_and_the_age_says_so() -> None:
    store, clock = Empty(StoreUnavailable("away"), StoreTimeout("slow")), Clock(2)
    made = verifier(store, clock, [])
    with pytest.raises(Over):
        asyncio.run(made.run())

    assert (2, 2 * ROUND_PERIOD_S, None) == (store.asked, made.age_s(), made.verified_to)


def test_broken_store_ends_the_process() -> None:
    fatal: list[BaseException] = []
    fault = StoreBroken("x")
    asyncio.run(verifier(Empty(fault), Clock(9), fatal).run())

    assert [fault] == fatal
