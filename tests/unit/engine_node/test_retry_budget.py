"""The node's budget of retries: what it charges, and what becomes of retries beyond it (reliability.md R25)."""

from __future__ import annotations

from collections import deque

from core.engine.state import InstanceStatus
from core.executor.operator import Failed
from tests.unit.engine_node.world import World, settle, simulated

PER_S = 0.1  # the bucket holds one token
AGAIN = 'steps: [{id: a, operator: "@debug/noop", parameters: {x: 1}, retry: {delay_s: 0, max_attempts: 9}}]'


def failing(world: World, times: int) -> None:
    world.operators.outcomes["a"] = deque([Failed(error_kind="unavailable", message="away")] * times)


@simulated
async def test_retry_beyond_the_budget_is_put_off_durably_and_begins_when_its_turn_comes() -> None:
    world = World()
    node = await world.started(retry_reserve_per_s=PER_S, retry_share=0.0)
    failing(world, 2)
    started = await node.submit(world.request(world.plan(AGAIN)))
    await settle()
    [timer] = world.table("timer").values()

    assert ["a", "a"] == world.operators.paths()  # the first retry took the token
    assert "put_off" == timer.kind
    assert 1 == node.stats().put_off_retry_count
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 3 == len(world.operators.calls)
    await node.stop()


@simulated
async def test_retry_that_was_put_off_begins_at_the_next_node() -> None:
    world = World()
    first = await world.started(retry_reserve_per_s=PER_S, retry_share=0.0)
    failing(world, 2)
    started = await first.submit(world.request(world.plan(AGAIN)))
    await settle()
    await world.kill(first)
    second = await world.started()

    assert InstanceStatus.SUCCEEDED is await world.finished(second, started)
    assert [1, 2, 3] == [call.attempt for call in world.operators.calls]
    await second.stop()


@simulated
async def test_first_calls_of_the_domain_give_its_retries_their_share() -> None:
    world = World()
    node = await world.started(retry_reserve_per_s=PER_S, retry_share=0.5)
    plan = world.plan(AGAIN)
    failing(world, 1)
    await node.submit(world.request(plan))  # its retry takes the token
    await settle()
    for _ in range(2):
        await node.submit(world.request(plan))
    await settle()
    failing(world, 1)
    await node.submit(world.request(plan))
    await settle()

    assert 6 == len(world.operators.calls)
    assert 0 == node.stats().put_off_retry_count
    await node.stop()


@simulated
async def test_domains_do_not_take_each_others_retries() -> None:
    world = World()
    node = await world.started(retry_reserve_per_s=PER_S, retry_share=0.0)
    plan = world.plan(AGAIN)
    for domain_id in ("d", "e"):
        failing(world, 1)
        await node.submit(world.request(plan, domain_id=domain_id))
        await settle()

    assert (4, 0) == (len(world.operators.calls), node.stats().put_off_retry_count)
    await node.stop()
