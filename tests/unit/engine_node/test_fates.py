"""What becomes of decisions whose commit failed, is unknown, was fenced or taken out (engine.md 4, M1 to M6)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest

from core.engine.decide import decide
from core.engine.node import decider as decider_module
from core.engine.state import InstanceStatus
from core.engine.stimuli import AttemptEnded, Cancel, Start
from core.errors import (
    CommitUnknown,
    Fenced,
    InstanceQuarantined,
    OutcomeUnknown,
    PayloadMissing,
    StoreBroken,
    StoreFull,
    StoreUnavailable,
)
from tests.unit.engine_node.world import CHAIN, FAILED, ONE, World, settle, simulated, status_of

RETRIED = """
steps:
  - id: a
    operator: "@debug/noop"
    retry: {max_attempts: 3, delay_s: 1, jitter: none}
"""


@simulated
@pytest.mark.parametrize("fate", ["unknown:landed", "unknown:lost", "unknown:late"])
async def test_keyed_start_of_unknown_fate_is_one_instance_and_is_called_once(fate: str) -> None:
    world = World()
    node = await world.started()
    world.store.fates.append(fate)

    started = await node.submit(world.request(world.plan(CHAIN), key="k"))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert [started.instance_id] == list(world.table("instance"))
    assert ["a", "b"] == world.operators.paths()
    assert 0 == node.stats().open_attempts
    await node.stop()


@simulated
@pytest.mark.parametrize("fate", ["unknown:landed", "unknown:lost", "unavailable", "full"])
async def test_outcome_in_a_failed_commit_is_kept_and_its_step_not_called_again(fate: str) -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    world.store.fates.append(fate)
    world.operators.end("a")

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "b"] == world.operators.paths()
    await node.stop()


@simulated
@pytest.mark.parametrize("fate", ["unknown:landed", "unknown:lost"])
async def test_timer_set_in_a_commit_of_unknown_fate_fires(fate: str) -> None:
    world = World()
    node = await world.started()
    world.operators.outcomes["a"] = deque([FAILED])
    world.operators.held = set()
    plan = world.plan(RETRIED)
    world.store.gate = asyncio.Event()
    world.store.gate.set()
    request = world.request(plan, key="k")
    world.store.fates.extend(["land", fate])

    started = await node.submit(request)

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "a"] == world.operators.paths()
    assert [1, 2] == [call.attempt for call in world.operators.calls]
    assert 1 == len({call.idempotency_key for call in world.operators.calls})
    assert {} == world.table("timer")
    await node.stop()


@simulated
async def test_end_that_landed_unknown_is_announced_and_its_cancel_answered() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    waiting = asyncio.ensure_future(node.wait_ended("d", started.instance_id, 5))
    world.store.gate = asyncio.Event()
    world.store.fates.append("unknown:landed")
    world.operators.end("a")
    await settle()
    cancel = asyncio.ensure_future(node.command("d", started.instance_id, Cancel("late")))
    await settle()
    world.store.gate.set()

    assert InstanceStatus.SUCCEEDED is status_of(await waiting)
    assert "ended" == (await cancel).result
    assert 0 == node.stats().hot_instances
    await node.stop()


@simulated
async def test_settle_that_meets_outages_is_tried_until_it_answers() -> None:
    world = World()
    node = await world.started()
    world.shards.settle_faults.extend([StoreUnavailable("away"), CommitUnknown("lost")])
    world.store.fates.append("unknown:lost")

    started = await node.submit(world.request(world.plan(ONE), key="k"))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_shard_fenced_while_a_fate_is_found_out_is_forgotten() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.shards.settle_faults.append(Fenced([0]))
    world.store.fates.append("unknown:landed")
    plan = world.plan(ONE)

    with pytest.raises(OutcomeUnknown):
        await node.submit(world.request(plan, key="k"))
    assert ("fenced", (0,)) in world.notes.heard
    repeat = await node.submit(world.request(plan, key="k"))
    assert repeat.is_repeat
    assert InstanceStatus.SUCCEEDED is await world.finished(node, repeat)
    assert 1 == len(world.table("instance"))
    await node.stop()


@simulated
@pytest.mark.parametrize(("fate", "error"), [("unavailable", StoreUnavailable), ("full", StoreFull)])
async def test_start_in_an_outage_is_refused_and_nothing_is_left(fate: str, error: type[Exception]) -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    world.store.fates.append(fate)

    with pytest.raises(error):
        await node.submit(world.request(plan, key="k"))
    with pytest.raises(error):
        await node.submit(world.request(plan, key="k"))
    await world.pass_s(1)
    started = await node.submit(world.request(plan, key="k"))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert not started.is_repeat
    assert [started.instance_id] == list(world.table("instance"))
    assert 0 == node.stats().open_attempts
    await node.stop()


@simulated
async def test_start_gathered_behind_a_failing_commit_is_refused_too() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    world.store.gate = asyncio.Event()
    world.store.fates.append("unavailable")
    first = asyncio.ensure_future(node.submit(world.request(plan)))
    await settle()
    second = asyncio.ensure_future(node.submit(world.request(plan)))
    await settle()
    world.store.gate.set()

    with pytest.raises(StoreUnavailable):
        await first
    with pytest.raises(StoreUnavailable):
        await second
    await node.stop()


MANY_ITEMS = """
steps:
  - id: m
    operator: "@control/map"
    parameters:
      items: "{{ inputs }}"
      max_concurrency: 300
      steps: [{id: a, operator: "@debug/noop", parameters: {x: "{{ item }}"}}]
