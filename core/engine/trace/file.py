"""The form of a trace file: a head with version, lengths and a hash, then one compressed document (ADR 0033)."""

from __future__ import annotations

import hashlib
import struct
import zlib
from datetime import datetime
from typing import Any

import msgspec

from core.engine.events import Event
from core.engine.journal import JOURNAL_VERSION, JournalUnreadable, decode_events, encode_events
from core.engine.state import Reference
from core.engine.trace.outline import OutlineBroken, PlanOutline, plan_of
from core.errors import TraceInvalid

VERSION = 1
MAGIC = b"flowtrace\n"
FILE_BYTES_MAX = 67_108_864  # as it lies on a disk, and as the server gives it
BODY_BYTES_MAX = 134_217_728  # unpacked: a file that unpacks to more is none of ours
ROWS_MAX = 20_000  # as many as a view of the journal reads again
_HEAD = struct.Struct(">10sHQQ32s")  # magic, version, packed and unpacked length, SHA-256 of what is unpacked
_LEVEL = 6


class TraceValue(msgspec.Struct, frozen=True, array_like=True):
    """One value: its JSON, and by which reference it is named."""

    at: Reference
    json: bytes


class TraceRow(msgspec.Struct, frozen=True, array_like=True):
    """One journal row: its number, when its commit was made (None = not written down), its events encoded."""

    seq: int
    at: datetime | None
    version: int
    body: bytes

    def events(self) -> tuple[Event, ...]:
        """Decode the events.

        Raises:
            TraceInvalid: they are none, or of a version that this release does not know.
        """
        try:
            return decode_events(self.version, self.body)
        except JournalUnreadable as fault:
            raise TraceInvalid(f"row {self.seq} cannot be read: {fault}") from fault


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One instance, masked. Equal instances give equal bytes.

    Attributes:
        instance_id, domain_id, created_at, trigger_kind, labels: as its row says.
        document: JSON of the version's document, masked; None = it was not at hand.
        plan: what the rows are folded with.
        rows: ascending by seq from 1, without a gap.
        values: what references name, ascending by place; those that were too large are left out.
        left_out: how many values are left out.
        notes: what a program says of where it comes from (`seed` of a simulation).
    """

    instance_id: str
    domain_id: str
    created_at: datetime
    trigger_kind: str
    labels: dict[str, str] | None
    document: bytes | None
    plan: PlanOutline
    rows: tuple[TraceRow, ...]
    values: tuple[TraceValue, ...]
    left_out: int = 0
    notes: dict[str, str] = {}


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Trace)


def row_of(seq: int, at: datetime | None, events: tuple[Event, ...]) -> TraceRow:
    """Make a row of masked events."""
    return TraceRow(seq, at, JOURNAL_VERSION, encode_events(events))


def write_trace(trace: Trace) -> bytes:
    """Give the bytes of a file."""
    body = _encoder.encode(trace)
    packed = zlib.compress(body, _LEVEL)
    return _HEAD.pack(MAGIC, VERSION, len(packed), len(body), hashlib.sha256(body).digest()) + packed


def read_trace(data: bytes) -> Trace:
    """Read a file; no more than BODY_BYTES_MAX is ever unpacked.

    Raises:
        TraceInvalid: foreign, damaged, too large, or of another version; the sentence says which.
    """
    if len(data) > FILE_BYTES_MAX:
        raise TraceInvalid(f"a trace file has at most {FILE_BYTES_MAX} bytes")
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise TraceInvalid("this is no trace file: `flow export` writes one")
    _, version, packed_bytes, body_bytes, digest = _HEAD.unpack_from(data)
    if version != VERSION:
        raise TraceInvalid(f"the file is of version {version}; this release reads version {VERSION}")
    if body_bytes > BODY_BYTES_MAX:
        raise TraceInvalid(f"the file says that it unpacks to {body_bytes} bytes; at most {BODY_BYTES_MAX} are read")
    if len(data) - _HEAD.size != packed_bytes:
        raise TraceInvalid(f"the file is damaged: {len(data) - _HEAD.size} bytes follow its head, not {packed_bytes}")
    body = _unpacked(data[_HEAD.size :], body_bytes)
    if len(body) != body_bytes or hashlib.sha256(body).digest() != digest:
        raise TraceInvalid("the file is damaged: its content has another hash than its head says")
    return _checked(_decoded(body))


def _unpacked(packed: bytes, body_bytes: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(packed, body_bytes + 1)
    except zlib.error as fault:
        raise TraceInvalid("the file is damaged: it cannot be unpacked") from fault
    return body


def _decoded(body: bytes) -> Trace:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise TraceInvalid("the file holds no trace of this version") from fault


def _checked(trace: Trace) -> Trace:
    if len(trace.rows) > ROWS_MAX:
        raise TraceInvalid(f"the file has {len(trace.rows)} rows; at most {ROWS_MAX} are read")
    if any(row.seq != number for number, row in enumerate(trace.rows, 1)):
        raise TraceInvalid("the rows of the file have a gap")
    try:
        plan_of(trace.plan)
    except OutlineBroken as fault:
        raise TraceInvalid(f"the file has no plan that can be followed: {fault}") from fault
    return trace


def decoded_values(trace: Trace) -> dict[Reference, Any]:
    """Give the values of a trace as JSON values, by reference.

    Raises:
        TraceInvalid: one is no JSON.
    """
    try:
        return {value.at: msgspec.json.decode(value.json) for value in trace.values}
    except (msgspec.DecodeError, RecursionError) as fault:
        raise TraceInvalid("the file holds a value that is no JSON") from fault
