"""Reading an instance's journal anew, row by row, for views that the newest state cannot give."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from core.engine.events import Event
from core.engine.journal import decode_events
from core.errors import HistoryTooLong
from core.ports.instance_views import InstanceViews, StampedRow
from core.ports.scope import Scope

REREAD_ROWS_MAX = 20_000  # rows of one view: some seconds of a reader and of the loop, cut into slices
REREAD_BYTES_MAX = 67_108_864  # as they are stored
ROWS_PER_READ = 32
SLICE_BYTES = 32_768  # decoded at once: about a millisecond of the event loop, then others have their turn


async def reread(
    views: InstanceViews, scope: Scope, instance_id: str, *, until_seq: int
) -> AsyncIterator[tuple[StampedRow, tuple[Event, ...]]]:
    """Give every journal row up to `until_seq`, ascending, with its events.

    Raises:
        HistoryTooLong: more than REREAD_ROWS_MAX rows or REREAD_BYTES_MAX.
    """
    after_seq, size, decoded = 0, 0, 0
    while after_seq < until_seq:
        wanted = min(ROWS_PER_READ, until_seq - after_seq)
        page = await views.journal(scope, instance_id, after_seq=after_seq, limit=wanted)
        for stamped in page:
            row = stamped.row
            size += len(row.body)
            if row.seq > REREAD_ROWS_MAX or size > REREAD_BYTES_MAX:
                raise HistoryTooLong(f"the journal of {instance_id} is too long to be read again up to row {until_seq}")
            yield stamped, decode_events(row.version, row.body)
            after_seq = row.seq
            decoded += len(row.body)
            if decoded >= SLICE_BYTES:
                decoded = 0
                await asyncio.sleep(0)
        if len(page) < wanted:
            return
