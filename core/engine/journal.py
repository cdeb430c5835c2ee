"""The canonical codec of journal rows and frame rows: msgpack arrays in fixed order, so that replay is byte-equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.engine.ends import ItemEnd
from core.engine.events import Event
from core.engine.state import Attempt, Closing, Frame, Header, Task, Value
from core.engine.statuses import TASK_READY, TASK_RETRYING, TASK_RUNNING, TASK_UNKNOWN, TASK_WAITING

JOURNAL_VERSION = 1
JOURNAL_ROW_BYTES_MAX = 131_072  # an instance's commit is split over more rows above this (engine.md 1)


class JournalUnreadable(Exception):
    """A row is of a version that this release does not know, or its bytes are no events: never guess (R32)."""


class _FrameBody(msgspec.Struct, frozen=True, array_like=True):
    """A frame as it lies in its row."""

    snapshot_seq: int
    header: Header | None
    path: str
    region: int
    parent: str | None
    parent_index: int
    prefix: str
    first: int
    cells: int
    items: Value | None
    begun: int
    is_open: bool
    tasks: list[Task | None]
    ends: list[ItemEnd | None]
    variables: list[tuple[int, str, Value]]
    closing: list[tuple[int, Closing]]


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_events_decoder = msgspec.msgpack.Decoder(tuple[Event, ...])
_value_decoder = msgspec.msgpack.Decoder(Value)
_frame_decoder = msgspec.msgpack.Decoder(_FrameBody)


def encode_event(event: Event) -> bytes:
    """Encode one event; `join_events` puts several together without encoding them again."""
    return _encoder.encode(event)


def encode_value(value: Value) -> bytes:
    """Encode a value as it lies in state."""
    return _encoder.encode(value)


def decode_value(body: bytes) -> Value:
    """Decode what `encode_value` gave."""
    value: Value = _value_decoder.decode(body)
    return value


def join_events(encoded: list[bytes]) -> bytes:
    """Make a journal body of encoded events: an array of them."""
    count = len(encoded)
    if count < 16:  # msgpack fixarray
        head = bytes((0x90 | count,))
    elif count < 65_536:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return head + b"".join(encoded)


def encode_events(events: Sequence[Event]) -> bytes:
    """Encode the events of one journal row."""
    return _encoder.encode(events)


def decode_events(version: int, body: bytes) -> tuple[Event, ...]:
    """Decode a journal row's events.

    Raises:
        JournalUnreadable: unknown version, or not events.
    """
    if version != JOURNAL_VERSION:
        message = f"journal version {version} is not known to this release"
        raise JournalUnreadable(message)
    try:
        return _events_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        message = "a journal row cannot be read"
        raise JournalUnreadable(message) from error


def encode_frame(header: Header | None, frame: Frame, snapshot_seq: int = 0) -> bytes:
    """Encode a frame's row body; the top frame's carries the header."""
    return _encoder.encode(
        _FrameBody(
            snapshot_seq,
            header,
            frame.path,
            frame.region,
            frame.parent,
            frame.parent_index,
            frame.prefix,
            frame.first,
            frame.cells,
            frame.items,
            frame.begun,
            frame.is_open,
            frame.tasks,
            frame.ends,
            [(cell, name, value) for (cell, name), value in frame.variables.items()],
            list(frame.closing.items()),
        )
    )


def decode_frame(body: bytes, *, seq: int) -> tuple[Header | None, Frame, int]:
    """Decode a frame row that is true up to journal row `seq`; gives header (of the top frame), frame, snapshot's seq.

    Raises:
        JournalUnreadable: not a frame.
    """
    try:
        row: Any = _frame_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        message = "a frame row cannot be read"
        raise JournalUnreadable(message) from error
    size = len(row.tasks) // row.cells
    frame = Frame(
        path=row.path, region=row.region, parent=row.parent, parent_index=row.parent_index, prefix=row.prefix,
        first=row.first, cells=row.cells, size=size, items=row.items,
    )  # fmt: skip
    frame.tasks, frame.ends = row.tasks, row.ends
    frame.begun, frame.is_open, frame.seq = row.begun, row.is_open, seq
    frame.variables = {(cell, name): value for cell, name, value in row.variables}
    frame.closing = dict(row.closing)
    recount(frame)
    return row.header, frame, row.snapshot_seq


def recount(frame: Frame) -> None:
    """Set the counts that follow from a frame's tasks, items and variables."""
    tasks = [task for task in frame.tasks if task is not None]
    frame.ready = sum(task.status is TASK_READY for task in tasks)
    frame.running = sum(is_attempt_running(task) for task in tasks)
    frame.retrying = sum(task.status is TASK_RETRYING for task in tasks)
    frame.waiting = sum(task.status in (TASK_WAITING, TASK_UNKNOWN) for task in tasks)
    frame.ended = sum(end is not None for end in frame.ends)
    held = [task.output for task in tasks] + [task.error for task in tasks] + list(frame.variables.values())
    frame.inline_bytes = sum(len(value) for value in held if isinstance(value, bytes))


def is_attempt_running(task: Task) -> bool:
    """Say whether an attempt of this task is out (a running container has none)."""
    return task.status is TASK_RUNNING and isinstance(task.detail, Attempt)
