"""Instances are loaded shortly before their timers are due, and wake in time also when they were not."""

from __future__ import annotations

import asyncio

import pytest

from core.engine.node import EngineNode, Started, ahead
from core.engine.state import InstanceStatus
from core.errors import StoreUnavailable
from core.ports.instance_store import READ_ROWS_MAX
from tests.unit.engine_node.world import World, settle, simulated

WAIT_S = 60
GROUP = 600  # instances that wait for the same time; fewer than a page has rows
WAITING = f"""
steps:
  - {{id: w, operator: "@control/wait", parameters: {{seconds: {WAIT_S}}}}}
"""


async def waiting(world: World, node: EngineNode, count: int, apart_s: float = 0.0) -> list[Started]:
    """Start instances that leave memory at once, and let time pass until shortly before their timers are looked at."""
    plan = world.plan(WAITING)
    started: list[Started] = []
    await world.pass_s(0.1)  # so that all groups come into view at one look
    for _ in range(0, count, GROUP):
        started += await asyncio.gather(*(node.submit(world.request(plan)) for _ in range(GROUP)))
        await world.pass_s(apart_s)
    await world.pass_s(WAIT_S - ahead.AHEAD_S - 2 * ahead.LOOK_S)
    assert 0 == node.stats().hot_instances
    return started


async def assert_all_end(world: World, node: EngineNode, started: list[Started]) -> None:
    assert {InstanceStatus.SUCCEEDED} == {await world.finished(node, one) for one in started}
    assert {} == world.table("timer")
    await settle()
    assert 0 == node.stats().hot_instances
    await node.stop()


@simulated
async def test_instances_are_in_memory_when_they_wake_and_leave_it_afterwards() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    count = 2 * GROUP
    started = await waiting(world, node, count)
    await world.pass_s(3 * ahead.LOOK_S)

    assert count == node.stats().hot_instances
    await assert_all_end(world, node, started)


def test_one_look_loads_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "AWAITED_MAX", READ_ROWS_MAX)

    @simulated
    async def look_twice() -> None:
        world = World()
        node = await world.started(hot_instances_max=0)
        count = 2 * GROUP
        started = await waiting(world, node, count, apart_s=0.01)
        await world.pass_s(3.25 * ahead.LOOK_S)
        first = node.stats().hot_instances
        await world.pass_s(ahead.LOOK_S)

        assert READ_ROWS_MAX == first
        assert count == node.stats().hot_instances
        await assert_all_end(world, node, started)

    look_twice()


@simulated
async def test_store_that_is_away_when_it_is_looked_delays_nothing() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    started = await waiting(world, node, GROUP)
    world.store.timer_faults.extend(StoreUnavailable("away") for _ in range(3))
    await world.pass_s(4 * ahead.LOOK_S)

    assert 0 == node.stats().hot_instances
    await assert_all_end(world, node, started)