"""


@simulated
async def test_start_that_landed_is_not_refused_with_a_later_commit_of_its_instance() -> None:
    world = World()
    node = await world.started()
    # The first commit begins 256 items and lands; the next, which goes on with them and answers the start, does not.
    world.store.fates.extend(["unknown:landed", "unavailable"])

    started = await node.submit(world.request(world.plan(MANY_ITEMS), inputs=list(range(300)), key="k"))

    assert [started.instance_id] == list(world.table("instance"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 300 == len(world.operators.calls)
    await node.stop()


@simulated
async def test_fenced_shard_forgets_its_state_and_cancels_its_attempts() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    world.store.fates.append("fenced:0")
    lost = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await settle()

    assert ["a"] == world.operators.cancelled
    assert InstanceStatus.QUEUED is (await lost).status  # stored for the next owner
    world.operators.held = set()
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert InstanceStatus.SUCCEEDED is await world.finished(node, await lost)
    assert [1, 2] == [call.attempt for call in world.operators.calls if call.instance_id == started.instance_id]
    assert ("lost", 1) in world.notes.heard
    await node.stop()


@simulated
async def test_fence_that_names_no_shard_loses_those_of_the_batch() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.store.fates.append("fenced")

    started = await node.submit(world.request(world.plan(ONE)))

    assert ("fenced", (0,)) in world.notes.heard
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_seq_that_another_writer_changed_ends_in_giving_the_shard_up() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    world.store.fates.append("refuse:seq")
    world.operators.end("a")
    await settle()

    assert ("fenced", (0,)) in world.notes.heard
    world.operators.held = set()
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_outcome_of_an_item_taken_out_is_decided_again() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    world.store.fates.append("refuse:invalid")
    world.operators.end("a")

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "b"] == world.operators.paths()
    await node.stop()


@simulated
async def test_third_refusal_puts_one_instance_into_quarantine_and_others_run_on() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(ONE)
    world.store.fates.extend(["refuse:invalid"] * 3)
    request = world.request(plan, key="k")

    with pytest.raises(InstanceQuarantined):
        await node.submit(request)
    with pytest.raises(InstanceQuarantined):
        await node.command("d", request.id, Cancel("me"))
    other = await node.submit(world.request(plan, key="k"))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, other)
    assert 1 == node.stats().quarantined_instances
    assert ("quarantined", request.id, "NoneType") in world.notes.heard
    await node.stop()


@simulated
async def test_decision_that_raises_costs_its_input_and_then_its_instance_only(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    node = await world.started()
    sick: set[str] = set()

    def planted(plan: Any, state: Any, event: Any, *rest: Any) -> Any:
        if isinstance(event, AttemptEnded | Cancel) and state.header.id in sick:
            raise ZeroDivisionError("planted")
        return decide(plan, state, event, *rest)

    monkeypatch.setattr(decider_module, "decide", planted)
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    sick.add(started.instance_id)
    for _ in range(3):
        with pytest.raises((ZeroDivisionError, InstanceQuarantined)):
            await node.command("d", started.instance_id, Cancel("me"))
    world.operators.held = set()
    other = await node.submit(world.request(world.plan(CHAIN)))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, other)
    assert ("quarantined", started.instance_id, "ZeroDivisionError") in world.notes.heard
    assert ["a"] == world.operators.cancelled
    with pytest.raises(InstanceQuarantined):
        await node.command("d", started.instance_id, Cancel("me"))
    assert [] == world.fatal
    await node.stop()


@simulated
async def test_start_that_cannot_be_decided_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    node = await world.started()

    def planted(plan: Any, state: Any, event: Any, *rest: Any) -> Any:
        if isinstance(event, Start):
            raise ZeroDivisionError("planted")
        return decide(plan, state, event, *rest)

    monkeypatch.setattr(decider_module, "decide", planted)
    with pytest.raises(ZeroDivisionError):
        await node.submit(world.request(world.plan(ONE), key="k"))
    monkeypatch.undo()
    started = await node.submit(world.request(world.plan(ONE), key="k"))

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 0 == node.stats().hot_instances
    await node.stop()


@simulated
async def test_broken_store_ends_the_process() -> None:
    world = World()
    node = await world.started()
    world.store.fates.append("broken")
    answer = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await settle()

    assert [StoreBroken] == [type(fault) for fault in world.fatal]
    answer.cancel()
    await world.kill(node)


@simulated
async def test_value_that_the_store_lost_puts_its_instance_into_quarantine() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    world.operators.outcomes["a"] = deque([FAILED])
    plan = world.plan(RETRIED.replace('"@debug/noop"', '"@debug/noop"\n    parameters: {x: "{{ inputs }}"}'))
    started = await node.submit(world.request(plan, inputs={"text": "x" * 9_000}))
    await settle()
    assert 0 == node.stats().hot_instances
    world.rows._tables.group("payload", started.instance_id).clear()
    await world.pass_s(2)

    assert ("quarantined", started.instance_id, PayloadMissing.__name__) in world.notes.heard
    assert ["a"] == world.operators.paths()
    await node.stop()


@simulated
async def test_lease_that_ends_during_a_commit_leaves_its_start_unknown() -> None:
    world = World(shard_count=1)
    node = await world.started()
    world.store.gate = asyncio.Event()
    world.shards.gate = asyncio.Event()
    answer = asyncio.ensure_future(node.submit(world.request(world.plan(ONE))))
    await world.pass_s(4)

    with pytest.raises(OutcomeUnknown):
        await answer
    world.store.gate.set()
    world.shards.gate.set()
    await world.pass_s(6)

    # The old commit reached the store under an epoch that was over by then.
    assert {} == world.table("instance")
    assert InstanceStatus.SUCCEEDED is await world.finished(node, await node.submit(world.request(world.plan(ONE))))
    await node.stop()
