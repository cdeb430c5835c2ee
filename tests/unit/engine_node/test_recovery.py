"""Recovery is the start path: crash, drain, lease, eviction, and what a load must not forget (R5, R30, R31)."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from core.engine.node.hot import Input
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel, Continue
from core.errors import CommitUnknown, DagNotFound, StoreTimeout, StoreUnavailable
from core.executor.operator import Succeeded
from tests.unit.engine_node.world import CHAIN, FAILED, ONE, World, settle, simulated

RETRIED = """
steps:
  - id: a
    operator: "@debug/noop"
    parameters: {x: "{{ inputs }}"}
    retry: {max_attempts: 3, delay_s: 5, jitter: none}
  - {id: b, operator: "@debug/noop", parameters: {x: "{{ steps.a.output }}"}}
"""
MAP = """
inputs: {type: object, properties: {n: {type: array}}, required: [n]}
steps:
  - id: m
    operator: "@control/map"
    parameters:
      items: "{{ inputs.n }}"
      steps:
        - {id: w, operator: "@debug/noop", parameters: {x: "{{ item }}"}}
        - {id: v, operator: "@debug/noop", parameters: {x: "{{ steps.w.output }}"}}
"""


@simulated
async def test_killed_nodes_attempt_is_lost_and_made_again_with_the_same_key() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"b"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    await world.kill(node)
    world.operators.held = set()

    successor = await world.started()

    assert InstanceStatus.SUCCEEDED is await world.finished(successor, started)
    assert ["a", "b", "b"] == world.operators.paths()
    assert [1, 1, 2] == [call.attempt for call in world.operators.calls]
    assert world.operators.calls[1].idempotency_key == world.operators.calls[2].idempotency_key
    assert world.operators.calls[0].idempotency_key != world.operators.calls[1].idempotency_key
    assert 1 == world.notes.count("lost")
    await successor.stop()


@simulated
async def test_map_killed_in_its_middle_goes_on_without_repeating_ended_items() -> None:
    world = World()
    # A place for every item: with fewer, those that are held could take them all.
    node = await world.started(attempts_max=600)
    world.operators.held = {f"m.{n}.v" for n in range(300, 600)}
    started = await node.submit(world.request(world.plan(MAP), inputs={"n": list(range(600))}))
    await world.pass_s(1)
    ended = [path for path in world.operators.paths() if path.endswith(".v") and path not in world.operators.held]
    await world.kill(node)
    world.operators.held = set()

    successor = await world.started(attempts_max=20)

    assert InstanceStatus.SUCCEEDED is await world.finished(successor, started)
    calls = world.operators.paths()
    assert 300 == len(ended)
    assert {1} == {calls.count(path) for path in ended}
    assert {f"m.{n}.v" for n in range(600)} == {path for path in calls if path.endswith(".v")}
    row = world.row(started.instance_id)
    assert row is not None
    assert row.seq == len(world.table("journal", started.instance_id))
    await successor.stop()


@simulated
async def test_drain_commits_running_attempts_starts_none_and_hands_over_at_once() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    stopping = asyncio.ensure_future(node.stop())
    await world.pass_s(1)
    world.operators.end("a")
    await stopping

    assert ["a"] == world.operators.paths()
    assert [] == world.operators.cancelled
    assert {None} == {shard.owner for shard in world.table("shard").values()}
    successor = await world.started()
    assert InstanceStatus.SUCCEEDED is await world.finished(successor, started)
    assert ["a", "b"] == world.operators.paths()
    await successor.stop()


@simulated
async def test_drain_with_a_hanging_operator_ends_at_its_grace() -> None:
    world = World()
    node = await world.started(grace_s=7.0)
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    before = world.clock.monotonic()
    await node.stop()

    assert 7.0 == pytest.approx(world.clock.monotonic() - before, abs=0.5)
    assert ["a"] == world.operators.cancelled
    world.operators.held = set()
    successor = await world.started()
    assert InstanceStatus.SUCCEEDED is await world.finished(successor, started)
    assert [1, 2] == [call.attempt for call in world.operators.calls]
    await successor.stop()


@simulated
async def test_node_whose_renewals_fail_gives_up_in_time_and_goes_on_under_a_new_lease() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    world.operators.held = set()
    world.shards.gate = asyncio.Event()
    await world.pass_s(2.4)
    assert [] == world.operators.cancelled
    await world.pass_s(0.2)
    assert ["a"] == world.operators.cancelled
    world.shards.gate = None

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert [1, 2] == [call.attempt for call in world.operators.calls]
    assert {1, 2} >= {shard.epoch for shard in world.table("shard").values()}
    await node.stop()


@simulated
async def test_renewal_that_fails_now_and_then_keeps_the_lease() -> None:
    world = World()
    node = await world.started()
    world.shards.renew_faults.extend([StoreUnavailable("away"), StoreTimeout("late")])
    await world.pass_s(5)

    assert 4 == node.stats().owned_shards
    assert 0 == world.notes.count("fenced")
    await node.stop()


@simulated
async def test_shards_handed_over_at_a_clean_stop_are_not_told_as_lost() -> None:
    world = World()
    node = await world.started()
    await node.submit(world.request(world.plan(ONE)))
    await node.stop()

    assert 0 == world.notes.count("fenced")
    assert {None} == {shard.owner for shard in world.table("shard").values()}
    assert 0 == node.stats().owned_shards


@simulated
async def test_lease_that_the_store_ended_is_replaced() -> None:
    world = World()
    node = await world.started()
    for name in world.table("lease"):
        world.rows._tables.group("lease")[name] = world.clock.now()
    await world.pass_s(3)

    assert 4 == node.stats().owned_shards
    assert 1 == world.notes.count("fenced")
    assert 2 == len(world.table("lease"))
    await node.stop()


@simulated
async def test_node_that_starts_in_an_outage_owns_its_shards_after_it() -> None:
    world = World()
    world.shards.open_faults.extend([StoreUnavailable("away")] * 3)
    node = await world.started()
    with pytest.raises(StoreUnavailable):
        await node.submit(world.request(world.plan(ONE)))
    await world.pass_s(3)

    assert InstanceStatus.SUCCEEDED is await world.finished(node, await node.submit(world.request(world.plan(ONE))))
    await node.stop()


@simulated
async def test_second_node_takes_the_shards_of_a_killed_one_within_its_lease() -> None:
    world = World()
    first = await world.started()
    world.operators.held = {"a"}
    started = await first.submit(world.request(world.plan(ONE)))
    await settle()
    second = await world.started()
    assert 0 == second.stats().owned_shards
    await world.kill(first)
    world.operators.held = set()
    before = world.clock.monotonic()

    assert InstanceStatus.SUCCEEDED is await world.finished(second, started)
    assert world.clock.monotonic() - before < 5
    await second.stop()


@simulated
async def test_idle_instances_leave_memory_and_a_timer_brings_them_back() -> None:
    world = World()
    node = await world.started(hot_instances_max=3)
    plan = world.plan(RETRIED)
    world.operators.outcomes["a"] = deque([FAILED] * 20)
    requests = [world.request(plan, inputs={"text": f"{n:04d}" * 3_000}) for n in range(20)]
    started = await asyncio.gather(*(node.submit(request) for request in requests))
    await world.pass_s(1)

    assert 3 >= node.stats().hot_instances
    assert 20 == len(world.table("timer"))
    assert 17 <= sum(len(world.table("frame", one.instance_id)) for one in started)
    assert [InstanceStatus.SUCCEEDED] * 20 == [await world.finished(node, one) for one in started]
    assert sorted(request.inputs["text"] for request in requests) == sorted(
        call.parameters["x"]["x"]["text"] for call in world.operators.calls if call.task_path == "b"
    )
    assert {} == world.table("timer")
    await node.stop()


@simulated
async def test_evicted_instance_is_cancelled_on_demand() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    world.operators.outcomes["a"] = deque([FAILED])
    started = await node.submit(world.request(world.plan(RETRIED)))
    await settle()
    assert 0 == node.stats().hot_instances
    world.store.load_faults.append(StoreUnavailable("away"))

    answer = await node.command("d", started.instance_id, Cancel("enough"))

    assert "accepted" == answer.result
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_cancel_of_a_wide_map_sweeps_its_chunks_in_portions() -> None:
    world = World()
    node = await world.started(attempts_max=5)
    world.operators.held = {f"m.{n}.w" for n in range(20_000)}
    started = await node.submit(world.request(world.plan(MAP), inputs={"n": list(range(20_000))}))
    await world.pass_s(2)
    before = len(world.store.commits)
    await node.command("d", started.instance_id, Cancel("enough"))
    await world.pass_s(40)

    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    frames = [len(change.frames) for commit in world.store.commits[before:] for change in commit]
    assert 66 >= max(frames)
    assert 3 <= len(frames)
    assert 5 == len(world.operators.cancelled)
    await node.stop()


@simulated
async def test_sweep_interrupted_by_a_crash_is_carried_on() -> None:
    world = World()
    node = await world.started(attempts_max=5)
    world.operators.held = {f"m.{n}.w" for n in range(5_000)}
    started = await node.submit(world.request(world.plan(MAP), inputs={"n": list(range(5_000))}))
    await world.pass_s(2)
    await node.command("d", started.instance_id, Cancel("enough"))
    await world.kill(node)

    successor = await world.started()

    assert InstanceStatus.CANCELLED is await world.finished(successor, started)
    assert {} == world.table("timer")
    await successor.stop()


@simulated
async def test_list_computed_outside_of_decisions_gives_its_output() -> None:
    world = World()
    node = await world.started()
    text = """
