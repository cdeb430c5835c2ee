"""The commit loop: what it tells, counts and waits for, which items a fence takes, and who leaves memory after it."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec
import pytest

from core.dag.plan import Plan
from core.engine.effects import Answer
from core.engine.node import StartRequest
from core.engine.node.inbox import new_command
from core.engine.node.ownership import shard_of
from core.engine.node.pauses import DELAY_S_MIN
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel
from core.errors import Fenced, InstanceNotFound, OutcomeUnknown, StoreUnavailable
from core.executor.operator import Succeeded
from tests.unit.engine_node.world import CHAIN, ONE, World, settle, simulated

SHARD_COUNT = 2
CHILD = 'steps: [{id: a, operator: "@debug/noop"}]'
PARENT = 'steps: [{id: c, operator: "@control/call", parameters: {dag: Child}}]'
ALONE = f"settings: {{concurrency: {{max: 1}}}}\n{ONE}"


def request_in(world: World, plan: Plan, shard: int, *, key: str | None = None) -> StartRequest:
    """Make a start whose instance lies in this shard."""
    request = world.request(plan, key=key)
    while shard_of(request.id, SHARD_COUNT) != shard:
        request = world.request(plan, key=key)
    return request


@simulated
async def test_commits_items_and_their_time_are_counted() -> None:
    world = World()
    world.operators.held = {"a"}
    node = await world.started()
    await world.pass_s(7)
    plan = world.plan(ONE)
    world.store.gate = asyncio.Event()
    first = asyncio.ensure_future(node.submit(world.request(plan)))
    await settle()
    others = [asyncio.ensure_future(node.submit(world.request(plan))) for _ in range(3)]
    await world.pass_s(0.5)
    world.store.fates.extend(["land", "refuse:invalid"])
    world.store.gate.set()
    await asyncio.gather(first, *others)
    stats = node.stats()

    assert [1, 2, 1] == [heard[1] for heard in world.notes.heard if heard[0] == "committed"]
    assert (3, 4, 1) == (stats.commit_count, stats.committed_item_count, stats.refused_item_count)
    assert 0.5 == pytest.approx(next(heard[2] for heard in world.notes.heard if heard[0] == "committed"))
    assert [("refused", "invalid")] == [heard for heard in world.notes.heard if heard[0] == "refused"]
    assert 0 == stats.unknown_commit_count
    await node.stop()


@simulated
async def test_points_at_which_a_process_may_be_killed_are_passed_in_their_order() -> None:
    world = World()
    node = await world.started()
    world.store.fates.append("unknown:landed")
    await world.finished(node, await node.submit(world.request(world.plan(ONE), key="k")))
    await node.stop()

    commit, attempt = ["before_commit", "after_commit"], ["before_attempt", "after_attempt"]
    stop = ["before_drain", "before_release"]
    assert ["before_commit", "unknown_commit", *attempt, *commit, *stop] == world.notes.points


@simulated
async def test_points_around_objects_are_passed_before_the_commit_that_refers_to_them() -> None:
    world = World()
    node = await world.started()
    await node.submit(world.request(world.plan(ONE), inputs={"text": "x" * 600_000}))

    assert ["before_objects", "after_objects", "before_commit"] == world.notes.points[:3]
    await node.stop()


@simulated
@pytest.mark.parametrize("used", [False, True])
async def test_r30_node_without_work_stops_at_once(used: bool) -> None:
    world = World()
    node = await world.started()
    if used:
        await world.finished(node, await node.submit(world.request(world.plan(ONE))))
    before = world.clock.monotonic()
    await node.stop()

    assert before == world.clock.monotonic()


@simulated
async def test_r30_commit_in_flight_lands_before_the_node_stops() -> None:
    world = World()
    node = await world.started()
    world.store.gate = asyncio.Event()
    starting = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await settle()
    stopping = asyncio.ensure_future(node.stop())
    await settle()
    assert not stopping.done()
    before = world.clock.monotonic()
    world.store.gate.set()
    await stopping

    assert InstanceStatus.RUNNING is (await starting).status
    assert before == world.clock.monotonic()


@simulated
async def test_r5_commit_acknowledged_past_the_deadline_is_not_answered_as_landed() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.store.gate = asyncio.Event()
    starting = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await settle()
    node._ownership._deadline = 0.0  # as a process finds it that slept meanwhile
    world.store.gate.set()

    with pytest.raises(OutcomeUnknown):
        await starting
    await node.stop()


@simulated
async def test_r10_fenced_shard_takes_only_its_own_items() -> None:
    world = World(shard_count=SHARD_COUNT)
    node = await world.started()
    world.operators.held = {"a"}
    plan = world.plan(ONE)
    world.store.gate = asyncio.Event()
    first = asyncio.ensure_future(node.submit(world.request(plan)))
    await settle()
    both = [asyncio.ensure_future(node.submit(request_in(world, plan, shard))) for shard in (0, 1)]
    await settle()
    world.store.fates.extend(["land", "fenced:0"])
    world.store.gate.set()
    await first
    statuses = [(await one).status for one in both]

    assert [InstanceStatus.QUEUED, InstanceStatus.RUNNING] == statuses
    assert [("fenced", (0,))] == [heard for heard in world.notes.heard if heard[0] == "fenced"]
    await world.kill(node)


@simulated
async def test_r11_shard_fenced_while_a_fate_is_found_out_takes_only_its_own_instances() -> None:
    world = World(shard_count=SHARD_COUNT)
    node = await world.started()
    plan = world.plan(ONE)
    world.store.gate = asyncio.Event()
    first = asyncio.ensure_future(node.submit(world.request(plan)))
    await settle()
    both = [asyncio.ensure_future(node.submit(request_in(world, plan, shard, key=f"k{shard}"))) for shard in range(2)]
    await settle()
    world.store.fates.extend(["land", "unknown:landed"])
    world.shards.settle_faults.append(Fenced([0]))
    world.store.gate.set()
    await first

    with pytest.raises(OutcomeUnknown):
        await both[0]
    assert InstanceStatus.RUNNING is (await both[1]).status
    assert [("fenced", (0,))] == [heard for heard in world.notes.heard if heard[0] == "fenced"]
    assert [[0, 1], [1]] == [[fence.shard for fence in fences] for fences in world.shards.settled]
    await node.stop()


@simulated
async def test_r11_nothing_is_asked_of_the_store_once_every_instance_of_unknown_fate_is_anothers() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.store.fates.append("unknown:landed")
    world.shards.settle_faults.append(Fenced([0]))
    with pytest.raises(OutcomeUnknown):
        await node.submit(world.request(world.plan(ONE), key="k"))

    assert [[0]] == [[fence.shard for fence in fences] for fences in world.shards.settled]
    await node.stop()


@simulated
async def test_outage_is_waited_out_in_pauses_that_begin_short_again_after_it() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a", "b"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    outage_s = []
    for count, path in ((6, "a"), (1, "b")):
        world.store.fates.extend(["unavailable"] * count)
        before = world.clock.monotonic()
        world.operators.end(path)
        while world.store.fates:
            await world.pass_s(0.001)
        outage_s.append(world.clock.monotonic() - before)
        await world.pass_s(2)

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert outage_s[0] > (1 + 2 + 4 + 8 + 16) * DELAY_S_MIN / 2
    before = world.clock.monotonic()
    world.store.fates.append("unavailable")
    world.operators.held = set()
    with pytest.raises(StoreUnavailable):
        await node.submit(world.request(world.plan(ONE)))
    while node._committer.outage is not None:
        await world.pass_s(0.001)
    assert world.clock.monotonic() - before < DELAY_S_MIN + 0.01
    await node.stop()


@simulated
async def test_command_in_an_outage_is_stored_for_the_next_owner_when_its_shard_is_lost() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    world.store.fates.append("unavailable")
    cancel = asyncio.ensure_future(node.command("d", started.instance_id, Cancel("me")))
    await settle()
    node._ownership.lose([0])

    assert "accepted" == (await cancel).result  # nothing of it had happened, so it is no outcome that nobody knows
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_end_of_an_instance_is_told_once_with_its_dag() -> None:
    world = World()
    node = await world.started()
    started = await node.submit(world.request(world.plan(ONE)))
    await world.finished(node, started)
    assert Answer("ended", InstanceStatus.SUCCEEDED) == await node.command("d", started.instance_id, Cancel("late"))

    assert [("ended", "dag", InstanceStatus.SUCCEEDED)] == [one for one in world.notes.heard if one[0] == "ended"]
    await node.stop()


@simulated
async def test_followers_hear_of_journal_rows_and_of_nothing_else() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    world.operators.held = {"a"}
    request = world.request(world.plan(CHAIN))
    heard: list[int] = []
    leave = node.followers.follow(request.id, heard.append)
    await node.submit(request)
    await settle()
    rows = world.table("journal", request.id)

    assert 0 < len(rows)
    assert sum(len(row.body) for row in rows.values()) == sum(heard)
    assert 0 not in heard
    leave()
    await world.kill(node)


@simulated
async def test_value_that_a_commit_brought_is_at_hand_for_the_next_decision() -> None:
    world = World()
    node = await world.started()
    world.store.payload_faults.append(AssertionError("nothing is read"))
    world.operators.outcomes["a"] = deque([Succeeded(msgspec.Raw(b'"%s"' % (b"x" * 9_000)))])
    started = await node.submit(world.request(world.plan(CHAIN)))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 1 == len(world.store.payload_faults)
    await node.stop()


@simulated
async def test_s29_child_and_parent_hear_of_each_other_without_a_poll() -> None:
    world = World()
    world.callee("Child", CHILD)
    node = await world.started()
    before = world.clock.monotonic()
    started = await node.submit(world.request(world.plan(PARENT)))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert before == world.clock.monotonic()
    await node.stop()


@simulated
async def test_s46_instance_that_waits_for_a_permit_begins_without_a_poll_when_one_is_given_back() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ALONE)
    world.operators.held = {"a"}
    first, second = [await node.submit(world.request(plan)) for _ in range(2)]
    await settle()
    assert (InstanceStatus.RUNNING, InstanceStatus.QUEUED) == (first.status, second.status)
    before = world.clock.monotonic()
    world.operators.held = set()
    world.operators.end("a")

    assert InstanceStatus.SUCCEEDED is await world.finished(node, second)
    assert before == world.clock.monotonic()
    await node.stop()


@simulated
async def test_m6_command_for_a_start_whose_key_is_another_instances_finds_no_instance() -> None:
    world = World(shard_count=1)
    node = await world.started()
    plan = world.plan(ONE)
    first = await node.submit(world.request(plan, key="k"))
    await world.finished(node, first)
    world.store.gate = asyncio.Event()
    request = world.request(plan, key="k")
    repeat = asyncio.ensure_future(node.submit(request))
    await settle()
    cancel = asyncio.ensure_future(node.command("d", request.id, Cancel("me")))
    await settle()
    world.store.gate.set()

    assert first.instance_id == (await repeat).instance_id
    with pytest.raises(InstanceNotFound):
        await cancel
    await node.stop()


@simulated
async def test_r35_acts_that_landed_or_may_have_are_told_and_nothing_else() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a", "b"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    before = world.acts_count
    world.operators.end("a")
    await settle()
    assert before == world.acts_count
    world.store.fates.append("unknown:lost")
    world.operators.end("b")
    await settle()
    assert before + 1 == world.acts_count
    await world.finished(node, started)
    other = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    before = world.acts_count
    await node.command("d", other.instance_id, Cancel("enough", "me"))
    assert before + 1 == world.acts_count
    await world.kill(node)


@simulated
async def test_m3_command_whose_row_was_taken_before_is_dropped_and_the_rest_of_its_item_decided_again() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    row = world.row(started.instance_id)
    assert row is not None
    world.store.gate = asyncio.Event()
    blocking = asyncio.ensure_future(node.submit(world.request(world.plan(CHILD))))
    await settle()
    await world.store.ingest([new_command(row, Cancel("me"), "k", world.clock.now())])
    node.wake()
    world.operators.end("a")
    await settle()
    world.rows._tables.group("inbox", row.shard).clear()
    world.store.gate.set()
    await blocking

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "a", "b"] == sorted(world.operators.paths())
    assert [("refused", "inbox")] == [heard for heard in world.notes.heard if heard[0] == "refused"]
    await node.stop()
