"""Files in memory."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from core.errors import NoSuchFile
from core.ports.file_store import FileRow, LooseObject
from core.ports.row_rules import check_limit
from driven_adapters.memory.key_store import keep_answer

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

    async def begin(self, scope: Scope, file_id: str, at: datetime) -> None:
        """Note an object that is about to be written."""
        note = LooseObject(scope.domain_id, file_id, at)
        await self._store.apply("begin_file", lambda draft: draft.put("file_loose", (scope.domain_id, file_id), note))

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
            if draft.get("file_loose", place) is None:
                raise NoSuchFile(f"the object of file {row.id} is gone")
            draft.delete("file_loose", place)
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
            draft.put("file_loose", place, LooseObject(scope.domain_id, file_id, at))
            return True

        return await self._store.apply("remove_file", delete)

    async def loose(self, before: datetime, limit: int) -> Sequence[LooseObject]:
        """List objects that are loose."""
        check_limit(limit)

        def page(tables: Tables) -> Sequence[LooseObject]:
            notes: Sequence[LooseObject] = tuple(tables.group("file_loose").values())
            return heapq.nsmallest(limit, (one for one in notes if one.since < before), key=lambda one: one.since)

        return await self._store.read("loose_objects", page)

    async def forget(self, objects: Sequence[LooseObject]) -> None:
        """Take notes away."""

        def delete(draft: Draft) -> None:
            for one in objects:
                draft.delete("file_loose", (one.domain_id, one.file_id))

        await self._store.apply("forget_objects", delete)


def _rows(tables: Tables, scope: Scope) -> Sequence[FileRow]:
    rows: Sequence[FileRow] = tuple(tables.group("file").values())
    return [row for row in rows if row.domain_id == scope.domain_id]
