"""Permits: taken, waited for, handed on and given up by commits, each looked at behind its gate (engine.md 6)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.ports.instance_store import InboxRow, InstanceChange, Refusal
from core.ports.permits import Gate, GateView, PermitAct, PermitRow, PermitStore
from core.ports.shard_store import Fence
from tests.contract.rows import NOON, SHARD, change, later, new_start, start_key
from tests.contract.stores import Stores, own

GATE = Gate("dom-a", "dag:dag-1", "eu")
FREE = GateView(0, None)


def act(
    kind: Any, task_path: str = "", *, most: int = 1, priority: int = 3, since: float = 0, gate: Gate = GATE
) -> PermitAct:
    return PermitAct(kind, gate, task_path, most, priority, later(since))


def first(instance_id: str, *acts: PermitAct, **more: Any) -> InstanceChange:
    return change(instance_id, None, permits=acts, **more)


def next_(instance_id: str, *acts: PermitAct, seq: int = 1, **more: Any) -> InstanceChange:
    return change(instance_id, seq, permits=acts, **more)


class Gates:
    """A store with one owned shard, and how its gates stand."""

    def __init__(self, stores: Stores, fences: list[Fence]) -> None:
        self.stores = stores
        self._fences = fences

    @property
    def permits(self) -> PermitStore:
        return self.stores.permits

    async def commit(self, *changes: InstanceChange) -> list[str | None]:
        """Commit; gives the reason and detail of each refusal."""
        answers = await self.stores.instances.commit(self._fences, changes)
        return [None if one is None else told(one) for one in answers]

    async def line(self, gate: Gate = GATE) -> list[str]:
        """Give who is at a gate in order, holders with a star."""
        rows = await self.permits.line(gate, limit=100)
        return [f"{row.instance_id}{row.task_path}{'*' if row.is_held else ''}" for row in rows]

    async def told(self) -> list[tuple[str, str, str]]:
        rows = await self.stores.instances.pull_inbox([SHARD], limit=100)
        assert all((b"", "gate", "dom-a") == (row.body, row.source, row.domain_id) for row in rows)
        return [(row.instance_id, row.kind, row.key) for row in rows]

    async def inbox(self) -> list[InboxRow]:
        return await self.stores.instances.pull_inbox([SHARD], limit=100)


def told(refusal: Refusal) -> str:
    return f"{refusal.reason} {refusal.detail}"


async def opened(stores: Stores) -> Gates:
    return Gates(stores, await own(stores, SHARD))


async def test_gate_that_nobody_is_at_is_free(stores: Stores) -> None:
    gates = await opened(stores)
    assert [FREE, FREE] == await gates.permits.views([GATE, GATE])
    assert [] == await gates.permits.views([])
    assert [] == await gates.line()
    assert [] == await gates.permits.of_instance("i1")


async def test_permit_is_taken_while_one_is_free_and_refused_then(stores: Stores) -> None:
    gates = await opened(stores)
    two = act("take", most=2)
    assert [None, None, "gate dag:dag-1"] == await gates.commit(first("i1", two), first("i2", two), first("i3", two))
    assert ["i1*", "i2*"] == await gates.line()
    assert [GateView(2, None)] == await gates.permits.views([GATE])
    assert ["gate dag:dag-1"] == await gates.commit(first("i3", two))
    assert None is await gates.stores.instances.load("i3")
    assert [] == await gates.told()


async def test_refused_change_writes_nothing_and_its_start_key_is_free_again(stores: Stores) -> None:
    gates = await opened(stores)
    await gates.commit(first("i1", act("take")))
    other = act("take", "a", gate=Gate("dom-a", "key", "k"))
    refused = first("i2", other, act("take"), start_key=start_key("i2", "k"))
    assert ["gate dag:dag-1"] == await gates.commit(refused)
    assert [] == await gates.line(other.gate)
    assert [None] == await gates.commit(first("i3", start_key=start_key("i3", "k")))


async def test_known_start_key_comes_before_the_gate(stores: Stores) -> None:
    gates = await opened(stores)
    await gates.commit(first("i1", act("take"), start_key=start_key("i1", "k")))
    assert ["duplicate "] == await gates.commit(first("i2", act("take"), start_key=start_key("i2", "k")))


async def test_refused_change_of_another_reason_does_nothing_at_its_gate(stores: Stores) -> None:
    gates = await opened(stores)
    [answer] = await gates.commit(next_("i1", act("take"), seq=4))
    assert "seq stored None, expected 4" == answer
    assert [] == await gates.line()


async def test_those_who_wait_are_granted_what_is_given_up_by_priority_then_age(stores: Stores) -> None:
    gates = await opened(stores)
    waiting = [
        first("i2", act("wait", since=2)), first("i3", act("wait", since=1)), first("i4", act("wait", priority=5, since=9))
    ]  # fmt: skip
    assert [None] * 4 == await gates.commit(first("i1", act("take")), *waiting)
    assert ["i1*", "i4", "i3", "i2"] == await gates.line()
    assert [GateView(1, 5)] == await gates.permits.views([GATE])
    for instance_id, line in (("i1", ["i4*", "i3", "i2"]), ("i4", ["i3*", "i2"]), ("i3", ["i2*"]), ("i2", [])):
        assert [None] == await gates.commit(next_(instance_id, act("leave")))
        assert line == await gates.line()
    assert [("i4", "granted", ""), ("i3", "granted", ""), ("i2", "granted", "")] == await gates.told()


async def test_grant_goes_to_the_shard_of_the_holder_wherever_that_is(stores: Stores) -> None:
    gates = Gates(stores, await own(stores, SHARD, SHARD + 1))
    elsewhere = {"row": {"shard": SHARD + 1}}
    await gates.commit(first("i1", act("take")), first("i2", act("wait", "fan.3.work"), **elsewhere))
    await gates.commit(next_("i1", act("leave")))
    assert [] == await gates.told()
    [row] = await stores.instances.pull_inbox([SHARD + 1], limit=10)
    assert ("i2", "granted", "fan.3.work", b"") == (row.instance_id, row.kind, row.key, row.body)


async def test_wait_beside_a_free_permit_is_granted_it_at_once(stores: Stores) -> None:
    gates = await opened(stores)
    assert [None] == await gates.commit(first("i1", act("wait")))
    assert ["i1*"] == await gates.line()
    assert [("i1", "granted", "")] == await gates.told()


async def test_withdrawal_takes_the_place_in_line_or_the_permit_whichever_is_there(stores: Stores) -> None:
    gates = await opened(stores)
    await gates.commit(first("i1", act("take")), first("i2", act("wait", since=1)), first("i3", act("wait", since=2)))
    await gates.commit(next_("i2", act("leave")))
    assert ["i1*", "i3"] == await gates.line()
    await gates.commit(next_("i1", act("leave")))
    assert ["i3*"] == await gates.line()  # granted, and it does not know yet
    await gates.commit(next_("i3", act("leave")))
    assert [] == await gates.line()
    assert [None] == await gates.commit(next_("i3", act("leave"), seq=2))  # there is nothing left: no error


async def test_release_grants_nothing_above_the_bound_of_who_waits_first(stores: Stores) -> None:
    gates = await opened(stores)
    three = act("take", most=3)
    narrow, wide = act("wait", most=1, since=1), act("wait", most=3, since=2)
    await gates.commit(*(first(f"i{number}", three) for number in (1, 2, 3)), first("i4", narrow), first("i5", wide))
    await gates.commit(next_("i1", act("leave")))
    assert ["i2*", "i3*", "i4", "i5"] == await gates.line()
    assert ["gate dag:dag-1"] == await gates.commit(first("i6", three))  # who waits goes first
    assert [None] == await gates.commit(first("i6", act("take", most=3, priority=4)))
    await gates.commit(next_("i4", act("leave")))  # and who waits no more holds nobody up
    assert ["i2*", "i3*", "i6*", "i5"] == [*sorted((await gates.line())[:3]), "i5"]
    await gates.commit(next_("i2", act("leave")), next_("i3", act("leave")))
    assert ["i5*", "i6*"] == sorted(await gates.line())


async def test_pass_needs_a_gate_without_a_free_permit_and_writes_nothing(stores: Stores) -> None:
    gates = await opened(stores)
    assert ["gate dag:dag-1"] == await gates.commit(first("i1", act("pass")))
    assert [None, None] == await gates.commit(first("i1", act("take")), first("i2", act("pass")))
    assert ["i1*"] == await gates.line()


async def test_displacing_tells_who_waits_and_the_oldest_that_hold_to_end(stores: Stores) -> None:
    gates = await opened(stores)
    two = [first(f"i{number}", act("take", most=2, since=number)) for number in (1, 2)]
    await gates.commit(*two, first("i3", act("wait", most=2, since=3)))
    await gates.commit(first("i4", act("displace", most=2, since=4)))
    assert [("i3", "displaced", ""), ("i1", "displaced", "")] == await gates.told()
    assert ["i1*", "i2*", "i3", "i4"] == await gates.line()
    await gates.commit(next_("i3", act("leave")), next_("i1", act("leave")))
    assert ["i2*", "i4*"] == await gates.line()


async def test_acts_of_one_change_are_done_in_their_order(stores: Stores) -> None:
    gates = await opened(stores)
    step = Gate("dom-a", "key", "crane")
    taken, left, again = act("take", "a", gate=step), act("leave", "a", gate=step), act("take", "b", gate=step)
    assert [None] == await gates.commit(first("i1", taken, left, again))
    assert ["i1b*"] == await gates.line(step)
    await gates.commit(first("i2", act("wait", "b", gate=step)))
    handed_on = next_("i1", act("leave", "b", gate=step), act("take", "c", gate=step))
    assert ["gate key"] == await gates.commit(handed_on)  # the permit went to who waited
    assert ["i1b*", "i2b"] == await gates.line(step)


async def test_gates_of_other_domains_limits_and_keys_are_others(stores: Stores) -> None:
    gates = await opened(stores)
    others = [msgspec.structs.replace(GATE, **{name: "other"}) for name in ("domain_id", "limit", "key")]
    changes = [
        first(f"i{number}", act("take", gate=gate), row={"domain_id": gate.domain_id})
        for number, gate in enumerate((GATE, *others))
    ]
    assert [None] * 4 == await gates.commit(*changes)
    assert [GateView(1, None)] * 4 == await gates.permits.views([GATE, *others])


async def test_rows_say_who_holds_what_and_since_when(stores: Stores) -> None:
    gates = await opened(stores)
    task = act("wait", "fan.0.work", most=4, priority=5, since=7, gate=Gate("dom-a", "key", "k"))
    await gates.commit(first("i1", act("take", since=1), task), first("i2", act("wait", since=2)))
    rows = [
        PermitRow(GATE, "i1", "", SHARD, 1, 3, later(1), is_held=True),
        PermitRow(task.gate, "i1", "fan.0.work", SHARD, 4, 5, later(7), is_held=True),
    ]
    assert rows == await gates.permits.of_instance("i1")
    assert [rows[0]] == await gates.permits.line(GATE, limit=1)
    with pytest.raises(ValueError, match="limit"):
        await gates.permits.line(GATE, limit=0)


async def test_permits_outlive_the_process(stores: Stores) -> None:
    gates = await opened(stores)
    await gates.commit(first("i1", act("take")), first("i2", act("wait", since=1)))
    await gates.stores.close()
    await gates.stores.open()
    assert ["i1*", "i2"] == await gates.line()
    assert NOON.tzinfo == (await gates.permits.line(GATE, limit=1))[0].since.tzinfo


@pytest.mark.parametrize("view", ["held", "waited for"])
async def test_start_that_seeks_a_permit_is_stored_only_where_one_is_free(stores: Stores, view: str) -> None:
    fences = await own(stores, SHARD)
    gates = Gates(stores, fences)
    seeks = act("take", most=1 if view == "held" else 2)
    assert [None] == await gates.commit(first("i1", act("take")))
    if view == "waited for":  # by one whose own bound is lower
        assert [None] == await gates.commit(first("i2", act("wait")))
    items = [
        msgspec.structs.replace(new_start(name, key), seeks=seeks)
        for name, key in (("i3", start_key("i3")), ("i4", None))
    ]
    assert ["full", "full"] == [one.status for one in await stores.instances.ingest(items)]
    assert [None, None] == [await stores.instances.load(name) for name in ("i3", "i4")]
    assert [] == await gates.inbox()

    assert [None] == await gates.commit(next_("i1", act("leave"), row={"status": "cancelled"}))
    if view == "waited for":
        assert [None] == await gates.commit(next_("i2", act("leave"), row={"status": "cancelled"}))
    line = await gates.line()
    assert ["accepted", "accepted"] == [one.status for one in await stores.instances.ingest(items)]
    assert line == await gates.line() == []  # nothing is taken: the owner does that


async def test_repeat_of_a_start_that_seeks_a_permit_is_a_duplicate_wherever_that_is(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    gates = Gates(stores, fences)
    items = [
        msgspec.structs.replace(new_start(name, key), seeks=act("take"))
        for name, key in (("i1", start_key("i1", req_hash="r")), ("i2", None))
    ]
    await stores.instances.ingest(items)
    assert [None] == await gates.commit(first("i3", act("take")))
    again = [*items, msgspec.structs.replace(new_start("i4", start_key("i4")), seeks=act("take"))]
    answers = await stores.instances.ingest(again)
    assert [("duplicate", "i1", "r"), ("duplicate", "i2", ""), ("duplicate", "i1", "r")] == [
        (one.status, one.instance_id, one.req_hash) for one in answers
    ]
