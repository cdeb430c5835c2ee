"""Files in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import NoSuchFile
from core.ports.file_store import FileRow, object_key
from core.ports.object_notes import LooseObject
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.key_store import AnswerRows
from driven_adapters.sqlite.object_notes import NoteRows
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.transaction import Transaction

_BEHIND = "\U0010ffff"  # no name has it: the end of every range of names


class SqliteFileStore:
    """`FileStore` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("file/file.sql")
        self._answers = AnswerRows()
        self._notes = NoteRows()

    async def add(self, scope: Scope, row: FileRow, *, answer: NewAnswer | None = None) -> FileRow | KeptAnswer | None:
        """Store a file and take its object's note away."""

        def insert(tx: Transaction) -> FileRow | KeptAnswer | None:
            if row.write_key is not None:
                found = tx.rows(self._sql["find_write"], {"domain_id": scope.domain_id, "write_key": row.write_key})
                if found:
                    return _to_row(found[0])
            kept = self._answers.keep(tx, scope, answer)
            if kept is not None:
                return kept
            if not self._notes.take(tx, scope.domain_id, object_key(row.id)):
                raise NoSuchFile(f"the object of file {row.id} is gone")
            values = msgspec.structs.asdict(row)
            stored = {**values, "domain_id": scope.domain_id, "created_at": to_stamp(row.created_at)}
            tx.write(self._sql["insert_file"], stored)
            return None

        return await self._database.write(insert)

    async def find(self, scope: Scope, *, file_id: str = "", name: str = "") -> FileRow | None:
        """Read a file by id, or the newest of a name."""
        statement = self._sql["read_file"] if file_id else self._sql["find_name"]
        asked = {"file_id": file_id} if file_id else {"name": name}
        bindings = {"domain_id": scope.domain_id, **asked}
        rows = await self._database.read(lambda reading: reading.rows(statement, bindings))
        return _to_row(rows[0]) if rows else None

    async def list(self, scope: Scope, *, prefix: str, after: tuple[str, str], limit: int) -> Sequence[FileRow]:
        """Page files by name."""
        bindings = {
            "domain_id": scope.domain_id,
            "prefix": prefix,
            "prefix_end": prefix + _BEHIND,
            "after_name": after[0],
            "after_id": after[1],
            "limit": check_limit(limit),
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_files"], bindings))
        return [_to_row(row) for row in rows]

    async def remove(self, scope: Scope, file_id: str, at: datetime) -> bool:
        """Remove a file and note its object."""
        place = {"domain_id": scope.domain_id, "file_id": file_id}

        def delete(tx: Transaction) -> bool:
            if not tx.write(self._sql["delete_file"], place):
                return False
            self._notes.put(tx, LooseObject(scope.domain_id, object_key(file_id), at))
            return True

        return await self._database.write(delete)


def _to_row(row: tuple[Any, ...]) -> FileRow:
    return FileRow(
        id=row[0],
        domain_id=row[1],
        name=row[2],
        media_type=row[3],
        bytes_count=row[4],
        sha256=row[5],
        created_at=from_stamp(row[6]),
        created_by=row[7],
        write_key=row[8],
    )
