"""Values too long for rows: written before the commit that refers to them, and nothing lost when they cannot be."""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from datetime import timedelta

import msgspec
import pytest

from core.engine.node import EngineNode, Started
from core.engine.node.hot import HotInstance
from core.engine.node.item import Item
from core.engine.node.large_values import LargeValues
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel
from core.errors import CommitUnknown, StoreBroken, StoreFull, StoreTimeout, StoreUnavailable
from core.executor.operator import Succeeded
from core.ports.instance_store import BODY_BYTES_MAX
from tests.unit.engine_node.world import CHAIN, ONE, World, settle, simulated

LARGE = "x" * (2 * BODY_BYTES_MAX)
OUTPUT = Succeeded(msgspec.Raw(msgspec.json.encode(LARGE)))


async def ready_to_answer(world: World, node: EngineNode) -> Started:
    """Start a chain whose first step waits for its outcome; a second attempt of it would answer at once."""
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    world.operators.held = set()
    world.operators.outcomes = {"a": deque([OUTPUT]), "b": deque([Succeeded(msgspec.Raw(b"1"))])}
    return started


async def at_the_commit(world: World, node: EngineNode) -> tuple[Started, asyncio.Event]:
    """Start the chain and hold the commit of its first outcome, whose object is written; the gate lets it go on."""
    started = await ready_to_answer(world, node)
    gate = world.store.gate = asyncio.Event()
    world.store.reached.clear()
    world.operators.end("a", OUTPUT)
    await world.store.reached.wait()
    return started, gate


@simulated
async def test_inputs_over_a_row_lie_in_an_object_and_reach_the_step() -> None:
    world = World()
    node = await world.started()
    started = await node.submit(world.request(world.plan(ONE), inputs={"text": LARGE}))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert [{"x": {"text": LARGE}}] == [call.parameters for call in world.operators.calls]
    held = world.table("payload_object", started.instance_id)
    assert {one.key for one in held.values()} == set(await world.lying())
    assert {} == world.table("object_loose")
    await node.stop()


@pytest.mark.parametrize(
    "fault", [StoreUnavailable("no connection"), StoreFull("no space"), CommitUnknown("lost"), StoreTimeout("late")]
)
@pytest.mark.parametrize("where", ["notes", "objects"])
@simulated
async def test_outcome_whose_value_cannot_be_written_is_kept_and_tried_again(where: str, fault: Exception) -> None:
    if where == "objects" and isinstance(fault, CommitUnknown | StoreTimeout):
        return  # the port has no such words
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    faults = world.objects.faults if where == "objects" else world.object_notes.faults
    faults.extend([fault] * 3)
    world.operators.end("a", OUTPUT)

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "b"] == world.operators.paths()
    assert {"x": LARGE} == world.operators.calls[1].parameters
    assert 3 == world.notes.heard.count(("refused", "object"))
    assert 0 == world.notes.count("quarantined")
    # Notes of tries that wrote nothing wait for the sweep.
    assert (3 if where == "objects" else 0) == len(world.table("object_loose"))
    assert not {key for _, key in world.table("object_loose")} & set(await world.lying())
    await node.stop()


@pytest.mark.parametrize("where", ["notes", "objects"])
@simulated
async def test_start_whose_inputs_cannot_be_written_is_refused_and_nothing_happened(where: str) -> None:
    world = World()
    node = await world.started()
    fault = CommitUnknown("lost") if where == "notes" else StoreUnavailable("no connection")
    (world.objects.faults if where == "objects" else world.object_notes.faults).append(fault)
    request = world.request(world.plan(ONE), inputs={"text": LARGE}, key="k")
    with pytest.raises(StoreUnavailable):
        await node.submit(request)
    assert ({}, 0) == (world.table("instance"), node.stats().hot_instances)
    again = await node.submit(request)

    assert not again.is_repeat
    assert InstanceStatus.SUCCEEDED is await world.finished(node, again)
    await node.stop()


@simulated
async def test_broken_store_ends_the_process() -> None:
    world = World()
    node = await world.started()
    await ready_to_answer(world, node)
    world.object_notes.faults.append(StoreBroken("the sync failed"))
    world.operators.end("a", OUTPUT)
    await settle()

    assert ["StoreBroken"] == [type(fault).__name__ for fault in world.fatal]
    await world.kill(node)


@simulated
async def test_commands_that_come_while_an_object_is_written_come_after_its_outcome() -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    world.objects.gate = asyncio.Event()
    world.operators.held = {"b"}
    world.operators.end("a", OUTPUT)
    await world.objects.reached.wait()
    cancelled = asyncio.ensure_future(node.command("d", started.instance_id, Cancel("enough")))
    await settle()
    assert not cancelled.done()
    world.objects.gate.set()

    assert "accepted" == (await cancelled).result
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    assert [2] == [held.seq for held in world.table("payload_object", started.instance_id).values()]
    await node.stop()


@simulated
async def test_command_behind_an_outcome_that_is_put_off_stays_behind_it() -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    world.objects.gate = asyncio.Event()
    world.objects.faults.append(StoreUnavailable("no connection"))
    world.operators.held = {"b"}
    world.operators.end("a", OUTPUT)
    await world.objects.reached.wait()
    cancelled = asyncio.ensure_future(node.command("d", started.instance_id, Cancel("enough")))
    await settle()
    world.objects.gate.set()

    assert "accepted" == (await cancelled).result
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    assert 1 == len(world.table("payload_object", started.instance_id))
    await node.stop()


