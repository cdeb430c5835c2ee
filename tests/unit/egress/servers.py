"""Small servers on the loopback network, and the pieces of a client that treats one of its addresses as public."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpcore2

from driven_adapters.http.addresses import DENIED_NETWORKS, Address, EgressPolicy, Network
from driven_adapters.http.stream import connect

PUBLIC = "127.0.0.2"  # the address that the tests' policy takes for a public one

Handler = Callable[[str, dict[str, str], bytes], Awaitable[bytes] | bytes]
"""(request line, headers with lower-case names, body) to the whole answer as bytes."""


class Canary:
    """A server that nobody may reach: counts connections and bytes."""

    def __init__(self) -> None:
        self.connection_count = 0
        self.byte_count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        self.byte_count += len(await reader.read(65_536))
        writer.write(answer(200, b"reached"))
        writer.close()


@asynccontextmanager
async def canaries() -> AsyncIterator[tuple[Canary, int]]:
    """Give one canary on every loopback address of this machine but PUBLIC, all on one port."""
    canary = Canary()
    first = await asyncio.start_server(canary.serve, "127.0.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    second = await asyncio.start_server(canary.serve, "::1", port)
    try:
        yield canary, port
    finally:
        first.close()
        second.close()


@asynccontextmanager
async def serving(handler: Handler, host: str = PUBLIC, **options: object) -> AsyncIterator[int]:
    """Serve HTTP/1.1 with keep-alive and give the port."""

    serving_tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving_tasks.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *fields = head.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                made = handler(line, headers, body)
                writer.write(made if isinstance(made, bytes) else await made)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
            serving_tasks.discard(task)

    server = await asyncio.start_server(serve, host, 0, **options)  # type: ignore[arg-type]  # options of the loop
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(serving_tasks):
            task.cancel()
        while serving_tasks:
            await asyncio.wait(serving_tasks)
        await asyncio.sleep(0)  # transports close in a turn of their own


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Write an answer; header names with underscores for hyphens."""
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def public_policy(*allowed: tuple[str, int]) -> EgressPolicy:
    """Give the program's own table but for PUBLIC."""
    denied: list[tuple[Network, str]] = []
    for network, why in DENIED_NETWORKS:
        if isinstance(network, ipaddress.IPv4Network) and ipaddress.ip_address(PUBLIC) in network:
            rest = network.address_exclude(ipaddress.IPv4Network(f"{PUBLIC}/32"))
            denied.extend((part, why) for part in rest)
        else:
            denied.append((network, why))
    return EgressPolicy(allowed, denied)


class FixedResolver:
    """Names with answers that were written down: the nth question for a name gets its nth answer, then the last one."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self._answers = answers
        self.questions: list[str] = []

    async def resolve(self, host: str, port: int) -> list[Address]:
        del port
        self.questions.append(host)
        rows = self._answers.get(host, [[]])
        row = rows[min(self.questions.count(host), len(rows)) - 1]
        return [ipaddress.ip_address(address) for address in row]


class RecordingConnect:
    """Connects, and keeps the addresses in order."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    async def __call__(self, address: str, port: int, timeout_s: float | None) -> httpcore2.AsyncNetworkStream:
        self.addresses.append(address)
        return await connect(address, port, timeout_s)
