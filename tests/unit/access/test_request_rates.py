"""Limits on requests as the core sees them: which are asked for whom, and what a refusal says."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.access.request_rates import RequestLimits, RequestRates
from core.ports.rate_limiter import RateScope, RateStanding
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryRateLimiter
from tests.contract.stores import HandClock

SCOPE = Scope("one", Principal("k1", "key", "First"))
SAME_ID = Scope("two", Principal("k1", "key", "First"))


def _rates(key: int = 0, domain: int = 0, denied: int = 0) -> RequestRates:
    limits = RequestLimits(key_per_minute=key, domain_per_minute=domain, denied_per_minute=denied)
    return RequestRates(MemoryRateLimiter(HandClock()), limits, HandClock())


@pytest.mark.parametrize(
    ("key", "domain", "scope", "limit"), [(5, 0, "key", 5), (0, 7, "domain", 7), (5, 7, "key", 5), (7, 5, "domain", 5)]
)
def test_the_tighter_of_the_limits_that_are_set_is_told(key: int, domain: int, scope: str, limit: int) -> None:
    standing = asyncio.run(_rates(key, domain).count(SCOPE))
    assert standing is not None
    assert (scope, limit, limit - 1) == (standing.scope, standing.limit, standing.remaining)


def test_limit_of_zero_is_none() -> None:
    async def ask() -> None:
        rates = _rates()
        assert [None, None, None] == [
            await rates.count(SCOPE), await rates.count_denied("a"), await rates.look_at("a"),
        ]  # fmt: skip

    asyncio.run(ask())


def test_key_of_the_same_id_in_another_domain_is_another_key() -> None:
    async def ask() -> None:
        rates = _rates(key=1)
        standings = [await rates.count(scope) for scope in (SCOPE, SAME_ID, SCOPE)]
        assert [False, False, True] == [standing is None or standing.is_refused for standing in standings]

    asyncio.run(ask())


def test_default_lets_the_benchmark_pass() -> None:
    limits = RequestLimits()
    assert 3_000 * 60 < limits.key_per_minute < limits.domain_per_minute
    assert 0 < limits.denied_per_minute < 3_000


@pytest.mark.parametrize(
    ("scope", "sender", "holder", "said"),
    [
        ("key", SCOPE, "k1", "this key may send 3 requests"),
        ("domain", SCOPE, "one", "the keys of this business domain together may send 3 requests"),
        ("address", "192.0.2.1", "192.0.2.1", "this address may send, without a valid key, 3 requests"),
    ],
)
def test_refusal_says_whose_limit_it_was_and_when_to_come_again(
    scope: RateScope, sender: Scope | str, holder: str, said: str
) -> None:
    error = _rates().refusal(RateStanding(scope, 3, 0, 12.25, is_refused=True), sender)
    assert f"{said} within 60 s; the next is taken in 13 s" == error.detail
    assert (12.25, {"scope": scope, "limit": 3}) == (error.retry_after_s, error.fields)
    [bound] = error.why
    assert ("requests", {"taken": 3, "most": 3, "within_s": 60}) == (bound.name, bound.value)
    assert (scope, holder) == (bound.holder_kind, bound.holder)
    assert HandClock().now() + timedelta(seconds=12.25) == bound.at
