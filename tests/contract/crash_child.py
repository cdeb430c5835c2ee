"""A process that commits to a store and ends without a word at its n-th point: `crash_child.py FILE N`.

Prints the id of every instance whose commit was acknowledged, at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from driven_adapters.sqlite import Database, SqliteInstanceStore, SqliteShardStore
from tests.contract.rows import SHARD, change, frame, start_key, timer
from tests.contract.rows import later as at
from tests.contract.stores import HandClock

CRASHED = 137  # the exit status of a process that was killed
COMMITS = 2


async def commit_some(path: Path, crash_at: int) -> None:
    passed = 0

    def count(_point: str) -> None:
        nonlocal passed
        passed += 1
        if passed > crash_at:
            os._exit(CRASHED)

    async with Database(path, HandClock(), shard_count=4, on_point=count) as database:
        shards, store = SqliteShardStore(database), SqliteInstanceStore(database)
        node = f"node-{crash_at}"
        await shards.open_lease(node, 3.0)
        fence = await shards.acquire(node, SHARD, (await shards.shards())[SHARD].epoch)
        if fence is None:
            raise SystemExit("the shard of a dead process was not free")
        for n in range(COMMITS):
            name = f"{crash_at:03d}.{n}"
            made = change(
                name,
                None,
                start_key=start_key(name, name),
                frames=(frame(name, ""),),
                timers_set=(timer(name, 1, at(1)),),
            )
            if [None] != await store.commit([fence], [made]):
                raise SystemExit(f"{name} was refused")
            print(name, flush=True)


if __name__ == "__main__":
    asyncio.run(commit_some(Path(sys.argv[1]), int(sys.argv[2])))
