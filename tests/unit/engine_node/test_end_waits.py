"""Waits for an end last no longer than they were told, whatever the store does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from core.engine.state import InstanceStatus
from core.ports.instance_store import Loaded
from tests.unit.engine_node.world import ONE, World, settle, simulated, status_of


def hang(world: World) -> None:
    """Let no look at an instance come back any more."""

    async def load(_instance_id: str, *, paths: Sequence[str] | None = None) -> Loaded | None:
        await asyncio.get_running_loop().create_future()
        raise AssertionError(paths)

    world.store.load = load  # type: ignore[method-assign,assignment]  # for this test


async def ended_instance(world: World, node: Any) -> str:
    started = await node.submit(world.request(world.plan(ONE)))
    await world.finished(node, started)
    return str(started.instance_id)


@simulated
async def test_wait_is_over_in_time_although_the_store_does_not_answer() -> None:
    world = World()
    node = await world.started()
    instance_id = await ended_instance(world, node)
    hang(world)
    before = asyncio.get_running_loop().time()

    assert await node.wait_ended("d", instance_id, 3) is None
    assert 3 <= asyncio.get_running_loop().time() - before < 5
    assert 0 == node.stats().waiters
    await node.stop()


@simulated
@pytest.mark.parametrize("is_hanging", [False, True])
async def test_all_who_wait_are_answered_when_waits_are_ended(*, is_hanging: bool) -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    open_one = await node.submit(world.request(world.plan(ONE)))
    world.operators.held = set()
    ended = await ended_instance(world, node)
    if is_hanging:
        hang(world)
    waits = [asyncio.ensure_future(node.wait_ended("d", one, 60)) for one in (open_one.instance_id, ended)]
    await settle()
    before = asyncio.get_running_loop().time()
    node.end_waits()
    node.end_waits()  # saying it twice changes nothing
    first, second = await asyncio.gather(*waits)

    assert first is None
    assert (None if is_hanging else InstanceStatus.SUCCEEDED) == status_of(second)
    assert before == asyncio.get_running_loop().time()
    assert await node.wait_ended("d", open_one.instance_id, 60) is None  # and later ones at once
    assert before == asyncio.get_running_loop().time()
    assert 0 == node.stats().waiters
    await node.stop()
