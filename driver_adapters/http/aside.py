"""Work that is long for an event loop, done beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from core.errors import QueueFull
from core.predicate import full_node

T = TypeVar("T")

# A text of this length is read within milliseconds; a thread would cost more than it saves.
INLINE_BYTES_MAX = 2_048
# Requests that wait for the thread, each with a body of up to 1 MiB.
WAITING_COUNT_MAX = 32


class Aside:
    """One piece of work at a time in a thread; meanwhile the loop answers others (ADR 0011).

    One, not one per core: the interpreter runs one thread at a time, and two readers would take two turns of three.
    """

    def __init__(self) -> None:
        """Start nothing; the loop's own threads are used."""
        self._turn = asyncio.Lock()
        self._count = 0

    async def run(self, work: Callable[[], T], bytes_count: int) -> T:
        """Give what `work` gives, or raise what it raises; `bytes_count` = the length of the text it reads.

        Raises:
            QueueFull: WAITING_COUNT_MAX others wait; nothing was done.
        """
        if bytes_count <= INLINE_BYTES_MAX:
            return work()
        if self._count >= WAITING_COUNT_MAX:
            bound = full_node("documents_to_read", self._count, WAITING_COUNT_MAX, "one of them has been read")
            raise QueueFull("too many large documents are waiting to be read", bound)
        self._count += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._count -= 1
