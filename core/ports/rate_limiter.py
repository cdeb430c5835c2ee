"""Requests within a window of time, counted for whoever may send only so many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE_WINDOW_S = 60  # every limit is one per minute, as the settings say it

RateScope = Literal["key", "domain", "address"]
"""What a limit is for: an API key, a business domain, or an address that fails to authenticate."""


class RateLimit(msgspec.Struct, frozen=True):
    """At most `count_max` (1 or more) requests of one subject within any RATE_WINDOW_S seconds.

    `subject` is unique within its scope: business domain and key, business domain, or address.
    """

    scope: RateScope
    subject: tuple[str, ...]
    count_max: int


class RateStanding(msgspec.Struct, frozen=True):
    """How a subject stands with its limit.

    Attributes:
        limit: requests within RATE_WINDOW_S. remaining: of them, that would be taken now.
        reset_s: seconds until the oldest request that is counted no longer is: then `remaining` grows, and what was
            refused is taken. At most a second more than RATE_WINDOW_S; 0 when nothing is counted.
        is_refused: the request is not to be served; it was not counted.
    """

    scope: RateScope
    limit: int
    remaining: int
    reset_s: float
    is_refused: bool


@runtime_checkable
class RateLimiter(Protocol):
    """Counts by the adapter's own clock, since several processes may count together.

    Neither method raises: an adapter whose store is away counts in its own process meanwhile (reliability.md, row 10).
    """

    async def hit(self, limits: Sequence[RateLimit]) -> RateStanding:
        """Count one request against all of these limits, or against none when one of them is spent.

        A request counts for RATE_WINDOW_S seconds and at most one more: whichever seconds are looked at, a subject was
        never served more than its limit within them. What is refused does not count, so that whoever keeps on asking
        is served again.

        Args:
            limits: one or more, of different subjects.

        Returns:
            The standing of the tighter one: of those that refuse the one that does so longest, else the one with the
            least remaining, the earlier in `limits` when two have the same.
        """
        ...

    async def look(self, limit: RateLimit) -> RateStanding:
        """Say what `hit` would, and count nothing; `remaining` is without the request that asks."""
        ...
