"""Callbacks on their way through a node: a token alone finds its instance, also on a node that does not own it (S27)."""

from __future__ import annotations

import pytest

from core.engine.callback_token import read_token, token_of
from core.engine.fold import header_of_rows
from core.engine.node import EngineNode
from core.engine.node.inbox import new_command, stimulus_of
from core.engine.state import InstanceStatus
from core.engine.stimuli import Callback, Cancel
from core.errors import InstanceNotFound
from tests.unit.engine_node.world import World, settle, simulated, status_of

ASKS = """
steps:
  - {id: ask, operator: "@debug/noop", parameters: {url: "{{ callbacks.w }}"}}
  - {id: w, operator: "@control/wait", parameters: {callback: {}}}
"""


async def asked(world: World, node: EngineNode) -> tuple[str, Callback]:
    """Start an instance that waits for its callback; gives its id and the call that ends it."""
    started = await node.submit(world.request(world.plan(ASKS)))
    await settle()
    loaded = await world.store.load(started.instance_id, paths=("",))
    assert loaded is not None
    header = header_of_rows(loaded)
    assert header is not None
    token = read_token(token_of(started.instance_id, header.callback_secret, "w"))
    assert token is not None
    url = f"https://flow.test/callbacks/{token_of(started.instance_id, header.callback_secret, 'w')}"
    assert {"url": url} == world.operators.calls[-1].parameters
    return started.instance_id, Callback(path=token.path, proof=token.proof, data=b"7")


@simulated
async def test_s27_call_without_a_business_domain_ends_the_wait() -> None:
    world = World()
    node = await world.started()
    instance_id, call = await asked(world, node)
    assert "no_task" == (await node.command(None, instance_id, Callback(path="w", proof=b"", data=b"1"))).result
    assert "accepted" == (await node.command(None, instance_id, call)).result
    assert InstanceStatus.SUCCEEDED is status_of(await node.wait_ended("d", instance_id, 5))
    assert "ended" == (await node.command(None, instance_id, call)).result
    with pytest.raises(InstanceNotFound):
        await node.command(None, world.ids.new_id(), call)
    await node.stop()


@simulated
async def test_s27_token_outlives_its_node() -> None:
    world = World()
    node = await world.started()
    instance_id, call = await asked(world, node)
    await node.stop()
    successor = await world.started()
    assert "accepted" == (await successor.command(None, instance_id, call)).result
    assert InstanceStatus.SUCCEEDED is status_of(await successor.wait_ended("d", instance_id, 5))
    await successor.stop()


@simulated
async def test_s27_node_without_the_shard_stores_only_calls_that_are_proven() -> None:
    world = World()
    owner = await world.started()
    other = await world.started()
    instance_id, call = await asked(world, owner)
    forged = Callback(path="w", proof=b"\0" * 24, data=b"1")
    assert "no_task" == (await other.command(None, instance_id, forged)).result
    row = world.row(instance_id)
    assert row is not None
    assert {} == world.table("inbox", row.shard)
    assert "accepted" == (await other.command(None, instance_id, call)).result
    assert InstanceStatus.SUCCEEDED is status_of(await owner.wait_ended("d", instance_id, 5))
    assert "ended" == (await other.command(None, instance_id, call)).result
    with pytest.raises(InstanceNotFound):
        await other.command(None, world.ids.new_id(), call)
    await other.stop()
    await owner.stop()


@simulated
async def test_s27_secret_is_found_in_rows_of_any_age() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    instance_id, call = await asked(world, node)
    await node.command("d", instance_id, Cancel("enough"))
    loaded = await world.store.load(instance_id, paths=("",))
    assert loaded is not None
    assert [""] == [frame.path for frame in loaded.frames]
    header = header_of_rows(loaded)
    assert header is not None
    assert InstanceStatus.CANCELLED is header.status
    row = world.row(instance_id)
    assert row is not None
    await world.store.ingest([new_command(row, call, "k", world.clock.now())])
    [stored] = await world.store.pull_inbox([row.shard], limit=10)
    assert call == stimulus_of(stored)
    await node.stop()
