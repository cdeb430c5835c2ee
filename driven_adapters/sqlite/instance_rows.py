"""Instances between the core's structs and their rows, and reads that engine and views share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import PayloadMissing, StoreUnavailable
from core.ports.instance_store import (
    JOURNAL_TAIL_ROWS,
    MANUAL,
    ApprovalRow,
    FrameRow,
    InstanceRow,
    JournalRow,
    Loaded,
    PayloadObject,
)
from core.ports.row_rules import object_range, part_slices
from driven_adapters.sqlite.stamps import from_stamp, from_stamp_or_none, to_stamp, to_stamp_or_none
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.ports.instance_store import ObjectRange, PayloadRange
    from driven_adapters.sqlite.database import Database, Reading

FRAMES_PER_READ = 64  # of up to 256 KiB each: 16 MiB, some 10 ms; a read transaction ends within 50 ms (engine.md 4)
PARTS_PER_READ = 64  # the same for parts of values
LOAD_ROUNDS_MAX = 8  # a load of many pages begins anew when its instance moved; an owner that loads does not commit

_names_decoder = msgspec.json.Decoder(tuple[str, ...])
_labels_decoder = msgspec.json.Decoder(dict[str, str])
FindInstance = tuple[str, dict[str, Any]]


def to_instance_row(row: tuple[Any, ...]) -> InstanceRow:
    """Read one row of the statements that select a whole instance."""
    return InstanceRow(
        id=row[1],
        domain_id=row[2],
        shard=row[3],
        dag_id=row[4],
        dag_hash=row[5],
        dag_version=row[6],
        created_at=from_stamp(row[7]),
        status=row[8],
        seq=row[9],
        open_attempts=row[10],
        ready=row[11],
        open_frames=row[12],
        epoch=row[13],
        updated_at=from_stamp(row[14]),
        trigger_kind=row[15] or MANUAL,
        labels=None if row[16] is None else _labels_decoder.decode(row[16]),
        rerun_of=row[17],
        parent_id=row[18],
        parent_path=row[19],
        priority=row[20],
    )


def approval_values(row: ApprovalRow) -> tuple[Any, ...]:
    """Give the columns of an approval, in the order of its insert."""
    approvers = None if row.approvers is None else msgspec.json.encode(row.approvers).decode()
    return (
        row.domain_id, row.id, row.instance_id, row.dag_id, row.dag_hash, row.dag_version, row.task_path, row.title,
        approvers, to_stamp(row.since), to_stamp_or_none(row.due_at),
    )  # fmt: skip


def to_approval_row(row: tuple[Any, ...]) -> ApprovalRow:
    """Read one row of the statement that selects approvals."""
    return ApprovalRow(
        id=row[0],
        domain_id=row[1],
        instance_id=row[2],
        dag_id=row[3],
        dag_hash=row[4],
        dag_version=row[5],
        task_path=row[6],
        title=row[7],
        approvers=None if row[8] is None else _names_decoder.decode(row[8]),
        since=from_stamp(row[9]),
        due_at=from_stamp_or_none(row[10]),
    )


def instance_values(row: InstanceRow) -> tuple[Any, ...]:
    """Give an instance's values in the order of `insert_instances`."""
    return (
        row.id,
        row.domain_id,
        row.shard,
        row.dag_id,
        row.dag_hash,
        row.dag_version,
        to_stamp(row.created_at),
        row.status,
        row.seq,
        row.open_attempts,
        row.ready,
        row.open_frames,
        row.epoch,
        to_stamp(row.updated_at),
        None if row.trigger_kind == MANUAL else row.trigger_kind,
        labels_text(row.labels) if row.labels else None,
        row.rerun_of,
        row.parent_id,
        row.parent_path,
        row.priority,
    )


def label_values(row: InstanceRow, n: int) -> list[Any]:
    """Give the values of `insert_labels` for all labels of an instance, end to end; `n` is its inner number."""
    labels = row.labels or {}
    return [part for name, value in labels.items() for part in (row.domain_id, name, value, row.id, n)]


def labels_text(labels: Mapping[str, str]) -> str:
    """Write labels as they lie in a row, and as a statement reads them."""
    return msgspec.json.encode(labels, order="deterministic").decode()


def to_frame_row(instance_id: str, row: tuple[Any, ...]) -> FrameRow:
    """Read one row of the statements that select a frame."""
    path, seq, is_open, body = row
    return FrameRow(instance_id, path, seq, bool(is_open), body)


class _Page(msgspec.Struct):
    """Frames of one read transaction; `after` is where the next page begins, None after the last."""

    row: tuple[Any, ...]
    frames: list[tuple[Any, ...]]
    after: str | None


class _Parts(msgspec.Struct):
    """Parts of values by (seq, part), and objects by seq, of one read transaction."""

    bodies: dict[tuple[int, int], bytes]
    objects: dict[int, PayloadObject]


