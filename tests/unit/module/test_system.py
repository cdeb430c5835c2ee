"""This machine's time, identity and chance."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, timedelta

import pytest
from ulid import ULID

from driven_adapters.system import SystemClock, SystemDice, UlidSource


def test_ids_are_ulids_of_now_and_ascend() -> None:
    source = UlidSource()
    made = [source.new_id() for _ in range(5_000)]
    assert sorted(set(made)) == made
    assert abs(ULID.from_str(made[0]).datetime - SystemClock().now()) < timedelta(minutes=1)


def test_ids_ascend_when_the_wall_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([2_000_000_000_000, 1_000_000_000_000, 1_000_000_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    source = UlidSource()
    made = [source.new_id() for _ in range(3)]
    assert sorted(set(made)) == made


def test_seeds_never_repeat() -> None:
    dice = SystemDice()
    seeds = [dice.seed() for _ in range(1_000)]
    assert {16} == {len(seed) for seed in seeds}
    assert len(seeds) == len(set(seeds))


def test_clock_is_aware_and_waits_for_nothing_in_the_past() -> None:
    clock = SystemClock()
    assert UTC == clock.now().tzinfo
    before = clock.monotonic()
    asyncio.run(clock.sleep_until(before - 1.0))
    assert clock.monotonic() >= before
