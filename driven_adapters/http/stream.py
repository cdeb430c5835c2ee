"""One TCP or TLS connection for the HTTP library, on the event loop's own transports.

The library's stream asks the kernel for addresses each time that its pool looks at an idle connection: with 64 of them
that was 0.6 ms of CPU per request. Here the end of a connection is a flag that the event loop sets.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

import httpcore2

BUFFER_BYTES_MAX = 256 * 1024  # received and not read: above, the peer is held back


class _Wire(asyncio.Protocol):
    """Bytes between transport and stream, bounded both ways."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.is_ended = False
        self.failure: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._changed: asyncio.Event = asyncio.Event()
        self._writable: asyncio.Event = asyncio.Event()
        self._writable.set()
        self._is_held = False

    @property
    def transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise httpcore2.WriteError("not connected")
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: uvloop's transports are no subclass of asyncio's, only alike.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > BUFFER_BYTES_MAX and not self._is_held:
            self._is_held = True
            self.transport.pause_reading()
        self._changed.set()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end(self, failure: Exception | None) -> None:
        self.is_ended = True
        self.failure = self.failure or failure
        self._changed.set()

    async def take(self, bytes_max: int) -> bytes:
        """Give up to bytes_max received bytes, empty at the end of the connection."""
        while not self.buffer and not self.is_ended:
            self._changed.clear()
            await self._changed.wait()
        taken = bytes(self.buffer[:bytes_max])
        del self.buffer[:bytes_max]
        if self._is_held and len(self.buffer) <= BUFFER_BYTES_MAX:
            self._is_held = False
            if not self.is_ended:
                self.transport.resume_reading()
        if not taken and self.failure is not None:
            raise httpcore2.ReadError("the connection broke") from self.failure
        return taken

    async def put(self, data: bytes) -> None:
        """Hand bytes on and wait while the transport is full."""
        if self.transport.is_closing():
            raise httpcore2.WriteError("the connection is closed") from self.failure
        self.transport.write(data)
        await self._writable.wait()
        if self.failure is not None:
            raise httpcore2.WriteError("the connection broke") from self.failure


class TcpStream(httpcore2.AsyncNetworkStream):
    """A connection to one checked address."""

    def __init__(self, wire: _Wire) -> None:
        """Take an open connection; see `connect`."""
        self._wire = wire

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - library's signature
        """Give up to max_bytes, empty at the end."""
        try:
            async with asyncio.timeout(timeout):
                return await self._wire.take(max_bytes)
        except TimeoutError as error:
            raise httpcore2.ReadTimeout("no bytes in time") from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - library's signature
        """Send all of buffer."""
        if not buffer:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._wire.put(buffer)
        except TimeoutError as error:
            raise httpcore2.WriteTimeout("the peer takes no bytes") from error

    async def aclose(self) -> None:
        """Close; does not wait for the peer, so that a cancelled request ends at once."""
        self._wire.transport.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
    ) -> httpcore2.AsyncNetworkStream:
        """Go on in TLS; closes the connection when the peer is not who it should be."""
        wire, loop = _Wire(), asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._wire.transport,
                wire,
                ssl_context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=timeout,
            )
        except (ssl.SSLError, OSError, TimeoutError) as error:
            self._wire.transport.abort()
            reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else type(error).__name__
            raise httpcore2.ConnectError(f"no TLS: {reason}") from error
        if transport is None:
            raise httpcore2.ConnectError("no TLS: the connection is closed")
        wire.connection_made(transport)
        return TcpStream(wire)

    def get_extra_info(self, info: str) -> Any:
        """Answer what the pool asks: whether an idle connection has ended or got bytes that nobody asked for."""
        if info == "is_readable":
            return self._wire.is_ended or bool(self._wire.buffer) or self._wire.transport.is_closing()
        names = {"ssl_object": "ssl_object", "socket": "socket", "client_addr": "sockname", "server_addr": "peername"}
        return self._wire.transport.get_extra_info(names[info]) if info in names else None


async def connect(address: str, port: int, timeout_s: float | None) -> TcpStream:
    """Connect to an address; a name is never given here.

    Raises:
        httpcore2.ConnectError, httpcore2.ConnectTimeout: nobody answers there.
    """
    wire = _Wire()
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().create_connection(lambda: wire, address, port)
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout("no connection in time") from error
    except OSError as error:
        raise httpcore2.ConnectError("no connection") from error
    return TcpStream(wire)
