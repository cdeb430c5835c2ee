"""How many retries of one business domain may begin: against storms upon a target that is down (reliability.md R25).

A bucket of tokens for each domain: a reserve that comes with time, and a share with each first call. A retry takes one
token when it begins. One that finds none gets a place in the domain's line, which moves as fast as tokens come; when
its turn comes it may begin upon credit, since the speed of the line is an estimate. Times are given; nothing here reads
a clock.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from datetime import datetime, timedelta

import msgspec

RETRY_RESERVE_PER_S_DEFAULT = 10.0  # no ordinary DAG retries as often; a storm has hundreds a second
RETRY_SHARE_DEFAULT = 0.2  # of first calls: traffic of at most 1.2 times them (reliability.md, failure 37)
BURST_S = 10.0  # the bucket holds what the reserve gives in this time, and so much credit has a line: flaps are short
CALLS_WINDOW_S = 5.0  # over which the speed of first calls is averaged: a line follows a change within seconds
DOMAINS_MAX = 4_096  # of which an account is kept; one of them is some hundred bytes


class RetriesTaken(msgspec.Struct):
    """Retries of one decision: those that `began`, and those that were `put_off`."""

    began: int = 0
    put_off: int = 0


class _Account:
    """What one domain has.

    Attributes:
        tokens: at `at`, below 0 = credit. calls: first calls since then. calls_per_s: average at `at`.
        line_at: when the last one in line has its turn.
    """

    __slots__ = ("at", "calls", "calls_per_s", "line_at", "tokens")

    def __init__(self, at: datetime, tokens: float) -> None:
        self.at = self.line_at = at
        self.tokens = tokens
        self.calls = 0
        self.calls_per_s = 0.0


class RetryBudget:
    """Budgets of the business domains of one engine node.

    Over any time of T seconds with F first calls of a domain, at most `reserve_per_s` * T + `share` * F retries of it
    begin, and 2 * BURST_S * `reserve_per_s` more.

    Args:
        reserve_per_s: retries per second that need no first calls; over 0.
        share: retries per first call, 0 or more.
    """

    def __init__(
        self, *, reserve_per_s: float = RETRY_RESERVE_PER_S_DEFAULT, share: float = RETRY_SHARE_DEFAULT
    ) -> None:
        self._reserve_per_s = reserve_per_s
        self._share = share
        self._burst = max(1.0, reserve_per_s * BURST_S)
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self.put_off_count = 0

    def called(self, domain_id: str, now: datetime, count: int) -> None:
        """Count first calls."""
        account = self._accounts.get(domain_id)
        if account is None:
            account = self._open(domain_id, now)
        account.calls += count

    def next_at(self, domain_id: str, now: datetime, taken: RetriesTaken, *, is_in_turn: bool) -> datetime | None:
        """Say when a retry may begin: None = now, else its place in line. Nothing is taken: `take` does that.

        Args:
            taken: what the same decision took before it.
            is_in_turn: it was put off before, and its place in line has come.
        """
        account = self._accounts.get(domain_id) or _Account(now, self._burst)
        tokens, calls_per_s = self._standing(account, now)
        tokens -= taken.began
        is_first = not taken.put_off and account.line_at <= now
        if tokens >= 1.0 - self._burst if is_in_turn else is_first and tokens >= 1.0:
            return None
        return self._place(account, now, calls_per_s, taken.put_off + 1)

    def take(self, domain_id: str, now: datetime, taken: RetriesTaken) -> None:
        """Take what a decision took."""
        account = self._accounts.pop(domain_id, None) or self._open(domain_id, now)
        self._accounts[domain_id] = account  # the one that took last stands last, and is forgotten last
        account.tokens, account.calls_per_s = self._standing(account, now)
        account.tokens -= taken.began
        if taken.put_off:
            account.line_at = self._place(account, now, account.calls_per_s, taken.put_off)
            self.put_off_count += taken.put_off
        account.at, account.calls = max(account.at, now), 0

    def _open(self, domain_id: str, now: datetime) -> _Account:
        while len(self._accounts) >= DOMAINS_MAX:
            self._accounts.popitem(last=False)
        account = self._accounts[domain_id] = _Account(now, self._burst)
        return account

    def _standing(self, account: _Account, now: datetime) -> tuple[float, float]:
        """Give tokens and first calls per second as they are at `now`."""
        passed_s = max(0.0, (now - account.at).total_seconds())
        income = self._reserve_per_s * passed_s + self._share * account.calls
        kept = math.exp(-passed_s / CALLS_WINDOW_S)
        # The average of calls that came evenly in that time; those of one moment weigh as at its begin.
        weight = (1.0 - kept) / passed_s if passed_s else 1.0 / CALLS_WINDOW_S
        return min(self._burst, account.tokens + income), account.calls_per_s * kept + account.calls * weight

    def _place(self, account: _Account, now: datetime, calls_per_s: float, place: int) -> datetime:
        """Give the moment of the `place`-th from the end of the line."""
        return max(now, account.line_at) + timedelta(seconds=place / (self._reserve_per_s + self._share * calls_per_s))
