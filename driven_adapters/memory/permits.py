"""Permits in memory: what commits do at gates, and how gates are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.ports.instance_store import InboxRow
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.ports.instance_store import InstanceChange
    from core.ports.permits import PermitAct
    from driven_adapters.memory.store import MemoryStore
    from driven_adapters.memory.tables import Draft, Tables

Holder = tuple[str, str]  # instance and task path


class GatePassing:
    """What one change does at gates: worked out on copies of their rows, then written as a whole."""

    def __init__(self, draft: Draft, change: InstanceChange) -> None:
        self._draft = draft
        self._change = change
        self._gates: dict[Gate, dict[Holder, PermitRow]] = {}
        self._told: list[tuple[PermitRow, str]] = []

    def refusing(self) -> str:
        """Do all acts; gives the limit whose gate refuses the change, the empty text when none does."""
        return next((act.gate.limit for act in self._change.outward.permits if not self._do(act)), "")

    def write(self) -> None:
        """Write what came of it."""
        for gate, rows in self._gates.items():
            before = self._draft.rows("permit", gate)
            for holder in before:
                if holder not in rows:
                    self._draft.delete("permit", holder, group=gate)
            for holder, row in rows.items():
                if before.get(holder) != row:
                    self._draft.put("permit", holder, row, group=gate)
        for row, kind in self._told:
            self._tell(row, kind)

    def _do(self, act: PermitAct) -> bool:
        gate, change = act.gate, self._change
        rows = self._gates.get(gate)
        if rows is None:
            rows = self._gates[gate] = dict(self._draft.rows("permit", gate))
        if act.kind == "leave":
            rows.pop((change.row.id, act.task_path), None)
            self._hand_on(rows)
            return True
        if act.kind in ("take", "pass"):
            if _is_free(rows, act) is (act.kind == "pass"):
                return False
            if act.kind == "pass":
                return True
        row = PermitRow(
            gate, change.row.id, act.task_path, change.row.shard, act.most, act.priority, act.since, act.kind == "take"
        )
        rows[change.row.id, act.task_path] = row
        if act.kind == "displace":
            self._displace(rows, row)
        if act.kind != "take":
            self._hand_on(rows)
        return True

    def _hand_on(self, rows: dict[Holder, PermitRow]) -> None:
        """Grant what is free to those who wait, in their order; none of them goes above its own bound."""
        while waiting := [row for row in rows.values() if not row.is_held]:
            first = min(waiting, key=_order)
            if len(rows) - len(waiting) >= first.most:
                return
            rows[first.instance_id, first.task_path] = msgspec.structs.replace(first, is_held=True)
            self._told.append((first, KIND_GRANTED))

    def _displace(self, rows: dict[Holder, PermitRow], newest: PermitRow) -> None:
        others = [row for row in rows.values() if row is not newest]
        held = sorted((row for row in others if row.is_held), key=lambda row: (row.since, row.instance_id))
        told = [row for row in others if not row.is_held] + held[: max(0, len(held) - newest.most + 1)]
        self._told += [(row, KIND_DISPLACED) for row in told]

    def _tell(self, row: PermitRow, kind: str) -> None:
        draft, n = self._draft, (self._draft.get("meta", "inbox_n") or 0) + 1
        draft.put("meta", "inbox_n", n)
        told = InboxRow(
            row.shard, n, row.gate.domain_id, SOURCE, row.task_path, row.instance_id, kind, b"",
            self._change.row.updated_at,
        )  # fmt: skip
        draft.put("inbox", n, told, group=row.shard)


class MemoryPermitStore:
    """`PermitStore` over a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def views(self, gates: Sequence[Gate]) -> list[GateView]:
        """Say how gates stand."""

        def look(tables: Tables) -> list[GateView]:
            return [_view(tables.group("permit", gate).values()) for gate in gates]

        return await self._store.read("gates", look)

    async def line(self, gate: Gate, *, limit: int) -> list[PermitRow]:
        """List who is at a gate."""
        check_limit(limit)

        def look(tables: Tables) -> list[PermitRow]:
            rows = tables.group("permit", gate).values()
            return sorted(rows, key=lambda row: (not row.is_held, *_order(row)))[:limit]

        return await self._store.read("gates", look)

    async def of_instance(self, instance_id: str) -> list[PermitRow]:
        """List what an instance and its tasks hold or wait for."""
        return await self._store.read("gates", lambda tables: list(rows_of_instance(tables, instance_id)))


def has_free(draft: Draft, act: PermitAct) -> bool:
    """Say whether a permit can be taken, as of this transaction."""
    return _is_free(draft.rows("permit", act.gate), act)


def rows_of_instance(tables: Tables, instance_id: str) -> tuple[PermitRow, ...]:
    """Give the rows of an instance and its tasks, by task path."""
    found = [row for rows in tables.groups("permit") for row in rows.values() if row.instance_id == instance_id]
    return tuple(sorted(found, key=lambda row: row.task_path)[:LINE_ROWS_MAX])


def _is_free(rows: Mapping[Holder, PermitRow], act: PermitAct) -> bool:
    return is_free(_view(rows.values()), act.most, act.priority)


def _view(rows: Iterable[PermitRow]) -> GateView:
    held, top = 0, None
    for row in rows:
        if row.is_held:
            held += 1
        else:
            top = row.priority if top is None else max(top, row.priority)
    return GateView(held, top)


def _order(row: PermitRow) -> tuple[object, ...]:
    return -row.priority, row.since, row.instance_id, row.task_path
