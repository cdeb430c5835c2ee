"""Connections kept for the next request to the same origin.

The library's own pool looks at every connection upon every request: with 256 of them that was half of the CPU time of a
small request. Here a request takes the connection that was given back last, or opens one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore2

CONNECTION_COUNT_MAX = 256  # half of the node's attempts: more sockets to few targets would only queue there
IDLE_COUNT_MAX = 64  # idle connections kept, over all origins
IDLE_S_MAX = 30.0  # below the 60 s after which common servers close an idle connection
CONNECT_S_MAX = 10.0  # a handshake that takes longer is to a target that is away

_Key = tuple[bytes, bytes, int]  # scheme, host, port


class ConnectionPool:
    """HTTP/1.1 connections by origin; each serves one request at a time."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend, ssl_context: ssl.SSLContext) -> None:
        """Take how to connect; opens nothing."""
        self._backend = backend
        self._ssl_context = ssl_context
        self._ssl_context.set_alpn_protocols(["http/1.1"])
        self._places = asyncio.Semaphore(CONNECTION_COUNT_MAX)
        self._idle: dict[_Key, list[httpcore2.AsyncHTTP11Connection]] = {}
        self._idle_count = 0

    @property
    def idle_count(self) -> int:
        """Count the connections that wait for a next request."""
        return self._idle_count

    @asynccontextmanager
    async def send(self, request: httpcore2.Request) -> AsyncIterator[httpcore2.Response]:
        """Send a request and give the answer, its body unread; waits while all places are taken.

        A body that is left unread closes the connection.
        """
        origin = request.url.origin
        key = (origin.scheme, origin.host, origin.port)
        async with self._places:
            connection = await self._idle_connection(key) or await self._connect(origin)
            try:
                response = await connection.handle_async_request(request)
                try:
                    yield response
                finally:
                    await response.aclose()
            finally:
                await self._give_back(key, connection)

    async def aclose(self) -> None:
        """Close what is idle; what is in use closes with its request."""
        connections = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        self._idle_count = 0
        for connection in connections:
            await connection.aclose()

    async def _idle_connection(self, key: _Key) -> httpcore2.AsyncHTTP11Connection | None:
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            self._idle_count -= 1
            if not connection.has_expired():
                return connection
            await connection.aclose()
        self._idle.pop(key, None)
        return None

    async def _connect(self, origin: httpcore2.Origin) -> httpcore2.AsyncHTTP11Connection:
        host = origin.host.decode("ascii")
        stream = await self._backend.connect_tcp(host, origin.port, timeout=CONNECT_S_MAX)
        if origin.scheme == b"https":
            stream = await stream.start_tls(self._ssl_context, server_hostname=host, timeout=CONNECT_S_MAX)
        return httpcore2.AsyncHTTP11Connection(origin, stream, keepalive_expiry=IDLE_S_MAX)

    async def _give_back(self, key: _Key, connection: httpcore2.AsyncHTTP11Connection) -> None:
        if not connection.is_idle() or _has_more(connection):
            await connection.aclose()
            return
        if self._idle_count >= IDLE_COUNT_MAX:
            await self._close_expired()
        if self._idle_count >= IDLE_COUNT_MAX:
            await connection.aclose()
            return
        self._idle.setdefault(key, []).append(connection)
        self._idle_count += 1

    async def _close_expired(self) -> None:
        for key, idle in list(self._idle.items()):
            kept = [connection for connection in idle if not connection.has_expired()]
            expired = [connection for connection in idle if connection not in kept]
            self._idle_count -= len(expired)
            self._idle[key] = kept
            if not kept:
                del self._idle[key]
            for connection in expired:
                await connection.aclose()


def _has_more(connection: httpcore2.AsyncHTTP11Connection) -> bool:
    """Say whether bytes came behind the answer: the next request would take them for its own answer.

    What comes later is seen by the stream (`is_readable`); the library keeps what came in one piece with the answer.
    """
    return connection._h11_state.trailing_data[0] != b""  # noqa: SLF001 - the library has no question for it