class InstanceReads:
    """Loads and byte ranges of one instance, found by a statement that the caller chooses (with or without scope)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/instance.sql")

    async def load(self, find: FindInstance, paths: Sequence[str] | None) -> Loaded | None:
        """Read row, journal tail and frames as of one moment, over as many short read transactions as it takes.

        Frames change in place, so an instance that moved between two pages is read anew.

        Args:
            find: statement and bindings that give the instance.
            paths: frames asked for; None = the open ones and the top frame.

        Raises:
            StoreUnavailable: the instance moved in each of LOAD_ROUNDS_MAX rounds.
        """
        wanted = None if paths is None else sorted(set(paths))
        for _ in range(LOAD_ROUNDS_MAX):
            head = await self._database.read(lambda reading: self._read_head(reading, find, wanted))
            if head is None:
                return None
            page, journal = head
            if await self._read_further(page, find, wanted):
                row = to_instance_row(page.row)
                lines = tuple(JournalRow(row.id, *line) for line in journal)
                return Loaded(row, lines, tuple(to_frame_row(row.id, frame) for frame in page.frames))
        raise StoreUnavailable("the instance moves faster than it can be read")

    async def read_ranges(self, find: FindInstance, ranges: Sequence[PayloadRange]) -> list[bytes | ObjectRange]:
        """Read byte ranges in the order asked; each part is read once per read transaction. Objects are only named.

        Raises:
            PayloadMissing: the instance or a part is not there, or a part or an object is too short.
        """
        places = list(dict.fromkeys((one.seq, part) for one in ranges for part, _, _ in part_slices(one)))
        answers: list[bytes | ObjectRange] = []
        found = _Parts({}, {})
        for wanted in ranges:
            pieces: list[bytes] = []
            for part, start, stop in part_slices(wanted):
                place = (wanted.seq, part)
                if place not in found.bodies and wanted.seq not in found.objects:
                    first = places.index(place)
                    chosen = places[first : first + PARTS_PER_READ]
                    found = await self._database.read(partial(self._read_parts, find=find, places=chosen))
                if wanted.seq in found.objects:
                    break
                body = found.bodies.get(place, b"")
                if len(body) < stop:
                    raise PayloadMissing(
                        f"a value of commit {wanted.seq} has no bytes {start} to {stop} in part {part}"
                    )
                pieces.append(body[start:stop])
            held = found.objects.get(wanted.seq) if wanted.length else None
            answers.append(b"".join(pieces) if held is None else object_range(held, wanted))
        return answers

    def _read_head(
        self, reading: Reading, find: FindInstance, wanted: list[str] | None
    ) -> tuple[_Page, list[tuple[Any, ...]]] | None:
        page = self._read_page(reading, find, wanted, None)
        if page is None:
            return None
        bindings = {"instance_n": page.row[0], "limit": JOURNAL_TAIL_ROWS}
        return page, reading.rows(self._sql["read_tail"], bindings)

    async def _read_further(self, page: _Page, find: FindInstance, wanted: list[str] | None) -> bool:
        """Add the pages after the first one to it; False when the instance moved meanwhile."""
        while page.after is not None:
            more = await self._database.read(partial(self._read_page, find=find, wanted=wanted, after=page.after))
            if more is None or more.row != page.row:
                return False
            page.frames += more.frames
            page.after = more.after
        return True

    def _read_page(
        self, reading: Reading, find: FindInstance, wanted: list[str] | None, after: str | None
    ) -> _Page | None:
        found = reading.rows(*find)
        if not found:
            return None
        row, instance_n = found[0], found[0][0]
        if wanted is not None:
            chosen = [path for path in wanted if after is None or path > after][:FRAMES_PER_READ]
            bindings = {"instance_n": instance_n, "paths": msgspec.json.encode(chosen).decode()}
            named = sorted(reading.rows(self._sql["read_named_frames"], bindings))
            return _Page(row, named, chosen[-1] if chosen and chosen[-1] != wanted[-1] else None)
        bindings = {"instance_n": instance_n, "after": after or "", "limit": FRAMES_PER_READ}
        frames = reading.rows(self._sql["read_open_frames"], bindings)
        last = frames[-1][0] if len(frames) == FRAMES_PER_READ else None
        if after is None:
            frames = reading.rows(self._sql["read_top_frame"], {"instance_n": instance_n}) + frames
        return _Page(row, frames, last)

    def _read_parts(self, reading: Reading, find: FindInstance, places: list[tuple[int, int]]) -> _Parts:
        """Read parts; of commits that have none of these, the object."""
        found = reading.rows(*find)
        if not found:
            return _Parts({}, {})
        _, instance_id, *_ = found[0]
        bindings = {"instance_n": found[0][0], "places": msgspec.json.encode(places).decode()}
        bodies = {(seq, part): body for seq, part, body in reading.rows(self._sql["read_parts"], bindings)}
        missing = sorted({seq for seq, part in places if (seq, part) not in bodies})
        if not missing:
            return _Parts(bodies, {})
        bindings = {"instance_n": found[0][0], "seqs": msgspec.json.encode(missing).decode()}
        objects = reading.rows(self._sql["read_payload_objects"], bindings)
        return _Parts(bodies, {seq: PayloadObject(instance_id, seq, *place) for seq, *place in objects})
