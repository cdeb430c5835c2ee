"""Feeds: lines that come late are waited for, and a hint that comes to nothing ends no stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from core.engine.feeds import LATE_LINES_S, POLL_S, Feed, Lines
from core.ports.instance_views import InstanceList
from core.ports.scope import Principal, Scope
from core.ports.task_log import StoredLine, TaskLogLine

SCOPE = Scope("d", Principal("p", "key", "n"))
AT = datetime(2026, 3, 1, tzinfo=UTC)


class Log:
    """Lines of one instance."""

    def __init__(self) -> None:
        self.lines: list[StoredLine] = []

    def add(self, message: str) -> None:
        line = TaskLogLine(instance_id="i", domain_id="d", task_path="a", attempt=1, level="info", message=message)
        self.lines.append(StoredLine(len(self.lines) + 1, AT, line))

    async def read(self, *_: Any, after: int, **__: Any) -> Sequence[StoredLine]:
        return [line for line in self.lines if line.n > after]


class Ended:
    """Views in which the instance has ended."""

    async def list(self, *_: Any, **__: Any) -> InstanceList:
        return InstanceList((), None)


def lines_of(log: Log) -> Lines:
    return Lines(log, Ended(), SCOPE, "i", task_path=None, attempt=None, after=0)  # type: ignore[arg-type] # these verbs only


def test_lines_that_come_after_the_end_of_the_instance_are_waited_for() -> None:
    async def run() -> None:
        log = Log()
        source = lines_of(log)
        assert [] == list(await source.read(was_silent=False))
        assert (LATE_LINES_S, False) == (source.wait_s, source.is_over)
        assert [] == list(await source.read(was_silent=False))
        assert not source.is_over
        log.add("late")
        assert ["1"] == [entry.id for entry in await source.read(was_silent=False)]
        assert POLL_S == source.wait_s
        assert [] == list(await source.read(was_silent=False))
        assert [] == list(await source.read(was_silent=True))
        assert source.is_over

    asyncio.run(run())


def test_feed_tells_its_source_of_silence_once_and_leaves_when_it_is_closed() -> None:
    async def run() -> None:
        source = lines_of(Log())
        wakes: list[Any] = []
        left: list[str] = []
        closed: list[Feed] = []

        def follow(instance_id: str, wake: Any) -> Any:
            wakes.append(wake)
            return lambda: left.append(instance_id)

        feed = Feed(source, "i", [follow], closed.append)
        await feed.read()
        wakes[0](5)
        assert await feed.wait()
        await feed.read()
        source.wait_s = 0.0
        assert not await feed.wait()
        source.wait_s = LATE_LINES_S
        await feed.read()
        assert feed.is_over
        feed.close()
        feed.close()
        assert (["i", "i"], [feed]) == (left, closed)

    asyncio.run(run())
