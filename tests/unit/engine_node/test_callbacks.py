"""Callbacks on their way through a node: a token alone finds its instance, also on a node that does not own it (S27)."""

from __future__ import annotations

import pytest

from core.engine.callback_token import read_token, token_of
from core.engine.effects import ApprovalSet, Outward
from core.engine.fold import header_of_rows
from core.engine.node import EngineNode
from core.engine.node.hot import HotInstance
from core.engine.node.inbox import new_command, stimulus_of
from core.engine.node.outward import ItemOutward
from core.engine.state import InstanceStatus
from core.engine.stimuli import Callback, Cancel, Verdict
from core.errors import InstanceNotFound
from core.ports.instance_store import ApprovalRow
from tests.unit.engine.instance_run import NOW
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


APPROVAL = """
steps:
  - {id: ok, operator: "@control/approval", parameters: {title: "Really?"}}
  - {id: b, operator: "@debug/noop"}
"""


def asked_for(world: World) -> list[ApprovalRow]:
    return sorted(world.table("approval").values(), key=lambda row: row.since)


def verdict(row: ApprovalRow) -> Verdict:
    return Verdict(path=row.task_path, id=row.id, decision="approved", by="p", comment=None, data=b"1")


@simulated
async def test_s28_decision_is_listed_with_the_commit_that_asks_and_gone_with_the_one_that_takes_it() -> None:
    world = World()
    node = await world.started()
    started = await node.submit(world.request(world.plan(APPROVAL)))
    await settle()
    [row] = asked_for(world)
    assert ("Really?", started.instance_id, "ok") == (row.title, row.instance_id, row.task_path)
    world.store.fates.append("unknown:landed")
    assert "refused" == (await node.command("d", started.instance_id, verdict(row))).result
    assert [] == asked_for(world)
    assert InstanceStatus.SUCCEEDED is status_of(await node.wait_ended("d", started.instance_id, 5))
    await node.stop()


@simulated
async def test_s28_node_without_the_shard_stores_a_decision_for_its_owner() -> None:
    world = World()
    owner = await world.started()
    other = await world.started()
    started = await owner.submit(world.request(world.plan(APPROVAL)))
    await settle()
    [row] = asked_for(world)
    for _ in range(2):
        assert "accepted" == (await other.command("d", started.instance_id, verdict(row))).result
    assert InstanceStatus.SUCCEEDED is status_of(await owner.wait_ended("d", started.instance_id, 5))
    await world.pass_s(1)
    assert [] == asked_for(world)
    await other.stop()
    await owner.stop()


def test_decision_that_is_asked_for_and_over_within_one_batch_is_never_stored() -> None:
    outward = ItemOutward(HotInstance("i", "d", 0))
    asked = ApprovalSet("a1", "ok", "Really?", None, NOW, None)
    outward.take(Outward(approvals_set={"a1": asked}))
    outward.take(Outward(approvals_removed=["a1", "a2"]))
    rows = outward.rows(NOW)
    assert ((), ("a2",)) == (rows.approvals_set, rows.approvals_removed)
