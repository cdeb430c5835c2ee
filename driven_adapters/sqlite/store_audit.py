"""What proving a store needs to read, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.ports.instance_store import InstanceRow, JournalRow, StartKey, TimerRow
from core.ports.permits import LINE_ROWS_MAX, Gate
from core.ports.row_rules import check_limit
from core.ports.store_audit import Beside, HeldKey, HeldPermit, HeldTimer
from driven_adapters.sqlite.instance_rows import to_instance_row
from driven_adapters.sqlite.permits import permit_row
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.permits import PermitRow
    from driven_adapters.sqlite.database import Database, Reading

_NAMELESS = "number "  # before the inner number of an instance that is not there: no id begins so
_BEFORE_EVERY_STAMP = -(2**63)  # a page from the first timer


class SqliteStoreAudit:
    """`StoreAudit` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/audit.sql")
        self._permits = load_statements("engine/permit.sql")

    async def instances(self, *, domain_id: str | None, after: str, limit: int) -> Sequence[InstanceRow]:
        """Page instances, ascending by id."""
        name = "audit_instances" if domain_id is None else "audit_instances_of"
        bindings = {"domain_id": domain_id, "after": after, "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql[name], bindings))
        return [to_instance_row(row) for row in rows]

    async def journal(self, instance_id: str, *, after_seq: int, limit: int) -> Sequence[JournalRow]:
        """Page a journal."""
        bindings = {"id": instance_id, "after_seq": after_seq, "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["audit_journal"], bindings))
        return [JournalRow(instance_id, *row) for row in rows]

    async def beside(self, instance_id: str, timers: Sequence[tuple[datetime, int]]) -> Beside | None:
        """Read what stands beside an instance."""
        wanted = msgspec.json.encode([(to_stamp(due_at), n) for due_at, n in timers]).decode()

        def look(reading: Reading) -> Beside | None:
            found = reading.rows(self._sql["audit_beside"], {"id": instance_id})
            if not found:
                return None
            instance_n, shard, seq, domain_id, journal_count = found[0]
            of_inbox = {"shard": shard, "id": instance_id, "domain_id": domain_id}
            [(inbox_count, foreign_count)] = reading.rows(self._sql["audit_inbox"], of_inbox)
            of_timers = {"timers": wanted, "shard": shard, "instance_n": instance_n}
            held = reading.rows(self._sql["audit_named_timers"], of_timers)
            granted = reading.rows(self._sql["audit_granted"], of_inbox)
            at_gates = reading.rows(
                self._permits["permits_of_instance"], {"instance_id": instance_id, "limit": LINE_ROWS_MAX}
            )
            return Beside(
                seq=seq,
                journal_count=journal_count,
                timers=frozenset(n for (n,) in held),
                inbox_count=inbox_count,
                foreign_count=foreign_count,
                permits=tuple(permit_row(Gate(*row[:3]), row[3:]) for row in at_gates),
                granted=frozenset(path for (path,) in granted),
            )

        return await self._database.read(look)

    async def timers(self, *, after: TimerRow | None, limit: int) -> Sequence[HeldTimer]:
        """Page all timers."""
        bindings = {
            "due_at": _BEFORE_EVERY_STAMP if after is None else to_stamp(after.due_at),
            "shard": -1 if after is None else after.shard,
            "instance_id": None if after is None else after.instance_id,
            "instance_n": None if after is None else _number_of(after.instance_id),
            "n": -1 if after is None else after.n,
            "limit": check_limit(limit),
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["audit_timers"], bindings))
        return [
            HeldTimer(TimerRow(shard, from_stamp(due_at), instance_id or f"{_NAMELESS}{number}", n, path, kind), status)
            for shard, due_at, instance_id, n, path, kind, status, number in rows
        ]

    async def start_keys(self, *, after: StartKey | None, limit: int) -> Sequence[HeldKey]:
        """Page all start keys."""
        bindings = {
            "domain_id": "" if after is None else after.domain_id,
            "trigger": "" if after is None else after.trigger,
            "key": "" if after is None else after.key,
            "limit": check_limit(limit),
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["audit_start_keys"], bindings))
        return [HeldKey(StartKey(*row[:5]), row[5]) for row in rows]

    async def permits(self, *, after: PermitRow | None, limit: int) -> Sequence[HeldPermit]:
        """Page all rows at gates."""
        bindings = {
            "domain_id": "" if after is None else after.gate.domain_id,
            "limit_name": "" if after is None else after.gate.limit,
            "key": "" if after is None else after.gate.key,
            "instance_id": "" if after is None else after.instance_id,
            "task_path": "" if after is None else after.task_path,
            "limit": check_limit(limit),
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["audit_permits"], bindings))
        return [HeldPermit(permit_row(Gate(*row[:3]), row[3:10]), row[10]) for row in rows]


def _number_of(instance_id: str) -> int | None:
    return int(instance_id.removeprefix(_NAMELESS)) if instance_id.startswith(_NAMELESS) else None
