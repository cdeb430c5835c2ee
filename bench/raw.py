"""The limit that group commit allows on this disk and in this language: what an engine cannot leave out.

W1's hundred chains of ten tasks are in flight on one event loop. Each task leaves one journal row and one frame row,
and its chain goes on when they are committed; what gathers while a transaction is written is the next batch: one
hundred. One writer thread, the epoch checked in each transaction, full synchronisation. No deciding, no operator, no
attempt, no HTTP. `python -m bench.raw` prints this limit, and beside it what the store alone takes of batches that
stand ready (ADR 0013).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import msgspec
import uvloop

from bench.machine import calibrate
from bench.program import DATA

IN_FLIGHT = 100
STEPS = 10
INSTANCES = 2_000
ROUNDS = 5  # the median counts
JOURNAL_BYTES = 64  # what the engine's journal rows of W1 come to per task
FRAME_BYTES = 384  # of the frame of a chain of ten
SHARD = 7
EPOCH = 3
_SCHEMA = (
    "CREATE TABLE shard (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL)",
    "CREATE TABLE journal (instance TEXT, seq INTEGER, body BLOB, PRIMARY KEY (instance, seq)) WITHOUT ROWID",
    "CREATE TABLE frame (instance TEXT PRIMARY KEY, seq INTEGER, body BLOB) WITHOUT ROWID",
)
_EPOCH = "SELECT epoch FROM shard WHERE id = ?"
_JOURNAL = "INSERT INTO journal VALUES (?, ?, ?)"
_FRAME = (
    "INSERT INTO frame VALUES (?, ?, ?) ON CONFLICT (instance) DO UPDATE SET seq = excluded.seq, body = excluded.body"
)

Row = tuple[str, int, bytes]


class RawLimit(msgspec.Struct, frozen=True):
    """Tasks per second and commits per second of the median round, and CPU microseconds per task."""

    tasks_per_s: float
    commits_per_s: float
    cpu_us_per_task: float


class _Task(msgspec.Struct, array_like=True):
    name: str
    status: int = 0
    attempt: int = 0
    note: str = ""


class _Event(msgspec.Struct, array_like=True):
    seq: int
    task: str
    status: int
    at: float
    note: str


class _Store:
    """The file and its one writer."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", "full")
        for statement in _SCHEMA:
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO shard VALUES (?, ?)", (SHARD, EPOCH))

    def write(self, journal: list[Row], frames: list[Row]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        epoch = self._connection.execute(_EPOCH, (SHARD,)).get
        if epoch != EPOCH:
            raise AssertionError(f"epoch {epoch} instead of {EPOCH}")
        self._connection.executemany(_JOURNAL, journal)
        self._connection.executemany(_FRAME, frames)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        tasks = self._connection.execute("SELECT count(*) FROM journal").get
        self._connection.close()
        if tasks != INSTANCES * STEPS:
            raise AssertionError(f"{tasks} rows instead of {INSTANCES * STEPS}")


class _GroupCommit:
    """What gathers while one transaction is written goes into the next."""

    def __init__(self, store: _Store, thread: ThreadPoolExecutor) -> None:
        self._store = store
        self._thread = thread
        self._journal: list[Row] = []
        self._frames: list[Row] = []
        self._landed: asyncio.Future[None] | None = None
        self._is_writing = False
        self.commit_count = 0

    def commit(self, journal: Row, frame: Row) -> asyncio.Future[None]:
        """Give what is done when both rows are durable."""
        if self._landed is None:
            loop = asyncio.get_running_loop()
            self._landed = loop.create_future()
            if not self._is_writing:
                self._is_writing = True
                loop.call_soon(self._write)
        self._journal.append(journal)
        self._frames.append(frame)
        return self._landed

    def _write(self) -> None:
        landed, journal, frames = self._landed, self._journal, self._frames
        self._landed, self._journal, self._frames = None, [], []
        self.commit_count += 1
        write = asyncio.get_running_loop().run_in_executor(self._thread, self._store.write, journal, frames)
        write.add_done_callback(lambda done: self._written(done, landed))

    def _written(self, done: asyncio.Future[None], landed: asyncio.Future[None] | None) -> None:
        done.result()
        if landed is not None:
            landed.set_result(None)
        if self._landed is None:
            self._is_writing = False
        else:
            asyncio.get_running_loop().call_soon(self._write)


def measure_raw(folder: Path) -> RawLimit:
    """Run the loop ROUNDS times over a new file each and give the median."""
    return _median(folder, lambda store: uvloop.run(_run_chains(store)))


def measure_store(folder: Path) -> RawLimit:
    """Give the same for the store alone: batches stand ready, nothing waits for them."""
    return _median(folder, _run_batches)


def _median(folder: Path, run: Callable[[_Store], int]) -> RawLimit:
    folder.mkdir(parents=True, exist_ok=True)
    rounds = sorted((_run(folder / "raw.db", run) for _ in range(ROUNDS)), key=lambda limit: limit.tasks_per_s)
    return rounds[len(rounds) // 2]


def _run(path: Path, run: Callable[[_Store], int]) -> RawLimit:
    _remove(path)
    try:
        store = _Store(path)
        try:
            began, cpu = time.perf_counter(), time.process_time()
            commits = run(store)
            wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        finally:
            store.close()
    finally:
        _remove(path)
    tasks = INSTANCES * STEPS
    return RawLimit(tasks / wall_s, commits / wall_s, cpu_s / tasks * 1e6)


async def _run_chains(store: _Store) -> int:
    with ThreadPoolExecutor(1) as thread:
        commits = _GroupCommit(store, thread)
        turns = iter(range(INSTANCES))
        async with asyncio.TaskGroup() as lanes:
            for _ in range(IN_FLIGHT):
                lanes.create_task(_run_in_turn(commits, turns))
        return commits.commit_count


async def _run_in_turn(commits: _GroupCommit, turns: Iterator[int]) -> None:
    encoder = msgspec.msgpack.Encoder()
    for turn in turns:
        instance = f"01JD{turn:022d}"
        frame = [_Task(f"step_{number}", note="x" * (FRAME_BYTES // STEPS - 12)) for number in range(STEPS)]
        for seq, task in enumerate(frame, 1):
            task.status, task.attempt = 4, 1
            event = _Event(seq, task.name, task.status, time.perf_counter(), "x" * (JOURNAL_BYTES - 22))
            await commits.commit(
                (instance, seq, encoder.encode(event)),
                (instance, seq, encoder.encode(frame)),
            )


def _run_batches(store: _Store) -> int:
    count = 0
    for first in range(0, INSTANCES, IN_FLIGHT):
        names = [f"01JD{instance:022d}" for instance in range(first, first + IN_FLIGHT)]
        for seq in range(1, STEPS + 1):
            journal = [(name, seq, bytes(JOURNAL_BYTES)) for name in names]
            store.write(journal, [(name, seq, bytes(FRAME_BYTES)) for name in names])
            count += 1
    return count


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)


def main() -> None:
    """Print both as JSON, the calibration beside them."""
    DATA.mkdir(parents=True, exist_ok=True)
    shown = {"limit": measure_raw(DATA), "store": measure_store(DATA), "calibration": calibrate(DATA)}
    sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")


if __name__ == "__main__":
    main()
