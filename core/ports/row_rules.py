"""What no store holds, and where a byte range falls: the rules that every adapter of the journal store shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import PayloadMissing, QueueFull
from core.ports.instance_store import BODY_BYTES_MAX, NOTHING_OUTWARD, READ_ROWS_MAX, NewStart, ObjectRange
from core.ports.instance_views import InstanceList
from core.predicate import Predicate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.ports.instance_store import (
        FrameRow,
        InstanceChange,
        InstanceRow,
        NewCommand,
        PayloadObject,
        PayloadRange,
        SnapshotRow,
    )
    from core.ports.key_store import NewAnswer
    from core.ports.scope import Scope


def change_fault(change: InstanceChange) -> str:
    """Say why no store can hold this change, in words; the empty string when one can.

    A row over BODY_BYTES_MAX, a journal that does not run without a gap from `expected_seq` to `row.seq`, a value of an
    earlier commit, or a row of another instance. Source: invariant I2 and the sizes of engine.md 1.
    """
    row, first = change.row, change.expected_seq or 0
    if row.seq != first + len(change.journal):
        return f"seq {first} and {len(change.journal)} journal rows do not make seq {row.seq}"
    for seq, line in enumerate(change.journal, first + 1):
        if line.seq != seq or line.instance_id != row.id:
            return f"journal row {line.seq} of {line.instance_id} stands where {seq} of {row.id} belongs"
        if len(line.body) > BODY_BYTES_MAX:
            return f"journal row {seq} has {len(line.body)} bytes"
    if change.frames or change.payloads or change.snapshots or change.timers_set or change.payload_object:
        fault = _checkpoint_fault(change) or _payload_fault(change)
        if fault:
            return fault
    if change.outward is NOTHING_OUTWARD:
        return _key_fault(change)
    return _approval_fault(change) or _key_fault(change) or _passed_fault(change) or _permit_fault(change)


def _permit_fault(change: InstanceChange) -> str:
    for act in change.outward.permits:
        if act.gate.domain_id != change.row.domain_id:
            return f"the gate {act.gate.limit} is of business domain {act.gate.domain_id}"
        if not is_text(act.gate.key):
            return f"key {act.gate.key!r} is no text"
    return ""


def _approval_fault(change: InstanceChange) -> str:
    for asked in change.outward.approvals_set:
        if (asked.instance_id, asked.domain_id) != (change.row.id, change.row.domain_id):
            return f"approval {asked.id} is of instance {asked.instance_id}"
    return ""


def _passed_fault(change: InstanceChange) -> str:
    for one in change.outward.passed:
        domain_id = one.row.domain_id if isinstance(one, NewStart) else one.domain_id
        if domain_id != change.row.domain_id:
            return f"it passes something on to business domain {domain_id}"
        try:
            check_ingest(one)
        except ValueError as fault:
            return f"of what it passes on, {fault}"
    return ""


def _checkpoint_fault(change: InstanceChange) -> str:
    row = change.row
    rows: list[FrameRow | SnapshotRow] = [*change.frames, *change.snapshots]
    for held in rows:
        if len(held.body) > BODY_BYTES_MAX:
            return f"frame {held.path!r} has {len(held.body)} bytes"
        if held.instance_id != row.id:
            return f"frame {held.path!r} is of instance {held.instance_id}"
    for timer in change.timers_set:
        if timer.instance_id != row.id or timer.shard != row.shard:
            return f"timer {timer.n} is of instance {timer.instance_id} in shard {timer.shard}"
    return ""


def _payload_fault(change: InstanceChange) -> str:
    places = set()
    if change.payload_object is not None:
        fault = _object_fault(change, change.payload_object)
        if fault:
            return fault
    for payload in change.payloads:
        place = (payload.seq, payload.part)
        if len(payload.body) > BODY_BYTES_MAX:
            return f"payload part {place} has {len(payload.body)} bytes"
        if payload.instance_id != change.row.id:
            return f"payload part {place} is of instance {payload.instance_id}"
        if place in places or (change.expected_seq is not None and payload.seq <= change.expected_seq):
            return f"payload part {place} was written before"
        places.add(place)
    return ""


def _object_fault(change: InstanceChange, held: PayloadObject) -> str:
    if held.instance_id != change.row.id:
        return f"payload object {held.key} is of instance {held.instance_id}"
    if change.payloads:
        return "values lie in rows or in an object, not in both"
    if change.expected_seq is not None and held.seq <= change.expected_seq:
        return f"values of commit {held.seq} were written before"
    return ""


def _key_fault(change: InstanceChange) -> str:
    """Find a key named twice, or one that is no text: a lone surrogate has no UTF-8 form, so no database takes it."""
    if len(set(change.inbox_taken)) != len(change.inbox_taken):
        return "an inbox row is named twice"
    if len({(seen.domain_id, seen.source, seen.key) for seen in change.seen}) != len(change.seen):
        return "a key is named twice"
    texts = [seen.key for seen in change.seen]
    if change.start_key is not None:
        texts.append(change.start_key.key)
    return next((f"key {text!r} is no text" for text in texts if not is_text(text)), "")


def is_text(text: str) -> bool:
    """Tell whether `text` has a UTF-8 form."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_ingest(item: NewStart | NewCommand) -> None:
    """Refuse an item that no store can hold.

    Raises:
        ValueError: a body or a value part over BODY_BYTES_MAX, or a source or key that is no text.
    """
    if isinstance(item, NewStart):
        key = "" if item.start_key is None else item.start_key.key
        longest = max(len(item.body), *(len(payload.body) for payload in item.payloads), 0)
    else:
        key, longest = item.key, len(item.body)
    if longest > BODY_BYTES_MAX:
        raise ValueError(f"a row of {longest} bytes passes {BODY_BYTES_MAX}")
    if not (is_text(key) and is_text(item.source)):
        raise ValueError(f"source {item.source!r} or key {key!r} is no text")


