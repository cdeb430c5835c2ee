"""Permits in SQLite: what commits do at gates, and how gates are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.ports.permits import (
    KIND_DISPLACED,
    KIND_GRANTED,
    LINE_ROWS_MAX,
    SOURCE,
    Gate,
    GateView,
    PermitRow,
    is_free,
)
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import InstanceChange
    from core.ports.permits import PermitAct
    from driven_adapters.sqlite.database import Database, Reading
    from driven_adapters.sqlite.transaction import Transaction

COUNTED_MAX = 1_000_000  # permits of a gate that a view counts: the greatest `max` (dag-language.md)


class GatePassing:
    """The statements by which a commit passes gates, in the order of its changes' acts."""

    def __init__(self) -> None:
        self._sql = load_statements("engine/permit.sql")
        self._control = load_statements("connection.sql")

    def run(self, tx: Transaction, change: InstanceChange) -> str:
        """Do all acts of a change, or none; gives the limit whose gate refuses it, the empty text when none does."""
        acts = change.outward.permits
        if len(acts) == 1:  # it is refused before it writes anything: there is nothing to take back
            return "" if self._do(tx, change, acts[0]) else acts[0].gate.limit
        tx.write(self._control["savepoint"])
        refusing = next((act.gate.limit for act in acts if not self._do(tx, change, act)), "")
        if refusing:
            tx.write(self._control["rollback_savepoint"])
        tx.write(self._control["release_savepoint"])
        return refusing

    def is_free(self, tx: Transaction, act: PermitAct) -> bool:
        """Say whether a permit can be taken, as of this transaction."""
        [(held, top)] = tx.rows(self._sql["permit_view"], {**_place(act.gate), "most": act.most})
        return is_free(GateView(held, top), act.most, act.priority)

    def _do(self, tx: Transaction, change: InstanceChange, act: PermitAct) -> bool:
        place = _place(act.gate)
        holder = {**place, "instance_id": change.row.id, "task_path": act.task_path}
        if act.kind == "leave":
            tx.write(self._sql["permit_delete"], holder)
            self._hand_on(tx, change, act.gate)
            return True
        if act.kind in ("take", "pass") and self.is_free(tx, act) is (act.kind == "pass"):
            return False
        if act.kind == "pass":
            return True
        tx.write(
            self._sql["permit_insert"],
            {
                **holder, "shard": change.row.shard, "most": act.most, "priority": act.priority,
                "since": to_stamp(act.since), "is_held": act.kind == "take",
            },
        )  # fmt: skip
        if act.kind == "displace":
            self._displace(tx, change, act)
        if act.kind != "take":
            self._hand_on(tx, change, act.gate)
        return True

    def _hand_on(self, tx: Transaction, change: InstanceChange, gate: Gate) -> None:
        """Grant what is free to those who wait, in their order; none of them goes above its own bound."""
        place = _place(gate)
        while first := tx.rows(self._sql["permit_first"], place):
            instance_id, task_path, shard, most = first[0]
            [(held, _)] = tx.rows(self._sql["permit_view"], {**place, "most": most})
            if held >= most:
                return
            tx.write(self._sql["permit_grant"], {**place, "instance_id": instance_id, "task_path": task_path})
            self._tell(tx, change, gate, (instance_id, task_path, shard), KIND_GRANTED)

    def _displace(self, tx: Transaction, change: InstanceChange, act: PermitAct) -> None:
        wanted = {**_place(act.gate), "instance_id": change.row.id, "most": act.most}
        others = tx.rows(self._sql["permit_waiting"], wanted) + tx.rows(self._sql["permit_oldest"], wanted)
        for instance_id, shard in others:
            self._tell(tx, change, act.gate, (instance_id, "", shard), KIND_DISPLACED)

    def _tell(
        self, tx: Transaction, change: InstanceChange, gate: Gate, holder: tuple[str, str, int], kind: str
    ) -> None:
        instance_id, task_path, shard = holder
        told = {
            "shard": shard, "domain_id": gate.domain_id, "source": SOURCE, "task_path": task_path,
            "instance_id": instance_id, "kind": kind, "at": to_stamp(change.row.updated_at),
        }  # fmt: skip
        tx.write(self._sql["permit_tell"], told)


class SqlitePermitStore:
    """`PermitStore` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/permit.sql")

    async def views(self, gates: Sequence[Gate]) -> list[GateView]:
        """Say how gates stand."""

        def read(reading: Reading) -> list[GateView]:
            wanted = [{**_place(gate), "most": COUNTED_MAX} for gate in gates]
            return [GateView(*reading.rows(self._sql["permit_view"], one)[0]) for one in wanted]

        return await self._database.read(read)

    async def line(self, gate: Gate, *, limit: int) -> list[PermitRow]:
        """List who is at a gate."""
        wanted = {**_place(gate), "limit": check_limit(limit)}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["permit_line"], wanted))
        return [permit_row(gate, row) for row in rows]

    async def of_instance(self, instance_id: str) -> list[PermitRow]:
        """List what an instance and its tasks hold or wait for."""
        wanted = {"instance_id": instance_id, "limit": LINE_ROWS_MAX}
        rows = await self._database.read(lambda reading: reading.rows(self._sql["permits_of_instance"], wanted))
        return [permit_row(Gate(*row[:3]), row[3:]) for row in rows]


def permit_row(gate: Gate, values: tuple[Any, ...]) -> PermitRow:
    """Make the row of a holder at this gate of its other values."""
    instance_id, task_path, shard, most, priority, since, is_held = values
    return PermitRow(gate, instance_id, task_path, shard, most, priority, from_stamp(since), bool(is_held))


def _place(gate: Gate) -> dict[str, Any]:
    return {"domain_id": gate.domain_id, "limit_name": gate.limit, "key": gate.key}
