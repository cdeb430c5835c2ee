"""What a landed commit sets going: values are counted, attempts stopped, followers told, and instances leave memory."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec
import pytest

from core.engine.node import EngineNode, Started, StartRequest
from core.engine.node.inbox import new_command
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel, Pause, Terminate
from core.errors import InstanceNotFound
from core.executor.operator import Succeeded
from tests.unit.engine_node.test_committer import request_in
from tests.unit.engine_node.world import CHAIN, ONE, World, settle, simulated, status_of

LONG = msgspec.Raw(b'"%s"' % (b"x" * 9_000))  # too long to stand beside its task
WAITING = 'steps: [{id: w, operator: "@control/wait", parameters: {seconds: 60}}]'
TIMED = """
steps:
  - {id: a, operator: "@debug/noop", timeout: {total_s: 1}, on_error: continue, depends_on: []}
  - {id: b, operator: "@debug/noop", depends_on: []}
"""
LONG_LOOP = """
steps:
  - id: l
    operator: "@control/loop"
    parameters: {mode: count, limit: 600, steps: [{id: d, operator: "@data/define", parameters: {name: x, value: 1}}]}
  - {id: w, operator: "@control/wait", parameters: {seconds: 60}}
"""
WRITES_MAX = 8  # of one batch: more than one decision of this DAG writes, and fewer than the frames that it has open
WIDE = f"""
steps:
  - id: p
    operator: "@control/parallel"
    parameters:
      branches:
        - {{id: last, steps: [{{id: e, operator: "@debug/noop"}}, {{id: w, operator: "@control/wait", parameters: {{seconds: 60}}}}]}}
{
    "".join(
        f'''        - {{id: b{n}, steps: [{{id: w{n}, operator: "@control/wait", parameters: {{seconds: 60}}}}]}}
'''
        for n in range(WRITES_MAX)
    )
}
"""


async def held_start(
    world: World, node: EngineNode, request: StartRequest, gate: asyncio.Event
) -> asyncio.Future[Started]:
    """Start an instance while commits that begin from here on wait for a gate."""
    world.store.gate = gate
    start = asyncio.ensure_future(node.submit(request))
    await settle()
    return start


async def with_value(world: World, node: EngineNode) -> Started:
    """Start a chain whose first step gives a long value, and hold its second step."""
    world.operators.held = {"b"}
    world.operators.outcomes["a"] = deque([Succeeded(LONG)])
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    return started


@simulated
async def test_values_that_landed_are_counted_until_their_instance_leaves() -> None:
    world = World()
    node = await world.started()
    started = await with_value(world, node)
    assert len(LONG) == node.stats().value_bytes
    world.operators.end("b")

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 0 == node.stats().value_bytes
    await node.stop()


@simulated
async def test_values_above_the_bound_leave_memory_with_the_commit_that_brought_more() -> None:
    world = World()
    node = await world.started()
    node._memory._bytes_max = 15_000
    for _ in range(2):
        await with_value(world, node)

    assert len(LONG) == node.stats().value_bytes
    await world.kill(node)


@simulated
async def test_followers_hear_nothing_of_a_commit_without_a_journal_row() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    request = world.request(world.plan(WAITING))
    heard: list[int] = []
    node.followers.follow(request.id, heard.append)
    await node.submit(request)
    await settle()

    assert 2 == len(world.store.commits)  # the second one writes what leaves memory
    assert (0, 1) == (node.stats().hot_instances, len(heard))
    assert 0 not in heard
    await world.kill(node)


@simulated
async def test_s15_attempt_whose_time_is_over_is_stopped_while_its_instance_goes_on() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a", "b"}
    started = await node.submit(world.request(world.plan(TIMED)))
    await world.pass_s(2)

    assert ["a"] == world.operators.cancelled
    world.operators.end("b")
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_instance_that_had_too_much_to_do_for_one_commit_leaves_memory_when_it_waits() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    started = await node.submit(world.request(world.plan(LONG_LOOP)))
    await world.pass_s(1)

    row = world.row(started.instance_id)
    assert row is not None
    assert ("waiting", 0) == (row.status, node.stats().hot_instances)
    assert row.seq > 1
    await node.stop()


@simulated
async def test_whoever_waits_for_an_end_gets_the_outcome_that_is_at_hand() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    waiting = asyncio.ensure_future(node.wait_ended("d", started.instance_id, 5))
    await settle()
    world.operators.end("a")
    ended = await waiting

    assert ended is not None
    assert ended.header is not None
    assert InstanceStatus.SUCCEEDED is ended.header.status
    await node.stop()


@simulated
async def test_ended_instance_stays_in_memory_while_something_of_it_is_on_its_way_into_a_commit() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    row = world.row(started.instance_id)
    assert row is not None
    gate = world.store.gate = asyncio.Event()
    world.operators.end("a")
    await settle()
    await world.store.ingest([new_command(row, Pause("me"), "k", world.clock.now())])
    node.wake()
    await settle()
    world.store.gate = asyncio.Event()
    gate.set()
    assert InstanceStatus.SUCCEEDED is status_of(await node.wait_ended("d", started.instance_id, 5))
    assert 1 == node.stats().hot_instances
    world.store.gate.set()
    await settle()

    assert (0, {}) == (node.stats().hot_instances, world.table("inbox", row.shard))
    await node.stop()


@simulated
async def test_idle_instance_of_which_all_is_written_leaves_memory_without_a_commit() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    started = await node.submit(world.request(world.plan(WAITING)))
    await settle()
    with pytest.raises(InstanceNotFound):
        await node.command("other", started.instance_id, Cancel("mine"))  # is loaded for it
    assert 1 == node.stats().hot_instances
    before = len(world.store.commits)
    other = await node.submit(world.request(world.plan(ONE)))
    await world.finished(node, other)
    await settle()

    assert 0 == node.stats().hot_instances
    assert {other.instance_id} == {change.row.id for changes in world.store.commits[before:] for change in changes}
    await world.kill(node)


@simulated
async def test_rows_of_instances_that_leave_memory_count_in_the_batch_that_they_gather_in() -> None:
    world = World(shard_count=2)
    bounds = world.store.commit_bounds
    world.store.commit_bounds = msgspec.structs.replace(bounds, shards="one", writes_max=WRITES_MAX)
    node = await world.started(hot_instances_max=0)
    world.operators.held = {"a", "e"}
    wide = await node.submit(request_in(world, world.plan(WIDE), 0))
    await settle()
    plan = world.plan(ONE)
    gates = [asyncio.Event() for _ in range(3)]
    starts = [await held_start(world, node, request_in(world, plan, 1), gates[0])]
    world.operators.end("e")
    starts.append(await held_start(world, node, request_in(world, plan, 1), gates[1]))
    gates[0].set()
    await settle()
    world.store.gate = gates[2]
    gates[1].set()
    await settle()
    # The wide instance leaves memory, while what was in one batch with it is in its own commit.
    starts.append(await held_start(world, node, request_in(world, plan, 0), gates[2]))
    gates[2].set()
    await asyncio.gather(*starts)

    waits, *others = [[change.row.id for change in changes] for changes in world.store.commits]
    ids = [(await start).instance_id for start in starts]
    assert [wide.instance_id] == waits
    assert [[ids[0]], [wide.instance_id], [ids[1]], [wide.instance_id], [ids[2]]] == others
    await world.kill(node)


@simulated
async def test_m1_attempt_that_ended_in_a_commit_whose_answer_was_lost_is_stopped() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a", "b"}
    started = await node.submit(world.request(world.plan(TIMED)))
    await settle()
    world.store.fates.append("unknown:landed")
    await world.pass_s(2)

    assert ["a"] == world.operators.cancelled
    assert 1 == node.stats().open_attempts
    world.operators.end("b")
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_m1_attempts_of_an_instance_that_was_terminated_in_a_commit_whose_answer_was_lost_are_stopped() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    world.store.fates.append("unknown:landed")
    await node.command("d", started.instance_id, Terminate("now"))
    await settle()

    assert (["a"], 0) == (world.operators.cancelled, node.stats().open_attempts)
    await node.stop()