inputs: {type: object, properties: {n: {type: array}}, required: [n]}
steps:
  - id: t
    operator: "@data/transform"
    parameters: {items: "{{ inputs.n }}", filter: "item > 3"}
  - {id: b, operator: "@debug/noop", parameters: {x: "{{ size(steps.t.output) }}"}}
"""
    started = await node.submit(world.request(world.plan(text), inputs={"n": list(range(1_500))}))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert {"x": 1_496} == world.operators.calls[0].parameters
    failing = await node.submit(world.request(world.plan(text), inputs={"n": ["text"] * 1_500}))
    assert InstanceStatus.FAILED is await world.finished(node, failing)
    await node.stop()


@simulated
async def test_late_outcome_is_counted_and_changes_nothing() -> None:
    world = World()
    node = await world.started()
    text = """
steps:
  - {id: a, operator: "@debug/noop", timeout: {total_s: 2}, on_error: continue}
  - {id: b, operator: "@debug/noop", join: all_done}
"""
    world.operators.held = {"a", "b"}
    started = await node.submit(world.request(world.plan(text)))
    await settle()
    world.store.gate = asyncio.Event()
    await world.pass_s(2.1)  # the timeout is decided, and not committed yet
    world.operators.end("a", Succeeded(1))
    await settle()
    world.store.gate.set()
    await settle()
    world.operators.end("b")

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 1 == node.stats().late_result_count
    await node.stop()


READS = """
steps:
  - {id: a, operator: "@debug/noop"}
  - {id: w, operator: "@debug/noop", retry: {max_attempts: 2, delay_s: 5, jitter: none}}
  - {id: b, operator: "@debug/noop", parameters: {x: "{{ size(steps.a.output) }}"}}
