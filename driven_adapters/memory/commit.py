"""One change of a group commit, in memory: looked at first, then written whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.ports.instance_store import NewStart, Refusal
from core.ports.row_rules import change_fault
from driven_adapters.memory.audit_log import put_audit
from driven_adapters.memory.ingest import is_started, pass_on
from driven_adapters.memory.object_notes import is_noted
from driven_adapters.memory.permits import GatePassing

if TYPE_CHECKING:
    from core.ports.instance_store import InstanceChange
    from driven_adapters.memory.tables import Draft


def commit_change(draft: Draft, change: InstanceChange, named: set[str]) -> Refusal | None:
    """Write one change into the draft, or say why not.

    Args:
        draft: the transaction, with the items before this one in it.
        change: the item.
        named: ids of the instances that stood in the batch before; this one's is added.
    """
    refusal = _find_refusal(draft, change, named)
    named.add(change.row.id)
    if refusal is None and change.outward.permits:
        refusal = _pass_gates(draft, change)
    if refusal is None:
        _write_instance(draft, change)
        _write_rows(draft, change)
        for one in change.outward.passed:
            pass_on(draft, one)
    return refusal


def _pass_gates(draft: Draft, change: InstanceChange) -> Refusal | None:
    passing = GatePassing(draft, change)
    refusing = passing.refusing()
    if refusing:
        return Refusal("gate", detail=refusing)
    passing.write()
    return None


def _find_refusal(draft: Draft, change: InstanceChange, named: set[str]) -> Refusal | None:
    fault = change_fault(change)
    if fault:
        return Refusal("invalid", detail=fault)
    if change.row.id in named:
        return Refusal("invalid", detail=f"instance {change.row.id} stands in the batch twice")
    if any(isinstance(one, NewStart) and is_started(draft, one) for one in change.outward.passed):
        return Refusal("invalid", detail="what it starts was started before")
    return _find_known_key(draft, change) or _find_gap(draft, change)


def _find_known_key(draft: Draft, change: InstanceChange) -> Refusal | None:
    key = change.start_key
    if key is not None:
        first = draft.get("start_key", (key.domain_id, key.trigger, key.key))
        if first is not None:
            return Refusal("duplicate", first.instance_id, first.req_hash)
    for seen in change.seen:
        first = draft.get("seen", (seen.domain_id, seen.source, seen.key))
        if first is not None and first.expires_at > change.row.updated_at:
            return Refusal("seen", req_hash=first.req_hash, detail=seen.key)
    return None


def _find_gap(draft: Draft, change: InstanceChange) -> Refusal | None:
    for n in change.inbox_taken:
        if draft.get("inbox", n, group=change.row.shard) is None:
            return Refusal("inbox", detail=f"inbox row {n} is gone")
    stored = draft.get("instance", change.row.id)
    seq = None if stored is None else stored.seq
    if seq != change.expected_seq:
        return Refusal("seq", detail=f"stored {seq}, expected {change.expected_seq}")
    held = change.payload_object
    if held is not None and not is_noted(draft, change.row.domain_id, held.key):
        return Refusal("object", detail=f"object {held.key} has no note")
    return None


def _write_instance(draft: Draft, change: InstanceChange) -> None:
    row = change.row
    if change.expected_seq is not None:
        row = msgspec.structs.replace(
            draft.get("instance", row.id),
            seq=row.seq,
            status=row.status,
            open_attempts=row.open_attempts,
            ready=row.ready,
            open_frames=row.open_frames,
            epoch=row.epoch,
            updated_at=row.updated_at,
        )
    draft.put("instance", row.id, row)
    key = change.start_key
    if key is not None:
        draft.put("start_key", (key.domain_id, key.trigger, key.key), key)
    for seen in change.seen:
        draft.put("seen", (seen.domain_id, seen.source, seen.key), seen)
    for n in change.inbox_taken:
        draft.delete("inbox", n, group=row.shard)


def _write_rows(draft: Draft, change: InstanceChange) -> None:
    instance_id = change.row.id
    for line in change.journal:
        draft.put("journal", line.seq, line, group=instance_id)
    if change.journal:
        draft.put("commit_at", change.row.seq, change.row.updated_at, group=instance_id)
    for frame in change.frames:
        draft.put("frame", frame.path, frame, group=instance_id)
    for payload in change.payloads:
        draft.put("payload", (payload.seq, payload.part), payload.body, group=instance_id)
    held = change.payload_object
    if held is not None:
        draft.delete("object_loose", (change.row.domain_id, held.key))
        draft.put("payload_object", held.seq, held, group=instance_id)
    for snapshot in change.snapshots:
        draft.put("snapshot", (snapshot.path, snapshot.seq), snapshot, group=instance_id)
    for due_at, n in change.timers_removed:
        draft.delete("timer", (due_at, change.row.shard, instance_id, n))
    for timer in change.timers_set:
        draft.put("timer", (timer.due_at, timer.shard, instance_id, timer.n), timer)
    _write_outward(draft, change)


def _write_outward(draft: Draft, change: InstanceChange) -> None:
    for one in change.outward.cached:
        draft.put("output_cache", tuple(getattr(one.place, name) for name in one.place.__struct_fields__), one)
    for entry in change.outward.audit:
        put_audit(draft, entry)
    for id_ in change.outward.approvals_removed:
        draft.delete("approval", (change.row.domain_id, id_))
    for asked in change.outward.approvals_set:
        draft.put("approval", (asked.domain_id, asked.id), asked)
