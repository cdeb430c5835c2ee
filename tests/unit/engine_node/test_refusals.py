"""What becomes of items that the store takes out of a batch: at a gate, and for a row that was taken before (M3, S46)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from core.engine.effects import Answer
from core.engine.node import EngineNode, Started, StartRequest
from core.engine.node.inbox import new_command
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel, Pause
from core.errors import ConcurrencyReached
from core.ports.permits import Gate, GateView
from tests.unit.engine_node.world import CHAIN, ONE, World, settle, simulated

LIMITED = f"settings: {{concurrency: {{max: 1, on_limit: %s}}}}\n{ONE}"
STEP = 'steps: [{id: a, operator: "@debug/noop", concurrency: {max: %d, key: crane}}]'
BOTH = f"settings: {{concurrency: {{max: 2, on_limit: reject}}}}\n{STEP % 1}"
DAG_GATE, STEP_GATE = Gate("d", "dag:dag", ""), Gate("d", "key", "crane")
FREE = GateView(0, None)


async def held(world: World, node: EngineNode, text: str) -> tuple[StartRequest, Started]:
    """Start an instance that holds what it is limited by; gives another start of the same DAG, too."""
    plan = world.plan(text)
    world.operators.held = {"a"}
    first = await node.submit(world.request(plan))
    await settle()
    return world.request(plan), first


def refused(world: World) -> list[str]:
    return [heard[1] for heard in world.notes.heard if heard[0] == "refused"]


@simulated
async def test_s46_start_that_a_gate_refuses_is_decided_again_upon_how_it_stands() -> None:
    world = World()
    node = await world.started()
    request, first = await held(world, node, LIMITED % "queue")
    node._gates.views[DAG_GATE] = FREE  # as before another node's instance came
    second = await node.submit(request)
    world.operators.held = set()
    world.operators.end("a")

    assert (InstanceStatus.QUEUED, ["gate"]) == (second.status, refused(world))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, second)
    assert InstanceStatus.SUCCEEDED is await world.finished(node, first)
    await node.stop()


@simulated
async def test_s46_start_above_a_limit_that_rejects_is_told_of_the_limit_and_leaves_nothing() -> None:
    world = World()
    node = await world.started()
    request, _ = await held(world, node, LIMITED % "reject")
    with pytest.raises(ConcurrencyReached) as told:
        await node.submit(request)

    assert {"limit": "dag:dag", "key": "", "most": 1} == told.value.fields
    assert (None, 1, ["gate"]) == (world.row(request.id), node.stats().hot_instances, refused(world))
    await world.kill(node)


@simulated
async def test_s46_of_two_gates_the_one_that_refused_is_told() -> None:
    world = World()
    node = await world.started()
    request, _ = await held(world, node, BOTH)
    world.operators.held = {"a"}
    await node.submit(msgspec.structs.replace(request, id=world.ids.new_id()))
    node._gates.views[STEP_GATE] = FREE
    with pytest.raises(ConcurrencyReached) as told:
        await node.submit(request)

    assert {"limit": "dag:dag", "key": "", "most": 2} == told.value.fields
    await world.kill(node)


@simulated
async def test_s16_start_that_the_gate_of_a_step_refuses_is_not_rejected_for_its_dags() -> None:
    world = World()
    node = await world.started()
    request, _ = await held(world, node, BOTH)
    node._gates.views[STEP_GATE] = FREE
    second = await node.submit(request)

    assert (InstanceStatus.RUNNING, ["gate"]) == (second.status, refused(world))
    assert 1 == len(world.operators.calls)
    await world.kill(node)


@simulated
async def test_s46_command_behind_a_start_that_a_gate_refuses_is_decided_after_it() -> None:
    world = World()
    node = await world.started()
    request, _ = await held(world, node, LIMITED % "queue")
    node._gates.views[DAG_GATE] = FREE
    world.store.gate = asyncio.Event()
    second = asyncio.ensure_future(node.submit(request))
    await settle()
    cancel = asyncio.ensure_future(node.command("d", request.id, Cancel("me")))
    await settle()
    world.store.gate.set()

    assert Answer("accepted", InstanceStatus.CANCELLED) == await cancel
    assert ["gate"] == refused(world)
    assert request.id == (await second).instance_id
    await world.kill(node)


@simulated
async def test_m3_row_that_was_taken_before_takes_no_other_input_with_it_and_leaves_no_mark() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    row = world.row(started.instance_id)
    assert row is not None
    world.store.gate = asyncio.Event()
    blocking = asyncio.ensure_future(node.submit(world.request(world.plan(CHAIN))))
    await settle()
    await world.store.ingest([new_command(row, Cancel("me"), "k", world.clock.now())])
    node.wake()
    await settle()
    pause = asyncio.ensure_future(node.command("d", started.instance_id, Pause("me")))
    await settle()
    assert 1 == len(node._marks.inbox)
    world.rows._tables.group("inbox", row.shard).clear()
    world.store.gate.set()
    await blocking

    assert Answer("accepted", InstanceStatus.PAUSED) == await pause
    assert (["inbox"], set()) == (refused(world), node._marks.inbox)
    await world.kill(node)
