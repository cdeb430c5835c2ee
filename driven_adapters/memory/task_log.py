"""Lines of attempts, in memory: kept at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.ports.log_rules import LineBuffer, check_page, line_bytes
from core.ports.task_log import StoredLine
from pkg.wakes import Wakes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.ports.log_rules import TimedLine
    from core.ports.scope import Scope
    from core.ports.task_log import TaskLogLine
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables

_PORTION_LINES = 256


class MemoryTaskLog:
    """`TaskLog` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._buffer = LineBuffer()
        self._wakes = Wakes()

    def write(self, line: TaskLogLine) -> None:
        """Keep a line."""
        now = self._store.clock.now()
        self._buffer.add(line, now)
        for timed in self._buffer.take(now, count_max=_PORTION_LINES, bytes_max=self._buffer.waiting_bytes_max):
            self._store.run(partial(_keep, timed))
            self._wakes.announce(timed.line.instance_id, line_bytes(timed.line))

    async def read(
        self, scope: Scope, instance_id: str, *, task_path: str | None, attempt: int | None, after: int, limit: int
    ) -> Sequence[StoredLine]:
        """Page the lines of an instance."""
        check_page(task_path, attempt, limit)

        def list_lines(tables: Tables) -> Sequence[StoredLine]:
            found = [
                stored
                for stored in tables.group("task_log", instance_id).values()
                if stored.n > after
                and stored.line.domain_id == scope.domain_id
                and task_path in (None, stored.line.task_path)
                and attempt in (None, stored.line.attempt)
            ]
            return found[:limit]

        return await self._store.read("task_log", list_lines)

    def follow(self, instance_id: str, wake: Callable[[int], None]) -> Callable[[], None]:
        """Call `wake` when lines of this instance were kept."""
        return self._wakes.follow(instance_id, wake)


def _keep(timed: TimedLine, draft: Draft) -> None:
    n = (draft.get("task_log_n", "") or 0) + 1
    draft.put("task_log_n", "", n)
    draft.put("task_log", n, StoredLine(n, timed.at, timed.line), group=timed.line.instance_id)
