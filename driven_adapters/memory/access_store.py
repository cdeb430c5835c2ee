"""Business domains and API keys in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.access_store import KeyRow
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables

PEPPER = bytes(range(32))  # the same for every store in memory: nothing here is secret, and runs repeat exactly


class MemoryAccessStore:
    """`AccessStore` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def create_first_key(self, domain_id: str, domain_name: str, key: KeyRow) -> bool:
        """On a store without any key, create the business domain and its first key."""

        def create(draft: Draft) -> bool:
            if not draft.is_empty("api_key"):
                return False
            draft.put("domain", domain_id, domain_name)
            draft.put("api_key", key.id, key)
            return True

        return await self._store.apply("create_first_key", create)

    async def add_key(self, key: KeyRow) -> None:
        """Store another key; its domain is created when it is new."""

        def add(draft: Draft) -> None:
            if draft.get("domain", key.domain_id) is None:
                draft.put("domain", key.domain_id, key.domain_id)
            draft.put("api_key", key.id, key)

        await self._store.apply("add_key", add)

    async def find_keys(self, prefix: str) -> Sequence[KeyRow]:
        """List the keys with this public prefix, by id."""

        def find(tables: Tables) -> Sequence[KeyRow]:
            rows: Sequence[KeyRow] = [key for key in tables.group("api_key").values() if key.prefix == prefix]
            return sorted(rows, key=lambda key: key.id)

        return await self._store.read("find_keys", find)

    async def touch_key(self, key_id: str, at: datetime) -> None:
        """Note a use; an unknown key is left alone."""

        def touch(draft: Draft) -> None:
            key = draft.get("api_key", key_id)
            if key is not None:
                draft.put("api_key", key_id, msgspec.structs.replace(key, last_used_at=at))

        await self._store.apply("touch_key", touch)

    async def pepper(self) -> bytes:
        """Give the 32 bytes that key hashes are keyed with."""
        return PEPPER
