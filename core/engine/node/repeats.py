"""Answers starts whose key the store knows already: with the first instance's id and its status as it is now (R16)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from core.engine.node.finish import answer_repeat
from core.engine.node.hot import HotTable, Input
from core.engine.state import InstanceStatus
from core.errors import FlowError, OutcomeUnknown, StoreBroken
from core.ports.instance_store import InstanceStore


class Repeats:
    """Reads the first instance of a key in the background."""

    def __init__(self, *, store: InstanceStore, table: HotTable, on_fatal: Callable[[BaseException], None]) -> None:
        self._store = store
        self._table = table
        self._on_fatal = on_fatal
        self._tasks: dict[asyncio.Task[None], None] = {}  # in their order: stopping them is repeatable

    def answer(self, repeats: Sequence[Input], first_id: str, first_hash: str) -> None:
        """Answer these starts; the first one's id is durable."""
        hot = self._table.get(first_id)
        if hot is not None and hot.row is not None:
            for repeat in repeats:
                answer_repeat(repeat, first_id, first_hash, InstanceStatus(hot.row.status))
            return
        task = asyncio.get_running_loop().create_task(self._read(repeats, first_id, first_hash))
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def stop(self) -> list[asyncio.Task[None]]:
        """Stop all reads and give the tasks to wait for."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._on_fatal(fault)

    async def _read(self, repeats: Sequence[Input], first_id: str, first_hash: str) -> None:
        try:
            loaded = await self._store.load(first_id, paths=())
        except FlowError as error:
            for repeat in repeats:
                repeat.reject(error)
            if isinstance(error, StoreBroken):
                raise
            return
        for repeat in repeats:
            if loaded is None:
                repeat.reject(OutcomeUnknown(f"instance {first_id} cannot be read", instance_id=first_id))
            else:
                answer_repeat(repeat, first_id, first_hash, InstanceStatus(loaded.row.status))
