"""The load's own HTTP client gives whole answers, however the bytes come."""

from __future__ import annotations

import asyncio

import pytest

from bench.client import AnswerBroken, Connection, encode_request

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        """Stay open."""
        return False


async def ask(parts: list[bytes]) -> tuple[int, bytes]:
    """Ask over a wire that answers with these parts."""
    connection = Connection()
    connection.connection_made(Wire())
    asking = asyncio.create_task(connection.ask(b"GET / HTTP/1.1\r\n\r\n"))
    await asyncio.sleep(0)
    for part in parts:
        connection.data_received(part)
    answer = await asking
    return answer.status, answer.body


@pytest.mark.parametrize(("raw", "status"), [(PLAIN, 200), (CHUNKED, 202)], ids=["length", "chunks"])
def test_answer_that_comes_byte_by_byte_is_given_whole(raw: bytes, status: int) -> None:
    assert (status, b"hello") == asyncio.run(ask([raw[at : at + 1] for at in range(len(raw))]))


def test_connection_that_ends_within_an_answer_fails_the_request() -> None:
    async def cut() -> None:
        connection = Connection()
        connection.connection_made(Wire())
        asking = asyncio.create_task(connection.ask(b""))
        await asyncio.sleep(0)
        connection.data_received(PLAIN[:-1])
        connection.connection_lost(None)
        await asking

    with pytest.raises(AnswerBroken):
        asyncio.run(cut())


def test_request_with_a_body_says_its_length_and_type() -> None:
    request = encode_request("POST", "/run", {"Authorization": "Bearer k"}, b"{}")

    assert request.startswith(b"POST /run HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}" in request
