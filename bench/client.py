"""A small HTTP/1.1 client over connections that stay open: it must cost little beside the engine on one machine."""

from __future__ import annotations

import asyncio

from bench.program import HOST

BODY_BYTES_MAX = 64 * 1024 * 1024  # the largest value of the engine


class Answer:
    """Status and body of one answer."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body


class AnswerBroken(Exception):
    """The connection ended within an answer, or what came is no answer."""


class Connection(asyncio.Protocol):
    """One connection with one request under way at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport  # type: ignore[assignment] # a stream's transport is always a Transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(AnswerBroken(f"connection lost: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole."""
        self._buffer += data
        answer = _read_answer(self._buffer)
        if answer is not None and self._waiting is not None and not self._waiting.done():
            self._buffer.clear()
            self._waiting.set_result(answer)

    async def ask(self, request: bytes) -> Answer:
        """Send a request that is already encoded, and give its answer.

        Raises:
            AnswerBroken: the connection ended first.
        """
        if self._transport is None or self._transport.is_closing():
            raise AnswerBroken("the connection is closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


async def connect(port: int) -> Connection:
    """Open a connection to a port of the loopback address."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    return connection


def encode_request(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Encode a whole request once, to be sent many times."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method != "GET":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _read_answer(buffer: bytearray) -> Answer | None:
    """Give the answer in the buffer, None while it is not whole."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[:end]).lower()
    status = int(head[9:12])
    rest = end + 4
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        if length > BODY_BYTES_MAX:
            raise AnswerBroken(f"an answer of {length} bytes")
        return Answer(status, bytes(buffer[rest : rest + length])) if len(buffer) >= rest + length else None
    if b"\r\ntransfer-encoding: chunked" in head:
        body = _read_chunks(bytes(buffer[rest:]))
        return None if body is None else Answer(status, body)
    return Answer(status, b"")


def _read_chunks(data: bytes) -> bytes | None:
    """Give the body of a chunked answer, None while its last chunk is missing."""
    parts: list[bytes] = []
    at = 0
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_end].split(b";", 1)[0], 16)
        start = line_end + 2
        if len(data) < start + size + 2:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(data[start : start + size])
        at = start + size + 2
    return None
