"""The limit that group commit on this disk and in this language allows: a bare loop that writes what a task must leave.

One journal row and one frame row per task, batches of one hundred (as W1's hundred instances in flight make them), the
epoch checked in each transaction, full synchronisation. No deciding, no operator, no HTTP. `python -m bench.raw`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import apsw
import msgspec

from bench.machine import calibrate
from bench.program import DATA

BATCH = 100
STEPS = 10
INSTANCES = 1_000
ROUNDS = 3  # the median counts
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


class RawLimit(msgspec.Struct, frozen=True):
    """Tasks per second and commits per second of the median round, and CPU microseconds per task."""

    tasks_per_s: float
    commits_per_s: float
    cpu_us_per_task: float


def measure_raw(folder: Path) -> RawLimit:
    """Run the loop ROUNDS times over a new file each and give the median."""
    folder.mkdir(parents=True, exist_ok=True)
    rounds = sorted((_run(folder / "raw.db") for _ in range(ROUNDS)), key=lambda limit: limit.tasks_per_s)
    return rounds[len(rounds) // 2]


def _run(path: Path) -> RawLimit:
    _remove(path)
    connection = apsw.Connection(str(path))
    try:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO shard VALUES (?, ?)", (SHARD, EPOCH))
        batches = [
            [(f"01JD{instance:022d}", seq) for instance in range(first, first + BATCH)]
            for first in range(0, INSTANCES, BATCH)
            for seq in range(1, STEPS + 1)
        ]
        began, cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            _write(connection, batch)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        tasks = connection.execute("SELECT count(*) FROM journal").get
    finally:
        connection.close()
        _remove(path)
    if tasks != INSTANCES * STEPS:
        raise AssertionError(f"{tasks} rows instead of {INSTANCES * STEPS}")
    return RawLimit(tasks / wall_s, len(batches) / wall_s, cpu_s / tasks * 1e6)


def _write(connection: apsw.Connection, batch: list[tuple[str, int]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    epoch = connection.execute(_EPOCH, (SHARD,)).get
    if epoch != EPOCH:
        raise AssertionError(f"epoch {epoch} instead of {EPOCH}")
    connection.executemany(_JOURNAL, [(instance, seq, bytes(JOURNAL_BYTES)) for instance, seq in batch])
    connection.executemany(_FRAME, [(instance, seq, bytes(FRAME_BYTES)) for instance, seq in batch])
    connection.execute("COMMIT")


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)


def main() -> None:
    """Print the limit as JSON, the calibration beside it."""
    DATA.mkdir(parents=True, exist_ok=True)
    shown = {"limit": measure_raw(DATA), "calibration": calibrate(DATA)}
    sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")


if __name__ == "__main__":
    main()
