"""Where connections go: names asked once, every address checked, a few of them tried."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import zlib
from collections.abc import AsyncIterator

import httpcore2
import pytest

from core.ports.http_client import BodyTooLarge
from driven_adapters.http.addresses import Address, EgressPolicy
from driven_adapters.http.backend import (
    CONNECT_TRY_COUNT_MAX,
    RESOLVE_S_MAX,
    ForbiddenAddress,
    GuardedBackend,
    SystemResolver,
)
from driven_adapters.http.body import PIECE_BYTES_MAX, read_body
from driven_adapters.http.pool import IDLE_COUNT_MAX, ConnectionPool
from tests.sim.loop import running
from tests.unit.egress.servers import FixedResolver

FOUR = [f"93.184.216.{number}" for number in range(1, 5)]


class Failing:
    """Connects to one address only, and keeps what was tried."""

    def __init__(self, good: str | None = None) -> None:
        self._good = good
        self.tried: list[str] = []

    async def __call__(self, address: str, port: int, timeout_s: float | None) -> httpcore2.AsyncNetworkStream:
        del port, timeout_s
        self.tried.append(address)
        if address == self._good:
            return httpcore2.AsyncNetworkStream()
        raise httpcore2.ConnectError("no connection")


class Silent:
    async def resolve(self, host: str, port: int) -> list[Address]:
        del host, port
        await asyncio.Event().wait()
        return []


def test_addresses_are_tried_in_order_until_one_answers() -> None:
    connect = Failing(FOUR[1])
    backend = GuardedBackend(EgressPolicy(), FixedResolver({"a.test": [FOUR]}), connect)
    asyncio.run(backend.connect_tcp("a.test", 80))
    assert FOUR[:2] == connect.tried


def test_no_more_addresses_are_tried_than_the_bound() -> None:
    connect = Failing()
    backend = GuardedBackend(EgressPolicy(), FixedResolver({"a.test": [FOUR]}), connect)
    with pytest.raises(httpcore2.ConnectError):
        asyncio.run(backend.connect_tcp("a.test", 80))
    assert FOUR[:CONNECT_TRY_COUNT_MAX] == connect.tried


def test_allowed_name_may_have_internal_addresses() -> None:
    connect = Failing("10.0.0.1")
    resolver = FixedResolver({"inside.test": [["10.0.0.1"]]})
    asyncio.run(GuardedBackend(EgressPolicy([("inside.test", 81)]), resolver, connect).connect_tcp("inside.test", 81))
    with pytest.raises(ForbiddenAddress, match=r"inside\.test: 10\.0\.0\.1"):
        asyncio.run(GuardedBackend(EgressPolicy(), resolver, connect).connect_tcp("inside.test", 81))


def test_resolver_that_is_silent_ends_the_connect_in_time() -> None:
    async def scenario() -> float:
        with pytest.raises(httpcore2.ConnectTimeout):
            await GuardedBackend(EgressPolicy(), Silent(), Failing()).connect_tcp("a.test", 80)
        return asyncio.get_running_loop().time()

    with running(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == RESOLVE_S_MAX


def test_unix_socket_is_refused() -> None:
    with pytest.raises(ForbiddenAddress):
        asyncio.run(GuardedBackend(EgressPolicy(), FixedResolver({})).connect_unix_socket("/run/x.sock"))


def test_backend_waits_as_long_as_it_is_told() -> None:
    async def scenario() -> float:
        await GuardedBackend(EgressPolicy(), FixedResolver({})).sleep(3.0)
        return asyncio.get_running_loop().time()

    with running(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == 3.0


def test_resolver_of_the_host_knows_itself_and_gives_nothing_for_what_is_no_name() -> None:
    found = asyncio.run(SystemResolver().resolve("localhost", 80))
    assert ipaddress.ip_address("127.0.0.1") in found
    assert asyncio.run(SystemResolver().resolve("a" * 64 + ".test", 80)) == []


def test_what_the_unpacker_kept_back_comes_too_and_counts_for_the_bound() -> None:
    packer = zlib.compressobj(wbits=-15)  # without a frame the last bytes can stay inside when all input is taken
    packed = packer.compress(b"\0" * (PIECE_BYTES_MAX + 1)) + packer.flush()

    async def chunks() -> AsyncIterator[bytes]:
        yield packed

    assert asyncio.run(read_body(chunks(), "deflate", PIECE_BYTES_MAX + 1)) == b"\0" * (PIECE_BYTES_MAX + 1)
    assert isinstance(asyncio.run(read_body(chunks(), "deflate", PIECE_BYTES_MAX)), BodyTooLarge)


class Origin:
    """Connections that answer every request with 200, and end when told."""

    def __init__(self) -> None:
        self.wires: list[EndingStream] = []

    async def __call__(self, address: str, port: int, timeout_s: float | None) -> httpcore2.AsyncNetworkStream:
        del address, port, timeout_s
        self.wires.append(EndingStream())
        return self.wires[-1]


class EndingStream(httpcore2.AsyncNetworkStream):
    def __init__(self) -> None:
        self.is_ended = False
        self.is_closed = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - library's signature
        del max_bytes, timeout
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - library's signature
        del buffer, timeout

    async def aclose(self) -> None:
        self.is_closed = True

    def get_extra_info(self, info: str) -> bool:
        return info == "is_readable" and self.is_ended


def test_idle_connections_that_ended_make_room_for_others() -> None:
    async def scenario() -> None:
        origin = Origin()
        pool = ConnectionPool(GuardedBackend(EgressPolicy(), FixedResolver({}), origin), ssl.create_default_context())

        async def ask(number: int) -> None:
            url = f"http://93.184.{number // 200}.{number % 200 + 1}/"
            async with pool.send(httpcore2.Request("GET", url, headers=[(b"Host", b"a.test")])) as response:
                await response.aread()

        for number in range(IDLE_COUNT_MAX):
            await ask(number)
        await ask(IDLE_COUNT_MAX)
        assert (IDLE_COUNT_MAX, True) == (pool.idle_count, origin.wires[-1].is_closed)
        for wire in origin.wires[:10]:
            wire.is_ended = True
        await ask(IDLE_COUNT_MAX)
        assert (IDLE_COUNT_MAX - 9, False) == (pool.idle_count, origin.wires[-1].is_closed)
        assert all(wire.is_closed for wire in origin.wires[:10])
        await pool.aclose()
        assert pool.idle_count == 0
        assert all(wire.is_closed for wire in origin.wires)

    asyncio.run(scenario())
