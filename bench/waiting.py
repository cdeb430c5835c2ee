"""W7: does a waiting instance cost nothing, and does it wake in time? `python -m bench.waiting`.

A hundred thousand instances wait for a time of their own. A tenth of them, which began to wait first and have left
memory since, become due within one second; the others wait for a month. What each was late is read from its journal
afterwards, and some were followed by a caller, who sees the commit, too.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import msgspec
import uvloop

from bench.client import Connection, connect, encode_request
from bench.count import StoreOpen
from bench.dags import single_wait
from bench.engine import Engine
from bench.machine import memory_bytes, percentile
from bench.program import call_module
from bench.workloads import CountWrong
from core.engine.events import InstanceEnded, InstanceStarted
from core.engine.journal import decode_events
from tests.figures import figure

FAR_COUNT, DUE_COUNT = 90_000, 10_000
FOLLOWED_COUNT = 200  # of those that become due, by callers of `?wait=60`
IN_FLIGHT = 100
AHEAD_S = 100.0  # from the first start to the first time: more than all starts take
FOLLOWED_AHEAD_S = 15.0  # the followed ones start so long before it
DUE_WITHIN_S = 1.0
WAIT_S = 60
LATE_S_MAX = 0.25
RESIDENT_BYTES_MAX = 512.0  # per waiting instance, over what the engine holds before


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured.

    Attributes:
        late_p99_s: from an instance's time to the decision that ended it, of all that became due.
        followed_p99_s: from that time to the answer that a caller got.
        resident_bytes: per waiting instance, growth of the engine's resident memory by all of them.
        stored_bytes: per waiting instance in the store's file.
        starts_per_s: of the instances that wait.
    """

    late_p99_s: float
    followed_p99_s: float
    resident_bytes: float
    stored_bytes: float
    starts_per_s: float


class _Load(msgspec.Struct, frozen=True):
    port: int
    path: str
    headers: dict[str, str]
    times: list[str]
    wait_s: int


def measure_waiting() -> Waiting:
    """Start an engine, let the instances wait, wake the due ones, and read what they were late.

    Raises:
        CountWrong: an instance that was due has not ended, or one that was not has.
    """
    with Engine("waiting") as engine:
        dag_id = engine.publish(single_wait())
        far = _text(datetime.now(UTC) + timedelta(days=30))  # noqa: TID251 - load of a benchmark
        # Plans are compiled and statements prepared before memory is looked at.
        _send(engine, dag_id, [far] * IN_FLIGHT)
        base_bytes, began = memory_bytes(engine.pid)[0], time.perf_counter()
        first = datetime.now(UTC) + timedelta(seconds=AHEAD_S)  # noqa: TID251 - load of a benchmark
        due = [first + timedelta(seconds=DUE_WITHIN_S * number / DUE_COUNT) for number in range(DUE_COUNT)]
        step = DUE_COUNT // FOLLOWED_COUNT
        followed = due[::step]
        _send(engine, dag_id, [_text(at) for number, at in enumerate(due) if number % step])
        _send(engine, dag_id, [far] * FAR_COUNT)
        took_s = time.perf_counter() - began
        grown_bytes = memory_bytes(engine.pid)[0] - base_bytes
        stored_bytes = engine.store_path.stat().st_size
        # The callers' waits must not be over before the time comes.
        time.sleep(max(0.0, AHEAD_S - took_s - FOLLOWED_AHEAD_S))
        answered = _send(engine, dag_id, [_text(at) for at in followed], wait_s=WAIT_S)
    late = msgspec.json.decode(call_module("bench.waiting", "late", str(engine.store_path)), type=list[float])
    if len(late) != DUE_COUNT:
        raise CountWrong(f"W7: {DUE_COUNT} instances were due, {len(late)} ended")
    followed_late = [at - due_at.timestamp() for at, due_at in zip(answered, followed, strict=True)]
    return Waiting(
        late_p99_s=percentile(late, 0.99),
        followed_p99_s=percentile(followed_late, 0.99),
        resident_bytes=grown_bytes / (FAR_COUNT + DUE_COUNT),
        stored_bytes=stored_bytes / (FAR_COUNT + DUE_COUNT),
        starts_per_s=(FAR_COUNT + DUE_COUNT) / took_s,
    )


