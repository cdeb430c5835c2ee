"""Places for attempts: how many are free, and which instance gets the next one (engine.md 2)."""

from __future__ import annotations

import heapq
from collections import deque

from core.engine.node.hot import HotInstance
from core.errors import QueueFull
from core.predicate import full_node


class Places:
    """Free places go to waiting instances by domain in turn, then priority, then age.

    Whoever waits stays in memory, so starts are refused while `waiting_max` wait (ADR 0043).
    """

    def __init__(self, places_max: int, waiting_max: int) -> None:
        self._places_max = places_max
        self._waiting_max = waiting_max
        self._taken = 0
        self._offered = 0
        self._waiting: dict[str, list[tuple[int, str]]] = {}
        self._turns: deque[str] = deque()
        self._is_closed = False
        self.waiting_count = 0

    @property
    def taken(self) -> int:
        """Attempts that run or are on their way into a commit."""
        return self._taken

    @property
    def room(self) -> int:
        """What the next decision may start."""
        return 0 if self._is_closed else max(0, self._places_max - self._taken)

    def check_line(self, domain_id: str) -> None:
        """Say whether a business domain may start another instance.

        When the line is full, a domain that has less than its share of it still may: k domains of which each came
        when it was full hold at most 1 + 1/2 + ... + 1/k times `waiting_max`.

        Raises:
            QueueFull: too many instances wait for a place; nothing was accepted (R33).
        """
        if self.waiting_count < self._waiting_max:
            return
        own = len(self._waiting.get(domain_id, ()))
        share = self._waiting_max // (len(self._waiting) + (own == 0))
        if own >= share:
            waiting = self.waiting_count
            bound = full_node("instances_waiting", waiting, self._waiting_max, "one of them gets a place")
            raise QueueFull(f"{waiting} instances are waiting for a place", bound)

    def room_for(self, hot: HotInstance, is_offered: bool) -> int:
        """What the next decision of this instance may start: nobody takes a place past those who wait for one.

        While others wait, or were offered one, a place is given to whom it was offered, one at a time.
        """
        others = self.waiting_count - hot.wants_place + self._offered
        if not others:
            return self.room
        return min(1, self.room) if is_offered else 0

    def take(self, count: int) -> None:
        """Count attempts that a decision starts."""
        self._taken += count

    def release(self, count: int) -> None:
        """Count attempts that ended, or that were never sent."""
        self._taken -= count

    def close(self) -> None:
        """Give no more places: the node is stopping (R30)."""
        self._is_closed = True

    def want(self, hot: HotInstance) -> None:
        """Queue an instance that has ready tasks."""
        if hot.wants_place or hot.state is None:
            return
        hot.wants_place = True
        queue = self._waiting.get(hot.domain_id)
        if queue is None:
            queue = self._waiting[hot.domain_id] = []
            self._turns.append(hot.domain_id)
        # Priority 5 is the highest (dag-language.md); a ULID's order is its age.
        heapq.heappush(queue, (-hot.priority, hot.id))
        self.waiting_count += 1

    def offer(self) -> str | None:
        """Give the id of the instance that a free place goes to now; `answered` is called when it was decided."""
        if not self._turns or self._offered >= self.room:
            return None
        domain_id = self._turns.popleft()
        queue = self._waiting[domain_id]
        instance_id = heapq.heappop(queue)[1]
        if queue:
            self._turns.append(domain_id)
        else:
            del self._waiting[domain_id]
        self.waiting_count -= 1
        self._offered += 1
        return instance_id

    def answered(self) -> None:
        """Hear that an offer was decided."""
        self._offered -= 1
