"""The journal for people: events by name, with what each changed. Nothing is evaluated and no value is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from core.engine.events import Event
from core.engine.journal import decode_events
from core.engine.shown_value import value_bytes
from core.engine.state import Indirect, Joined, Reference
from core.engine.values import stamp
from core.ports.instance_views import InstanceViews, StampedRow
from core.ports.scope import Scope

PAGE_BYTES_MAX = 1_048_576  # of journal rows as they are stored; a page ends early above this
ROWS_PER_READ = 16  # rows of at most 128 KiB each: what one read may bring into memory at once
# Whoever holds a token can end the attempt, with the secret any wait for a callback; the journal is for reading. A key
# of a kept output is a hash.
_HIDDEN = frozenset({"token", "secret", "key"})
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class JournalEntry(msgspec.Struct, frozen=True):
    """The events of one journal row, in order. Each has `event` (its name) and its own fields.

    `at` is the time of the commit, RFC 3339 UTC with milliseconds; None = by a release that did not write it down.
    """

    seq: int
    at: str | None
    events: tuple[dict[str, Any], ...]


class JournalPage(msgspec.Struct, frozen=True):
    """Entries ascending by seq; `next` None = these were the newest."""

    entries: tuple[JournalEntry, ...]
    next: int | None


async def read_journal(
    views: InstanceViews, scope: Scope, instance_id: str, *, after_seq: int, limit: int
) -> JournalPage:
    """Show at most `limit` journal rows with a seq greater than `after_seq`."""
    entries: list[JournalEntry] = []
    size = 0
    while len(entries) < limit:
        wanted = min(ROWS_PER_READ, limit - len(entries))
        rows = await views.journal(scope, instance_id, after_seq=after_seq, limit=wanted)
        for row in rows:
            if entries and size + len(row.row.body) > PAGE_BYTES_MAX:
                return JournalPage(tuple(entries), after_seq)
            entries.append(_entry(row))
            size += len(row.row.body)
            after_seq = row.row.seq
        if len(rows) < wanted:
            return JournalPage(tuple(entries), None)
    return JournalPage(tuple(entries), after_seq)


def _entry(stamped: StampedRow) -> JournalEntry:
    row = stamped.row
    events = tuple(shown_event(event) for event in decode_events(row.version, row.body))
    return JournalEntry(row.seq, None if stamped.at is None else stamp(stamped.at), events)


def shown_event(event: Event) -> dict[str, Any]:
    """Show an event: its name under `event`, and its fields but for tokens."""
    shown: dict[str, Any] = {"event": _WORD.sub("_", type(event).__name__).lower()}
    for field in event.__struct_fields__:
        if field not in _HIDDEN:
            shown[field] = _shown(getattr(event, field))
    return shown


def _shown(value: Any) -> Any:
    """Show what stands in an event: small values as they are, others by where and how long they are."""
    match value:
        case bytes():
            return msgspec.Raw(value)
        case Reference():
            return {"value_bytes": value.length, "value_seq": value.seq, "value_offset": value.offset}
        case Joined() | Indirect():
            return {"value_bytes": value_bytes(value)}
        case datetime():
            return stamp(value)
        case tuple() | list():
            return [_shown(part) for part in value]
        case Mapping():
            return {key: _shown(part) for key, part in value.items()}
        case msgspec.Struct():
            return {field: _shown(getattr(value, field)) for field in value.__struct_fields__ if field not in _HIDDEN}
        case _:
            return value
