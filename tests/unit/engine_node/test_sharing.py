"""How living nodes share the shards out: rendezvous hashing, moves without a lost attempt, shards nobody came for (R4)."""

from __future__ import annotations

from collections import Counter

import pytest

from core.engine.node.sharing import MOVE_AGAIN_S, MOVE_S, MOVES_MAX, preferred
from core.engine.state import InstanceStatus
from core.errors import StoreUnavailable
from tests.unit.engine_node.world import CHAIN, ONE, World, settle, simulated

SHARD_COUNT = 64


def test_shard_prefers_one_node_whatever_the_order() -> None:
    nodes = ["a", "b", "c"]

    for shard in range(SHARD_COUNT):
        assert preferred(nodes, shard) == preferred(reversed(nodes), shard)


def test_node_that_comes_takes_only_what_prefers_it() -> None:
    before = [preferred(["a", "b"], shard) for shard in range(SHARD_COUNT)]
    after = [preferred(["a", "b", "c"], shard) for shard in range(SHARD_COUNT)]

    assert {"c"} == {new for old, new in zip(before, after, strict=True) if old != new}
    assert {"a", "b", "c"} == set(after)
    assert 10 < min(Counter(after).values())


def test_shard_without_a_node_prefers_none() -> None:
    with pytest.raises(ValueError, match="max"):
        preferred([], 1)


@simulated
async def test_second_node_gets_its_shards_and_the_first_one_keeps_its_own() -> None:
    world = World(shard_count=16)
    first = await world.started()
    assert 16 == first.stats().owned_shards
    second = await world.started()
    await world.pass_s(2 * MOVE_S)
    owners = {shard: row.owner for shard, row in world.table("shard").items()}
    nodes = sorted({str(owner) for owner in owners.values()})

    assert 2 == len(nodes)
    assert {shard: preferred(nodes, shard) for shard in range(16)} == owners
    assert 16 == first.stats().owned_shards + second.stats().owned_shards
    assert [] == [heard for heard in world.notes.heard if heard[0] == "fenced"]
    await second.stop()
    await world.pass_s(2)
    assert 16 == first.stats().owned_shards
    await first.stop()


@simulated
async def test_shard_moves_when_its_attempts_have_ended_and_none_is_repeated() -> None:
    world = World(shard_count=1)
    first = await world.started(node_id=loser())
    world.operators.held = {"a"}
    started = await first.submit(world.request(world.plan(CHAIN)))
    await settle()
    second = await world.started(node_id=winner())
    await world.pass_s(2)
    assert (1, 0) == (first.stats().owned_shards, second.stats().owned_shards)
    world.operators.end("a")
    await settle()
    assert ["a"] == world.operators.paths()  # the next step is started by the next owner

    assert InstanceStatus.SUCCEEDED is await world.finished(second, started)
    assert (0, 1) == (first.stats().owned_shards, second.stats().owned_shards)
    assert ["a", "b"] == world.operators.paths()
    await first.stop()
    await second.stop()


@simulated
async def test_shard_with_a_long_attempt_stays_and_its_other_tasks_go_on() -> None:
    world = World(shard_count=1)
    first = await world.started(node_id=loser())
    world.operators.held = {"a"}
    await first.submit(world.request(world.plan(ONE)))
    await settle()
    second = await world.started(node_id=winner())
    await world.pass_s(2)
    # Another instance of the moving shard waits for its place until the move is given up.
    waiting = await first.submit(world.request(world.plan(ONE.replace("a,", "c,"))))
    await settle()
    assert ["a"] == world.operators.paths()
    assert InstanceStatus.SUCCEEDED is await world.finished(first, waiting, MOVE_S + 2)
    assert (1, 0) == (first.stats().owned_shards, second.stats().owned_shards)

    world.operators.end("a")
    await world.pass_s(MOVE_AGAIN_S)
    assert (0, 1) == (first.stats().owned_shards, second.stats().owned_shards)
    await first.stop()
    await second.stop()


@simulated
async def test_shard_that_its_preferred_node_leaves_free_is_taken_by_another() -> None:
    world = World(shard_count=1)
    await world.shards.open_lease(winner(), 60.0)  # it lives, and does not come
    node = await world.started(node_id=loser())
    assert 0 == node.stats().owned_shards
    await world.pass_s(1)
    assert 0 == node.stats().owned_shards
    await world.pass_s(2)
    assert 1 == node.stats().owned_shards

    await world.pass_s(MOVE_AGAIN_S / 2)  # and is not handed to a node that does not come for it
    assert 1 == world.table("shard")[0].epoch
    await node.stop()


@simulated
async def test_not_more_than_a_few_shards_move_at_once() -> None:
    world = World(shard_count=SHARD_COUNT)
    first = await world.started()
    second = await world.started()
    await world.pass_s(first._settings.renew_s + 0.01)

    assert SHARD_COUNT - MOVES_MAX == first.stats().owned_shards
    await first.stop()
    await second.stop()


@simulated
async def test_shard_lost_while_it_moves_is_forgotten() -> None:
    world = World(shard_count=1)
    first = await world.started(node_id=loser())
    world.operators.held = {"a"}
    await first.submit(world.request(world.plan(ONE)))
    await settle()
    second = await world.started(node_id=winner())
    await world.pass_s(1)
    assert first._sharing.is_moving(0)
    first._ownership.lose([0])
    await world.pass_s(2)

    assert not first._sharing.is_moving(0)
    assert 1 == second.stats().owned_shards
    await first.stop()
    await second.stop()


@simulated
async def test_hand_over_that_meets_an_outage_is_made_up_for() -> None:
    world = World(shard_count=1)
    first = await world.started(node_id=loser())
    release, faults = world.shards.release, [StoreUnavailable("away")]

    async def fail_once(node: str, fences: object) -> None:
        if faults:
            raise faults.pop()
        await release(node, fences)  # type: ignore[arg-type]  # as it was given

    world.shards.release = fail_once  # type: ignore[method-assign]  # one refusal, as the store gives it
    second = await world.started(node_id=winner())
    await world.pass_s(4)

    assert (0, 1) == (first.stats().owned_shards, second.stats().owned_shards)
    await first.stop()
    await second.stop()


def winner() -> str:
    """Give the node that shard 0 prefers of the two."""
    return preferred(("one", "two"), 0)


def loser() -> str:
    return ({"one", "two"} - {winner()}).pop()
