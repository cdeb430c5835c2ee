"""Signals on their way through a node: each key is taken in once, whatever becomes of its commits (semantics.md S26)."""

from __future__ import annotations

import asyncio

import pytest

from core.engine.effects import Answer
from core.engine.events import InstanceEnded
from core.engine.journal import decode_events
from core.engine.node import EngineNode
from core.engine.node.inbox import new_command, stimulus_of
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel, Command, Signal
from core.errors import IdempotencyKeyReused, InstanceNotFound
from tests.unit.engine_node.world import World, settle, simulated, status_of

TWICE = """
steps:
  - {id: first, operator: "@control/wait", parameters: {event: {name: paid}}}
  - {id: second, operator: "@control/wait", parameters: {event: {name: paid}}}
outputs: ["{{ steps.first.output.data }}", "{{ steps.second.output.data }}"]
"""
SIGNAL_1 = Signal(name="paid", id="k1", data=b"1", key="p:paid:k1", req_hash="one")
SIGNAL_2 = Signal(name="paid", id="k2", data=b"2", key="p:paid:k2", req_hash="two")
SHIPPED = Signal(name="shipped", id="k0", data=b"0", key="p:shipped:k0", req_hash="zero")
OTHER_1 = Signal(name="paid", id="k1", data=b"3", key="p:paid:k1", req_hash="other")


async def waiting(world: World, node: EngineNode) -> str:
    """Start an instance that waits for two signals."""
    started = await node.submit(world.request(world.plan(TWICE)))
    await settle()
    return started.instance_id


async def asked_in_order(node: EngineNode, instance_id: str, stimulus: Command) -> asyncio.Future[Answer]:
    """Ask, and come back when the node has it."""
    asked = asyncio.ensure_future(node.command("d", instance_id, stimulus))
    await settle()
    return asked


async def outputs(world: World, node: EngineNode, instance_id: str) -> object:
    """Wait for the end, and read the outputs off the journal."""
    assert InstanceStatus.SUCCEEDED is status_of(await node.wait_ended("d", instance_id, 5))
    loaded = await world.store.load(instance_id, paths=())
    assert loaded is not None
    told = [event for row in loaded.journal for event in decode_events(row.version, row.body)]
    [ended] = [event for event in told if isinstance(event, InstanceEnded)]
    return ended.outputs


@simulated
async def test_s26_repeat_of_a_key_is_taken_once_and_answered_like_the_first() -> None:
    world = World()
    node = await world.started()
    instance_id = await waiting(world, node)
    first = await node.command("d", instance_id, SIGNAL_1)
    again = await node.command("d", instance_id, SIGNAL_1)
    with pytest.raises(IdempotencyKeyReused):
        await node.command("d", instance_id, OTHER_1)
    row = world.row(instance_id)
    assert row is not None
    assert (Answer("accepted", InstanceStatus.WAITING), first, "waiting") == (again, again, row.status)
    await node.command("d", instance_id, SIGNAL_2)
    assert b"[1,2]" == await outputs(world, node, instance_id)
    assert "ended" == (await node.command("d", instance_id, SIGNAL_1)).result
    await node.stop()


@simulated
async def test_s26_repeats_at_the_same_time_wait_for_one_commit() -> None:
    world = World()
    node = await world.started()
    instance_id = await waiting(world, node)
    world.store.gate = asyncio.Event()
    asked = [await asked_in_order(node, instance_id, one) for one in (SIGNAL_1, SIGNAL_1, OTHER_1)]
    assert not any(one.done() for one in asked)
    world.store.gate.set()
    first, again, other = await asyncio.gather(*asked, return_exceptions=True)
    assert first == again
    assert isinstance(other, IdempotencyKeyReused)
    await node.command("d", instance_id, SIGNAL_2)
    assert b"[1,2]" == await outputs(world, node, instance_id)
    await node.stop()


@pytest.mark.parametrize("fate", ["unknown:landed", "unknown:lost", "unknown:late", "unavailable", "refuse:invalid"])
@simulated
async def test_s26_signal_of_unknown_fate_is_taken_once(fate: str) -> None:
    world = World()
    node = await world.started()
    instance_id = await waiting(world, node)
    world.store.fates.append(fate)
    assert "accepted" == (await node.command("d", instance_id, SIGNAL_1)).result
    await node.command("d", instance_id, SIGNAL_2)
    assert b"[1,2]" == await outputs(world, node, instance_id)
    await node.stop()


@simulated
async def test_s26_other_inputs_of_an_item_with_a_known_key_are_decided_again() -> None:
    world = World()
    node = await world.started()
    instance_id = await waiting(world, node)
    await node.command("d", instance_id, SIGNAL_1)
    world.store.gate = asyncio.Event()
    both = [await asked_in_order(node, instance_id, one) for one in (SHIPPED, SIGNAL_1, SIGNAL_2)][1:]
    world.store.gate.set()
    assert ["accepted", "accepted"] == [answer.result for answer in await asyncio.gather(*both)]
    assert b"[1,2]" == await outputs(world, node, instance_id)
    await node.stop()


@simulated
async def test_s26_node_without_the_shard_stores_a_signal_once_for_its_owner() -> None:
    world = World()
    owner = await world.started()
    other = await world.started()
    instance_id = await waiting(world, owner)
    for _ in range(2):
        assert "accepted" == (await other.command("d", instance_id, SIGNAL_1)).result
    with pytest.raises(IdempotencyKeyReused):
        await other.command("d", instance_id, OTHER_1)
    with pytest.raises(InstanceNotFound):
        await other.command("else", instance_id, SIGNAL_1)
    await world.pass_s(1)
    assert "accepted" == (await owner.command("d", instance_id, SIGNAL_1)).result
    await owner.command("d", instance_id, SIGNAL_2)
    assert b"[1,2]" == await outputs(world, owner, instance_id)
    await other.stop()
    await owner.stop()


@simulated
async def test_s26_stored_signal_is_read_as_it_was_given_and_no_bound_refuses_it() -> None:
    world = World()
    node = await world.started()
    row = world.row(await waiting(world, node))
    assert row is not None
    await world.store.ingest([new_command(row, SIGNAL_1, "unused", world.clock.now())])
    [stored] = await world.store.pull_inbox([row.shard], limit=10)
    read = stimulus_of(stored)
    assert isinstance(read, Signal)
    assert (b"1", True, SIGNAL_1.key) == (read.data, read.is_stored, stored.key)
    await node.stop()


@simulated
async def test_s26_repeat_that_meets_the_end_of_its_instance_is_told_of_it() -> None:
    world = World()
    node = await world.started()
    instance_id = await waiting(world, node)
    await node.command("d", instance_id, Cancel("enough"))
    assert "ended" == (await node.command("d", instance_id, SIGNAL_1)).result
    await node.stop()
