"""SQLite's own failures: a disk that fails, a process that ends anywhere, a log at its bound, a file in use."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from core.errors import CommitUnknown, QueueFull, SchemaMismatch, StoreBroken, StoreFull, StoreUnavailable
from core.ports.instance_store import InstanceChange
from core.ports.shard_store import Fence
from driven_adapters.sqlite import Database, SqliteAccessStore, SqliteInstanceStore, SqliteShardStore
from driven_adapters.sqlite import threads as store_threads
from driven_adapters.sqlite.database import Reading
from driven_adapters.sqlite.transaction import Transaction
from driven_adapters.sqlite.writer import PAGE_BYTES
from tests.contract.crash_child import COMMITS, CRASHED
from tests.contract.faulty_disk import FaultyDisk
from tests.contract.rows import SHARD, change, frame, instance_row, later, new_command, start_key
from tests.contract.stores import LEASE_S, HandClock

ROOT = Path(__file__).parents[2]
COMMITS_PER_SCENARIO = 2
FAULTS_MAX = 400  # operations of one scenario on the disk; the loops must end


@contextlib.asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[tuple[Database, list[Fence], SqliteInstanceStore]]:
    """Open a store and own its shard."""
    async with Database(path, HandClock(), shard_count=4, **options) as database:
        shards = SqliteShardStore(database)
        epoch = (await shards.shards())[SHARD].epoch
        await shards.open_lease(f"node-{epoch}", LEASE_S)
        fence = await shards.acquire(f"node-{epoch}", SHARD, epoch)
        assert fence is not None
        yield database, [fence], SqliteInstanceStore(database)


def full(name: str) -> InstanceChange:
    return change(name, None, start_key=start_key(name, name), frames=(frame(name, "", body=bytes(3_000)),))


def present(path: Path, names: list[str]) -> set[str]:
    """Let SQLite look at every page, and give those instances that are there with all their rows."""
    connection = apsw.Connection(str(path))
    assert "ok" == connection.pragma("integrity_check")
    rows = connection.execute(
        "SELECT id, seq, (SELECT count(*) FROM journal WHERE instance_n = instance.n) FROM instance"
    ).fetchall()
    connection.close()
    assert [] == [row for row in rows if row[1] != row[2]]
    return {str(row[0]) for row in rows} & set(names)


class TestFaultyDisk:
    """Each operation of a scenario fails in turn; what was acknowledged is there afterwards."""

    @pytest.mark.parametrize(
        ("kind", "fault", "fail_count", "expected"),
        [
            ("write", apsw.IOError, 1, {StoreBroken}),
            ("write", apsw.FullError, 1, {StoreFull}),
            ("write", apsw.FullError, 50, {StoreFull}),
            ("short", apsw.IOError, 1, {StoreBroken}),
            ("short", apsw.FullError, 1, {StoreFull}),
            ("sync", apsw.IOError, 1, {StoreBroken}),
            ("lost", apsw.IOError, 1, {StoreBroken}),
        ],
        ids=["write", "full once", "full for long", "short", "short and full", "sync", "sync that loses"],
    )
    async def test_failing_operation_loses_nothing_acknowledged(
        self, tmp_path: Path, kind: str, fault: type[Exception], fail_count: int, expected: set[type[Exception]]
    ) -> None:
        disk = FaultyDisk(f"faulty-{kind}-{fault.__name__}-{fail_count}")
        raised: set[type[Exception]] = set()
        for fail_at in range(1, FAULTS_MAX):
            path = tmp_path / f"{fail_at}.db"
            faults = await self._run_scenario(path, disk, (kind, fail_at, fault, fail_count))
            if disk.counts[kind] < fail_at:
                break
            raised |= faults
        else:
            pytest.fail("the scenario never got through")

        assert fail_at > COMMITS_PER_SCENARIO
        assert expected == raised

    async def _run_scenario(
        self, path: Path, disk: FaultyDisk, armed: tuple[str, int, type[Exception], int]
    ) -> set[type[Exception]]:
        """Commit some times while the disk fails once; compare what was acknowledged with what is there."""
        names = [f"i{n}" for n in range(COMMITS_PER_SCENARIO)]
        acknowledged: list[str] = []
        refused: list[str] = []
        faults: set[type[Exception]] = set()
        async with opened(path, vfs=disk.name) as (_, fences, store):
            disk.arm(*armed)
            for name in names:
                try:
                    assert [None] == await store.commit(fences, [full(name)])
                    acknowledged.append(name)
                except (StoreBroken, StoreFull) as fault:
                    faults.add(type(fault))
                    if isinstance(fault, StoreFull):
                        refused.append(name)
            disk.disarm()
        there = present(path, names)
        assert set(acknowledged) <= there
        assert not set(refused) & there
        return faults

    async def test_full_disk_takes_commits_again_when_there_is_room(self, tmp_path: Path) -> None:
        disk = FaultyDisk("faulty-room")
        async with opened(tmp_path / "a.db", vfs=disk.name) as (_, fences, store):
            disk.arm("write", 1, apsw.FullError, 10_000)
            for _ in range(3):
                with pytest.raises(StoreFull):
                    await store.commit(fences, [full("i1")])
            assert await store.load("i1") is None
            disk.disarm()

            assert [None] == await store.commit(fences, [full("i1")])
        assert {"i1"} == present(tmp_path / "a.db", ["i1"])

    async def test_broken_store_refuses_every_later_write(self, tmp_path: Path) -> None:
        disk = FaultyDisk("faulty-sync-once")
        async with opened(tmp_path / "a.db", vfs=disk.name) as (_, fences, store):
            disk.arm("sync", 1, apsw.IOError, 1)
            with pytest.raises(StoreBroken):
                await store.commit(fences, [full("i1")])
            with pytest.raises(StoreBroken):
                await store.commit(fences, [full("i2")])

    async def test_read_error_of_a_reader_is_told_as_broken(self, tmp_path: Path) -> None:
        disk = FaultyDisk("faulty-reader")
        async with opened(tmp_path / "a.db", vfs=disk.name) as (_, fences, store):
            await store.commit(fences, [full("i1")])
            disk.arm("read", 1, apsw.IOError, 10_000)
            with pytest.raises(StoreBroken):
                await store.load("i1")
            disk.disarm()


async def test_every_commit_is_synced_before_it_is_answered(tmp_path: Path) -> None:
    disk = FaultyDisk("counting-syncs")
    async with opened(tmp_path / "a.db", vfs=disk.name) as (database, fences, store):
        disk.arm("", 0, apsw.IOError, 0)
        synced: list[int] = []
        for n in range(5):
            await store.commit(fences, [change(f"i{n}", None)])
            synced.append(disk.counts["sync"])

        assert list(range(1, 6)) == synced
        assert [(2,)] == await database.write(lambda tx: tx.rows("PRAGMA synchronous"))
        assert [("wal",)] == await database.write(lambda tx: tx.rows("PRAGMA journal_mode"))


class TestKilledProcess:
    """A process ends between any two statements of its work, schema and all."""

    async def test_process_ending_at_any_point_loses_nothing_acknowledged(self, tmp_path: Path) -> None:
        path = tmp_path / "flow.db"
        acknowledged: list[str] = []
        asked: list[str] = []
        for crash_at in range(FAULTS_MAX):
            child = await asyncio.to_thread(self._run_child, path, crash_at)
            acknowledged += child.stdout.split()
            asked += [f"{crash_at:03d}.{n}" for n in range(COMMITS)]
            if child.returncode == 0:
                break
            assert (CRASHED, "") == (child.returncode, child.stderr)
        else:
            pytest.fail("the child never got through")

        there = present(path, asked)
        assert crash_at > 20
        assert set(acknowledged) <= there
        assert len(there) - len(set(acknowledged)) <= crash_at

    def _run_child(self, path: Path, crash_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.contract.crash_child", str(path), str(crash_at)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


class TestUnknownCommit:
    """Neither known to have landed nor not: said so, and the store goes on with a new connection."""

    async def test_commit_that_raises_something_strange_is_unknown(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "a.db") as (database, fences, store):

            def forbid(tx: Transaction) -> None:
                refuse_operation(tx, "COMMIT")

            with pytest.raises(CommitUnknown):
                await database.write(forbid)

            assert [None] == await store.commit(fences, [change("i1", None)])

    async def test_failed_way_back_is_unknown(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "a.db") as (database, fences, store):

            def forbid(tx: Transaction) -> None:
                refuse_operation(tx, "ROLLBACK")
                raise LookupError("a statement failed")

            with pytest.raises(CommitUnknown):
                await database.write(forbid)

            assert [None] == await store.commit(fences, [change("i1", None)])

    @pytest.mark.parametrize("first", [apsw.FullError("full"), apsw.IOError("io"), LookupError("a bug")])
    async def test_io_error_on_the_way_back_breaks_the_store(self, tmp_path: Path, first: Exception) -> None:
        async with opened(tmp_path / "a.db") as (database, fences, store):

            def forbid(tx: Transaction) -> None:
                refuse_operation(tx, "ROLLBACK", fault=apsw.IOError("the disk is gone"))
                raise first

            with pytest.raises(StoreBroken):
                await database.write(forbid)
            with pytest.raises(StoreBroken):
                await store.commit(fences, [change("i1", None)])

    async def test_file_that_cannot_be_opened_again_breaks_the_store(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "a.db"
        path.parent.mkdir()
        async with opened(path) as (database, _, _):

            def forbid(tx: Transaction) -> None:
                refuse_operation(tx, "COMMIT")
                for file in path.parent.iterdir():
                    file.unlink()
                path.parent.rmdir()

            with pytest.raises(StoreBroken):
                await database.write(forbid)
            with pytest.raises(StoreBroken):
                await database.write(lambda tx: tx.reach("nothing"))


def refuse_operation(tx: Transaction, operation: str, fault: Exception | None = None) -> None:
    """Let SQLite refuse COMMIT or ROLLBACK on the transaction's connection, or raise `fault` there."""

    def decide(action: int, name: str | None, *_rest: str | None) -> int:
        if action != apsw.SQLITE_TRANSACTION or name != operation:
            return apsw.SQLITE_OK
        if fault is not None:
            raise fault
        return apsw.SQLITE_DENY

    tx._connection.authorizer = decide


