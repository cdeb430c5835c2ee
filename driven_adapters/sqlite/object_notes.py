"""Notes of loose objects in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ports.object_notes import LooseObject
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction


class SqliteObjectNotes:
    """`ObjectNotes` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = NoteRows()
        self._sql = load_statements("file/notes.sql")

    async def note(self, objects: Sequence[LooseObject]) -> None:
        """Note objects as loose."""

        def put(tx: Transaction) -> None:
            for one in objects:
                self._rows.put(tx, one)

        await self._database.write(put)

    async def loose(self, before: datetime, limit: int) -> Sequence[LooseObject]:
        """List objects that are loose."""
        bindings = {"before": to_stamp(before), "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_loose"], bindings))
        return [LooseObject(row[0], row[1], from_stamp(row[2])) for row in rows]

    async def condemn(self, objects: Sequence[LooseObject]) -> Sequence[LooseObject]:
        """Let nothing refer to objects any more."""

        def mark(tx: Transaction) -> Sequence[LooseObject]:
            return [one for one in objects if tx.write(self._sql["condemn_loose"], _place(one))]

        return await self._database.write(mark)

    async def forget(self, objects: Sequence[LooseObject]) -> None:
        """Take notes away."""

        def delete(tx: Transaction) -> None:
            for one in objects:
                tx.write(self._sql["forget_loose"], _place(one))

        await self._database.write(delete)


class NoteRows:
    """The rows of notes, for transactions that write others beside them."""

    def __init__(self) -> None:
        self._sql = load_statements("file/notes.sql")

    def put(self, tx: Transaction, one: LooseObject) -> None:
        """Write a note."""
        tx.write(self._sql["note_loose"], {**_place(one), "since": to_stamp(one.since)})

    def take(self, tx: Transaction, domain_id: str, key: str) -> bool:
        """Take the note of an object away that a row refers to now; False when there is none, or it is condemned."""
        return bool(tx.write(self._sql["take_loose"], {"domain_id": domain_id, "object_key": key}))


def _place(one: LooseObject) -> dict[str, str]:
    return {"domain_id": one.domain_id, "object_key": one.key}
