"""What people read of instances, in SQLite."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from core.errors import PayloadMissing
from core.ports.instance_store import MANUAL, TERMINAL_STATUSES, JournalRow
from core.ports.instance_views import LIST_WALK_ROWS_MAX, StampedRow
from core.ports.row_rules import check_limit, listed
from driven_adapters.sqlite.database import Reading
from driven_adapters.sqlite.instance_rows import (
    FRAMES_PER_READ,
    InstanceReads,
    labels_text,
    to_approval_row,
    to_frame_row,
    to_instance_row,
)
from driven_adapters.sqlite.stamps import from_stamp_or_none
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import ApprovalRow, FrameRow, Loaded, ObjectRange, PayloadRange
    from core.ports.instance_views import InstanceFilter, InstanceList
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.instance_rows import FindInstance

_AFTER_EVERY_ID = "\U0010ffff"  # sorts behind every id: a page from the newest one


class _Search(msgspec.Struct, frozen=True):
    """How a list is read: by the index of one condition, which leads; the others are looked at row by row.

    `name` is what its statements are called after `list_` and `walk_`; `walks` = there are other conditions.
    """

    name: str
    walks: bool


def _search(chosen: InstanceFilter) -> _Search:
    """Choose the condition that leads: the one that most likely leaves the fewest rows."""
    status, trigger = chosen.status is not None, chosen.trigger is not None
    if chosen.parent is not None:
        return _Search("by_parent", bool(chosen.labels) or chosen.dag_id is not None or status or trigger)
    if chosen.labels:
        others = len(chosen.labels) > 1 or chosen.dag_id is not None or status or trigger
        return _Search("by_label", others)
    if status and (chosen.dag_id is None or chosen.status not in TERMINAL_STATUSES):
        # Open instances are few beside those that a DAG ever had.
        return _Search("by_status", chosen.dag_id is not None or trigger)
    if chosen.dag_id is not None:
        return _Search("of_dag" if chosen.version is None else "of_version", status or trigger)
    if trigger and chosen.trigger != MANUAL:
        return _Search("by_trigger", walks=False)
    return _Search("instances", trigger)


class SqliteInstanceViews:
    """`InstanceViews` over a `Database`."""

    def __init__(self, database: Database, *, walk_rows_max: int = LIST_WALK_ROWS_MAX) -> None:
        self._database = database
        self._walk_rows_max = walk_rows_max
        self._sql = load_statements("engine/views.sql")
        self._reads = InstanceReads(database)

    async def get(self, scope: Scope, instance_id: str, *, paths: Sequence[str] = ("",)) -> Loaded | None:
        """Read an instance with these frames and its newest journal rows."""
        return await self._reads.load(self._find(scope, instance_id), paths)

    async def list(self, scope: Scope, chosen: InstanceFilter, *, limit: int) -> InstanceList:
        """Page instances, newest first."""
        search = _search(chosen)
        bindings = {**_bindings(scope, chosen), "limit": check_limit(limit), "walked": self._walk_rows_max - 1}

        def list_rows(reading: Reading) -> InstanceList:
            floor: str | None = None
            if search.walks and (found := reading.rows(self._sql[f"walk_{search.name}"], bindings)):
                floor = found[0][0]
            sql, bound = self._sql[f"list_{search.name}"], bindings if floor is None else {**bindings, "since": floor}
            rows = [to_instance_row(row) for row in reading.rows(sql, bound)]
            return listed(rows, limit=limit, floor=floor)

        return await self._database.read(list_rows)

    async def journal(self, scope: Scope, instance_id: str, *, after_seq: int, limit: int) -> Sequence[StampedRow]:
        """Page the journal, ascending."""
        bindings = {
            "id": instance_id,
            "domain_id": scope.domain_id,
            "after_seq": after_seq,
            "limit": check_limit(limit),
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["page_journal"], bindings))
        return [
            StampedRow(JournalRow(instance_id, seq, version, body), from_stamp_or_none(at))
            for seq, version, body, at in rows
        ]

    async def frames(self, scope: Scope, instance_id: str, *, after_path: str | None, limit: int) -> Sequence[FrameRow]:
        """Page the frames, ascending by path, over as many short read transactions as it takes."""
        check_limit(limit)
        found: list[FrameRow] = []
        after = after_path
        while len(found) < limit:
            bindings = {
                "id": instance_id,
                "domain_id": scope.domain_id,
                "after_path": after,
                "limit": min(limit - len(found), FRAMES_PER_READ),
            }
            rows = await self._database.read(partial(Reading.rows, sql=self._sql["page_frames"], bindings=bindings))
            found += [to_frame_row(instance_id, row) for row in rows]
            if len(rows) < FRAMES_PER_READ:
                break
            after = found[-1].path
        return found

    async def read_payloads(
        self, scope: Scope, instance_id: str, ranges: Sequence[PayloadRange]
    ) -> Sequence[bytes | ObjectRange]:
        """Read byte ranges of an instance's values."""
        find = self._find(scope, instance_id)
        if not await self._database.read(lambda reading: reading.rows(*find)):
            raise PayloadMissing(f"instance {instance_id} is not there")
        return await self._reads.read_ranges(find, ranges)

    async def approvals(self, scope: Scope, *, from_id: str, limit: int) -> Sequence[ApprovalRow]:
        """Page the decisions that people are asked for."""
        bindings = {"domain_id": scope.domain_id, "from_id": from_id, "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["page_approvals"], bindings))
        return [to_approval_row(row) for row in rows]

    async def counts(self, scope: Scope) -> dict[str, int]:
        """Count instances by status."""
        bindings = {"domain_id": scope.domain_id}
        return dict(await self._database.read(lambda reading: reading.rows(self._sql["count_by_status"], bindings)))

    def _find(self, scope: Scope, instance_id: str) -> FindInstance:
        return self._sql["view_instance"], {"id": instance_id, "domain_id": scope.domain_id}


def _bindings(scope: Scope, chosen: InstanceFilter) -> dict[str, object]:
    """Give what the lists' statements read of a filter; the first label leads, the others are looked at."""
    first, *others = chosen.labels.items() or ((None, None),)
    return {
        "domain_id": scope.domain_id,
        "before": _AFTER_EVERY_ID if chosen.before is None else chosen.before,
        "since": chosen.since or "",
        "dag_id": chosen.dag_id,
        "version": chosen.version,
        "status": chosen.status,
        "trigger": chosen.trigger,
        "name": first[0],
        "value": first[1],
        "labels": labels_text(dict(others)),
        "parent": chosen.parent,
        "all_labels": labels_text(chosen.labels),
    }
