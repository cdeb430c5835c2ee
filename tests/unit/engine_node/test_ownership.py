"""One lease, and shards that are taken, renewed, given up and released in time (R2 to R5, R27)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from core.engine.node import NodeSettings
from core.engine.node.ownership import Ownership, shard_of
from core.engine.node.pauses import DELAY_S_MIN
from core.engine.node.sharing import SPARE_RENEWALS
from core.errors import StoreBroken, StoreUnavailable
from core.ports.clock import Clock
from core.ports.shard_store import Fence, ShardRow
from driven_adapters.memory import MemoryShardStore
from tests.unit.engine_node.test_sharing import loser, winner
from tests.unit.engine_node.world import World, simulated

TTL_S, RENEW_S, MARGIN_S = 3.0, 0.75, 0.5


class WatchedShards(MemoryShardStore):
    """The memory store's shards: counts what is asked, and answers after some seconds."""

    def __init__(self, world: World) -> None:
        super().__init__(world.rows)
        self.asked: list[int] = []
        self.read_count = 0
        self.renewed_at: list[float] = []
        self.acquire_s = self.read_s = self.renew_s = 0.0
        self.renewing_count = 0
        self.renew_fault: Exception | None = None
        self.read_fault: Exception | None = None
        self._clock = world.clock

    async def acquire(self, node: str, shard: int, seen_epoch: int) -> Fence | None:
        self.asked.append(shard)
        await self._clock.sleep_until(self._clock.monotonic() + self.acquire_s)
        return await super().acquire(node, shard, seen_epoch)

    async def shards(self) -> list[ShardRow]:
        self.read_count += 1
        await self._clock.sleep_until(self._clock.monotonic() + self.read_s)
        if self.read_fault is not None:
            raise self.read_fault
        return await super().shards()

    async def renew(self, node: str, ttl_s: float) -> bool:
        self.renewed_at.append(self._clock.monotonic())
        self.renewing_count += 1
        try:
            await self._clock.sleep_until(self._clock.monotonic() + self.renew_s)
        finally:
            self.renewing_count -= 1
        if self.renew_fault is not None:
            raise self.renew_fault
        return await super().renew(node, ttl_s)


