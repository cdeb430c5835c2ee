"""Business domains and API keys in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core.ports.access_store import KeyRow
from driven_adapters.sqlite.stamps import from_stamp, from_stamp_or_none, to_stamp, to_stamp_or_none
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction


class SqliteAccessStore:
    """`AccessStore` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("access/key.sql")
        self._control = load_statements("connection.sql")

    async def create_first_key(self, domain_id: str, domain_name: str, key: KeyRow) -> bool:
        """On a store without any key, create the business domain and its first key."""

        def create(tx: Transaction) -> bool:
            if tx.rows(self._sql["count_keys"])[0][0]:
                return False
            tx.write(self._sql["insert_domain"], {"id": domain_id, "name": domain_name})
            tx.write(self._sql["insert_key"], _key_values(key))
            return True

        return await self._database.write(create)

    async def add_key(self, key: KeyRow) -> None:
        """Store another key; its domain is created when it is new."""

        def add(tx: Transaction) -> None:
            tx.write(self._sql["insert_domain"], {"id": key.domain_id, "name": key.domain_id})
            tx.write(self._sql["insert_key"], _key_values(key))

        await self._database.write(add)

    async def find_keys(self, prefix: str) -> Sequence[KeyRow]:
        """List the keys with this public prefix, by id."""
        bindings = {"prefix": prefix}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["find_keys"], bindings))
        return [_to_key_row(row) for row in rows]

    async def touch_key(self, key_id: str, at: datetime) -> None:
        """Note a use; an unknown key is left alone."""
        bindings = {"id": key_id, "at": to_stamp(at)}
        await self._database.write(lambda tx: tx.write(self._sql["touch_key"], bindings))

    async def pepper(self) -> bytes:
        """Give the 32 bytes that key hashes are keyed with."""
        rows = await self._database.read(lambda reading: reading.rows(self._control["read_meta"], {"key": "pepper"}))
        pepper: bytes = rows[0][0]
        return pepper


def _key_values(key: KeyRow) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(key),
        "roles": msgspec.json.encode(key.roles).decode(),
        "created_at": to_stamp(key.created_at),
        "expires_at": to_stamp_or_none(key.expires_at),
        "revoked_at": to_stamp_or_none(key.revoked_at),
        "last_used_at": to_stamp_or_none(key.last_used_at),
    }


def _to_key_row(row: tuple[Any, ...]) -> KeyRow:
    return KeyRow(
        id=row[0],
        domain_id=row[1],
        prefix=row[2],
        hash=row[3],
        name=row[4],
        roles=msgspec.json.decode(row[5], type=tuple[str, ...]),
        created_at=from_stamp(row[6]),
        expires_at=from_stamp_or_none(row[7]),
        revoked_at=from_stamp_or_none(row[8]),
        last_used_at=from_stamp_or_none(row[9]),
    )
