"""What a node keeps of how gates stand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from core.engine.node.gates import GATES_MAX, Gates
from core.ports.permits import Gate, GateView, PermitAct, PermitRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Full:
    """Gates that all hold one permit."""

    async def views(self, gates: Sequence[Gate]) -> list[GateView]:
        return [GateView(1, None)] * len(gates)

    async def line(self, gate: Gate, *, limit: int) -> list[PermitRow]:
        raise AssertionError((gate, limit))

    async def of_instance(self, instance_id: str) -> list[PermitRow]:
        raise AssertionError(instance_id)


def gate(number: int) -> Gate:
    return Gate("d", "key", str(number))


def test_gates_that_were_read_last_are_kept() -> None:
    gates = Gates(Full())
    asyncio.run(gates.read([gate(number) for number in range(GATES_MAX)]))
    asyncio.run(gates.read([gate(0), gate(-1)]))
    assert GATES_MAX == len(gates.views)
    assert (True, False, True) == (gate(0) in gates.views, gate(1) in gates.views, gate(-1) in gates.views)


def test_what_a_decision_does_is_counted_in_until_only_the_store_knows() -> None:
    gates = Gates(Full())
    asyncio.run(gates.read([gate(1)]))
    views = []
    for kind in ("leave", "take", "pass", "wait", "displace", "leave"):
        gates.note([PermitAct(kind, gate(1), "", 1, 3, NOW)])
        views.append(gates.views.get(gate(1)))
    one, waited = GateView(1, None), GateView(1, 3)
    assert [GateView(0, None), one, one, waited, waited, None] == views
    gates.note([PermitAct("take", gate(1), "", 1, 3, NOW)])
    assert {} == gates.views
