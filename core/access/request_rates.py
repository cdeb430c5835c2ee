"""How many requests a key, a business domain and an address without a valid key may send within a minute."""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec

from core.errors import RateLimited
from core.ports.clock import Clock
from core.ports.rate_limiter import RATE_WINDOW_S, RateLimit, RateLimiter, RateScope, RateStanding
from core.ports.scope import Scope
from core.predicate import Predicate

# Three times what the benchmark sends with one key (3 000 requests a second): against loops that went wild, not against
# work. Whoever shares an installation among tenants lowers it.
KEY_PER_MINUTE_DEFAULT = 600_000
DOMAIN_PER_MINUTE_DEFAULT = 1_200_000  # two keys at their full rate
# Ten a second: a client with an old key makes one or two, and each costs a read of the store.
DENIED_PER_MINUTE_DEFAULT = 600
CALLERS_REMEMBERED_MAX = 4_096  # whose limits need not be made anew; as many as callers whose keys access remembers

_WHO: dict[RateScope, str] = {
    "key": "this key may send",
    "domain": "the keys of this business domain together may send",
    "address": "this address may send, without a valid key,",
}


class RequestLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Requests within RATE_WINDOW_S seconds of one key, of one business domain, and of one address without a valid key.

    0 = any number.
    """

    key_per_minute: int = KEY_PER_MINUTE_DEFAULT
    domain_per_minute: int = DOMAIN_PER_MINUTE_DEFAULT
    denied_per_minute: int = DENIED_PER_MINUTE_DEFAULT


class RequestRates:
    """Counts requests against the limits of whoever sends them."""

    def __init__(self, limiter: RateLimiter, limits: RequestLimits, clock: Clock) -> None:
        """Take who counts, and how many there may be."""
        self._limiter = limiter
        self._limits = limits
        self._clock = clock
        self._of_caller: dict[tuple[str, str], tuple[RateLimit, ...]] = {}

    async def count(self, scope: Scope) -> RateStanding | None:
        """Count one request of an authenticated caller; None = no limit is set."""
        caller = (scope.domain_id, scope.principal.id)
        limits = self._of_caller.get(caller)
        if limits is None:
            if len(self._of_caller) >= CALLERS_REMEMBERED_MAX:
                self._of_caller.clear()
            limits = self._of_caller[caller] = self._made_for(caller)
        return await self._limiter.hit(limits) if limits else None

    def _made_for(self, caller: tuple[str, str]) -> tuple[RateLimit, ...]:
        key, domain = self._limits.key_per_minute, self._limits.domain_per_minute
        limits = (RateLimit("key", caller, key), RateLimit("domain", caller[:1], domain))
        return tuple(limit for limit in limits if limit.count_max)

    async def count_denied(self, address: str) -> RateStanding | None:
        """Count one request from `address` that had no valid key; None = no limit is set."""
        limit = self._of_address(address)
        return None if limit is None else await self._limiter.hit((limit,))

    async def look_at(self, address: str) -> RateStanding | None:
        """Say whether another key from `address` is to be looked up, and count nothing; None = no limit is set."""
        limit = self._of_address(address)
        return None if limit is None else await self._limiter.look(limit)

    def _of_address(self, address: str) -> RateLimit | None:
        count_max = self._limits.denied_per_minute
        return RateLimit("address", (address,), count_max) if count_max else None

    def refusal(self, standing: RateStanding, sender: Scope | str) -> RateLimited:
        """Make the error of a request that was refused; `sender` = who is authenticated, or else its address."""
        again_s = math.ceil(standing.reset_s)
        holder = sender if isinstance(sender, str) else _holder(standing.scope, sender)
        taken = standing.limit - standing.remaining
        bound = Predicate(
            name="requests", value={"taken": taken, "most": standing.limit, "within_s": RATE_WINDOW_S},
            holder_kind=standing.scope, holder=holder, next="the oldest request that is counted no longer is",
            at=self._clock.now() + timedelta(seconds=standing.reset_s),
        )  # fmt: skip
        said = f"{_WHO[standing.scope]} {standing.limit} requests within {RATE_WINDOW_S} s"
        error = RateLimited(
            f"{said}; the next is taken in {again_s} s", bound, scope=standing.scope, limit=standing.limit
        )
        error.retry_after_s = standing.reset_s
        return error


def _holder(limited: RateScope, sender: Scope) -> str:
    return sender.domain_id if limited == "domain" else sender.principal.id
