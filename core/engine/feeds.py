"""What is new of one instance, as it comes: transitions from the journal, lines of its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from core.engine.events import InstanceEnded
from core.engine.journal import decode_events
from core.engine.journal_view import shown_event
from core.engine.values import stamp
from core.ports.instance_store import TERMINAL_STATUSES
from core.ports.instance_views import InstanceFilter, InstanceViews
from core.ports.scope import Scope
from core.ports.task_log import StoredLine, TaskLog

POLL_S = 15.0  # the safety net under lost hints, and how often a silent stream shows that it lives (http-api.md)
# Lines of the last attempts reach the store a little after their instance's end; four flushes of the log.
LATE_LINES_S = 1.0
READ_BYTES = 65_536  # decoded and shown at once: some milliseconds of the event loop
ROWS_PER_READ = 16
LINES_PER_READ = 100

Follow = Callable[[str, Callable[[int], None]], Callable[[], None]]


class FedEntry(msgspec.Struct, frozen=True):
    """One thing that is new. `id` names its place: whoever has seen it goes on behind it. `data` is JSON."""

    id: str
    name: str
    data: bytes


class Source(Protocol):
    """Where a feed reads; `is_over` when nothing follows; `wait_s` how long to wait without a hint."""

    is_over: bool
    wait_s: float

    async def read(self, *, was_silent: bool) -> Sequence[FedEntry]:
        """Give the next entries, none when there is nothing new; `was_silent`: no hint came for `wait_s`."""
        ...


class Transitions:
    """Journal events of an instance behind a place, each once, in order; over after its end.

    Args:
        seq: journal row of the event that was seen last. index: its number in that row. 0 and -1 = none was seen.
    """

    def __init__(self, views: InstanceViews, scope: Scope, instance_id: str, *, seq: int, index: int) -> None:
        """Begin behind that event."""
        self._views = views
        self._scope = scope
        self._instance_id = instance_id
        self._after_seq = max(0, seq - 1)
        self._seen = (seq, index)
        self.is_over = False
        self.wait_s = POLL_S

    async def read(self, *, was_silent: bool) -> Sequence[FedEntry]:
        """Give the events of the next journal rows."""
        del was_silent  # the journal itself says when nothing follows
        found: list[FedEntry] = []
        size = 0
        while not (found or self.is_over):
            rows = await self._views.journal(
                self._scope, self._instance_id, after_seq=self._after_seq, limit=ROWS_PER_READ
            )
            if not rows:
                break
            for stamped in rows:
                row, at = stamped.row, None if stamped.at is None else stamp(stamped.at)
                for index, event in enumerate(decode_events(row.version, row.body)):
                    self.is_over = self.is_over or isinstance(event, InstanceEnded)
                    if (row.seq, index) > self._seen:
                        shown = shown_event(event)
                        data = msgspec.json.encode({"seq": row.seq, "at": at, "event": shown})
                        found.append(FedEntry(f"{row.seq}.{index}", shown["event"], data))
                self._after_seq = row.seq
                size += len(row.body)
                if size >= READ_BYTES:
                    break
        return found


class Lines:
    """Lines of an instance's attempts behind line `after`; over some time after the instance's end."""

    def __init__(
        self,
        log: TaskLog,
        views: InstanceViews,
        scope: Scope,
        instance_id: str,
        *,
        task_path: str | None,
        attempt: int | None,
        after: int,
    ) -> None:
        """Begin behind that line."""
        self._log = log
        self._views = views
        self._scope = scope
        self._instance_id = instance_id
        self._task_path = task_path
        self._attempt = attempt
        self._after = after
        self.is_over = False
        self.wait_s = POLL_S

    async def read(self, *, was_silent: bool) -> Sequence[FedEntry]:
        """Give the next lines."""
        lines = await self._log.read(
            self._scope,
            self._instance_id,
            task_path=self._task_path,
            attempt=self._attempt,
            after=self._after,
            limit=LINES_PER_READ,
        )
        if lines:
            self._after = lines[-1].n
            self.wait_s = POLL_S
            return [FedEntry(str(line.n), "line", msgspec.json.encode(shown_line(line))) for line in lines]
        if self.wait_s == LATE_LINES_S:
            self.is_over = was_silent
        elif await self._has_ended():
            self.wait_s = LATE_LINES_S
        return ()

    async def _has_ended(self) -> bool:
        """Look at the instance's row alone: the only one in this range of ids."""
        chosen = InstanceFilter(since=self._instance_id, before=self._instance_id + "0")
        rows = (await self._views.list(self._scope, chosen, limit=1)).rows
        return not rows or rows[0].status in TERMINAL_STATUSES


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it is shown; `n` ascends within the instance."""

    n: int
    at: str
    task: str
    attempt: int
    level: str
    stream: str
    message: str


def shown_line(stored: StoredLine) -> LineView:
    """Show a line."""
    line = stored.line
    return LineView(
        n=stored.n,
        at=stamp(stored.at),
        task=line.task_path,
        attempt=line.attempt,
        level=line.level,
        stream=line.stream,
        message=line.message,
    )


class Feed:
    """A source with hints of when to read it; for one reader.

    Attributes:
        on_landed: called with bytes that became readable, also while nobody reads.
        is_ending: nothing more is to be read, whether there is something or not.
    """

    def __init__(
        self, source: Source, instance_id: str, follows: Sequence[Follow], on_close: Callable[[Feed], None]
    ) -> None:
        """Listen from now on, so that nothing between the first read and the first wait is missed."""
        self._source = source
        self._fresh = asyncio.Event()
        self._was_silent = False
        self._on_close: Callable[[Feed], None] | None = on_close
        self.is_ending = False
        self.on_landed: Callable[[int], None] | None = None
        self._leaves = [follow(instance_id, self._landed) for follow in follows]

    @property
    def is_over(self) -> bool:
        """Say whether nothing more will come."""
        return self.is_ending or self._source.is_over

    async def read(self) -> Sequence[FedEntry]:
        """Give what is new now."""
        self._fresh.clear()
        was_silent, self._was_silent = self._was_silent, False
        return await self._source.read(was_silent=was_silent)

    async def wait(self) -> bool:
        """Wait for a hint; False when none came in time: then read all the same."""
        try:
            async with asyncio.timeout(self._source.wait_s):
                await self._fresh.wait()
        except TimeoutError:
            self._was_silent = True
            return False
        return True

    def end(self) -> None:
        """Let the reader come to an end: the process is stopping, and another one goes on where this one ends."""
        self.is_ending = True
        self._fresh.set()

    def close(self) -> None:
        """Listen no more; twice is no error."""
        for leave in self._leaves:
            leave()
        if self._on_close is not None:
            told, self._on_close = self._on_close, None
            told(self)

    def _landed(self, size_bytes: int) -> None:
        self._fresh.set()
        if self.on_landed is not None:
            self.on_landed(size_bytes)