class TestLog:
    """The write-ahead log: copied between commits, bounded."""

    async def test_log_at_its_bound_refuses_new_instances_until_it_was_copied(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        async with opened(path, wal_bytes_max=40 * PAGE_BYTES) as (_, fences, store):
            await store.commit(fences, [change("i1", None)])
            reader = apsw.Connection(str(path))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM instance").fetchall()
            for seq in range(1, 30):
                assert [None] == await store.commit(fences, [change("i1", seq)])

            with pytest.raises(StoreFull):
                await store.commit(fences, [change("i2", None)])
            with pytest.raises(StoreFull):
                await store.ingest([new_command("i1", "c1")])
            assert [None] == await store.commit(fences, [change("i1", 30)])
            reader.close()
            await store.commit(fences, [change("i1", 31)])

            assert [None] == await store.commit(fences, [change("i2", None)])
            assert ["accepted"] == [answer.status for answer in await store.ingest([new_command("i1", "c1")])]

    async def test_grown_log_is_copied_between_commits(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "a.db") as (database, fences, store):
            body = bytes(250_000)
            for n in range(90):
                frames = (frame(f"i{n}", "", body=body),)
                await store.commit(fences, [change(f"i{n}", None, frames=frames)])

            assert database.stats.checkpoints >= 1
            assert (tmp_path / "a.db").stat().st_size > 13_000_000
            assert database.stats.bytes > 22_500_000

    async def test_full_disk_during_the_copy_keeps_the_log(self, tmp_path: Path) -> None:
        disk = FaultyDisk("faulty-copy-full")
        path = tmp_path / "a.db"
        async with opened(path, vfs=disk.name, wal_bytes_max=20 * PAGE_BYTES) as (_, fences, store):
            await store.commit(fences, [change("i1", None)])
            disk.arm("truncate", 1, apsw.FullError, 10_000)
            for seq in range(1, 30):
                assert [None] == await store.commit(fences, [change("i1", seq)])
            disk.disarm()

        assert disk.counts["truncate"] > 0
        assert {"i1"} == present(path, ["i1"])

    async def test_io_error_during_the_copy_breaks_the_store_after_the_answer(self, tmp_path: Path) -> None:
        disk = FaultyDisk("faulty-copy")
        path = tmp_path / "a.db"
        landed = 0
        async with opened(path, vfs=disk.name, wal_bytes_max=20 * PAGE_BYTES) as (_, fences, store):
            disk.arm("truncate", 1, apsw.IOError, 10_000)
            with contextlib.suppress(StoreBroken):
                while landed < 30:
                    await store.commit(fences, [change(f"i{landed:02d}", None)])
                    landed += 1
            disk.disarm()

        assert 0 < landed < 30
        names = [f"i{n:02d}" for n in range(landed)]
        assert set(names) == present(path, names)


class TestOneProcess:
    """One process per file, and calls that cannot be served are told so."""

    async def test_second_opening_is_refused_with_a_clear_message(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        async with opened(path):
            with pytest.raises(StoreUnavailable, match="another process has"):
                await Database(path, HandClock()).open()

        async with opened(path) as (database, _, _):
            assert 4 == database.shard_count

    async def test_lock_is_held_by_a_file_of_its_own(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        async with opened(path):
            handle = os.open(f"{path}.lock", os.O_RDWR)
            with pytest.raises(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(handle)

    async def test_missing_folder_is_told_as_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable, match="lock"):
            await Database(tmp_path / "nowhere" / "a.db", HandClock()).open()

    async def test_file_that_is_no_database_is_told_as_broken(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        path.write_bytes(b"this is a letter, not a database, and longer than a header" * 100)
        database = Database(path, HandClock())
        with pytest.raises(StoreBroken):
            await database.open()
        path.unlink()

        await database.open()
        await database.close()

    async def test_store_that_needs_migrations_is_refused_when_told_not_to(self, tmp_path: Path) -> None:
        database = Database(tmp_path / "a.db", HandClock())
        with pytest.raises(SchemaMismatch, match="migrate"):
            await database.open(migrate=False)
        await database.open()
        await database.close()
        await database.close()

        await database.open(migrate=False)
        await database.close()

    async def test_write_lock_held_by_another_program_is_told_as_unavailable(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "a.db") as (_, fences, store):
            other = apsw.Connection(str(tmp_path / "a.db"))
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await store.commit(fences, [change("i1", None)])
            other.close()

            assert [None] == await store.commit(fences, [change("i1", None)])

    async def test_closed_store_answers_unavailable(self, tmp_path: Path) -> None:
        database = Database(tmp_path / "a.db", HandClock())
        store = SqliteInstanceStore(database)
        with pytest.raises(StoreUnavailable):
            await store.load("i1")
        async with database:
            assert await store.load("i1") is None
        with pytest.raises(StoreUnavailable):
            await store.ingest([new_command("i1", "c1")])

    async def test_too_many_waiting_calls_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store_threads, "WAITING_CALLS_MAX", 2)
        go = threading.Event()
        async with opened(tmp_path / "a.db") as (database, _, _):
            started = threading.Event()

            def hold(_tx: Transaction) -> None:
                started.set()
                go.wait()

            held = asyncio.ensure_future(database.write(hold))
            await asyncio.to_thread(started.wait)
            waiting = [asyncio.ensure_future(database.write(lambda tx: tx.reach("x"))) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(QueueFull) as refused:
                await database.write(lambda tx: tx.reach("x"))
            assert [("store_calls", {"taken": 2, "most": 2})] == [(one.name, one.value) for one in refused.value.why]
            go.set()

            assert [None] * 3 == await asyncio.gather(held, *waiting)

    async def test_wall_clock_jump_ends_no_lease(self, tmp_path: Path) -> None:
        clock = HandClock()
        async with Database(tmp_path / "a.db", clock, shard_count=4) as database:
            shards = SqliteShardStore(database)
            await shards.open_lease("node-1", LEASE_S)
            clock._wall = later(3 * 86_400)

            assert await shards.renew("node-1", LEASE_S)


class TestRefusedByTheDatabase:
    """What the rules let pass and SQLite does not: found by writing one by one."""

    @pytest.mark.parametrize(
        "bad",
        [
            change("bad", None, row={"ready": 2**63}),
            change("bad", None, row={"ready": None}),
            change("bad", None, row={"dag_id": "lone \ud800"}),
            change("bad", None, row={"ready": b"bytes"}),
            change("bad", None, row={"ready": object()}),
        ],
        ids=["integer of 65 bits", "null", "lone surrogate", "bytes for a number", "no value"],
    )
    async def test_row_that_sqlite_refuses_is_taken_out_alone(self, tmp_path: Path, bad: InstanceChange) -> None:
        async with opened(tmp_path / "a.db") as (_, fences, store):
            batch = [change("i1", None), bad, change("i2", None), change("i1", 1)]
            answers = await store.commit(fences, batch)

            assert [None, "invalid", None, "invalid"] == [one and one.reason for one in answers]
            assert await store.load("bad") is None
            found = [await store.load(name) for name in ("i1", "i2")]
            assert [instance_row("i1"), instance_row("i2")] == [one.row for one in found if one is not None]


async def test_wrong_statement_stays_the_bug_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as (database, fences, store):
        with pytest.raises(apsw.SQLError):
            await database.write(lambda tx: tx.write("NOT SQL"))
        with pytest.raises(apsw.SQLError):
            await database.read(lambda reading: reading.rows("NOT SQL", {}))

        assert [None] == await store.commit(fences, [change("i1", None)])


async def test_reader_cannot_write(tmp_path: Path) -> None:
    def write(reading: Reading) -> None:
        reading.rows("DELETE FROM shard", {})

    async with opened(tmp_path / "a.db") as (database, _, _):
        with pytest.raises(StoreUnavailable):
            await database.read(write)


async def test_two_stores_have_their_own_pepper_and_incarnation(tmp_path: Path) -> None:
    seen: set[tuple[bytes, str]] = set()
    for name in ("a.db", "b.db"):
        async with opened(tmp_path / name) as (database, fences, _):
            seen.add((await SqliteAccessStore(database).pepper(), fences[0].incarnation))

    assert 2 == len({pepper for pepper, _ in seen}) == len({incarnation for _, incarnation in seen})


async def test_load_of_an_instance_that_moves_between_pages_begins_anew(tmp_path: Path) -> None:
    frames = tuple(frame("i1", f"m/#{n:03d}") for n in range(100))
    async with opened(tmp_path / "a.db") as (database, fences, store):
        await store.commit(fences, [change("i1", None, row={"open_frames": 100}, frames=frames)])
        moves = MovesBetweenReads(database, store, fences, moves_max=2)
        found = await moves.load()

        assert found is not None
        assert (3, 100) == (found.row.seq, len(found.frames))


async def test_load_of_an_instance_that_never_rests_gives_up(tmp_path: Path) -> None:
    frames = tuple(frame("i1", f"m/#{n:03d}") for n in range(100))
    async with opened(tmp_path / "a.db") as (database, fences, store):
        await store.commit(fences, [change("i1", None, row={"open_frames": 100}, frames=frames)])
        moves = MovesBetweenReads(database, store, fences, moves_max=100)
        with pytest.raises(StoreUnavailable, match="moves"):
            await moves.load()


class MovesBetweenReads:
    """Commits to i1 between two pages of a load, at most `moves_max` times; the first read finds that it has pages."""

    def __init__(self, database: Database, store: SqliteInstanceStore, fences: list[Fence], moves_max: int) -> None:
        self._database, self._store, self._fences = database, store, fences
        self._left, self._seq, self._reads = moves_max, 1, 0
        self._read: Callable[[Callable[[Reading], Any]], Any] = database.read

    async def load(self) -> Any:
        self._database.read = self._move_and_read  # type: ignore[method-assign]  # the seam is the object's own verb
        return await self._store.load("i1")

    async def _move_and_read(self, work: Callable[[Reading], Any]) -> Any:
        self._reads += 1
        if self._reads % 2 and self._reads > 1 and self._left > 0:
            self._left -= 1
            await self._store.commit(self._fences, [change("i1", self._seq, row={"open_frames": 100})])
            self._seq += 1
        return await self._read(work)
