"""Calls through nodes and their store: what starts a child and what tells its end are rows of one commit (S29)."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

import pytest

from core.engine.events import InstanceEnded
from core.engine.journal import decode_events
from core.engine.node import EngineNode, Started
from core.engine.node.inbox import InboxUnreadable, stimulus_of
from core.engine.node.terms import NoCallees
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel, Terminate
from core.errors import StoreUnavailable
from core.ports.instance_store import InboxRow, NewCommand, NewStart
from tests.unit.engine_node.world import FAILED, World, settle, simulated

CHILD = """
inputs: {type: object, properties: {n: {type: integer, default: 1}}}
settings: {labels: {n: "n-{{ inputs.n }}"}}
steps: [{id: a, operator: "@debug/noop", parameters: {n: "{{ inputs.n }}"}}]
outputs: {got: "{{ steps.a.output }}"}
"""
PARENT = """
steps: [{id: c, operator: "@control/call", parameters: {dag: Child, inputs: {n: 7}}}]
outputs: "{{ steps.c.output }}"
"""
MANY = """
steps:
  - id: m
    operator: "@control/map"
    parameters:
      items: [1, 2, 3, 4, 5, 6, 7, 8]
      steps: [{id: c, operator: "@control/call", parameters: {dag: Child, inputs: {n: "{{ item }}"}}}]
outputs: {all: "{{ steps.m.output }}"}
"""
SUCCEEDED, CANCELLED = InstanceStatus.SUCCEEDED, InstanceStatus.CANCELLED


async def begun(world: World, node: EngineNode, text: str = PARENT) -> Started:
    """Start a parent, and let its children go as far as they go without time passing."""
    started = await node.submit(world.request(world.plan(text)))
    await settle()
    return started


def children(world: World, parent: Started) -> list[Any]:
    """List the rows of its children, oldest first."""
    rows = world.table("instance").values()
    return sorted((row for row in rows if row.parent_id == parent.instance_id), key=lambda row: row.id)


async def outputs(world: World, instance_id: str) -> Any:
    """Read the outputs off the journal's end, as they lie there."""
    loaded = await world.store.load(instance_id, paths=())
    assert loaded is not None
    told = [event for row in loaded.journal for event in decode_events(row.version, row.body)]
    [ended] = [event for event in told if isinstance(event, InstanceEnded)]
    return ended.outputs


@simulated
async def test_s29_child_runs_and_its_outputs_come_back() -> None:
    world = World()
    world.callee("Child", CHILD)
    node = await world.started()
    parent = await begun(world, node)
    assert SUCCEEDED is await world.finished(node, parent)
    [child] = children(world, parent)
    assert ("succeeded", "call", "c", {"n": "n-7"}) == (
        child.status,
        child.trigger_kind,
        child.parent_path,
        child.labels,
    )
    assert b'{"got":{"n":7}}' == await outputs(world, parent.instance_id)
    assert [("d", "Child", None)] == world.callees.looked
    assert [] == [row for shard in range(4) for row in world.table("inbox", shard)]
    await node.stop()


@simulated
async def test_s29_start_of_a_child_is_a_row_of_the_commit_that_makes_its_parent_wait() -> None:
    world = World()
    world.callee("Child", CHILD)
    node = await world.started()
    parent = await begun(world, node)
    assert SUCCEEDED is await world.finished(node, parent)
    [first] = [
        change
        for changes in world.store.commits
        for change in changes
        if change.outward.passed and change.row.parent_id is None
    ]
    [start] = first.outward.passed
    assert isinstance(start, NewStart)
    assert start.start_key is not None
    assert (f"call:{parent.instance_id}", "c") == (start.start_key.trigger, start.start_key.key)
    [last] = [
        change
        for changes in world.store.commits
        for change in changes
        if change.outward.passed and change.row.parent_id
    ]
    [end] = last.outward.passed
    assert isinstance(end, NewCommand)
    assert ("succeeded", "child") == (last.row.status, end.kind)
    await node.stop()


@simulated
async def test_s29_children_of_a_map_run_on_every_node() -> None:
    world = World()
    world.callee("Child", CHILD)
    nodes = [await world.started(), await world.started()]
    await world.pass_s(10)
    assert all(node.stats().owned_shards for node in nodes)
    parent = await begun(world, nodes[0], MANY)
    assert SUCCEEDED is await world.finished(nodes[0], parent)
    assert 8 == len(children(world, parent))
    assert 1 < len({child.shard for child in children(world, parent)})
    for node in nodes:
        await node.stop()


