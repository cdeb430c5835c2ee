"""Gathering one instance for a trace file: its journal, its values, its plan, all masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine.events import Event
from core.engine.payloads import whole
from core.engine.reread import reread
from core.engine.state import Indirect, Reference
from core.engine.trace.file import Trace, TraceValue, row_of
from core.engine.trace.masker import Masker, MaskText, joined_of, values_in
from core.engine.trace.outline import outline_of
from core.engine.values import hash_of
from core.errors import HistoryTooLong, PayloadMissing
from core.ports.instance_store import Loaded, PayloadRange
from core.ports.instance_views import InstanceViews, StampedRow
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope

VALUE_BYTES_MAX = 1_048_576  # of one value in a file; a larger one is named by its size
VALUES_BYTES_MAX = 33_554_432  # of all values; those that come later are named by their size
ROWS_BYTES_MAX = 33_554_432  # of the journal as it is stored; a longer one is read row by row, not in a file
VALUES_PER_READ = 64
READ_BYTES_MAX = 4_194_304  # of one read of values: what a request brings into memory at once
_NO_NOTES: Mapping[str, str] = {}


class Gathered(msgspec.Struct, frozen=True):
    """An instance as it was read, nothing masked yet: `rows` with their events, `values` by where they lie."""

    loaded: Loaded
    plan: Plan
    document: bytes | None
    rows: Sequence[tuple[StampedRow, tuple[Event, ...]]]
    values: Mapping[Reference, bytes]
    left_out: int
    bytes_count: int


async def gather(
    views: InstanceViews, objects: ObjectStore, scope: Scope, plan: Plan, document: bytes | None, loaded: Loaded
) -> Gathered:
    """Read all that a trace of the instance needs.

    Raises:
        HistoryTooLong: its journal passes what one file holds. PayloadMissing: a value cannot be read.
    """
    rows: list[tuple[StampedRow, tuple[Event, ...]]] = []
    reader = _Reader(views, objects, scope, loaded.row.id)
    size = 0
    async for stamped, events in reread(views, scope, loaded.row.id, until_seq=loaded.row.seq):
        size += len(stamped.row.body)
        if size > ROWS_BYTES_MAX:
            raise HistoryTooLong(f"the journal of {loaded.row.id} passes {ROWS_BYTES_MAX} bytes: too long for a file")
        rows.append((stamped, events))
        await reader.read_values_of(events)
    return Gathered(loaded, plan, document, rows, reader.read, len(reader.left_out), size + reader.bytes_count)


def masked_trace(gathered: Gathered, mask_text: MaskText, notes: Mapping[str, str] = _NO_NOTES) -> Trace:
    """Give the trace of what was gathered; nothing of it is as it was read."""
    masker = Masker(gathered.values, mask_text)
    row = gathered.loaded.row
    rows = tuple(
        row_of(stamped.row.seq, stamped.at, tuple(map(masker.event, events))) for stamped, events in gathered.rows
    )
    return Trace(
        instance_id=row.id,
        domain_id=row.domain_id,
        created_at=row.created_at,
        trigger_kind=row.trigger_kind,
        labels=None if row.labels is None else masker.json(row.labels),
        document=None if gathered.document is None else _document(masker, gathered.document),
        plan=outline_of(gathered.plan),
        rows=rows,
        values=tuple(TraceValue(at, data) for at, data in sorted(masker.values.items(), key=_place)),
        left_out=gathered.left_out,
        notes=dict(notes),
    )


def _document(masker: Masker, document: bytes) -> bytes:
    return msgspec.json.encode(masker.document(msgspec.json.decode(document)), order="deterministic")


def _place(item: tuple[Reference, Any]) -> tuple[int, int, int]:
    return item[0].seq, item[0].offset, item[0].length


class _Reader:
    """Reads each value once, in portions, as long as there is room for it."""

    def __init__(self, views: InstanceViews, objects: ObjectStore, scope: Scope, instance_id: str) -> None:
        self.read: dict[Reference, bytes] = {}
        self.left_out: set[Reference] = set()
        self.bytes_count = 0
        self._views = views
        self._objects = objects
        self._scope = scope
        self._instance_id = instance_id

    async def read_values_of(self, events: Sequence[Event]) -> None:
        """Read what these events refer to, and what that refers to."""
        asked = [found for event in events for found in values_in(event)]
        while asked:
            wanted = [leaf.at if isinstance(leaf, Indirect) else leaf for leaf in asked]
            await self._fetch([leaf for leaf in dict.fromkeys(wanted) if self._has_room(leaf)])
            directories = [leaf.at for leaf in asked if isinstance(leaf, Indirect) and leaf.at in self.read]
            asked = [found for at in directories for found in values_in(joined_of(self.read[at]))]

    def _has_room(self, leaf: Reference) -> bool:
        if leaf in self.read or leaf in self.left_out:
            return False
        if leaf.length > VALUE_BYTES_MAX or self.bytes_count + leaf.length > VALUES_BYTES_MAX:
            self.left_out.add(leaf)
            return False
        self.bytes_count += leaf.length
        return True

    async def _fetch(self, wanted: Sequence[Reference]) -> None:
        portion: list[Reference] = []
        size = 0
        for leaf in wanted:
            if portion and (len(portion) >= VALUES_PER_READ or size + leaf.length > READ_BYTES_MAX):
                await self._read_portion(portion)
                portion, size = [], 0
            portion.append(leaf)
            size += leaf.length
        if portion:
            await self._read_portion(portion)

    async def _read_portion(self, portion: Sequence[Reference]) -> None:
        ranges = [PayloadRange(leaf.seq, leaf.offset, leaf.length) for leaf in portion]
        found = await self._views.read_payloads(self._scope, self._instance_id, ranges)
        for leaf, data in zip(portion, await whole(self._objects, self._scope.domain_id, found), strict=True):
            if hash_of(data) != leaf.hash:
                raise PayloadMissing(f"the value at {leaf.seq}:{leaf.offset} is not what was written")
            self.read[leaf] = data
