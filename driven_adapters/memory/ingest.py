"""Starts and commands for the owners of their shards, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ports.instance_store import TERMINAL_STATUSES, InboxRow, Ingested, NewStart, SeenKey
from driven_adapters.memory.permits import has_free

if TYPE_CHECKING:
    from core.ports.instance_store import NewCommand
    from driven_adapters.memory.tables import Draft


def ingest_item(draft: Draft, item: NewStart | NewCommand) -> Ingested:
    """Take one item in, unless its key is known."""
    if isinstance(item, NewStart):
        return _ingest_start(draft, item)
    place = (item.domain_id, item.source, item.key)
    first = draft.get("seen", place)
    if first is not None and first.expires_at > item.at:
        return Ingested("duplicate", item.instance_id, first.req_hash)
    draft.put("seen", place, SeenKey(*place, item.seen_expires_at, item.req_hash))
    _put_inbox(draft, item, item.instance_id, (item.domain_id, item.shard, item.key))
    return Ingested("accepted", item.instance_id)


def _ingest_start(draft: Draft, item: NewStart) -> Ingested:
    row, key = item.row, item.start_key
    if key is not None:
        place = (key.domain_id, key.trigger, key.key)
        first = draft.get("start_key", place)
        if first is not None:
            return Ingested("duplicate", first.instance_id, first.req_hash)
    elif draft.get("instance", row.id) is not None:
        return Ingested("duplicate", row.id)
    if item.seeks is not None and not has_free(draft, item.seeks):
        return Ingested("full", row.id)
    if key is not None:
        draft.put("start_key", (key.domain_id, key.trigger, key.key), key)
    draft.put("instance", row.id, row)
    for payload in item.payloads:
        draft.put("payload", (payload.seq, payload.part), payload.body, group=row.id)
    _put_inbox(draft, item, row.id, (row.domain_id, row.shard, row.id if key is None else key.key))
    return Ingested("accepted", row.id)


def is_started(draft: Draft, item: NewStart) -> bool:
    """Say whether a start with this key is there."""
    key = item.start_key
    return key is not None and draft.get("start_key", (key.domain_id, key.trigger, key.key)) is not None


def pass_on(draft: Draft, item: NewStart | NewCommand) -> None:
    """Take in what a commit starts, or tells an instance that is there and has not ended."""
    if isinstance(item, NewStart):
        _ingest_start(draft, item)
        return
    row = draft.get("instance", item.instance_id)
    if row is not None and row.status not in TERMINAL_STATUSES:
        _put_inbox(draft, item, item.instance_id, (item.domain_id, item.shard, item.key))


def _put_inbox(draft: Draft, item: NewStart | NewCommand, instance_id: str, place: tuple[str, int, str]) -> None:
    domain_id, shard, key = place
    n = (draft.get("meta", "inbox_n") or 0) + 1
    draft.put("meta", "inbox_n", n)
    row = InboxRow(shard, n, domain_id, item.source, key, instance_id, item.kind, item.body, item.at)
    draft.put("inbox", n, row, group=shard)