class Behind:
    """A clock whose wall time is an hour behind that of the store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.monotonic: Callable[[], float] = clock.monotonic
        self.sleep_until = clock.sleep_until

    def now(self) -> datetime:
        return self._clock.now() - timedelta(hours=1)


class Owner:
    """An ownership without a node around it: what it lost and got."""

    def __init__(self, world: World, *, node_id: str = "one", clock: Clock | None = None) -> None:
        self.shards = WatchedShards(world)
        self.lost: list[tuple[int, ...]] = []
        self.got: list[tuple[int, ...]] = []
        self.ownership = Ownership(
            shards=self.shards,
            clock=clock or world.clock,
            dice=world.dice,
            settings=NodeSettings(node_id=node_id, lease_ttl_s=TTL_S, renew_s=RENEW_S, lease_margin_s=MARGIN_S),
            observer=world.notes,
            sharing=world.node()._sharing,
            on_lost=self.lost.append,
            on_acquired=self.got.append,
        )

    @property
    def owned(self) -> list[int]:
        return sorted(self.ownership.owned)

    async def running(self) -> asyncio.Task[None]:
        await self.ownership.open()
        return asyncio.ensure_future(self.ownership.run())


async def ended(*loops: asyncio.Task[None]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


def test_shard_of_an_instance_is_the_same_in_every_release() -> None:
    ids = ("01JDZ0000000000000000000AA", "01JDZ0000000000000000000AB", "x")

    assert [63, 24, 15] == [shard_of(one, 64) for one in ids]


@simulated
async def test_r5_lease_holds_until_its_deadline_and_no_longer() -> None:
    world = World()
    owner = Owner(world)
    await world.pass_s(7)
    deadline = world.clock.monotonic() + TTL_S - MARGIN_S
    await owner.ownership.open()
    await world.clock.sleep_until(deadline - 0.01)
    assert owner.ownership.check()
    await world.clock.sleep_until(deadline)
    assert not owner.ownership.check()

    assert ([], [(0, 1, 2, 3)]) == (owner.owned, owner.lost)
    assert 0 == owner.ownership.fenced_count  # nobody else was there


@simulated
async def test_r4_shard_that_was_fenced_is_counted_and_asked_for_after_a_pause() -> None:
    world = World()
    owner = Owner(world)
    await owner.ownership.open()
    owner.ownership.lose([2])
    await owner.ownership._take_more()
    assert (1, [0, 1, 3]) == (owner.ownership.fenced_count, owner.owned)

    await world.pass_s(DELAY_S_MIN)
    await owner.ownership._take_more()
    assert [0, 1, 2, 3] == owner.owned
    assert [(0, 1, 2, 3), (2,)] == owner.got


@simulated
async def test_lease_given_up_between_renewals_is_replaced_at_once_and_its_shards_are_taken_by_the_next_one() -> None:
    world = World(shard_count=16)
    owner = Owner(world)
    loop = await owner.running()
    await world.pass_s(0.1)
    owner.ownership.give_up()
    assert [] == owner.owned
    await world.pass_s(2 * DELAY_S_MIN)

    assert list(range(16)) == owner.owned
    assert ["one", "one.1"] == await world.shards.living_nodes()
    await world.pass_s(2)  # its former lease, which lives on for a while, is no other node
    assert 1 == len(owner.lost)
    assert {("one.1", 2)} == {(row.owner, row.epoch) for row in world.table("shard").values()}
    await ended(loop)


@simulated
async def test_owner_of_all_shards_asks_who_lives_and_reads_no_shard() -> None:
    world = World()
    owner = Owner(world)
    loop = await owner.running()
    await world.pass_s(10)

    assert (1, [(0, 1, 2, 3)]) == (owner.shards.read_count, owner.got)
    await ended(loop)


@simulated
async def test_nothing_taken_is_not_told_as_taken() -> None:
    world = World()
    owner = Owner(world)
    await owner.ownership.open()
    await owner.ownership.acquire_free()

    assert [(0, 1, 2, 3)] == owner.got


@simulated
async def test_r30_node_that_stops_takes_no_shard() -> None:
    world = World()
    owner = Owner(world)
    owner.ownership.stop_acquiring()
    await owner.ownership.open()

    assert [] == owner.shards.asked


@simulated
async def test_r5_shards_taken_while_the_lease_ran_out_are_not_told_and_are_given_up() -> None:
    world = World()
    owner = Owner(world)
    owner.shards.acquire_s = 0.9
    await owner.ownership.open()

    assert [0, 1, 2] == owner.shards.asked
    assert ([], [], [(0, 1, 2)]) == (owner.owned, owner.got, owner.lost)


@simulated
async def test_r30_handed_over_shards_and_their_lease_are_free_at_once() -> None:
    world = World()
    owner = Owner(world)
    await owner.ownership.open()
    await owner.ownership.hand_over()

    assert {None} == {row.owner for row in world.table("shard").values()}
    assert [] == await world.shards.living_nodes()
    assert not owner.ownership.check()
    assert [(0, 1, 2, 3)] == owner.lost


@simulated
async def test_lease_that_is_over_by_ones_own_clock_is_asked_for() -> None:
    world = World(shard_count=1)
    await world.shards.open_lease("dead", TTL_S)
    await world.shards.acquire("dead", 0, 0)
    owner = Owner(world)
    await world.pass_s(TTL_S)
    await owner.ownership.open()

    assert [0] == owner.owned


@simulated
async def test_r27_dead_nodes_shard_is_taken_by_a_node_whose_clock_is_behind_when_its_lease_stood_still() -> None:
    world = World(shard_count=1)
    await world.pass_s(10)
    await world.shards.open_lease("dead", TTL_S)
    await world.shards.acquire("dead", 0, 0)
    owner = Owner(world, clock=Behind(world.clock))
    loop = await owner.running()
    await world.pass_s(TTL_S - 0.1)
    assert [] == owner.shards.asked

    await world.pass_s(0.2)
    assert [0] == owner.owned
    await ended(loop)


@simulated
async def test_r27_shard_of_a_node_that_renews_its_lease_is_never_asked_for_by_one_whose_clock_is_behind() -> None:
    world = World(shard_count=1)
    other = Owner(world, node_id=winner())
    owner = Owner(world, node_id=loser(), clock=Behind(world.clock))
    loops = [await one.running() for one in (other, owner)]
    await world.pass_s(10)

    assert ([], [0]) == (owner.shards.asked, other.owned)
    await ended(*loops)


@simulated
@pytest.mark.parametrize("by", ["another", "this"])
async def test_shard_that_is_free_once_more_is_left_to_the_node_that_it_prefers_once_more(by: str) -> None:
    world = World(shard_count=1)
    await world.shards.open_lease(winner(), 60.0)
    owner = Owner(world, node_id=loser())
    loop = await owner.running()
    if by == "another":
        fence = await world.shards.acquire(winner(), 0, 0)
        assert fence is not None
        await world.pass_s(SPARE_RENEWALS * RENEW_S + RENEW_S)
        await world.shards.release(winner(), [fence])
    else:
        await world.pass_s(SPARE_RENEWALS * RENEW_S + 0.1)
        assert [0] == owner.owned
        owner.ownership.lose([0])
    await world.pass_s(RENEW_S + 0.1)
    assert [] == owner.owned

    await world.pass_s(SPARE_RENEWALS * RENEW_S)
    assert [0] == owner.owned
    await ended(loop)


@simulated
@pytest.mark.parametrize(("read_s", "expected"), [(0.9, [0]), (1.1, [])])
async def test_r5_look_for_shards_ends_two_renewals_before_the_deadline(read_s: float, expected: list[int]) -> None:
    world = World(shard_count=1)
    other = Owner(world, node_id="dead")
    await other.ownership.open()
    owner = Owner(world)
    loop = await owner.running()
    owner.shards.read_s = read_s
    await world.pass_s(8)

    assert expected == owner.owned
    assert [] == owner.lost  # the lease is renewed in time whatever the look meets
    await ended(loop)


@simulated
async def test_r5_renewals_come_in_their_time_and_leave_nothing_behind() -> None:
    world = World()
    owner = Owner(world)
    loop = await owner.running()
    await world.pass_s(0.1)
    before = asyncio.all_tasks()
    began_at = world.clock.monotonic() - 0.1
    await world.pass_s(6)

    assert [round(began_at + n * RENEW_S, 3) for n in range(1, 9)] == [round(at, 3) for at in owner.shards.renewed_at]
    assert len(before) == len(asyncio.all_tasks())
    await ended(loop)


@simulated
@pytest.mark.parametrize("fault", [None, StoreUnavailable("away")])
async def test_m13_answer_of_a_renewal_that_comes_after_the_deadline_revives_nothing(fault: Exception | None) -> None:
    world = World()
    owner = Owner(world)
    await owner.ownership.open()
    owner.shards.renew_s, owner.shards.renew_fault = 1.0, fault
    renewing = asyncio.ensure_future(owner.ownership._renew())
    await world.pass_s(0.5)
    owner.ownership._deadline = 0.0  # as a process finds it that slept meanwhile

    assert not await renewing
    assert not owner.ownership.check()
    assert [] == owner.owned


@simulated
async def test_r5_renewal_that_hangs_is_left_at_the_deadline() -> None:
    world = World()
    owner = Owner(world)
    loop = await owner.running()
    owner.shards.renew_s = 60.0
    await world.pass_s(RENEW_S + 0.1)
    assert 1 == owner.shards.renewing_count
    await world.clock.sleep_until(owner.ownership._deadline + 0.01)

    assert (0, [(0, 1, 2, 3)]) == (owner.shards.renewing_count, owner.lost)
    await ended(loop)


@simulated
async def test_r4_store_that_is_away_is_asked_for_another_lease_in_growing_pauses() -> None:
    world = World()
    owner = Owner(world)
    loop = await owner.running()
    owner.shards.read_fault = StoreUnavailable("away")
    owner.ownership.give_up()
    before = owner.shards.read_count
    await world.pass_s((1 + 2 + 4) * DELAY_S_MIN)
    assert 3 == owner.shards.read_count - before  # of each pause, up to a half is left out

    owner.shards.read_fault = None
    await world.pass_s(16 * DELAY_S_MIN)
    assert [0, 1, 2, 3] == owner.owned
    await ended(loop)


@simulated
async def test_broken_store_that_a_look_for_shards_meets_ends_the_loop() -> None:
    world = World(shard_count=1)
    await Owner(world, node_id="other").ownership.open()
    owner = Owner(world)
    loop = await owner.running()
    owner.shards.read_fault = StoreBroken("the sync failed")

    with pytest.raises(StoreBroken):
        await loop


@simulated
async def test_r4_shard_that_prefers_another_node_is_free_when_it_is_handed_over() -> None:
    world = World(shard_count=1)
    owner = Owner(world, node_id=loser())
    await owner.ownership.open()
    await world.shards.open_lease(winner(), 60.0)
    await owner.ownership._take_more()

    assert ([], [(0,)]) == (owner.owned, owner.lost)
    assert None is world.table("shard")[0].owner
