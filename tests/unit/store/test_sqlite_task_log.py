"""The flusher of the task log: stores by itself, goes on after an outage, doubles nothing, stores the rest at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.errors import StoreBroken, StoreFull, StoreUnavailable
from core.ports.task_log import TaskLogLine
from driven_adapters.sqlite import Database, SqliteTaskLog
from tests.contract.rows import SCOPE
from tests.contract.stores import HandClock, Points


def line(message: str) -> TaskLogLine:
    return TaskLogLine(instance_id="i1", domain_id="dom-a", task_path="a", attempt=1, level="info", message=message)


def run(folder: Path, test: Callable[[Database, Points], Awaitable[None]], **more: int) -> None:
    async def opened() -> None:
        points = Points()
        async with Database(folder / "flow.db", HandClock(), on_point=points, **more) as database:  # type: ignore[arg-type] # bounds only
            await test(database, points)

    asyncio.run(opened())


async def stored(log: SqliteTaskLog) -> list[tuple[int, str]]:
    lines = await log.read(SCOPE, "i1", task_path=None, attempt=None, after=0, limit=100)
    return [(one.n, one.line.message) for one in lines]


async def flushed(log: SqliteTaskLog, *messages: str) -> None:
    """Write lines and wait until the flusher has stored some."""
    fresh = asyncio.Event()
    leave = log.follow("i1", lambda _: fresh.set())
    for message in messages:
        log.write(line(message))
    async with asyncio.timeout(30):
        await fresh.wait()
    leave()


def failing(point: str, fault: Exception, times: int = 1) -> Callable[[str], None]:
    left = times

    def on_pass(name: str) -> None:
        nonlocal left
        if name == point and left:
            left -= 1
            raise fault

    return on_pass


def test_lines_are_stored_without_anybody_asking(tmp_path: Path) -> None:
    async def test(database: Database, _: Points) -> None:
        async with SqliteTaskLog(database, HandClock()) as log:
            await flushed(log, "one", "two")
            assert [(1, "one"), (2, "two")] == await stored(log)

    run(tmp_path, test)


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), StoreFull("full")])
def test_lines_wait_for_the_end_of_an_outage(tmp_path: Path, fault: Exception) -> None:
    async def test(database: Database, points: Points) -> None:
        async with SqliteTaskLog(database, HandClock()) as log:
            points.on_pass = failing("before_commit", fault, times=3)
            await flushed(log, "one")
            assert [(1, "one")] == await stored(log)

    run(tmp_path, test)


def test_lost_answer_of_a_commit_doubles_no_line(tmp_path: Path) -> None:
    async def test(database: Database, points: Points) -> None:
        async with SqliteTaskLog(database, HandClock()) as log:
            points.on_pass = failing("after_commit", RuntimeError("lost"))
            await flushed(log, "one")
            await flushed(log, "two")
            assert [(1, "one"), (2, "two")] == await stored(log)

    run(tmp_path, test)


def test_last_lines_are_stored_when_the_log_is_closed(tmp_path: Path) -> None:
    async def test(database: Database, _: Points) -> None:
        log = SqliteTaskLog(database, HandClock())
        async with log:
            log.write(line("last"))
        assert [(1, "last")] == await stored(log)
        assert 0 == log.dropped_count

    run(tmp_path, test)


def test_broken_store_ends_the_flusher_and_closing_raises_nothing(tmp_path: Path) -> None:
    async def test(database: Database, points: Points) -> None:
        points.on_pass = failing("before_commit", StoreBroken("disk"), times=9)
        async with SqliteTaskLog(database, HandClock()) as log:
            log.write(line("one"))
            assert log._flusher is not None
            async with asyncio.timeout(30):
                await log._flusher
            assert [] == await stored(log)

    run(tmp_path, test)


def test_full_write_ahead_log_takes_no_lines(tmp_path: Path) -> None:
    async def test(database: Database, _: Points) -> None:
        log = SqliteTaskLog(database, HandClock())
        log.write(line("one"))
        with pytest.raises(StoreFull):
            await log.flush()

    run(tmp_path, test, wal_bytes_max=0)