"""


@simulated
@pytest.mark.parametrize("outage", [False, True])
async def test_value_that_left_memory_is_read_again_for_the_decision_that_needs_it(outage: bool) -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    world.operators.held = {"a"}
    world.operators.outcomes["w"] = deque([FAILED])
    started = await node.submit(world.request(world.plan(READS)))
    await settle()
    world.operators.end("a", Succeeded("y" * 20_000))
    await world.pass_s(1)
    assert 0 == node.stats().hot_instances
    world.operators.held = {"w"}
    await world.pass_s(5)
    world.operators.end("w", Succeeded(1))
    if outage:
        world.store.payload_faults.append(StoreUnavailable("away"))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert {"x": 20_000} == world.operators.calls[-1].parameters
    await node.stop()


@simulated
async def test_shard_lost_while_a_value_is_read_loses_nothing() -> None:
    world = World(shard_count=1)
    node = await world.started(hot_instances_max=0)
    world.operators.held = {"a"}
    world.operators.outcomes["w"] = deque([FAILED])
    started = await node.submit(world.request(world.plan(READS)))
    await settle()
    world.operators.end("a", Succeeded("y" * 20_000))
    await world.pass_s(1)
    world.operators.held = {"w"}
    await world.pass_s(5)
    world.store.payload_faults.extend([StoreUnavailable("away")] * 3)
    world.operators.end("w", Succeeded(1))
    await settle()
    cancel = asyncio.ensure_future(node.command("d", started.instance_id, Cancel("meanwhile")))
    await settle()
    world.operators.held = set()
    node._ownership.lose([0])

    assert "accepted" == (await cancel).result
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_inputs_waiting_in_the_queue_of_a_lost_shard_are_stored_for_its_owner() -> None:
    world = World(shard_count=1)
    node = await world.started(attempts_max=1)
    plan = world.plan(ONE)
    world.operators.held = {"a"}
    for _ in range(2):
        await node.submit(world.request(plan))
    await settle()
    answers = [asyncio.ensure_future(node.submit(world.request(plan))) for _ in range(3)]
    await asyncio.sleep(0)
    node._places.release(1)
    node._decider._offer_place()
    node._intake.put(Input(world.ids.new_id(), Continue("")))
    node._ownership.lose([0])
    assert 0 == node.stats().queued_inputs
    node._places.take(1)
    world.operators.held = set()

    for answer in answers:
        assert InstanceStatus.SUCCEEDED is await world.finished(node, await answer)
    await world.pass_s(3)
    assert {"succeeded"} == {row.status for row in world.table("instance").values()}
    await node.stop()


@simulated
async def test_instance_whose_version_is_gone_is_put_into_quarantine() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    await world.kill(node)
    world.plans.faults.append(DagNotFound("gone"))

    successor = await world.started()
    await world.pass_s(5)

    assert ("quarantined", started.instance_id, "DagNotFound") in world.notes.heard
    assert [] == world.fatal
    await successor.stop()


@simulated
async def test_shards_taken_before_the_store_went_away_are_recovered_all_the_same() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    world.operators.held = {"a"}
    started = [await node.submit(world.request(plan)) for _ in range(12)]
    await settle()
    await world.kill(node)
    world.operators.held = set()
    await world.pass_s(4)
    world.shards.acquire_faults.extend([None, None, StoreUnavailable("away")])

    successor = await world.started()

    assert [InstanceStatus.SUCCEEDED] * 12 == [await world.finished(successor, one) for one in started]
    await successor.stop()


@simulated
async def test_shard_whose_taking_landed_without_an_answer_is_owned_in_the_end() -> None:
    world = World()
    first = await world.started()
    second = await world.started()
    await world.kill(first)
    world.shards.acquire_faults.append(CommitUnknown("lost"))
    await world.pass_s(8)

    assert 4 == second.stats().owned_shards
    await second.stop()
