"""Files for contracts of operators: one CSV file in memory, and a runner that answers every query alike."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from core.file.files import Files
from core.ports.file_store import FileRow, object_key
from core.ports.object_notes import LooseObject
from core.ports.scope import Principal, Scope
from core.ports.task_runner import Ran, RunLine, RunRequest, RunResult
from driven_adapters.memory import MemoryFileStore, MemoryObjectNotes, MemoryStore
from driven_adapters.object_store import MemoryObjectStore
from tests.contract.operators.echo_runner import EchoRunner
from tests.contract.rows import NOON
from tests.contract.stores import HandClock

FILE_ID = "01JD3V6Q0R5M9T8W7X2Y4Z1A3D"
CONTENT = b'id,note\n1,"a, b"\n2,\n'
SCOPE = Scope("default", Principal("instance", "system", "step"))
ORDERS = {
    "id": FILE_ID,
    "name": "orders.csv",
    "media_type": "text/csv",
    "bytes": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "created_at": "2026-03-01T12:00:00.000Z",
}
QUERY_ANSWER = {"columns": [{"name": "n", "type": "INTEGER"}], "rows": [{"n": 1}], "row_count": 1, "file": None}


class CountingIds:
    """ULIDs in the form of a number."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        return f"01JD3V6Q0R5M9T8W7X2Y4Z{next(self._numbers):04}"


class QueryEcho(EchoRunner):
    """Answers every query with one row, every other program as its parent does."""

    async def run(self, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        if request.program != "query":
            return await super().run(request, on_line)
        self.requests.append(request)
        answer = {**QUERY_ANSWER, "is_written": False}
        return self._failure or Ran(output=msgspec.Raw(msgspec.json.encode(answer)), tier=3, wall_s=0.0)


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def stored_files(**more: Any) -> Files:
    """Give files of which one is there."""
    clock = HandClock()
    rows, objects = MemoryStore(clock), MemoryObjectStore(clock)
    store, notes = MemoryFileStore(rows), MemoryObjectNotes(rows)
    row = FileRow(
        id=FILE_ID,
        domain_id=SCOPE.domain_id,
        name="orders.csv",
        media_type="text/csv",
        bytes_count=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        created_at=NOON,
        created_by="ann",
    )

    async def fill() -> None:
        await notes.note([LooseObject(SCOPE.domain_id, object_key(FILE_ID), NOON)])
        await objects.put(SCOPE.domain_id, object_key(FILE_ID), one(CONTENT), bytes_max=len(CONTENT))
        await store.add(SCOPE, row)

    asyncio.run(fill())
    return Files(store, notes, objects, clock, CountingIds(), **more)
