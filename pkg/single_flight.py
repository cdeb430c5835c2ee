"""One read for all who ask for the same at the same time, so that an expired answer is not fetched a hundred times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


def _nowhere(_answer: object) -> None:
    """Keep nothing."""


class SingleFlight(Generic[Key, Answer]):
    """Calls under way, by key; bounded by the callers that wait for them. For one event loop."""

    def __init__(self) -> None:
        """Begin with none."""
        self._under_way: dict[Key, asyncio.Task[Answer]] = {}

    async def call(
        self, key: Key, make: Callable[[], Coroutine[Any, Any, Answer]], keep: Callable[[Answer], None] = _nowhere
    ) -> Answer:
        """Wait for the call of this key that is under way, or for a new one; who leaves ends it for nobody else.

        Args:
            keep: is given the answer once, before those who wait, unless the call was forgotten meanwhile.

        Raises:
            What the call raised, to each who waited.
        """
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(make())
            task.add_done_callback(lambda done: self._landed(key, done, keep))
        return await asyncio.shield(task)

    def forget(self, matches: Callable[[Key], bool]) -> None:
        """Let the next callers of these keys begin anew; who waits already is answered by the call under way."""
        for key in [key for key in self._under_way if matches(key)]:
            del self._under_way[key]

    def _landed(self, key: Key, task: asyncio.Task[Answer], keep: Callable[[Answer], None]) -> None:
        is_current = self._under_way.get(key) is task
        if is_current:
            del self._under_way[key]
        if task.cancelled() or task.exception() is not None:
            return  # the exception is looked at even when everybody who waited has left
        if is_current:
            keep(task.result())