@pytest.mark.parametrize("fate", ["unknown", "unknown:lost", "unavailable", "refuse:object"])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_s29_child_starts_once_whatever_becomes_of_the_commits(fate: str, at: int) -> None:
    @simulated
    async def run() -> None:
        world = World()
        world.callee("Child", CHILD)
        node = await world.started()
        world.store.fates.extend([*["land"] * at, fate])
        request = world.request(world.plan(PARENT), key="k")
        try:
            parent = await node.submit(request)
        except StoreUnavailable:
            assert (at, fate) == (0, "unavailable")
            await world.pass_s(5)
            parent = await node.submit(request)
        assert SUCCEEDED is await world.finished(node, parent)
        assert 1 == len(children(world, parent))
        assert ["a"] == world.operators.paths()
        assert not world.store.fates
        await node.stop()

    run()


@simulated
async def test_s29_killed_node_leaves_parent_and_child_that_the_next_one_goes_on_with() -> None:
    world = World()
    world.callee("Child", CHILD)
    world.operators.held.add("a")
    first = await world.started()
    parent = await begun(world, first)
    await world.kill(first)
    world.operators.held.clear()
    await world.pass_s(5)
    second = await world.started()
    assert SUCCEEDED is await world.finished(second, parent)
    assert 1 == len(children(world, parent))
    await second.stop()


@simulated
async def test_s29_failed_child_fails_its_parent() -> None:
    world = World()
    world.callee("Child", CHILD)
    world.operators.outcomes["a"] = deque([FAILED] * 9)
    node = await world.started()
    parent = await begun(world, node)
    assert InstanceStatus.FAILED is await world.finished(node, parent)
    await node.stop()


@pytest.mark.parametrize("stimulus", [Cancel("enough", "p"), Terminate("enough", "p")])
def test_s29_s41_end_of_the_parent_reaches_its_child(stimulus: Any) -> None:
    @simulated
    async def run() -> None:
        world = World()
        world.callee("Child", CHILD)
        world.operators.held.add("a")
        node = await world.started()
        parent = await begun(world, node)
        await node.command("d", parent.instance_id, stimulus)
        assert CANCELLED is await world.finished(node, parent)
        await world.pass_s(1)
        [child] = children(world, parent)
        assert "cancelled" == child.status
        await node.stop()

    run()


@simulated
async def test_s29_child_whose_start_and_cancel_are_found_together_ends() -> None:
    world = World()
    world.callee("Child", CHILD)
    node = await world.started()
    world.store.pull_faults.extend([StoreUnavailable("no connection")] * 3)
    parent = await begun(world, node)
    await node.command("d", parent.instance_id, Cancel("enough", "p"))
    assert CANCELLED is await world.finished(node, parent)
    assert ["cancelled"] == [child.status for child in children(world, parent)]
    await node.stop()


@simulated
async def test_s29_end_of_a_child_whose_parent_has_ended_leaves_nothing() -> None:
    world = World()
    world.callee("Child", CHILD)
    world.operators.held.add("a")
    node = await world.started()
    parent = await begun(world, node, PARENT.replace("Child", "Child, on_cancel: leave"))
    await node.command("d", parent.instance_id, Cancel("enough", "p"))
    assert CANCELLED is await world.finished(node, parent)
    world.operators.end("a")
    [child] = children(world, parent)
    assert SUCCEEDED is await world.finished(node, Started(child.id, False, InstanceStatus.RUNNING))
    assert [] == [row for shard in range(4) for row in world.table("inbox", shard)]
    await node.stop()


@simulated
async def test_s29_lookup_that_meets_an_outage_is_made_again() -> None:
    world = World()
    world.callee("Child", CHILD)
    world.callees.faults.append(StoreUnavailable("no connection"))
    node = await world.started()
    parent = await begun(world, node)
    assert SUCCEEDED is await world.finished(node, parent)
    assert 2 == len(world.callees.looked)
    await node.stop()


@simulated
async def test_s29_node_without_callees_finds_none() -> None:
    assert None is await NoCallees().find("d", "Child", None)
    world = World()
    node = await world.started()
    parent = await begun(world, node)
    assert InstanceStatus.FAILED is await world.finished(node, parent)
    await node.stop()


def test_s29_told_end_that_cannot_be_read_is_not_guessed() -> None:
    row = InboxRow(0, 1, "d", "node", "k", "i", "child", b"\xc1", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(InboxUnreadable, match="a stored child cannot be read"):
        stimulus_of(row)
