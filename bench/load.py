"""The load: a process of its own that sends one request over and over and times each from request to outcome.

`python -m bench.load` reads a `Load` as JSON from standard input and prints a `LoadResult`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator

import msgspec
import uvloop

from bench.client import Answer, Connection, connect, encode_request

WAIT_S_MAX = 500.0  # of one instance; the longest workload takes a fifth on a machine that does nothing else
LOOK_S = 0.05  # between looks at an instance that outlived its request's `wait`


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """`count` times the same request to `path`, `in_flight` at once; `ended` stands in the answer of a good outcome.

    Attributes:
        status: of a good answer.
        other_path: where every second request goes; empty = none does.
        look_path: where an instance is read that had not ended when its request was answered with 202; `{id}` in it.
        look_s: between two such reads. Each decodes the state of the whole instance, which takes the engine's time.
    """

    port: int
    path: str
    count: int
    in_flight: int
    headers: dict[str, str] = {}
    body: str = ""
    ended: str = ""
    status: int = 200
    look_path: str = ""
    look_s: float = LOOK_S
    other_path: str = ""


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """How long it took: in all, and per request in order of their ends; CPU seconds of this process beside it."""

    wall_s: float
    cpu_s: float
    latencies_s: list[float]


class LoadFailed(Exception):
    """An answer was not the outcome that the load waits for."""


async def run_load(load: Load) -> LoadResult:
    """Send everything; the connections are open before the clock starts.

    Raises:
        LoadFailed: an answer was not 2xx, or an instance ended otherwise.
    """
    sender = _Sender(load)
    connections = [await connect(load.port) for _ in range(min(load.in_flight, load.count))]
    try:
        cpu, began = _own_cpu_s(), time.perf_counter()
        latencies = await sender.send_all(connections)
        return LoadResult(wall_s=time.perf_counter() - began, cpu_s=_own_cpu_s() - cpu, latencies_s=latencies)
    finally:
        for connection in connections:
            connection.close()


class _Sender:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = [
            encode_request("POST", path, load.headers, load.body.encode())
            for path in (load.path, load.other_path or load.path)
        ]
        self._ended = load.ended.encode()

    async def send_all(self, connections: list[Connection]) -> list[float]:
        """Give every connection one request after the other until all were sent; give the seconds of each."""
        turns = iter(range(self._load.count))
        latencies: list[float] = []
        async with asyncio.TaskGroup() as lanes:
            for connection in connections:
                lanes.create_task(self._send_in_turn(connection, turns, latencies))
        return latencies

    async def _send_in_turn(self, connection: Connection, turns: Iterator[int], latencies: list[float]) -> None:
        for turn in turns:
            began = time.perf_counter()
            answer = await connection.ask(self._requests[turn % 2])
            if answer.status == 202 and self._load.look_path:
                answer = await self._look(connection, answer)
            latencies.append(time.perf_counter() - began)
            if answer.status != self._load.status or self._ended not in answer.body:
                raise LoadFailed(f"{answer.status}: {answer.body[:500]!r}")

    async def _look(self, connection: Connection, answer: Answer) -> Answer:
        """Read the instance until it has ended."""
        instance_id = msgspec.json.decode(answer.body)["id"]
        request = encode_request("GET", self._load.look_path.format(id=instance_id), self._load.headers, b"")
        last = time.perf_counter() + WAIT_S_MAX
        while time.perf_counter() < last:
            await asyncio.sleep(self._load.look_s)
            answer = await connection.ask(request)
            if answer.status != 200 or b'"ended_at":null' not in answer.body:
                return answer
        raise LoadFailed(f"instance {instance_id} has not ended after {WAIT_S_MAX} s")


def _own_cpu_s() -> float:
    used = os.times()
    return used.user + used.system


def main() -> None:
    """Read the load and print its result."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run_load(load))))


if __name__ == "__main__":
    main()
