"""RateLimiter: requests within any minute, over every adapter; time is a clock that the test moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random  # noqa: TID251 - a test draws its cases

import pytest

from core.ports.clock import Clock
from core.ports.rate_limiter import RATE_WINDOW_S, RateLimit, RateLimiter, RateStanding
from driven_adapters.memory import MemoryRateLimiter
from tests.contract.stores import HandClock

# Each adapter with a clock of ours: an adapter over a server joins with what moves the server's time.
ADAPTERS: dict[str, Callable[[Clock], RateLimiter]] = {"memory": MemoryRateLimiter}
KEY = RateLimit("key", ("one", "k1"), 3)
OTHER_KEY = RateLimit("key", ("one", "k2"), 3)
DOMAIN = RateLimit("domain", ("one",), 5)
EDGE_S = 1.0  # how much longer than the window a request may count
DRAWN_COUNT = 4_000


class Limited:
    """A limiter and its clock."""

    def __init__(self, make: Callable[[Clock], RateLimiter]) -> None:
        self.clock = HandClock()
        self.limiter = make(self.clock)

    async def hits(self, count: int, *limits: RateLimit) -> list[RateStanding]:
        return [await self.limiter.hit(limits) for _ in range(count)]


@pytest.fixture(params=sorted(ADAPTERS))
def limited(request: pytest.FixtureRequest) -> Limited:
    """An empty limiter of each adapter."""
    return Limited(ADAPTERS[request.param])


async def test_limit_counts_down_and_then_refuses(limited: Limited) -> None:
    standings = await limited.hits(4, KEY)

    assert [(2, False), (1, False), (0, False), (0, True)] == [(one.remaining, one.is_refused) for one in standings]
    assert {("key", 3)} == {(one.scope, one.limit) for one in standings}


async def test_what_was_refused_does_not_count(limited: Limited) -> None:
    await limited.hits(3, KEY)
    limited.clock.move(RATE_WINDOW_S / 2)
    await limited.hits(50, KEY)
    limited.clock.move(RATE_WINDOW_S / 2 + EDGE_S)

    assert [False, False, False, True] == [one.is_refused for one in await limited.hits(4, KEY)]


async def test_refused_request_is_taken_after_the_seconds_that_it_was_told(limited: Limited) -> None:
    limited.clock.move(0.3)
    await limited.hits(1, KEY)
    limited.clock.move(17.9)
    await limited.hits(2, KEY)
    refused = (await limited.hits(1, KEY))[0]
    limited.clock.move(refused.reset_s - 0.001)
    assert (await limited.hits(1, KEY))[0].is_refused
    limited.clock.move(0.001)

    assert [False, True] == [one.is_refused for one in await limited.hits(2, KEY)]
    assert RATE_WINDOW_S <= 17.9 + refused.reset_s <= RATE_WINDOW_S + EDGE_S


async def test_burst_at_the_edge_of_a_window_gets_its_limit_once(limited: Limited) -> None:
    limited.clock.move(RATE_WINDOW_S - 0.1)  # whatever minute the adapter thinks in, one ends about here
    for _ in range(3):
        await limited.hits(1, KEY)
        limited.clock.move(0.01)
    for _ in range(RATE_WINDOW_S - 1):
        limited.clock.move(1.0)
        assert (await limited.hits(1, KEY))[0].is_refused


async def test_no_minute_holds_more_than_the_limit_and_a_patient_caller_is_served(limited: Limited, seed: int) -> None:
    random, limit = Random(seed), RateLimit("key", ("one", "k1"), 20)
    taken: deque[float] = deque()
    for _ in range(DRAWN_COUNT):
        limited.clock.move(random.choice((0.0, 0.0, 0.01, 0.7, 3.0, 40.0, 130.0)) * random.random())
        now = limited.clock.monotonic()
        is_refused = (await limited.hits(1, limit))[0].is_refused
        while taken and taken[0] <= now - RATE_WINDOW_S - EDGE_S:
            taken.popleft()
        in_window = sum(at > now - RATE_WINDOW_S for at in taken)
        assert is_refused or in_window < limit.count_max
        assert not is_refused or len(taken) >= limit.count_max
        if not is_refused:
            taken.append(now)


async def test_one_request_counts_against_all_its_limits(limited: Limited) -> None:
    assert [("key", 2), ("key", 1), ("key", 0)] == [
        (one.scope, one.remaining) for one in await limited.hits(3, KEY, DOMAIN)
    ]

    assert [("domain", 1, False), ("domain", 0, False), ("domain", 0, True)] == [
        (one.scope, one.remaining, one.is_refused) for one in await limited.hits(3, OTHER_KEY, DOMAIN)
    ]


async def test_request_that_one_limit_refuses_counts_against_none(limited: Limited) -> None:
    await limited.hits(9, KEY, DOMAIN)

    assert 2 == (await limited.limiter.look(DOMAIN)).remaining


async def test_of_two_that_refuse_the_longer_is_told(limited: Limited) -> None:
    await limited.hits(3, KEY)
    limited.clock.move(10.0)
    await limited.hits(5, DOMAIN)
    refused = (await limited.hits(1, KEY, DOMAIN))[0]

    assert ("domain", True) == (refused.scope, refused.is_refused)
    limited.clock.move(refused.reset_s)
    assert not (await limited.hits(1, KEY, DOMAIN))[0].is_refused


async def test_of_two_with_the_same_left_the_first_is_told(limited: Limited) -> None:
    await limited.hits(2, DOMAIN)

    assert ["key", "domain"] == [
        (await limited.hits(1, KEY, DOMAIN))[0].scope,
        (await limited.hits(1, DOMAIN, KEY))[0].scope,
    ]


async def test_subjects_and_scopes_do_not_share(limited: Limited) -> None:
    same_name = RateLimit("address", ("one",), 5)
    await limited.hits(5, DOMAIN)

    assert [False, False] == [(await limited.hits(1, limit))[0].is_refused for limit in (same_name, OTHER_KEY)]


async def test_look_counts_nothing_and_says_what_a_hit_would(limited: Limited) -> None:
    unknown = [await limited.limiter.look(KEY) for _ in range(9)]
    await limited.hits(3, KEY)
    spent = await limited.limiter.look(KEY)

    assert {RateStanding("key", 3, 3, 0.0, is_refused=False)} == set(unknown)
    assert (await limited.hits(1, KEY))[0] == spent
    limited.clock.move(RATE_WINDOW_S + EDGE_S)
    assert RateStanding("key", 3, 3, 0.0, is_refused=False) == await limited.limiter.look(KEY)
