"""Ownership of shards: one lease, renewed in time or given up (reliability.md R2 to R5)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable

from core.engine.node.pauses import Backoff, wait_until
from core.engine.node.sharing import Sharing
from core.engine.node.terms import NodeObserver, NodeSettings
from core.errors import CommitUnknown, StoreFull, StoreTimeout, StoreUnavailable
from core.ports.clock import Clock, Dice
from core.ports.shard_store import Fence, ShardRow, ShardStore

OUTAGE = (StoreUnavailable, StoreTimeout, StoreFull, CommitUnknown)  # what a lease call may meet and survive


def shard_of(instance_id: str, shard_count: int) -> int:
    """Give the shard of an instance: blake2b(id) % SHARD_COUNT (engine.md 7)."""
    return int.from_bytes(hashlib.blake2b(instance_id.encode(), digest_size=8).digest(), "big") % shard_count


class Ownership:
    """The shards that this node owns, each by a fence of the store.

    Args:
        on_lost: called with shards whose state must be forgotten, before anything else happens (R4).
        on_acquired: called with shards that are owned anew.
    """

    def __init__(
        self,
        *,
        shards: ShardStore,
        clock: Clock,
        dice: Dice,
        settings: NodeSettings,
        observer: NodeObserver,
        sharing: Sharing,
        on_lost: Callable[[tuple[int, ...]], None],
        on_acquired: Callable[[tuple[int, ...]], None],
    ) -> None:
        self._shards = shards
        self._clock = clock
        self._dice = dice
        self._settings = settings
        self._observer = observer
        self._sharing = sharing
        self._on_lost = on_lost
        self._on_acquired = on_acquired
        self._fences: dict[int, Fence] = {}
        self._not_before: dict[int, float] = {}
        self._seen: dict[str, tuple[object, float]] = {}
        self._backoffs: dict[int, Backoff] = {}
        self._stale: list[tuple[str, Fence]] = []
        self._former: list[str] = []
        self._deadline = float("-inf")
        self._is_over = asyncio.Event()
        self._is_acquiring = True
        self.shard_count = 0
        self.fenced_count = 0
        self.node = settings.node_id

    @property
    def owned(self) -> Collection[int]:
        """The shards owned now."""
        return self._fences.keys()

    def shard(self, instance_id: str) -> int:
        """Give the shard of an instance."""
        return shard_of(instance_id, self.shard_count)

    def fence(self, shard: int) -> Fence | None:
        """Give the proof of ownership of a shard, None when this node does not own it."""
        return self._fences.get(shard)

    def fences(self, shards: Iterable[int]) -> list[Fence]:
        """Give the fences of these shards, in shard order (engine.md 4)."""
        return [self._fences[shard] for shard in sorted(set(shards)) if shard in self._fences]

    def check(self) -> bool:
        """Say whether the lease holds; past its deadline everything is given up, whoever notices first (R5)."""
        if self._clock.monotonic() < self._deadline:
            return True
        self.give_up()
        return False

    def give_up(self) -> None:
        """Give up all shards; the node goes on under a new lease."""
        self._deadline = float("-inf")
        self._is_over.set()
        self.lose(tuple(self._fences), is_fenced=False)

    def lose(self, shards: Iterable[int], *, is_fenced: bool = True) -> None:
        """Forget shards whose epoch is over; they are asked for again only after a back-off (R4)."""
        lost = self._take_out(shards)
        if not lost:
            return
        if is_fenced:
            self.fenced_count += len(lost)
            now = self._clock.monotonic()
            for shard in lost:
                backoff = self._backoffs.setdefault(shard, Backoff(self._clock, self._dice))
                self._not_before[shard] = now + backoff.delay_s()
        self._observer.fenced(lost)
        self._on_lost(lost)

    def _take_out(self, shards: Iterable[int]) -> tuple[int, ...]:
        fences = [fence for shard in shards if (fence := self._fences.pop(shard, None)) is not None]
        # Released when the store answers: a shard that this node dropped while its epoch held has no owner (R5).
        self._stale += [(self.node, fence) for fence in fences]
        return tuple(fence.shard for fence in fences)

    def stop_acquiring(self) -> None:
        """Take no more shards: the node is stopping (R30)."""
        self._is_acquiring = False

    async def open(self) -> None:
        """Open a lease and take every free shard.

        Raises:
            StoreUnavailable, StoreTimeout: the store does not answer.
        """
        # A node id is used once (R2); later leases of this process have names of their own.
        node = f"{self._settings.node_id}.{len(self._former)}" if self._former else self._settings.node_id
        self._former.append(node)
        self.node = node
        before = self._clock.monotonic()
        await self._shards.open_lease(self.node, self._settings.lease_ttl_s)
        self._extend(before)
        self._is_over.clear()
        await self.acquire_free()

    async def acquire_free(self) -> None:
        """Take the shards that no living node owns, and that prefer this one (R4)."""
        rows = await self._shards.shards()
        self._sharing.meet(self.node, await self._shards.living_nodes(), self._former[:-1])
        self.shard_count = len(rows)
        owners = {row.owner for row in rows}
        self._seen = {owner: seen for owner, seen in self._seen.items() if owner in owners}
        # Taken by a call whose answer was lost: released with the next renewal, and taken again then.
        known = {fence.shard for _node, fence in self._stale}
        lost = [row for row in rows if row.owner == self.node and row.shard not in self._fences.keys() | known]
        self._stale += [(self.node, Fence(row.shard, row.epoch, "")) for row in lost]
        wanted = [row for row in rows if row.shard not in self._fences and self._is_wanted(row)]
        taken: list[int] = []
        try:
            await self._take(wanted, taken)
        finally:
            # Also when the store went away in between. What a call took that outlasted the lease is given up with it.
            if taken and self.check():
                self._on_acquired(tuple(shard for shard in taken if shard in self._fences))

    async def _take(self, wanted: Iterable[ShardRow], taken: list[int]) -> None:
        for row in wanted:
            if not self._is_acquiring or not self.check():
                return
            fence = await self._shards.acquire(self.node, row.shard, row.epoch)
            if fence is not None:
                self._fences[fence.shard] = fence
                self._sharing.note_owned(fence.shard)
                taken.append(fence.shard)

    def _is_wanted(self, row: ShardRow) -> bool:
        if self._is_free(row):
            return self._sharing.may_take(row.shard)
        self._sharing.note_owned(row.shard)
        return False

    def _is_free(self, row: ShardRow) -> bool:
        """Say whether asking for a shard is worth a transaction; the store decides by its own clock."""
        now = self._clock.monotonic()
        if now < self._not_before.get(row.shard, now):
            return False
        if row.owner is None or row.lease_until is None or row.lease_until <= self._clock.now():
            return True
        # Clocks of two machines are not compared (R27): a lease that did not move for its whole time is over, too.
        until, since = self._seen.get(row.owner, (None, now))
        if until != row.lease_until:
            self._seen[row.owner] = (row.lease_until, now)
            return False
        return now - since >= self._settings.lease_ttl_s

    async def run(self) -> None:
        """Keep the lease; when it is over, go on under a new one."""
        while True:
            await self._hold()
            self.give_up()
            await self._reopen()

    async def _hold(self) -> None:
        """Renew until the deadline has passed or the lease is gone."""
        while not self._is_over.is_set():
            await wait_until(self._clock, self._is_over, self._clock.monotonic() + self._settings.renew_s)
            if self._is_over.is_set() or not await self._renew():
                return
            await self._take_in_time()

    async def _renew(self) -> bool:
        """Renew once; False when the lease is over by its own deadline or by the store's word."""
        if not self.check():
            return False
        before = self._clock.monotonic()
        call = asyncio.ensure_future(self._shards.renew(self.node, self._settings.lease_ttl_s))
        watch = asyncio.ensure_future(wait_until(self._clock, self._is_over, self._deadline))
        try:
            await asyncio.wait((call, watch), return_when=asyncio.FIRST_COMPLETED)
            if not call.done() or not self.check():
                return False  # an answer that comes after the deadline revives nothing (M13)
            if not call.result():
                return False
        except OUTAGE:
            return True  # tried again until the deadline
        finally:
            watch.cancel()
            call.cancel()  # of one that is done: an error that came too late is looked at by this
        self._extend(before)
        return True

    def _extend(self, before: float) -> None:
        # Counted from before the call was sent: the store's time began somewhere after it (R5).
        self._deadline = before + self._settings.lease_ttl_s - self._settings.lease_margin_s

    async def _take_in_time(self) -> None:
        """Look for more shards while the lease leaves time: a store that does not answer hides no deadline (R5)."""
        call = asyncio.ensure_future(self._take_more())
        # Two renewals before the deadline: the next one is sent in time whatever this call meets.
        until = self._deadline - 2 * self._settings.renew_s
        watch = asyncio.ensure_future(wait_until(self._clock, self._is_over, until))
        try:
            await asyncio.wait((call, watch), return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                call.result()
        finally:
            watch.cancel()
            call.cancel()

    async def _take_more(self) -> None:
        if not self._is_acquiring:
            return
        try:
            await self._release_stale()
            if len(self._fences) < self.shard_count:
                await self.acquire_free()
            else:
                self._sharing.meet(self.node, await self._shards.living_nodes(), self._former[:-1])
            await self._pass_on()
        except OUTAGE:
            return  # asked again after the next renewal

    async def _pass_on(self) -> None:
        """Hand over shards that prefer another living node, each at a moment when nothing of it is under way."""
        self._sharing.begin(self._fences)
        if leaving := self._take_out(self._sharing.ready(self._fences)):
            self._on_lost(leaving)
            await self._release_stale()

    async def _reopen(self) -> None:
        backoff = Backoff(self._clock, self._dice)
        while True:
            await backoff.pause()
            try:
                await self._release_stale()
                await self.open()
            except OUTAGE:
                # What was taken belongs to a lease that nobody renews once the next one is opened (R5).
                self.give_up()
                continue
            return

    async def _release_stale(self) -> None:
        """Release what was dropped; shards that have another owner by now are skipped by the store."""
        while self._stale:
            node = self._stale[0][0]
            await self._shards.release(node, [fence for owner, fence in self._stale if owner == node])
            self._stale = [(owner, fence) for owner, fence in self._stale if owner != node]

    async def hand_over(self) -> None:
        """Forget all shards and release them, so that a successor may take them at once (R30): nothing is lost by it.

        Raises:
            StoreUnavailable, StoreTimeout: not released; they are free when the lease is over.
        """
        self._deadline = float("-inf")
        self._is_over.set()
        if handed := self._take_out(tuple(self._fences)):
            self._on_lost(handed)
        await self._release_stale()
        # The lease ends, too: no other node leaves a shard to one that has stopped.
        await self._shards.renew(self.node, 0.0)
