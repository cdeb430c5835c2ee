"""Lines of attempts in SQLite: taken into memory at once, stored a little later in transactions of their own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

from core.errors import CommitUnknown, QueueFull, StoreBroken, StoreFull, StoreUnavailable
from core.ports.log_rules import LineBuffer, TimedLine, check_page, line_bytes
from core.ports.task_log import StoredLine, TaskLogLine
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import RowsStatement, load_statements
from pkg.wakes import Wakes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from core.ports.clock import Clock
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction

FLUSH_PERIOD_S = 0.25  # four small transactions a second beside the engine's commits, and a person waits no longer
PORTION_LINES = 256  # a transaction of a millisecond or two: the most that a commit of the engine waits for it
PORTION_BYTES = 262_144
CLOSE_S = 2.0  # what the last lines get when the process ends
_OUTAGE = (StoreUnavailable, StoreFull, CommitUnknown, QueueFull)  # the next round writes them; their number tells


class SqliteTaskLog:
    """`TaskLog` over a `Database`; open it after the database, close it before."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._texts = load_statements("engine/task_log.sql")
        self._insert = RowsStatement(self._texts["insert_lines"])
        self._buffer = LineBuffer()
        self._wakes = Wakes()
        self._has_lines = asyncio.Event()
        self._newest_n: int | None = None
        self._portion: list[TimedLine] = []
        self._flusher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._flusher = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait((self._flusher,))
        with contextlib.suppress(StoreBroken, TimeoutError, *_OUTAGE):
            async with asyncio.timeout(CLOSE_S):
                await self.flush()

    @property
    def dropped_count(self) -> int:
        """Lines that were left out since the start of the process."""
        return self._buffer.dropped_count

    def write(self, line: TaskLogLine) -> None:
        """Take a line."""
        self._buffer.add(line, self._clock.now())
        self._has_lines.set()

    async def read(
        self, scope: Scope, instance_id: str, *, task_path: str | None, attempt: int | None, after: int, limit: int
    ) -> Sequence[StoredLine]:
        """Page the lines of an instance."""
        bindings: dict[str, Any] = {
            "instance_id": instance_id,
            "domain_id": scope.domain_id,
            "after": after,
            "limit": check_page(task_path, attempt, limit),
        }
        sql = self._texts["page_lines"]
        if task_path is not None:
            bindings |= {"task_path": task_path, "attempt": attempt}
            sql = self._texts["page_lines_of_task"]
        rows = await self._database.read(lambda reading: reading.rows(sql, bindings))
        return [
            StoredLine(
                n,
                from_stamp(at),
                TaskLogLine(
                    instance_id=instance_id,
                    domain_id=scope.domain_id,
                    task_path=path,
                    attempt=number,
                    level=level,
                    message=message,
                    stream=stream,
                ),
            )
            for n, at, path, number, level, message, stream in rows
        ]

    def follow(self, instance_id: str, wake: Callable[[int], None]) -> Callable[[], None]:
        """Call `wake` when lines of this instance were stored."""
        return self._wakes.follow(instance_id, wake)

    async def flush(self) -> None:
        """Store what waits now.

        Raises:
            StoreUnavailable, StoreFull, CommitUnknown, QueueFull: the rest waits on. StoreBroken.
        """
        while self._portion or len(self._buffer):
            if not self._portion:
                self._portion = self._buffer.take(self._clock.now(), count_max=PORTION_LINES, bytes_max=PORTION_BYTES)
            if self._newest_n is None:
                rows = await self._database.read(lambda reading: reading.rows(self._texts["newest_line"], {}))
                self._newest_n = rows[0][0]
            await self._store(self._portion, self._newest_n)
            self._newest_n += len(self._portion)
            portion, self._portion = self._portion, []
            for timed in portion:
                self._wakes.announce(timed.line.instance_id, line_bytes(timed.line))

    async def _store(self, portion: Sequence[TimedLine], newest_n: int) -> None:
        values: list[Any] = []
        for n, timed in enumerate(portion, newest_n + 1):
            line = timed.line
            values += (n, line.instance_id, line.domain_id, line.task_path, line.attempt, to_stamp(timed.at))
            values += (line.level, line.stream, line.message)

        def insert(tx: Transaction) -> None:
            if tx.is_wal_full:
                raise StoreFull("the write-ahead log is at its bound: lines of attempts wait")
            tx.write_rows(self._insert, values)

        await self._database.write(insert)

    async def _run(self) -> None:
        """Store lines some times a second, until cancelled or the store is broken: then the process ends anyway."""
        while True:
            await self._has_lines.wait()
            await self._clock.sleep_until(self._clock.monotonic() + FLUSH_PERIOD_S)
            self._has_lines.clear()
            try:
                await self.flush()
            except _OUTAGE:
                self._has_lines.set()
            except StoreBroken:
                return