@simulated
async def test_small_instances_of_the_batch_commit_before_the_object_is_written() -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    world.store.gate, world.objects.gate = asyncio.Event(), asyncio.Event()
    world.store.reached.clear()
    first = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await world.store.reached.wait()
    # Both gather while the first one's commit is in flight.
    world.operators.end("a", OUTPUT)
    second = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await settle()
    world.store.gate.set()
    await world.objects.reached.wait()

    assert (True, True) == (first.done(), second.done())
    world.objects.gate.set()
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_commit_refused_since_its_note_is_gone_is_decided_again_with_a_new_object() -> None:
    world = World()
    node = await world.started()
    started, gate = await at_the_commit(world, node)
    loose = await world.object_notes.loose(world.clock.now() + timedelta(hours=3), 10)
    condemned = await world.object_notes.condemn(loose)
    await world.objects.delete("d", condemned[0].key)
    await world.object_notes.forget(condemned)
    gate.set()

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 1 == world.notes.heard.count(("refused", "object"))
    [held] = world.table("payload_object", started.instance_id).values()
    assert [held.key] == list(await world.lying())
    assert held.key != condemned[0].key
    assert {"x": LARGE} == world.operators.calls[1].parameters
    await node.stop()


@pytest.mark.parametrize("fate", ["unknown", "unknown:lost", "unavailable", "full", "fenced"])
@simulated
async def test_whatever_becomes_of_the_commit_the_value_is_there_and_the_rest_is_noted(fate: str) -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    world.store.fates.append(fate)
    world.operators.end("a", OUTPUT)

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    [held] = world.table("payload_object", started.instance_id).values()
    others = set(await world.lying()) - {held.key}
    assert others == {key for _, key in world.table("object_loose")}
    assert (1 if fate in {"unknown:lost", "fenced"} else 0) == len(others)
    await node.stop()


@pytest.mark.parametrize("faults", [[], [StoreUnavailable("no connection")]], ids=["written", "not written"])
@simulated
async def test_shard_lost_while_an_object_is_written_leaves_it_to_the_next_owner(faults: list[Exception]) -> None:
    world = World()
    world.objects.faults.extend(faults)
    node = await world.started()
    started = await ready_to_answer(world, node)
    world.objects.gate = asyncio.Event()
    world.operators.end("a", OUTPUT)
    await world.objects.reached.wait()
    node._ownership.lose([node._ownership.shard(started.instance_id)])
    world.objects.gate.set()

    # The attempt of the old epoch is lost, and made anew.
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "a", "b"] == world.operators.paths()
    await node.stop()


@simulated
async def test_node_that_is_killed_before_the_commit_leaves_an_object_that_is_noted() -> None:
    world = World()
    node = await world.started()
    started, _ = await at_the_commit(world, node)
    await world.kill(node)
    world.store.gate = None
    await world.pass_s(4.0)
    successor = await world.started()

    assert InstanceStatus.SUCCEEDED is await world.finished(successor, started)
    [held] = world.table("payload_object", started.instance_id).values()
    assert {key for _, key in world.table("object_loose")} == set(await world.lying()) - {held.key}
    assert 2 == len(await world.lying())
    await successor.stop()


@simulated
async def test_object_store_that_does_not_answer_a_read_is_asked_again() -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    world.objects.get_faults.extend([StoreUnavailable("no connection")] * 2)
    world.operators.held = {"b"}
    world.operators.end("a", OUTPUT)
    await settle()
    await node.stop()
    world.operators.held = set()
    successor = await world.started()

    assert InstanceStatus.SUCCEEDED is await world.finished(successor, started)
    assert {"x": LARGE} == world.operators.calls[-1].parameters
    assert 0 == len(world.objects.get_faults)
    await successor.stop()


@simulated
async def test_read_that_is_stopped_before_its_first_step_leaves_nothing_behind() -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    hot = node._table.get(started.instance_id)
    assert hot is not None
    resumed: list[object] = []

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        node._loader.fetch(hot, [], resumed.append)
        await asyncio.gather(*node._loader.stop(), return_exceptions=True)

    assert [] == [str(one.message) for one in told]
    assert [] == resumed
    await world.kill(node)


@simulated
async def test_instance_whose_object_is_gone_is_quarantined_and_others_run_on() -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)
    world.operators.held = {"b"}
    world.operators.end("a", OUTPUT)
    await settle()
    await node.stop()
    for key in await world.lying():
        await world.objects.delete("d", key)
    successor = await world.started()
    other = await successor.submit(world.request(world.plan(ONE)))

    assert InstanceStatus.SUCCEEDED is await world.finished(successor, other)
    await settle()
    assert ("quarantined", started.instance_id, "PayloadMissing") in world.notes.heard
    await successor.stop()


@simulated
async def test_item_that_was_dropped_before_its_turn_is_not_written() -> None:
    world = World()
    values = LargeValues(
        notes=world.object_notes, objects=world.objects, ids=world.ids, clock=world.clock, dice=world.dice
    )
    item = Item(HotInstance("1", "d", 0), 1)
    item.hot.is_dropped = True

    assert [] == await values.write([item])
    assert {} == await world.lying()


@simulated
async def test_change_with_values_that_lie_nowhere_is_never_committed() -> None:
    world = World()
    node = await world.started()
    started = await ready_to_answer(world, node)

    async def write_nothing(_items: object) -> list[object]:
        return []

    node._committer._large.write = write_nothing  # type: ignore[assignment,method-assign] # the bug that is guarded against
    world.operators.end("a", OUTPUT)
    await settle()

    assert ["AssertionError"] == [type(fault).__name__ for fault in world.fatal]
    assert {} == world.table("payload_object", started.instance_id)
    await world.kill(node)
