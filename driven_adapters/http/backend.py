"""The network below the HTTP client: resolves once, checks every address, connects to a checked one."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import httpcore2

from driven_adapters.http.addresses import Address, EgressPolicy
from driven_adapters.http.stream import connect

RESOLVE_S_MAX = 10.0  # a resolver that is silent for longer is away; connect and read have bounds of their own
ADDRESS_COUNT_MAX = 32  # more addresses than any honest name has; each costs a check and maybe a connect
CONNECT_TRY_COUNT_MAX = 3  # addresses tried before the target counts as away

Connect = Callable[[str, int, float | None], Awaitable[httpcore2.AsyncNetworkStream]]
"""Address, port and seconds to an open connection."""


class Resolver(Protocol):
    """Names to addresses."""

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Give all addresses of a name, best first; empty when it has none. Asked once per connection."""
        ...


class SystemResolver:
    """The resolver of the host."""

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Ask the host's resolver, in a thread of the event loop's pool."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            return []
        return [ipaddress.ip_address(entry[4][0]) for entry in found if isinstance(entry[4][0], str)]


class ForbiddenAddress(Exception):
    """A name or address leads to where the policy forbids; nothing was sent. Its text is for the user."""


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects only where the policy allows. The pool gives the host of the URL, never an address that was changed."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver, connect: Connect = connect) -> None:
        """Take policy, resolver and how to connect to an address; opens nothing."""
        self._policy = policy
        self._connect = connect
        self._resolver = resolver

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the library
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to a checked address of this host.

        Raises:
            ForbiddenAddress: one of its addresses is denied: all are then, since who mixes them aims at the denied one.
            httpcore2.ConnectError, httpcore2.ConnectTimeout: no address, or none of them answers.
        """
        del local_address, socket_options
        addresses = await self._checked(host, port)
        failure: Exception = httpcore2.ConnectError("no address")
        for address in addresses[:CONNECT_TRY_COUNT_MAX]:
            try:
                return await self._connect(str(address), port, timeout)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the library
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: no URL names a Unix socket."""
        del timeout, socket_options
        raise ForbiddenAddress(f"{path} is a Unix socket")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[Address]:
        addresses = await self._addresses(host, port)
        if self._policy.is_allowed(host, port):
            return addresses
        for address in addresses:
            if (fault := self._policy.address_fault(address)) is not None:
                raise ForbiddenAddress(fault if host == str(address) else f"{host}: {fault}")
        return addresses

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(RESOLVE_S_MAX):
                found = await self._resolver.resolve(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the resolver is silent") from error
        if len(found) > ADDRESS_COUNT_MAX:
            raise ForbiddenAddress(f"{host} has more than {ADDRESS_COUNT_MAX} addresses")
        return found
