"""Loads of whole instances, gathered: those that are asked for while a read is under way share the next one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from core.ports.instance_store import JOURNAL_TAIL_ROWS, JournalRow, Loaded
from driven_adapters.sqlite.instance_rows import FRAMES_PER_READ, InstanceReads, to_frame_row, to_instance_row
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from driven_adapters.sqlite.database import Database, Reading

# A reader takes the interpreter's lock once per statement, and waits for it while the event loop works. A load alone
# has six statements; so do thirty-two together (bench/NOTES.md).
INSTANCES_PER_READ = 32
BYTES_PER_READ = 4 * 1_048_576  # of frames, and of journal rows: a read transaction ends within 50 ms (engine.md 4)
READS_MAX = 2  # one per reader

_OPEN_FRAMES = 12  # column of `read_instances`
_PARTS = ("read_top_frames_of", "read_open_frames_of", "read_tails_of")
Waiting = dict[str, list[asyncio.Future[Loaded | None]]]


class GatheredLoads:
    """Loads instances with their journal's tail, the top frame and the open ones."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/instance.sql")
        self._singly = InstanceReads(database)
        self._waiting: Waiting = {}
        self._reads: set[asyncio.Task[None]] = set()

    async def load(self, instance_id: str) -> Loaded | None:
        """Load one instance as of one moment after the call; None when it does not exist.

        Raises:
            StoreUnavailable, StoreBroken, QueueFull: as `Database.read` says.
        """
        future: asyncio.Future[Loaded | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(instance_id, []).append(future)
        self._read_on()
        return await future

    def _read_on(self) -> None:
        if self._waiting and len(self._reads) < READS_MAX:
            taken = {one: self._waiting.pop(one) for one in list(self._waiting)[:INSTANCES_PER_READ]}
            read = asyncio.get_running_loop().create_task(self._read_some(taken))
            self._reads.add(read)
            read.add_done_callback(self._read_ended)

    def _read_ended(self, read: asyncio.Task[None]) -> None:
        self._reads.discard(read)
        self._read_on()

    async def _read_some(self, taken: Waiting) -> None:
        """Read these and answer everyone who waits for them, also when the read fails or is given up."""
        try:
            found = await self._database.read(lambda reading: self._read_together(reading, list(taken)))
            for instance_id, futures in taken.items():
                loaded = found[instance_id] if instance_id in found else await self._read_alone(instance_id)
                for future in futures:
                    if not future.done():
                        future.set_result(loaded)
        except Exception as fault:  # noqa: BLE001 - each who waits gets it
            for future in (future for futures in taken.values() for future in futures):
                if not future.done():
                    future.set_exception(fault)
        finally:
            for future in (future for futures in taken.values() for future in futures):
                future.cancel()

    async def _read_alone(self, instance_id: str) -> Loaded | None:
        return await self._singly.load((self._sql["read_instance"], {"id": instance_id}), None)

    def _read_together(self, reading: Reading, ids: list[str]) -> dict[str, Loaded | None]:
        """Read what fits into one read transaction; an instance that does not is left out."""
        rows = {row[0]: row for row in reading.rows(self._sql["read_instances"], {"ids": _json(ids)})}
        known = {row[1] for row in rows.values()}
        found: dict[str, Loaded | None] = {one: None for one in ids if one not in known}
        numbers = sorted(n for n, row in rows.items() if row[_OPEN_FRAMES] <= FRAMES_PER_READ)
        parts = [self._read_of(reading, name, numbers) for name in _PARTS]
        for n in numbers:
            if all(n in part for part in parts):
                top, opened, tail = (part[n] for part in parts)
                row = to_instance_row(rows[n])
                lines = tuple(JournalRow(row.id, *line) for line in tail)
                found[row.id] = Loaded(row, lines, tuple(to_frame_row(row.id, frame) for frame in (*top, *opened)))
        return found

    def _read_of(self, reading: Reading, name: str, numbers: list[int]) -> dict[int, list[tuple[Any, ...]]]:
        """Read rows by instance, in the order of the numbers; those that BYTES_PER_READ cut off have no entry."""
        bindings = {"numbers": _json(numbers), "limit": JOURNAL_TAIL_ROWS}
        rows, is_whole = reading.rows_within(self._sql[name], bindings, BYTES_PER_READ)
        first_cut = None if is_whole else rows[-1][0]
        found: dict[int, list[tuple[Any, ...]]] = {n: [] for n in numbers if first_cut is None or n < first_cut}
        for n, *row in rows:
            if n in found:
                found[n].append(tuple(row))
        return found


def _json(values: list[Any]) -> str:
    return msgspec.json.encode(values).decode()
