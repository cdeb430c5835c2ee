"""Inputs of a shard that is lost: whether anything of them may have landed is told to their callers (R4, R10, R11)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from core.engine.node.pauses import DELAY_S_MIN
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel
from core.errors import OutcomeUnknown, StoreUnavailable
from core.ports.instance_store import BODY_BYTES_MAX
from tests.unit.engine_node.test_committer import request_in
from tests.unit.engine_node.world import ONE, World, settle, simulated


@simulated
@pytest.mark.parametrize("committed_count", [0, 1])
async def test_r10_start_whose_object_is_being_written_is_stored_for_the_next_owner(committed_count: int) -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.operators.held = {"a"}
    plan = world.plan(ONE)
    world.objects.gate = asyncio.Event()
    committed = [asyncio.ensure_future(node.submit(world.request(plan))) for _ in range(committed_count)]
    inputs = {"text": "x" * (2 * BODY_BYTES_MAX)}
    large = asyncio.ensure_future(node.submit(world.request(plan, inputs=inputs)))  # of the same batch
    await world.objects.reached.wait()
    node._ownership.lose([0])
    world.objects.gate.set()

    assert InstanceStatus.QUEUED is (await large).status
    assert [InstanceStatus.RUNNING] * committed_count == [(await one).status for one in committed]
    await world.kill(node)


@simulated
async def test_command_that_an_outage_kept_is_told_of_the_outage_and_of_no_unknown_fate() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    world.store.fates.append("unavailable")
    cancel = asyncio.ensure_future(node.command("d", started.instance_id, Cancel("me")))
    await settle()
    world.store.ingest_faults.append(StoreUnavailable("away"))
    node._ownership.lose([0])

    with pytest.raises(StoreUnavailable):
        await cancel
    await world.kill(node)


@simulated
async def test_r11_command_that_may_have_landed_is_unsure_until_it_is_answered() -> None:
    world = World(shard_count=2)
    world.store.commit_bounds = msgspec.structs.replace(world.store.commit_bounds, items_max=1)
    node = await world.started()
    world.operators.held = {"a"}
    plan = world.plan(ONE)
    started = await node.submit(request_in(world, plan, 0))
    await settle()
    world.store.fates.append("unknown:landed")
    world.store.load_faults.append(StoreUnavailable("away"))
    cancel = asyncio.ensure_future(node.command("d", started.instance_id, Cancel("me")))
    await settle()
    gate = world.store.gate = asyncio.Event()
    others = [asyncio.ensure_future(node.submit(request_in(world, plan, 1))) for _ in range(2)]
    await world.pass_s(2 * DELAY_S_MIN)  # it is loaded, and its command waits for a batch
    assert 2 == node.stats().queued_inputs  # with the look that follows a load
    world.store.ingest_faults.append(StoreUnavailable("away"))
    node._ownership.lose([0])

    with pytest.raises(OutcomeUnknown):
        await cancel
    gate.set()
    await asyncio.gather(*others)
    await world.kill(node)


@simulated
async def test_r11_fate_is_asked_for_in_pauses_while_the_store_is_away() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    world.shards.settle_faults.extend([StoreUnavailable("away")] * 3)
    world.store.fates.append("unknown:lost")
    before = world.clock.monotonic()
    await node.submit(world.request(world.plan(ONE), key="k"))

    assert world.clock.monotonic() - before > (1 + 2 + 4) * DELAY_S_MIN / 2
    await world.kill(node)
