"""The queue of inputs: external ones are refused above a bound, the node's own are bounded by what it has open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from core.engine.node.hot import Input
from core.errors import QueueFull
from core.predicate import full_node

LOADED_INPUTS_MAX = 1_024  # waiting inputs above which recovery loads no more instances: one batch's worth


class Intake:
    """Inputs in the order of their arrival. `has_room` is set while so few wait that recovery may add to them."""

    def __init__(self, inputs_max: int) -> None:
        self._inputs_max = inputs_max
        self._queue: deque[Input] = deque()
        self._open_count = 0
        self.arrived = asyncio.Event()
        self.has_room = asyncio.Event()
        self.has_room.set()

    def __len__(self) -> int:
        return len(self._queue)

    def count(self, answer: asyncio.Future[Any]) -> None:
        """Count a caller until its future is done.

        Raises:
            QueueFull: too many callers wait; nothing was accepted (R33).
        """
        if self._open_count >= self._inputs_max:
            bound = full_node("requests_waiting", self._open_count, self._inputs_max, "a commit answers some of them")
            raise QueueFull(f"{self._open_count} requests are waiting", bound)
        self._open_count += 1
        answer.add_done_callback(self._answered)

    def put(self, given: Input) -> None:
        """Take an input."""
        self._queue.append(given)
        self.arrived.set()
        if len(self._queue) == LOADED_INPUTS_MAX:
            self.has_room.clear()

    def put_first(self, inputs: Iterable[Input]) -> None:
        """Take inputs that came before all that wait, in their order."""
        self._queue.extendleft(reversed(tuple(inputs)))
        if self._queue:
            self.arrived.set()
        if len(self._queue) >= LOADED_INPUTS_MAX:
            self.has_room.clear()

    def pop(self) -> Input | None:
        """Give the next input, if any."""
        if self._queue:
            if len(self._queue) == LOADED_INPUTS_MAX:
                self.has_room.set()
            return self._queue.popleft()
        self.arrived.clear()
        return None

    def purge(self, instance_ids: Callable[[str], bool]) -> list[Input]:
        """Take out and give the inputs of the instances that `instance_ids` tells."""
        gone = [given for given in self._queue if instance_ids(given.instance_id)]
        self._queue = deque(given for given in self._queue if not instance_ids(given.instance_id))
        if len(self._queue) < LOADED_INPUTS_MAX:
            self.has_room.set()
        return gone

    def _answered(self, _answer: asyncio.Future[Any]) -> None:
        self._open_count -= 1
