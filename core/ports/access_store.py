"""Business domains and API keys; only keyed hashes of keys are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One API key: looked up by `prefix`, proved by `hash` (HMAC-SHA-256 of the whole key with the store's pepper)."""

    id: str
    domain_id: str
    prefix: str
    hash: bytes
    name: str
    roles: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@runtime_checkable
class AccessStore(Protocol):
    """API keys across domains; the caller is not known before its key is."""

    async def create_first_key(self, domain_id: str, domain_name: str, key: KeyRow) -> bool:
        """On a store without any key, create the business domain and its first key in one transaction.

        Returns:
            False, with nothing changed, when a key exists already.
        """
        ...

    async def add_key(self, key: KeyRow) -> None:
        """Store another key; its domain is created when it is new."""
        ...

    async def find_keys(self, prefix: str) -> Sequence[KeyRow]:
        """List the keys with this public prefix (normally one), revoked and expired ones included."""
        ...

    async def touch_key(self, key_id: str, at: datetime) -> None:
        """Note a use; called at most every five minutes per key."""
        ...

    async def pepper(self) -> bytes:
        """Give the 32 random bytes that key hashes are keyed with, made when the store was created."""
        ...
