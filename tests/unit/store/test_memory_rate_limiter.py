"""Rate limits in memory: how many subjects are remembered, and that slots are used again."""

from __future__ import annotations

import asyncio

from core.ports.rate_limiter import RATE_WINDOW_S, RateLimit
from driven_adapters.memory import MemoryRateLimiter
from driven_adapters.memory.rate_limiter import SUBJECTS_COUNT_MAX
from tests.contract.stores import HandClock

ROUNDS_COUNT = 500


def _address(number: int) -> RateLimit:
    return RateLimit("address", (f"{number}",), 2)


def test_subject_that_was_silent_longest_is_forgotten_first() -> None:
    async def fill() -> None:
        limiter = MemoryRateLimiter(HandClock())
        for number in range(SUBJECTS_COUNT_MAX):
            await limiter.hit((_address(number),))
        await limiter.hit((_address(0),))
        await limiter.hit((_address(SUBJECTS_COUNT_MAX),))

        assert [0, 2, 1] == [(await limiter.look(_address(number))).remaining for number in (0, 1, 2)]

    asyncio.run(fill())


def test_slots_are_used_again_and_nothing_of_them_stays() -> None:
    async def go_on() -> None:
        clock = HandClock()
        limiter, limit = MemoryRateLimiter(clock), RateLimit("key", ("one", "k"), RATE_WINDOW_S + 2)
        for number in range(ROUNDS_COUNT):
            standing = await limiter.hit((limit,))
            assert max(1, RATE_WINDOW_S + 1 - number) == standing.remaining
            clock.move(1.0)
        clock.move(10 * RATE_WINDOW_S)
        assert limit.count_max - 1 == (await limiter.hit((limit,))).remaining

    asyncio.run(go_on())
