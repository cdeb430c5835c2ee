"""Notes of loose objects in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from core.ports.object_notes import LooseObject
from core.ports.row_rules import check_limit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryObjectNotes:
    """`ObjectNotes` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def note(self, objects: Sequence[LooseObject]) -> None:
        """Note objects as loose."""

        def put(draft: Draft) -> None:
            for one in objects:
                draft.put("object_loose", (one.domain_id, one.key), one)

        await self._store.apply("note_objects", put)

    async def loose(self, before: datetime, limit: int) -> Sequence[LooseObject]:
        """List objects that are loose."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[LooseObject]:
            notes: Sequence[LooseObject] = tuple(tables.group("object_loose").values())
            return heapq.nsmallest(limit, (one for one in notes if one.since < before), key=lambda one: one.since)

        return await self._store.read("loose_objects", page)

    async def condemn(self, objects: Sequence[LooseObject]) -> Sequence[LooseObject]:
        """Let nothing refer to objects any more."""

        def mark(draft: Draft) -> Sequence[LooseObject]:
            found = [one for one in objects if draft.get("object_loose", (one.domain_id, one.key)) is not None]
            for one in found:
                draft.put("object_condemned", (one.domain_id, one.key), one)
            return found

        return await self._store.apply("condemn_objects", mark)

    async def forget(self, objects: Sequence[LooseObject]) -> None:
        """Take notes away."""

        def delete(draft: Draft) -> None:
            for one in objects:
                draft.delete("object_loose", (one.domain_id, one.key))
                draft.delete("object_condemned", (one.domain_id, one.key))

        await self._store.apply("forget_objects", delete)


def is_noted(draft: Draft, domain_id: str, key: str) -> bool:
    """Say whether a row may come to refer to an object: it is noted and not about to be removed."""
    place = (domain_id, key)
    return draft.get("object_loose", place) is not None and draft.get("object_condemned", place) is None
