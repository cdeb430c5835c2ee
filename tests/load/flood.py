"""A flood of one request from a process of its own, until it is told to stop; every answer is counted by its status.

`python -m tests.load.flood` reads a `Flood` as one line of JSON, floods until its standard input ends, and prints the
counts.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import msgspec
import uvloop

from bench.client import Connection, connect, encode_request
from bench.program import ROOT

STOP_S_MAX = 60.0  # each lane waits for the answer under way, and the engine may be busy


class Flood(msgspec.Struct, frozen=True, kw_only=True):
    """The same POST over and over, `per_s` times a second over all connections; 0 = as fast as answers come."""

    port: int
    path: str
    headers: dict[str, str]
    body: str
    connection_count: int
    per_s: float = 0.0


class Flooding:
    """A flood that goes on until this is left."""

    def __init__(self, flood: Flood) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.flood"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._flood = flood
        self._began = 0.0
        self.counts: dict[int, int] = {}
        self.lasted_s = 0.0

    def __enter__(self) -> Self:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(self._flood) + b"\n")
        self._process.stdin.flush()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            said, _ = self._process.communicate(timeout=STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, _ = self._process.communicate()
        self.lasted_s = time.perf_counter() - self._began
        if kind is None:
            assert 0 == self._process.returncode, "the flood failed"
            self.counts = msgspec.json.decode(said, type=dict[int, int])

    @property
    def sent_count(self) -> int:
        """Requests that were answered, known after the end."""
        return sum(self.counts.values())


async def pour(flood: Flood, stop: asyncio.Event) -> dict[int, int]:
    """Send until `stop` is set."""
    request = encode_request("POST", flood.path, flood.headers, flood.body.encode())
    connections = [await connect(flood.port) for _ in range(flood.connection_count)]
    counts: collections.Counter[int] = collections.Counter()
    turns = itertools.count()
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def lane(connection: Connection) -> None:
        for turn in turns:
            if flood.per_s:
                await asyncio.sleep(max(0.0, began + turn / flood.per_s - loop.time()))
            if stop.is_set():
                return
            counts[(await connection.ask(request)).status] += 1

    try:
        async with asyncio.TaskGroup() as lanes:
            for connection in connections:
                lanes.create_task(lane(connection))
    finally:
        for connection in connections:
            connection.close()
    return dict(counts)


async def _pour_until_end(flood: Flood) -> dict[int, int]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    end = loop.run_in_executor(None, sys.stdin.buffer.read)
    end.add_done_callback(lambda _: stop.set())
    return await pour(flood, stop)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.readline(), type=Flood)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_pour_until_end(given))))
