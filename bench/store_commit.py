"""Measure the group commit of the SQLite store: CPU, statements and bytes per task, beside a bare loop.

`python bench/store_commit.py [--instances N] [--steps N] [--batch N] [--spread]`. Every batch moves as many instances
by one journal row of 150 B; `--spread` takes them from all instances instead of from neighbours.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.ports.instance_store import FrameRow, InstanceChange, InstanceRow, JournalRow
from driven_adapters.sqlite import Database, SqliteInstanceStore, SqliteShardStore

BODY = bytes(150)
TOP_FRAME = bytes(600)
START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 3_600.0
STRIDE = 7_919  # a prime: visits every instance once, never two neighbours in one batch


class FixedClock:
    """A clock that stands still: leases never end here."""

    def now(self) -> datetime:
        """Give the start."""
        return START

    def monotonic(self) -> float:
        """Give zero."""
        return 0.0

    async def sleep_until(self, monotonic_at: float) -> None:
        """Return at once."""
        del monotonic_at


def make_change(n: int, seq: int, steps: int) -> InstanceChange:
    """Give the change of one instance that brings it to `seq`; the last one ends it and writes its frame."""
    instance_id = f"01JD{n:022d}"
    is_last = seq == steps
    row = InstanceRow(
        id=instance_id,
        domain_id="01JD000000000000000000DOMA",
        shard=n % 64,
        dag_id="01JD0000000000000000000DAG",
        dag_hash="0123456789abcdef" * 4,
        dag_version="v1.0.0",
        seq=seq,
        status="succeeded" if is_last else "running",
        open_attempts=0 if is_last else 1,
        ready=0,
        open_frames=0 if is_last else 1,
        epoch=1,
        created_at=START,
        updated_at=START + timedelta(milliseconds=seq),
    )
    return InstanceChange(
        row=row,
        expected_seq=None if seq == 1 else seq - 1,
        journal=(JournalRow(instance_id, seq, 1, BODY),),
        frames=(FrameRow(instance_id, "", seq, False, TOP_FRAME),) if is_last else (),
    )


def plan_batches(instances: int, steps: int, batch: int, *, is_spread: bool) -> list[list[tuple[int, int]]]:
    """List the (instance, seq) of every batch: `batch` instances in flight, or all of them in turn."""
    if is_spread:
        # Created in order, as ids ascend; moved on in an order that has nothing to do with it.
        moves = [
            (n * (STRIDE if seq > 1 else 1) % instances, seq) for seq in range(1, steps + 1) for n in range(instances)
        ]
        return [moves[at : at + batch] for at in range(0, len(moves), batch)]
    return [
        [(n, seq) for n in range(first, min(first + batch, instances))]
        for first in range(0, instances, batch)
        for seq in range(1, steps + 1)
    ]


async def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Run the batches one after the other and print the figures."""
    async with Database(folder / "flow.db", FixedClock()) as database:
        shards = SqliteShardStore(database)
        await shards.open_lease("node", LEASE_S)
        fences = [fence for n in range(64) if (fence := await shards.acquire("node", n, 0)) is not None]
        store = SqliteInstanceStore(database)
        batches = plan_batches(arguments.instances, arguments.steps, arguments.batch, is_spread=arguments.spread)
        before = (database.stats.statements, database.stats.bytes, database.stats.commits)
        tasks = sum(map(len, batches))
        made = [[make_change(n, seq, arguments.steps) for n, seq in batch] for batch in batches]
        wall, cpu = time.perf_counter(), time.process_time()
        for changes in made:
            refusals = await store.commit(fences, changes)
            if any(refusals):
                raise SystemExit(f"refused: {next(filter(None, refusals))}")
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        stats = database.stats
        print(f"batches of {arguments.batch}: {len(batches)} commits, {tasks} tasks")
        print(f"  {wall_s / len(batches) * 1e3:.2f} ms wall, {cpu_s / len(batches) * 1e3:.2f} ms CPU per commit")
        print(f"  {tasks / wall_s:,.0f} tasks/s; {cpu_s / tasks * 1e6:.1f} us CPU per task")
        print(f"  {(stats.statements - before[0]) / tasks:.3f} statements, {(stats.bytes - before[1]) / tasks:,.0f} B")
        print(f"  {stats.checkpoints} checkpoints")


def main() -> None:
    """Parse the arguments and measure in a folder that is removed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=2_000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        asyncio.run(measure(arguments, Path(folder)))


if __name__ == "__main__":
    main()
