"""Keys are purged on a timer, in portions, and an outage is the next round's."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from core.engine.retention import (
    KEPT_LONGER_S,
    PORTION_PAUSE_S,
    PORTION_ROWS,
    PORTIONS_MAX,
    PURGE_PERIOD_S,
    Retention,
)
from core.errors import CommitUnknown, QueueFull, StoreBroken, StoreFull, StoreTimeout, StoreUnavailable
from core.ports.key_store import KeptAnswer
from core.ports.scope import Scope
from core.predicate import full_node

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Over(Exception):
    """The test has seen enough."""


class Clock:
    """Notes what is waited for, and ends the run when it was asked often enough."""

    def __init__(self, pauses_max: int) -> None:
        self.pauses: list[float] = []
        self._pauses_max = pauses_max
        self._at = 100.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self._at - 100)

    def monotonic(self) -> float:
        return self._at

    async def sleep_until(self, monotonic_at: float) -> None:
        if len(self.pauses) == self._pauses_max:
            raise Over
        self.pauses.append(round(monotonic_at - self._at, 6))
        self._at = monotonic_at


class Keys:
    """A store with so many rows due; `fates` come before its answers."""

    def __init__(self, due: int, *fates: Exception) -> None:
        self.due = due
        self.fates = deque(fates)
        self.asked: list[tuple[datetime, int]] = []

    async def find_answer(self, scope: Scope, route: str, key: str, *, now: datetime) -> KeptAnswer | None:
        raise AssertionError((scope, route, key, now))

    async def purge(self, *, now: datetime, limit: int) -> int:
        self.asked.append((now, limit))
        if self.fates:
            raise self.fates.popleft()
        removed = min(limit, self.due)
        self.due -= removed
        return removed


def run(keys: Keys, pauses_max: int, fatal: list[BaseException] | None = None) -> list[float]:
    clock = Clock(pauses_max)
    broken: list[BaseException] = [] if fatal is None else fatal
    with pytest.raises(Over):
        asyncio.run(Retention(keys, clock, broken.append).run())
    return clock.pauses


def test_store_is_asked_once_a_period_with_a_margin_for_other_clocks() -> None:
    keys = Keys(0)
    assert [PURGE_PERIOD_S] * 3 == run(keys, 3)
    times = [NOON + timedelta(seconds=n * PURGE_PERIOD_S - KEPT_LONGER_S) for n in (1, 2, 3)]
    assert [(at, PORTION_ROWS) for at in times] == keys.asked


def test_many_rows_go_in_portions_with_pauses_between() -> None:
    keys = Keys(2 * PORTION_ROWS + 1)
    assert [PURGE_PERIOD_S, PORTION_PAUSE_S, PORTION_PAUSE_S, PURGE_PERIOD_S] == run(keys, 4)
    assert 0 == keys.due
    assert 1 == len({now for now, _ in keys.asked[:3]})


def test_round_is_bounded_and_the_next_one_goes_on() -> None:
    keys = Keys((PORTIONS_MAX + 1) * PORTION_ROWS)
    clock = Clock(10**6)
    retention = Retention(keys, clock, lambda _: None)
    assert PORTIONS_MAX * PORTION_ROWS == asyncio.run(retention.purge_keys())
    assert PORTION_ROWS == asyncio.run(retention.purge_keys())
    assert sum(clock.pauses[:PORTIONS_MAX]) < PURGE_PERIOD_S


@pytest.mark.parametrize(
    "fault",
    [
        StoreUnavailable("x"),
        StoreTimeout("x"),
        StoreFull("x"),
        CommitUnknown("x"),
        QueueFull("x", full_node("store_calls", 1, 1, "room")),
    ],
)
def test_outage_is_left_to_the_next_round(fault: Exception) -> None:
    keys = Keys(3, fault)
    assert [PURGE_PERIOD_S] * 2 == run(keys, 2)
    assert 0 == keys.due


def test_broken_store_ends_the_process_and_is_not_asked_again() -> None:
    fatal: list[BaseException] = []
    fault = StoreBroken("x")
    keys = Keys(3, fault)
    asyncio.run(Retention(keys, Clock(9), fatal.append).run())
    assert ([fault], 1) == (fatal, len(keys.asked))
