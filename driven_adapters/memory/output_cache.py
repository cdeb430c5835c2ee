"""Outputs that may be used again, in memory; written by the commits of `MemoryInstanceStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.output_cache import CachedOutput, OutputKey
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Tables


class MemoryOutputCache:
    """`OutputCache` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def find(self, places: Sequence[OutputKey], *, now: datetime) -> list[CachedOutput | None]:
        """Give what stands under each key."""

        def find(tables: Tables) -> list[CachedOutput | None]:
            kept = tables.group("output_cache")
            found = [kept.get(tuple(getattr(place, name) for name in place.__struct_fields__)) for place in places]
            return [one if one is not None and one.expires_at > now else None for one in found]

        return await self._store.read("find_outputs", find)