def check_answer(answer: NewAnswer) -> None:
    """Refuse an answer that no store can hold.

    Raises:
        ValueError: a response over BODY_BYTES_MAX, or a key that is no text.
    """
    if len(answer.response) > BODY_BYTES_MAX:
        raise ValueError(f"a response of {len(answer.response)} bytes passes {BODY_BYTES_MAX}")
    if not is_text(answer.key):
        raise ValueError(f"key {answer.key!r} is no text")


def check_body(body: bytes) -> None:
    """Refuse a body that no row holds.

    Raises:
        ValueError: it passes BODY_BYTES_MAX.
    """
    if len(body) > BODY_BYTES_MAX:
        raise ValueError(f"a body of {len(body)} bytes passes {BODY_BYTES_MAX}")


def check_limit(limit: int) -> int:
    """Give `limit` back when it is 1..READ_ROWS_MAX.

    Raises:
        ValueError: it is not; cutting it silently would make a short page look like the last one.
    """
    if not 1 <= limit <= READ_ROWS_MAX:
        raise ValueError(f"limit {limit} is not within 1..{READ_ROWS_MAX}")
    return limit


def listed(rows: Sequence[InstanceRow], *, limit: int, floor: str | None) -> InstanceList:
    """Make a page of the rows that were found; `floor` = the last id that was looked at, None = there were no more."""
    return InstanceList(tuple(rows), rows[-1].id if len(rows) == limit else floor)


def part_slices(wanted: PayloadRange) -> Iterator[tuple[int, int, int]]:
    """Give (part, from, to) for each part that a range touches, ascending; nothing for a range of length 0."""
    at, end = wanted.offset, wanted.offset + wanted.length
    while at < end:
        part, start = divmod(at, BODY_BYTES_MAX)
        stop = min(BODY_BYTES_MAX, start + end - at)
        yield part, start, stop
        at += stop - start


def object_range(held: PayloadObject, wanted: PayloadRange) -> ObjectRange:
    """Say where a range of a commit's values lies within their object.

    Raises:
        PayloadMissing: the object is too short.
    """
    if wanted.offset + wanted.length > held.bytes_count:
        raise PayloadMissing(f"a value of commit {wanted.seq} passes the {held.bytes_count} bytes of {held.key}")
    return ObjectRange(held.key, wanted.offset, wanted.length)


def too_many_open(scope: Scope, open_count: int, open_max: int) -> QueueFull:
    """Make the refusal of an act on many instances: the domain has as many that are not done as it may."""
    bound = Predicate(
        name="open_batches", value={"taken": open_count, "most": open_max}, holder_kind="domain",
        holder=scope.domain_id, next="one of them is done",
    )  # fmt: skip
    return QueueFull(f"{open_max} acts on many instances are not done yet", bound)
