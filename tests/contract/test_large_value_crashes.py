"""A process killed between note, object and commit of a large value: never a row without bytes, nothing left for ever."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import apsw
import msgspec

from core.engine.views import read_instance
from core.file.files import LOOSE_KEPT, Files
from core.ports.object_store import LIST_COUNT_MAX
from core.ports.scope import Principal, Scope
from driven_adapters.object_store import LocalObjectStore
from driven_adapters.sqlite import Database, SqliteFileStore, SqliteInstanceViews, SqliteObjectNotes
from driven_adapters.system import SystemClock, UlidSource
from tests.contract.large_child import DAG, DOMAIN_ID, LARGE, POINTS, digest
from tests.contract.stores import HandClock
from tests.unit.engine.plans import plan_of

ROOT = Path(__file__).parents[2]
SCOPE = Scope(DOMAIN_ID, Principal("ann", "key", "Ann"))


def run(folder: Path, point: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.contract.large_child", str(folder), point]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def referred(folder: Path) -> dict[str, int]:
    """Give the length that rows say of every object they refer to."""
    connection = apsw.Connection(str(folder / "flow.db"))
    assert "ok" == connection.pragma("integrity_check")
    rows = connection.execute("SELECT object_key, bytes_count FROM payload_object").fetchall()
    connection.close()
    return {str(key): int(str(count)) for key, count in rows}


async def lying(objects: LocalObjectStore) -> dict[str, int]:
    page = await objects.list(DOMAIN_ID, prefix="payload/", after="", limit=LIST_COUNT_MAX)
    return {one.key: one.bytes_count for one in page}


async def check_after_kill(folder: Path) -> None:
    """Every row's object lies there whole."""
    async with LocalObjectStore(folder / "objects", free_bytes_min=0) as objects:
        assert referred(folder).items() <= (await lying(objects)).items()


async def check_at_the_end(folder: Path, instance_ids: list[str]) -> int:
    """Sweep as two hours later; gives how many objects that took away."""
    clock = HandClock()
    clock.move((SystemClock().now() - clock.now() + LOOSE_KEPT + timedelta(seconds=1)).total_seconds())
    async with (
        Database(folder / "flow.db", clock, shard_count=4) as database,
        LocalObjectStore(folder / "objects", free_bytes_min=0) as objects,
    ):
        notes, views = SqliteObjectNotes(database), SqliteInstanceViews(database)
        before = await lying(objects)
        await Files(SqliteFileStore(database), notes, objects, clock, UlidSource()).sweep()
        after = await lying(objects)
        assert referred(folder) == after
        assert [] == list(await notes.loose(clock.now(), 10))
        for instance_id in instance_ids:
            loaded = await views.get(SCOPE, instance_id)
            assert loaded is not None
            view = await read_instance(views, objects, SCOPE, plan_of(DAG), loaded)
            assert {"digest": digest(LARGE)} == msgspec.json.decode(msgspec.json.encode(view.outputs))
    return len(before) - len(after)


def test_kill_at_any_point_leaves_no_row_without_bytes_and_the_sweep_takes_the_rest(tmp_path: Path) -> None:
    for point in POINTS:
        assert -signal.SIGKILL == run(tmp_path, point).returncode, point
        asyncio.run(check_after_kill(tmp_path))
    done = run(tmp_path, "")
    assert 0 == done.returncode, done.stderr
    ended = msgspec.json.decode(done.stdout, type=dict[str, str])

    assert ["succeeded"] * (len(POINTS) + 1) == list(ended.values())
    # An object that was written whole and never referred to is what a kill between it and its commit leaves.
    assert 1 <= asyncio.run(check_at_the_end(tmp_path, list(ended))) <= len(POINTS)
