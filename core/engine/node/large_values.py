"""Values of one commit that are too long for rows: written as one object before the commit refers to it (ADR 0025)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from core.engine.node.item import Item
from core.engine.node.pauses import Backoff
from core.engine.payloads import payload_key
from core.errors import CommitUnknown, StoreFull, StoreTimeout, StoreUnavailable
from core.ports.clock import Clock, Dice, IdSource
from core.ports.object_notes import LooseObject, ObjectNotes
from core.ports.object_store import ObjectStore

Fault = StoreUnavailable | StoreFull


class LargeValues:
    """Writes objects for items, each noted as loose before: whatever comes between, the sweep finds it (ADR 0017)."""

    def __init__(self, *, notes: ObjectNotes, objects: ObjectStore, ids: IdSource, clock: Clock, dice: Dice) -> None:
        self._notes = notes
        self._objects = objects
        self._ids = ids
        self._clock = clock
        self._backoff = Backoff(clock, dice)

    async def write(self, items: Sequence[Item]) -> list[tuple[Item, Fault]]:
        """Write the values of closed items and let their changes refer to them; gives those that could not be written.

        Of these nothing will be committed: that is known. Items whose instance is dropped meanwhile are left out.
        """
        places = [(item, payload_key(item.hot.id, self._ids.new_id())) for item in items]
        now = self._clock.now()
        try:
            await self._notes.note([LooseObject(item.hot.domain_id, key, now) for item, key in places])
        except (StoreUnavailable, StoreFull) as fault:
            return [(item, fault) for item in items]
        except (CommitUnknown, StoreTimeout):
            # Notes that landed do no harm: new keys are taken with the next try.
            lost = StoreUnavailable("the journal store did not answer")
            return [(item, lost) for item in items]
        failed: list[tuple[Item, Fault]] = []
        for item, key in places:
            if item.hot.is_dropped:
                continue
            try:
                await self._objects.put(item.hot.domain_id, key, _pieces(item.payloads), bytes_max=item.values_bytes)
            except (StoreUnavailable, StoreFull) as fault:
                failed.append((item, fault))
            else:
                item.refer(key)
        if not failed:
            self._backoff.reset()
        return failed

    async def pause(self) -> None:
        """Wait until values that could not be written may be tried again."""
        await self._backoff.pause()


async def _pieces(payloads: Sequence[bytes]) -> AsyncIterator[bytes]:
    for payload in payloads:
        yield payload
