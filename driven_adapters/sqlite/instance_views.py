"""What people read of instances, in SQLite."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.errors import PayloadMissing
from core.ports.instance_store import JournalRow
from core.ports.instance_views import StampedRow
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.database import Reading
from driven_adapters.sqlite.instance_rows import FRAMES_PER_READ, InstanceReads, to_frame_row, to_instance_row
from driven_adapters.sqlite.stamps import from_stamp_or_none
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import FrameRow, InstanceRow, Loaded, PayloadRange
    from core.ports.instance_views import InstanceFilter
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database
    from driven_adapters.sqlite.instance_rows import FindInstance

_AFTER_EVERY_ID = "\U0010ffff"  # sorts behind every id: a page from the newest one

# Which statement serves which filter: (by DAG, by version, by status).
_LISTS = {
    (False, False, False): "list_instances",
    (True, False, False): "list_of_dag",
    (True, True, False): "list_of_version",
    (False, False, True): "list_by_status",
    (True, False, True): "list_of_dag_by_status",
    (True, True, True): "list_of_version_by_status",
}


class SqliteInstanceViews:
    """`InstanceViews` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/views.sql")
        self._reads = InstanceReads(database)

    async def get(self, scope: Scope, instance_id: str) -> Loaded | None:
        """Read an instance with its top frame and newest journal rows."""
        return await self._reads.load(self._find(scope, instance_id), ("",))

    async def list(self, scope: Scope, chosen: InstanceFilter, *, limit: int) -> Sequence[InstanceRow]:
        """Page instances, newest first."""
        bindings: dict[str, object] = {
            "domain_id": scope.domain_id,
            "before": _AFTER_EVERY_ID if chosen.before is None else chosen.before,
            "since": chosen.since or "",
            "limit": check_limit(limit),
        }
        if chosen.dag_id is not None:
            bindings["dag_id"] = chosen.dag_id
        if chosen.version is not None:
            bindings["version"] = chosen.version
        if chosen.status is not None:
            bindings["status"] = chosen.status
        kind = (chosen.dag_id is not None, chosen.version is not None, chosen.status is not None)
        sql = self._sql[_LISTS[kind]]
        rows = await self._database.read(lambda reading: reading.rows(sql, bindings))
        return [to_instance_row(row) for row in rows]

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

    async def read_payloads(self, scope: Scope, instance_id: str, ranges: Sequence[PayloadRange]) -> Sequence[bytes]:
        """Read byte ranges of an instance's values."""
        find = self._find(scope, instance_id)
        if not await self._database.read(lambda reading: reading.rows(*find)):
            raise PayloadMissing(f"instance {instance_id} is not there")
        return await self._reads.read_ranges(find, ranges)

    async def counts(self, scope: Scope) -> dict[str, int]:
        """Count instances by status."""
        bindings = {"domain_id": scope.domain_id}
        return dict(await self._database.read(lambda reading: reading.rows(self._sql["count_by_status"], bindings)))

    def _find(self, scope: Scope, instance_id: str) -> FindInstance:
        return self._sql["view_instance"], {"id": instance_id, "domain_id": scope.domain_id}
