"""Where requests meet their limits, and what an answer says of them (draft-ietf-httpapi-ratelimit-headers-06)."""

from __future__ import annotations

import ipaddress
from typing import Any

from core.access.request_rates import RequestRates
from core.ports.rate_limiter import RATE_WINDOW_S, RateStanding
from core.ports.scope import Scope
from driver_adapters.http.exchange import RATE_KEY

# Whoever has one IPv6 address has the 2^64 of its network: they count as one.
_NETWORK = (2**64 - 1) << 64


class RateGate:
    """Lets requests through while their limits last; leaves the headers of the answer in the ASGI scope."""

    def __init__(self, rates: RequestRates) -> None:
        """Take who counts."""
        self._rates = rates

    async def admit(self, asgi: Any, scope: Scope) -> None:
        """Count a request of an authenticated caller; nothing of its body was read.

        Raises:
            RateLimited: its key or its business domain has sent as many as it may.
        """
        self._take(asgi, await self._rates.count(scope), scope)

    async def expect(self, asgi: Any) -> None:
        """Ask whether a key that came from there is to be looked up. Those being looked up now are not counted yet.

        Raises:
            RateLimited: too many from there were none.
        """
        address = peer_of(asgi)
        standing = await self._rates.look_at(address)
        if standing is not None and standing.is_refused:
            self._take(asgi, standing, address)

    async def deny(self, asgi: Any) -> None:
        """Count a request without a valid key.

        Raises:
            RateLimited: there were too many from its address.
        """
        address = peer_of(asgi)
        self._take(asgi, await self._rates.count_denied(address), address)

    def _take(self, asgi: Any, standing: RateStanding | None, sender: Scope | str) -> None:
        if standing is None:
            return
        asgi[RATE_KEY] = (
            (b"ratelimit-limit", b"%d" % standing.limit),
            (b"ratelimit-remaining", b"%d" % standing.remaining),
            (b"ratelimit-reset", b"%d" % -(-standing.reset_s // 1)),  # whole seconds, rounded up like Retry-After
            (b"ratelimit-policy", b"%d;w=%d" % (standing.limit, RATE_WINDOW_S)),
        )
        if standing.is_refused:
            raise self._rates.refusal(standing, sender)


def peer_of(asgi: Any) -> str:
    """Give the address that a request came from, of IPv6 its network; empty for all callers of a Unix socket."""
    client = asgi.get("client")
    if not client:
        return ""
    host: str = client[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address) & _NETWORK))
