"""The connection below the HTTP client: how it ends, fills up and breaks, in the words of the HTTP library."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import httpcore2
import pytest

from driven_adapters.http.stream import BUFFER_BYTES_MAX, TcpStream, _Wire, connect
from tests.unit.egress.servers import PUBLIC

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def with_peer(peer: Peer, scenario: Callable[[TcpStream], Awaitable[None]]) -> None:
    """Connect a stream to a peer, run the scenario, end both."""

    async def run() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await peer(reader, writer)
            finally:
                writer.close()
                ended.set()

        server = await asyncio.start_server(serve, PUBLIC, 0)
        stream = await connect(PUBLIC, server.sockets[0].getsockname()[1], 20.0)
        try:
            await scenario(stream)
        finally:
            await stream.aclose()
            await ended.wait()
            server.close()
            for _ in range(3):
                await asyncio.sleep(0)  # transports close in turns of their own

    asyncio.run(run())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del writer
    await reader.read()


async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a byte, then reset the connection."""
    await reader.read(1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_silent_peer_ends_a_read_in_time() -> None:
    async def scenario(stream: TcpStream) -> None:
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(10, timeout=0.01)

    with_peer(silent, scenario)


def test_peer_that_takes_nothing_ends_a_write_in_time() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of asyncio's socket transports
        await released.wait()
        del reader

    released = asyncio.Event()

    async def scenario(stream: TcpStream) -> None:
        with pytest.raises(httpcore2.WriteTimeout):
            await stream.write(b"x" * 50_000_000, timeout=0.05)
        stream.get_extra_info("socket")
        released.set()

    with_peer(deaf, scenario)


def test_peer_that_breaks_off_ends_reads_and_writes_as_errors() -> None:
    async def scenario(stream: TcpStream) -> None:
        await stream.write(b"x")
        with pytest.raises(httpcore2.ReadError):
            await stream.read(10)
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"x")

    with_peer(breaking, scenario)


def test_peer_that_breaks_off_while_it_is_written_to_ends_the_write() -> None:
    async def scenario(stream: TcpStream) -> None:
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"x" * 50_000_000)

    with_peer(breaking, scenario)


def test_bytes_beyond_the_buffer_hold_the_peer_back_and_all_arrive() -> None:
    size_bytes = BUFFER_BYTES_MAX * 20

    async def talkative(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(b"x" * size_bytes)
        await writer.drain()

    async def scenario(stream: TcpStream) -> None:
        received = 0
        while piece := await stream.read(65_536):
            assert len(stream._wire.buffer) <= BUFFER_BYTES_MAX * 3  # one more receive of the loop may come in
            received += len(piece)
        assert size_bytes == received
        assert stream.get_extra_info("is_readable") is True

    with_peer(talkative, scenario)


def test_empty_write_does_nothing_and_open_stream_is_not_readable() -> None:
    async def scenario(stream: TcpStream) -> None:
        await stream.write(b"")
        assert stream.get_extra_info("is_readable") is False
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("unknown") is None
        assert PUBLIC == stream.get_extra_info("server_addr")[0]

    with_peer(silent, scenario)


def test_connection_that_cannot_be_made_in_time_says_so() -> None:
    async def scenario() -> None:
        with pytest.raises(httpcore2.ConnectTimeout):
            await connect(PUBLIC, 9, 0.0)

    asyncio.run(scenario())


def test_wire_that_was_never_connected_says_so() -> None:
    async def scenario() -> None:
        with pytest.raises(httpcore2.WriteError):
            await TcpStream(_Wire()).write(b"x")

    asyncio.run(scenario())


def test_tls_over_a_closed_connection_is_refused() -> None:
    async def scenario(stream: TcpStream) -> None:
        await stream.aclose()
        with pytest.raises(httpcore2.ConnectError):
            await stream.start_tls(httpcore2.default_ssl_context(), "a.test", 5.0)

    with_peer(silent, scenario)
