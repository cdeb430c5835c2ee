"""Files in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from core.errors import NoSuchFile
from core.ports.file_store import FileRow, object_key
from core.ports.object_notes import LooseObject
from core.ports.row_rules import check_limit
from driven_adapters.memory.key_store import keep_answer
from driven_adapters.memory.object_notes import is_noted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables


class MemoryFileStore:
    """`FileStore` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(self, scope: Scope, row: FileRow, *, answer: NewAnswer | None = None) -> FileRow | KeptAnswer | None:
        """Store a file and take its object's note away."""
        place = (scope.domain_id, row.id)
        written = (scope.domain_id, row.write_key)

        def insert(draft: Draft) -> FileRow | KeptAnswer | None:
            if row.write_key is not None and (found := draft.get("file_write", written)) is not None:
                stored: FileRow = draft.get("file", (scope.domain_id, found))
                return stored
            kept = keep_answer(draft, scope, answer)
            if kept is not None:
                return kept
            key = object_key(row.id)
            if not is_noted(draft, scope.domain_id, key):
                raise NoSuchFile(f"the object of file {row.id} is gone")
            draft.delete("object_loose", (scope.domain_id, key))
            draft.put("file", place, msgspec.structs.replace(row, domain_id=scope.domain_id))
            if row.write_key is not None:
                draft.put("file_write", written, row.id)
            return None

        return await self._store.apply("add_file", insert)

    async def find(self, scope: Scope, *, file_id: str = "", name: str = "") -> FileRow | None:
        """Read a file by id, or the newest of a name."""

        def look(tables: Tables) -> FileRow | None:
            if file_id:
                row: FileRow | None = tables.group("file").get((scope.domain_id, file_id))
                return row
            named = [row for row in _rows(tables, scope) if row.name == name]
            return max(named, key=lambda row: row.id, default=None)

        return await self._store.read("find_file", look)

    async def list(self, scope: Scope, *, prefix: str, after: tuple[str, str], limit: int) -> Sequence[FileRow]:
        """Page files by name."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[FileRow]:
            rows = [row for row in _rows(tables, scope) if row.name.startswith(prefix) and (row.name, row.id) > after]
            return heapq.nsmallest(limit, rows, key=lambda row: (row.name, row.id))

        return await self._store.read("list_files", page)

    async def remove(self, scope: Scope, file_id: str, at: datetime) -> bool:
        """Remove a file and note its object."""
        place = (scope.domain_id, file_id)

        def delete(draft: Draft) -> bool:
            row: FileRow | None = draft.get("file", place)
            if row is None:
                return False
            draft.delete("file", place)
            draft.delete("file_write", (scope.domain_id, row.write_key))
            key = object_key(file_id)
            draft.put("object_loose", (scope.domain_id, key), LooseObject(scope.domain_id, key, at))
            return True

        return await self._store.apply("remove_file", delete)


def _rows(tables: Tables, scope: Scope) -> Sequence[FileRow]:
    rows: Sequence[FileRow] = tuple(tables.group("file").values())
    return [row for row in rows if row.domain_id == scope.domain_id]
