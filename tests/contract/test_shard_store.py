"""ShardStore: leases and epochs by the store's clock, over every adapter."""

from __future__ import annotations

import pytest

from core.errors import Fenced
from core.ports.shard_store import Fence
from tests.contract.stores import LEASE_S, SHARD_COUNT, Stores, own


async def test_new_store_lists_every_shard_without_owner(stores: Stores) -> None:
    rows = await stores.shards.shards()

    assert [(shard, 0, None, None) for shard in range(SHARD_COUNT)] == [
        (row.shard, row.epoch, row.owner, row.lease_until) for row in rows
    ]


async def test_acquired_shard_shows_owner_epoch_and_end_of_lease(stores: Stores) -> None:
    [fence] = await own(stores, 5)
    row = (await stores.shards.shards())[5]

    assert (5, 1) == (fence.shard, fence.epoch)
    assert (1, "node-1") == (row.epoch, row.owner)
    assert row.lease_until is not None
    assert (row.lease_until - stores.clock.now()).total_seconds() == LEASE_S


async def test_node_id_used_twice_is_refused(stores: Stores) -> None:
    await stores.shards.open_lease("node-1", LEASE_S)

    with pytest.raises(ValueError, match="node-1"):
        await stores.shards.open_lease("node-1", LEASE_S)


async def test_acquire_with_a_stale_epoch_gives_nothing(stores: Stores) -> None:
    await own(stores, 2)
    stores.clock.move(LEASE_S + 1)
    await stores.shards.open_lease("node-2", LEASE_S)

    assert None is await stores.shards.acquire("node-2", 2, 0)
    assert 1 == (await stores.shards.shards())[2].epoch


async def test_acquire_from_a_living_owner_gives_nothing(stores: Stores) -> None:
    await own(stores, 2)
    await stores.shards.open_lease("node-2", LEASE_S)

    assert None is await stores.shards.acquire("node-2", 2, 1)


async def test_acquire_by_the_living_owner_itself_gives_nothing(stores: Stores) -> None:
    await own(stores, 2)

    assert None is await stores.shards.acquire("node-1", 2, 1)


async def test_acquire_under_an_ended_lease_gives_nothing(stores: Stores) -> None:
    await stores.shards.open_lease("node-1", LEASE_S)
    stores.clock.move(LEASE_S)

    assert None is await stores.shards.acquire("node-1", 2, 0)


async def test_acquire_without_a_lease_or_a_shard_gives_nothing(stores: Stores) -> None:
    await own(stores, 1)

    assert None is await stores.shards.acquire("node-9", 2, 0)
    assert None is await stores.shards.acquire("node-1", SHARD_COUNT, 0)


async def test_shard_of_an_ended_lease_goes_to_the_next_node_with_the_next_epoch(stores: Stores) -> None:
    [old] = await own(stores, 2)
    stores.clock.move(LEASE_S)
    [new] = await own(stores, 2, node="node-2")

    assert (1, 2) == (old.epoch, new.epoch)
    with pytest.raises(Fenced) as caught:
        await stores.shards.settle([old])
    assert (2,) == caught.value.shards
    await stores.shards.settle([new])


async def test_two_nodes_after_one_shard_get_it_once(stores: Stores) -> None:
    await stores.shards.open_lease("node-1", LEASE_S)
    await stores.shards.open_lease("node-2", LEASE_S)
    won = [await stores.shards.acquire(node, 4, 0) for node in ("node-1", "node-2")]

    assert [True, False] == [fence is not None for fence in won]


async def test_renewed_lease_keeps_its_shards(stores: Stores) -> None:
    await own(stores, 2)
    stores.clock.move(LEASE_S - 1)
    assert await stores.shards.renew("node-1", LEASE_S)
    stores.clock.move(LEASE_S - 1)
    await stores.shards.open_lease("node-2", LEASE_S)

    assert None is await stores.shards.acquire("node-2", 2, 1)


async def test_ended_lease_is_not_renewed(stores: Stores) -> None:
    await stores.shards.open_lease("node-1", LEASE_S)
    stores.clock.move(LEASE_S)

    assert not await stores.shards.renew("node-1", LEASE_S)
    assert not await stores.shards.renew("node-unknown", LEASE_S)


async def test_living_nodes_are_those_whose_lease_is_not_over(stores: Stores) -> None:
    await stores.shards.open_lease("node-2", LEASE_S)
    stores.clock.move(LEASE_S - 1)
    await stores.shards.open_lease("node-1", LEASE_S)
    assert ["node-1", "node-2"] == await stores.shards.living_nodes()
    stores.clock.move(1)

    assert ["node-1"] == await stores.shards.living_nodes()


async def test_lease_renewed_for_no_time_is_over(stores: Stores) -> None:
    [old] = await own(stores, 2)
    assert await stores.shards.renew("node-1", 0.0)

    assert [] == await stores.shards.living_nodes()
    assert [old.epoch + 1] == [fence.epoch for fence in await own(stores, 2, node="node-2")]


async def test_released_shard_is_free_at_once(stores: Stores) -> None:
    fences = await own(stores, 2, 3)
    await stores.shards.release("node-1", fences)

    assert [2, 2] == [fence.epoch for fence in await own(stores, 2, 3, node="node-2")]


async def test_release_of_a_lost_shard_changes_nothing(stores: Stores) -> None:
    old = await own(stores, 2)
    stores.clock.move(LEASE_S)
    await own(stores, 2, node="node-2")
    await stores.shards.release("node-1", old)

    assert ("node-2", 2) == ((await stores.shards.shards())[2].owner, (await stores.shards.shards())[2].epoch)


async def test_settle_names_every_fence_that_is_over(stores: Stores) -> None:
    fences = await own(stores, 1, 2, 3)
    incarnation = fences[0].incarnation
    wrong = [fences[1], Fence(3, 9, incarnation), Fence(1, 1, "another store"), Fence(SHARD_COUNT, 1, incarnation)]
    with pytest.raises(Fenced) as caught:
        await stores.shards.settle(wrong)

    assert {1, 3, SHARD_COUNT} == set(caught.value.shards)
    await stores.shards.settle(fences)


async def test_point_after_the_fences_is_passed_when_they_hold_and_not_when_one_is_over(stores: Stores) -> None:
    [fence] = await own(stores, 1)
    passed: list[str] = []
    stores.points.on_pass = passed.append
    await stores.shards.settle([fence])
    held = tuple(passed)
    passed.clear()
    with pytest.raises(Fenced):
        await stores.shards.settle([Fence(1, 9, fence.incarnation)])

    assert 1 == held.count("after_fence")
    assert "after_fence" not in passed


async def test_another_incarnation_ends_every_fence_and_frees_every_shard(stores: Stores) -> None:
    [old] = await own(stores, 2)
    await stores.renew_incarnation()
    with pytest.raises(Fenced):
        await stores.shards.settle([old])
    new = await stores.shards.acquire("node-1", 2, 1)

    assert new is not None
    assert 2 == new.epoch
    assert old.incarnation != new.incarnation
    await stores.shards.settle([new])


async def test_reopened_store_keeps_epochs_and_frees_leases_if_it_says_so(stores: Stores) -> None:
    [old] = await own(stores, 2)
    await stores.close()
    await stores.open()
    await stores.shards.open_lease("node-2", LEASE_S)
    taken = await stores.shards.acquire("node-2", 2, 1)

    assert stores.frees_on_open == (taken is not None)
    if taken is not None:
        assert (2, old.incarnation) == (taken.epoch, taken.incarnation)
