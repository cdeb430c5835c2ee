"""Callers who wait for the end of an instance, wherever it ends."""

from __future__ import annotations

import asyncio

from core.engine.node.hot import HotTable, pass_over
from core.engine.node.terms import Ended
from core.engine.state import InstanceStatus
from core.errors import InstanceNotFound, QueueFull
from core.ports.instance_store import InstanceStore
from core.predicate import full_node

LAST_LOOK_S = 1.0  # how long the store is asked when a wait is over, for what another node may have ended


class EndWaits:
    """Answers with the outcome when its commit has landed, or from the store when it ended before or elsewhere."""

    def __init__(self, *, store: InstanceStore, table: HotTable, waiters_max: int) -> None:
        self._store = store
        self._table = table
        self._waiters_max = waiters_max
        self._looks: set[asyncio.Timeout] = set()
        self._is_over = False

    async def wait(self, domain_id: str, instance_id: str, timeout_s: float) -> Ended | None:
        """Wait until an instance of this business domain has ended.

        Returns:
            Its outcome, durable; None when `timeout_s` passed, or at once after `end`.

        Raises:
            InstanceNotFound: not in this business domain; said before anything is waited for.
            QueueFull: too many wait already. StoreUnavailable, StoreTimeout: it could not be looked up.
        """
        if self._is_over:
            return None
        waiting = self._table.waiter_count
        if waiting >= self._waiters_max:
            expected = "one of these instances ends, or somebody has waited long enough"
            bound = full_node("end_waits", waiting, self._waiters_max, expected)
            raise QueueFull(f"{waiting} callers are waiting for an end", bound)
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        future = self._table.await_end(instance_id)
        try:
            hot = self._table.get(instance_id)
            if hot is None or hot.state is None:
                ended = await self._stored_end(domain_id, instance_id, until)
                if ended is not None:
                    return ended
            elif hot.domain_id != domain_id:
                raise _not_found(instance_id)
            # A timer that ends the future takes 0.5 us, `asyncio.timeout` 6 (bench/NOTES.md).
            timer = loop.call_at(until, pass_over, future)
            try:
                ended = await future
            finally:
                timer.cancel()
            if ended is not None or self._is_over or self._table.get(instance_id) is not None:
                return ended
            # It may have ended on another node meanwhile.
            return await self._stored_end(domain_id, instance_id, loop.time() + LAST_LOOK_S)
        finally:
            self._table.give_up_waiting(instance_id, future)

    def end(self) -> None:
        """Answer all who wait now, and later ones at once."""
        self._is_over = True
        self._table.pass_waiting_over()
        now = asyncio.get_running_loop().time()
        for look in self._looks:
            if not look.expired():
                look.reschedule(now)

    async def _stored_end(self, domain_id: str, instance_id: str, until: float) -> Ended | None:
        try:
            async with asyncio.timeout_at(until) as look:
                self._looks.add(look)
                try:
                    loaded = await self._store.load(instance_id, paths=())
                finally:
                    self._looks.discard(look)
        except TimeoutError:
            return None
        held = self._table.get(instance_id) if loaded is None else loaded.row
        if held is None or held.domain_id != domain_id:
            raise _not_found(instance_id)
        if loaded is None:
            return None
        status = InstanceStatus(loaded.row.status)
        return Ended(status, loaded.row) if status.is_terminal else None


def _not_found(instance_id: str) -> InstanceNotFound:
    return InstanceNotFound(f"no instance {instance_id}", instance_id=instance_id)
