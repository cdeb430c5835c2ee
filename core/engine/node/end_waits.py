"""Callers who wait for the end of an instance, wherever it ends."""

from __future__ import annotations

import asyncio

from core.engine.node.hot import HotTable, pass_over
from core.engine.node.terms import Ended
from core.engine.state import InstanceStatus
from core.errors import InstanceNotFound, QueueFull
from core.ports.instance_store import InstanceStore
from core.predicate import full_node


class EndWaits:
    """Answers with the outcome when its commit has landed, or from the store when it ended before or elsewhere."""

    def __init__(self, *, store: InstanceStore, table: HotTable, waiters_max: int) -> None:
        self._store = store
        self._table = table
        self._waiters_max = waiters_max

    async def wait(self, domain_id: str, instance_id: str, timeout_s: float) -> Ended | None:
        """Wait until an instance of this business domain has ended.

        Returns:
            Its outcome, durable; None when `timeout_s` passed.

        Raises:
            InstanceNotFound: not in this business domain; said before anything is waited for.
            QueueFull: too many wait already. StoreUnavailable, StoreTimeout: it could not be looked up.
        """
        waiting = self._table.waiter_count
        if waiting >= self._waiters_max:
            expected = "one of these instances ends, or somebody has waited long enough"
            bound = full_node("end_waits", waiting, self._waiters_max, expected)
            raise QueueFull(f"{waiting} callers are waiting for an end", bound)
        future = self._table.await_end(instance_id)
        try:
            hot = self._table.get(instance_id)
            if hot is None or hot.state is None:
                ended = await self._stored_end(domain_id, instance_id)
                if ended is not None:
                    return ended
            elif hot.domain_id != domain_id:
                raise _not_found(instance_id)
            # A timer that ends the future takes 0.5 us, `asyncio.wait` with a timeout 4 (bench/NOTES.md).
            timer = asyncio.get_running_loop().call_later(timeout_s, pass_over, future)
            try:
                ended = await future
            finally:
                timer.cancel()
            if ended is not None:
                return ended
            # It may have ended on another node meanwhile.
            return None if self._table.get(instance_id) is not None else await self._stored_end(domain_id, instance_id)
        finally:
            self._table.give_up_waiting(instance_id, future)

    async def _stored_end(self, domain_id: str, instance_id: str) -> Ended | None:
        loaded = await self._store.load(instance_id, paths=())
        held = self._table.get(instance_id) if loaded is None else loaded.row
        if held is None or held.domain_id != domain_id:
            raise _not_found(instance_id)
        if loaded is None:
            return None
        status = InstanceStatus(loaded.row.status)
        return Ended(status, loaded.row) if status.is_terminal else None


def _not_found(instance_id: str) -> InstanceNotFound:
    return InstanceNotFound(f"no instance {instance_id}", instance_id=instance_id)