def show_waiting(measured: Waiting) -> bool:
    """Print the figures; say whether all of them hold."""
    counts = {"waiting": FAR_COUNT + DUE_COUNT, "due": DUE_COUNT}
    held = [
        figure(f"W7_{name}", value, f"< {bound:g}", value < bound, **counts)
        for name, value, bound in (
            ("late_p99_s", measured.late_p99_s, LATE_S_MAX),
            ("followed_p99_s", measured.followed_p99_s, LATE_S_MAX),
            ("resident_bytes_per_waiting", measured.resident_bytes, RESIDENT_BYTES_MAX),
        )
    ]
    return all(held)


def _send(engine: Engine, dag_id: str, times: list[str], wait_s: int = 0) -> list[float]:
    """Start an instance per time from a process of its own; give when each was answered, in seconds of the epoch."""
    load = engine.make_load(dag_id, count=1, in_flight=1)
    path = f"{load.path.partition('?')[0]}?wait={wait_s}"
    given = _Load(load.port, path, load.headers, times, wait_s)
    return msgspec.json.decode(call_module("bench.waiting", "load", given=msgspec.json.encode(given)), type=list[float])


async def _start_all(load: _Load) -> list[float]:
    in_flight = len(load.times) if load.wait_s else min(IN_FLIGHT, len(load.times))
    connections = [await connect(load.port) for _ in range(in_flight)]
    turns = iter(enumerate(load.times))
    answered = [0.0] * len(load.times)
    try:
        async with asyncio.TaskGroup() as lanes:
            for connection in connections:
                lanes.create_task(_start_in_turn(load, connection, turns, answered))
    finally:
        for connection in connections:
            connection.close()
    return answered


async def _start_in_turn(
    load: _Load, connection: Connection, turns: Iterator[tuple[int, str]], answered: list[float]
) -> None:
    expected = 200 if load.wait_s else 202
    for number, at in turns:
        body = msgspec.json.encode({"at": at})
        answer = await connection.ask(encode_request("POST", load.path, load.headers, body))
        answered[number] = time.time()  # noqa: TID251 - compared with times of the wall clock
        if answer.status != expected:
            raise AssertionError(f"{answer.status}: {answer.body[:500]!r}")


def _read_late(path: Path) -> list[float]:
    """Read from the journals what each ended instance was late, in seconds.

    Raises:
        StoreOpen: the store is not known to be at rest.
    """
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreOpen(str(log))
    connection = apsw.Connection(f"file:{path}?immutable=1", apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    late: list[float] = []
    due_at = datetime.now(UTC)  # noqa: TID251 - set anew by each instance's first event
    for version, body in connection.execute(
        "SELECT version, body FROM journal JOIN instance ON instance.n = instance_n WHERE status = 'succeeded'"
        " ORDER BY instance_n, journal.seq"
    ):
        for event in decode_events(version, body):
            if isinstance(event, InstanceStarted) and isinstance(event.inputs, bytes):
                due_at = datetime.fromisoformat(msgspec.json.decode(event.inputs)["at"])
            elif isinstance(event, InstanceEnded):
                late.append((event.at - due_at).total_seconds())
    connection.close()
    return late


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> None:
    """Measure and print. `late FILE` and `load` are the parts that run in processes of their own."""
    if sys.argv[1:2] == ["late"]:
        sys.stdout.buffer.write(msgspec.json.encode(_read_late(Path(sys.argv[2]))))
    elif sys.argv[1:2] == ["load"]:
        load = msgspec.json.decode(sys.stdin.buffer.read(), type=_Load)
        sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_start_all(load))))
    else:
        measured = measure_waiting()
        print(msgspec.json.encode(measured).decode())
        sys.exit(0 if show_waiting(measured) else 1)


if __name__ == "__main__":
    main()
