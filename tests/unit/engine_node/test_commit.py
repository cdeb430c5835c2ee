"""Group commit: what is answered and called when, and how much goes into one transaction."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from core.engine.effects import Answer
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel, Terminate
from core.errors import (
    IdempotencyKeyReused,
    InstanceNotFound,
    NodeStopping,
    OutcomeUnknown,
    QueueFull,
    StoreUnavailable,
)
from core.executor.operator import Succeeded
from core.ports.instance_store import BODY_BYTES_MAX
from tests.unit.engine_node.world import CHAIN, ONE, World, settle, simulated, status_of


@simulated
async def test_chain_runs_every_step_once_and_leaves_memory() -> None:
    world = World()
    node = await world.started()

    started = await node.submit(world.request(world.plan(CHAIN)))

    assert InstanceStatus.RUNNING is started.status
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "b"] == world.operators.paths()
    assert {"x": {"x": 1}} == world.operators.calls[1].parameters
    row = world.row(started.instance_id)
    assert row is not None
    assert ("succeeded", 0, 0, 0) == (row.status, row.open_attempts, row.ready, row.open_frames)
    assert row.seq == len(world.table("journal", started.instance_id))
    assert [""] == list(world.table("frame", started.instance_id))
    stats = node.stats()
    assert (0, 0, 0, 0) == (stats.hot_instances, stats.open_attempts, stats.queued_inputs, stats.value_bytes)
    await node.stop()


@simulated
async def test_start_in_flight_is_neither_answered_nor_called_before_its_commit_landed() -> None:
    world = World()
    node = await world.started()
    world.store.gate = asyncio.Event()

    answer = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await world.store.reached.wait()
    await settle()

    assert not answer.done()
    assert [] == world.operators.calls
    world.store.gate.set()
    assert InstanceStatus.SUCCEEDED is await world.finished(node, await answer)
    await node.stop()


@simulated
async def test_starts_during_a_commit_land_together_in_the_next_one() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    world.store.gate = asyncio.Event()
    first = asyncio.ensure_future(node.submit(world.request(plan)))
    await world.store.reached.wait()
    others = [asyncio.ensure_future(node.submit(world.request(plan))) for _ in range(40)]
    await settle()
    world.store.gate.set()
    await asyncio.gather(first, *others)

    assert [1, 40] == [len(changes) for changes in world.store.commits[:2]]
    await node.stop()


@simulated
async def test_outcomes_of_one_instance_in_one_batch_make_one_journal_row() -> None:
    world = World()
    node = await world.started()
    steps = "".join(f'  - {{id: s{n}, operator: "@debug/noop", depends_on: []}}\n' for n in range(20))
    started = await node.submit(world.request(world.plan(f"steps:\n{steps}")))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 20 == len(world.operators.calls)
    row = world.row(started.instance_id)
    assert row is not None
    assert row.seq <= 3
    await node.stop()


@simulated
async def test_repeat_of_a_key_in_flight_waits_for_the_first_commit() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    world.store.gate = asyncio.Event()
    first = asyncio.ensure_future(node.submit(world.request(plan, key="k")))
    await world.store.reached.wait()
    repeat = asyncio.ensure_future(node.submit(world.request(plan, key="k")))
    other = asyncio.ensure_future(node.submit(world.request(plan, key="k", req_hash="other")))
    await settle()
    assert not repeat.done()
    world.store.gate.set()

    started = await first
    assert started.instance_id == (await repeat).instance_id
    assert (await repeat).is_repeat
    with pytest.raises(IdempotencyKeyReused):
        await other
    await node.stop()


@simulated
async def test_repeat_of_a_landed_key_answers_the_first_instance() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(CHAIN)
    world.operators.held = {"a"}
    first = await node.submit(world.request(plan, key="k"))

    running = await node.submit(world.request(plan, key="k"))
    with pytest.raises(IdempotencyKeyReused):
        await node.submit(world.request(plan, key="k", req_hash="other"))
    await settle()
    world.operators.end("a")
    await world.finished(node, first)
    ended = await node.submit(world.request(plan, key="k"))

    assert (first.instance_id, True, "running") == (running.instance_id, running.is_repeat, running.status)
    assert (first.instance_id, True, "succeeded") == (ended.instance_id, ended.is_repeat, ended.status)
    assert 1 == len(world.table("instance"))
    await node.stop()


@simulated
async def test_repeat_whose_first_cannot_be_read_gets_the_stores_error() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    await world.finished(node, await node.submit(world.request(plan, key="k")))

    world.store.load_faults.append(StoreUnavailable("no connection"))

    with pytest.raises(StoreUnavailable):
        await node.submit(world.request(plan, key="k"))
    await node.stop()


@simulated
async def test_value_over_a_row_lies_in_an_object_and_is_read_back_for_the_next_step() -> None:
    world = World()
    node = await world.started()
    large = "x" * (2 * BODY_BYTES_MAX)
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN), inputs={}))
    await settle()
    world.operators.end("a", Succeeded(msgspec.Raw(msgspec.json.encode(large))))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert [] == [seq for seq, part in world.table("payload", started.instance_id) if seq == 2]
    held, _ = world.table("payload_object", started.instance_id).values()
    assert (2, held.bytes_count) == (held.seq, (await world.lying())[held.key])
    assert held.bytes_count > len(large)
    assert {} == world.table("object_loose")
    assert {"x": large} == world.operators.calls[1].parameters
    await node.stop()


@simulated
async def test_store_that_takes_one_shard_per_transaction_gets_one() -> None:
    world = World()
    world.store.commit_bounds = msgspec.structs.replace(world.store.commit_bounds, shards="one")
    node = await world.started()
    plan = world.plan(ONE)
    await asyncio.gather(*(node.submit(world.request(plan)) for _ in range(12)))

    assert {1} == {len({change.row.shard for change in changes}) for changes in world.store.commits}
    assert 12 == len(world.table("instance"))
    await node.stop()


@simulated
async def test_batch_closes_at_the_stores_bounds() -> None:
    world = World()
    world.store.commit_bounds = msgspec.structs.replace(world.store.commit_bounds, items_max=5)
    node = await world.started()
    plan = world.plan(ONE)
    started = await asyncio.gather(*(node.submit(world.request(plan)) for _ in range(12)))

    assert 5 == max(map(len, world.store.commits))
    assert [InstanceStatus.SUCCEEDED] * 12 == [await world.finished(node, one) for one in started]
    await node.stop()


@simulated
async def test_requests_above_the_bound_are_refused_before_acceptance() -> None:
    world = World()
    node = await world.started(inputs_max=2)
    plan = world.plan(ONE)
    world.store.gate = asyncio.Event()
    accepted = [asyncio.ensure_future(node.submit(world.request(plan))) for _ in range(2)]
    await settle()

    with pytest.raises(QueueFull) as refused:
        await node.submit(world.request(plan))
    assert [("requests_waiting", {"taken": 2, "most": 2})] == [(one.name, one.value) for one in refused.value.why]
    with pytest.raises(QueueFull):
        await node.command("d", "none", Cancel("me"))
    world.store.gate.set()
    await asyncio.gather(*accepted)
    await node.submit(world.request(plan))
    await node.stop()


@simulated
async def test_starts_are_refused_while_too_many_instances_wait_for_a_place() -> None:
    world = World()
    node = await world.started(attempts_max=1, waiting_max=2)
    plan = world.plan(ONE)
    world.operators.held = {"a"}
    accepted = [await node.submit(world.request(plan)) for _ in range(3)]
    await settle()

    with pytest.raises(QueueFull) as refused:
        await node.submit(world.request(plan))
    assert [("instances_waiting", {"taken": 2, "most": 2})] == [(one.name, one.value) for one in refused.value.why]
    await node.command("d", accepted[2].instance_id, Cancel("me"))  # what is no start is taken
    world.operators.held = set()
    world.operators.end("a")
    assert InstanceStatus.SUCCEEDED is status_of(await node.wait_ended("d", accepted[1].instance_id, 5))
    await node.submit(world.request(plan))
    await node.stop()


@simulated
async def test_cancel_of_a_running_instance_is_answered_after_its_commit() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()

    answer = await node.command("d", started.instance_id, Cancel("enough"))
    again = await node.command("d", started.instance_id, Cancel("enough"))
    row = world.row(started.instance_id)
    assert row is not None
    assert "cancelling" == row.status
    assert Answer("accepted", InstanceStatus.CANCELLING) == answer == again
    await world.pass_s(31)
    assert ["a"] == world.operators.cancelled
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    assert {} == world.table("timer")
    ended = await node.command("d", started.instance_id, Cancel("enough"))
    assert Answer("accepted", InstanceStatus.CANCELLED) == ended
    await node.stop()


@simulated
async def test_terminate_ends_at_once_and_drops_the_late_result() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()

    answer = await node.command("d", started.instance_id, Terminate("now"))

    assert "accepted" == answer.result
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    await settle()
    assert ["a"] == world.operators.cancelled
    assert ["a"] == world.operators.paths()
    await node.stop()


@simulated
async def test_command_for_an_ended_foreign_or_missing_instance_says_so() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    running = await node.submit(world.request(world.plan(CHAIN)))
    with pytest.raises(InstanceNotFound):
        await node.command("other", running.instance_id, Cancel("mine"))
    await settle()
    world.operators.end("a")
    await world.finished(node, running)

    assert Answer("ended", InstanceStatus.SUCCEEDED) == await node.command("d", running.instance_id, Cancel("late"))
    with pytest.raises(InstanceNotFound):
        await node.command("other", running.instance_id, Cancel("mine"))
    with pytest.raises(InstanceNotFound):
        await node.command("d", world.ids.new_id(), Terminate("who"))
    await node.stop()


@simulated
async def test_wait_ends_with_the_instance_or_with_its_time() -> None:
    world = World()
    node = await world.started(waiters_max=1)
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    assert None is await node.wait_ended("d", started.instance_id, 0.5)
    waiting = asyncio.ensure_future(node.wait_ended("d", started.instance_id, 5))
    await settle()
    with pytest.raises(QueueFull) as refused:
        await node.wait_ended("d", started.instance_id, 5)
    assert [("end_waits", {"taken": 1, "most": 1})] == [(one.name, one.value) for one in refused.value.why]
    world.operators.end("a")

    assert InstanceStatus.SUCCEEDED is status_of(await waiting)
    assert InstanceStatus.SUCCEEDED is status_of(await node.wait_ended("d", started.instance_id, 5))
    with pytest.raises(InstanceNotFound):
        await node.wait_ended("d", world.ids.new_id(), 5)
    assert 0 == node.stats().waiters
    await node.stop()


@simulated
async def test_wait_for_another_tenants_instance_is_refused_at_once() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    world.store.gate = asyncio.Event()
    request = world.request(world.plan(ONE))
    starting = asyncio.ensure_future(node.submit(request))
    await settle()
    before = world.clock.monotonic()
    # Before its start has landed, while it runs, when it has ended: never a word, and never a wait.
    with pytest.raises(InstanceNotFound):
        await node.wait_ended("other", request.id, 30)
    world.store.gate.set()
    started = await starting
    with pytest.raises(InstanceNotFound):
        await node.wait_ended("other", started.instance_id, 30)
    assert before == world.clock.monotonic()
    world.operators.end("a")
    await world.finished(node, started)
    with pytest.raises(InstanceNotFound):
        await node.wait_ended("other", started.instance_id, 30)
    assert 0 == node.stats().waiters
    await node.stop()


@simulated
async def test_stopped_node_takes_nothing_more() -> None:
    world = World()
    fresh = world.node()
    with pytest.raises(StoreUnavailable):
        await fresh.submit(world.request(world.plan(ONE)))
    await fresh.stop()
    node = await world.started()
    await node.stop()
    await node.stop()

    with pytest.raises(NodeStopping):
        await node.submit(world.request(world.plan(ONE)))
    with pytest.raises(NodeStopping):
        await node.command("d", "x", Cancel("me"))


@simulated
async def test_keyless_start_of_unknown_fate_is_not_given_again() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    world.store.fates.append("unknown:landed")
    with pytest.raises(OutcomeUnknown):
        await node.submit(world.request(plan))
    await settle()
    world.store.fates.append("unknown:lost")
    with pytest.raises(OutcomeUnknown):
        await node.submit(world.request(plan))
    await settle()

    rows = world.table("instance")
    assert ["succeeded"] == [row.status for row in rows.values()]
    assert 2 == node.stats().unknown_commit_count
    await node.stop()
