"""The commit loop: one commit at a time, the next batch gathers meanwhile, every fate is found out (R10, R11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from core.engine.effects import Answer
from core.engine.node.attempts import Attempts
from core.engine.node.batch import Batch
from core.engine.node.fates import Fates
from core.engine.node.finish import Finisher, answer_same
from core.engine.node.gates import reached
from core.engine.node.hot import HotInstance, HotTable, Input
from core.engine.node.intake import Intake
from core.engine.node.item import Item
from core.engine.node.large_values import LargeValues
from core.engine.node.loader import Loader
from core.engine.node.marks import Marks
from core.engine.node.memory import ValueMemory
from core.engine.node.moment import NodeTime
from core.engine.node.ownership import Ownership
from core.engine.node.pauses import Backoff
from core.engine.node.repeats import Repeats
from core.engine.node.terms import Ended, NodeObserver
from core.engine.node.timers import TimerWatch
from core.engine.state import InstanceStatus
from core.engine.statuses import INSTANCE_STATUSES
from core.engine.stimuli import Continue
from core.engine.sure import sure
from core.errors import (
    CommitUnknown,
    Fenced,
    FlowError,
    InstanceNotFound,
    OutcomeUnknown,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)
from core.ports.clock import Clock, Dice
from core.ports.instance_store import NOTHING_OUTWARD, InstanceChange, InstanceStore, Refusal
from core.ports.shard_store import Fence, ShardStore


class Committer:
    """Commits batches and carries out what their decisions asked for, after the commit and never before."""

    def __init__(
        self,
        *,
        store: InstanceStore,
        shards: ShardStore,
        table: HotTable,
        wake_inbox: Callable[[], None],
        intake: Intake,
        batch: Batch,
        ownership: Ownership,
        fates: Fates,
        finisher: Finisher,
        loader: Loader,
        large: LargeValues,
        attempts: Attempts,
        memory: ValueMemory,
        marks: Marks,
        timers: TimerWatch,
        repeats: Repeats,
        time: NodeTime,
        clock: Clock,
        dice: Dice,
        observer: NodeObserver,
        hot_max: int,
        on_change: Callable[[], None],
        on_acts: Callable[[], None],
    ) -> None:
        self._store = store
        self._shards = shards
        self._table = table
        self._wake_inbox = wake_inbox
        self._intake = intake
        self._batch = batch
        self._ownership = ownership
        self._fates = fates
        self._finisher = finisher
        self._loader = loader
        self._large = large
        self._attempts = attempts
        self._memory = memory
        self._marks = marks
        self._timers = timers
        self._repeats = repeats
        self._time = time
        self._clock = clock
        self._observer = observer
        self._hot_max = hot_max
        self._on_change = on_change
        self._on_acts = on_acts
        self._backoff = Backoff(clock, dice)
        self.is_committing = False
        self.is_busy = False
        self.outage: FlowError | None = None
        self.commit_count = 0
        self.item_count = 0
        self.refused_count = 0
        self.unknown_count = 0

    async def run(self) -> None:
        """Commit whenever something has gathered."""
        while True:
            await self._batch.filled.wait()
            self.is_busy = True
            for items in self._batch.close(self._time.now()):
                if items[0].is_large:
                    await self._write_objects(items)
                await self._commit(items)
            self.is_busy = False
            self._on_change()

    async def _commit(self, items: Sequence[Item]) -> None:
        """Commit until the fate of every item is known and dealt with."""
        while items := [item for item in items if not item.hot.is_dropped]:
            if not self._ownership.check():
                continue  # past the deadline everything was dropped (R5)
            fences = self._ownership.fences(item.hot.shard for item in items)
            self._observer.point("before_commit")
            started_at = self._clock.monotonic()
            try:
                refusals = await self._written(fences, items)
            except Fenced as lost:
                # Nothing was written; a fenced shard removes only its own items (R10). None named: all of them.
                named = [shard for shard in lost.shards if self._ownership.fence(shard) is not None]
                self._ownership.lose(named or [item.hot.shard for item in items])
                continue
            except (StoreUnavailable, StoreFull) as outage:
                await self._wait_out(outage, items)
                continue
            except (CommitUnknown, StoreTimeout):
                await self._find_fate(items)
                return
            self._landed(items, refusals, self._clock.monotonic() - started_at)
            return

    async def _written(self, fences: Sequence[Fence], items: Sequence[Item]) -> list[Refusal | None]:
        """Commit; what is lost meanwhile may have landed."""
        self.is_committing = True
        try:
            refusals = await self._store.commit(fences, [_change(item) for item in items])
            # A late acknowledgement: past the deadline answers, calls and sweeps are dropped (engine.md 4).
            self._ownership.check()
        except FlowError:
            self.is_committing = False
            raise
        # Not when the node stops meanwhile: what was sent may land, and is lost as such.
        self.is_committing = False
        return refusals

    async def _write_objects(self, items: Sequence[Item]) -> None:
        """Write values that are too long for rows; items whose values cannot be written are put off (ADR 0025)."""
        self._observer.point("before_objects")
        for item, outage in await self._large.write([item for item in items if not item.hot.is_dropped]):
            self._observer.refused(item.hot.id, "object", outage.detail)
            if not self._answer_starts(item, outage):
                kept = self._fates.drop(item.hot)
                self._loader.start(self._fates.reload(item.hot, kept), self._large.pause)
        self._observer.point("after_objects")

    def _answer_starts(self, item: Item, outage: FlowError) -> bool:
        """Answer a start with the error, for nothing happened; False when the item begins nothing.

        A start whose fate was unknown may stand in a later commit of its instance, to be answered with it: it landed.
        """
        if item.hot.is_dropped:
            return True
        if item.hot.row is not None or all(given.request is None for given, _ in item.inputs):
            return False
        for given in self._fates.drop(item.hot):
            self._finisher.reject(given, outage)
        return True

    async def _wait_out(self, outage: FlowError, items: Sequence[Item]) -> None:
        """Nothing happened: starts are answered with the error, all else is kept and tried again (engine.md 4)."""
        self.outage = outage
        for item in (*items, *self._batch.items):
            self._answer_starts(item, outage)
        await self._backoff.pause()
        self.outage = None  # the next try tells; without one, the next start would never be tried

    async def _find_fate(self, items: Sequence[Item]) -> None:
        """Find out what landed, reload these instances whole, and give the kept inputs again (R11, M1 to M4)."""
        self.unknown_count += 1
        self._observer.point("unknown_commit")
        self._on_acts()  # some may have landed
        reloads = [self._keep(item.hot) for item in items if not item.hot.is_dropped]
        await self._settle(reloads)
        # A commit that landed may have set timers that nobody heard of (M1).
        self._timers.reread()
        for hot in reloads:
            if not hot.is_dropped:
                self._loader.start(hot)

    def _keep(self, hot: HotInstance) -> HotInstance:
        kept: list[Input] = []
        for given in self._fates.drop(hot):
            if given.request is not None and given.request.start_key is None:
                # Given again it could be a second instance (M4).
                error = OutcomeUnknown("the connection was lost during the commit", instance_id=given.instance_id)
                self._finisher.reject(given, error)
            else:
                given.is_unsure = True
                kept.append(given)
        return self._fates.reload(hot, kept)

    async def _settle(self, reloads: Sequence[HotInstance]) -> None:
        """Wait for the old transaction's end by a locking write: a plain read would not (M2)."""
        while any(not hot.is_dropped for hot in reloads) and self._ownership.check():
            owned = self._ownership.fences({hot.shard for hot in reloads if not hot.is_dropped})
            try:
                await self._shards.settle(owned)
            except Fenced as lost:
                self._ownership.lose(lost.shards or [hot.shard for hot in reloads])
            except (StoreUnavailable, StoreFull, StoreTimeout, CommitUnknown):
                await self._backoff.pause()
            else:
                break

    def _landed(self, items: Sequence[Item], refusals: Sequence[Refusal | None], duration_s: float) -> None:
        self._observer.point("after_commit")
        self._backoff.reset()
        self.commit_count += 1
        landed_count = 0
        for item, refusal in zip(items, refusals, strict=True):
            if refusal is not None:
                self._taken_out(item, refusal)
            elif not item.hot.is_dropped:
                landed_count += 1
                self._item_landed(item)
        self.item_count += landed_count
        self._observer.committed(landed_count, duration_s)
        self._memory.trim()
        self.evict()

    def _item_landed(self, item: Item) -> None:
        hot, change = item.hot, _change(item)
        hot.row = change.row
        hot.committing = None
        status = INSTANCE_STATUSES[change.row.status]
        if self._table.followers and change.journal:
            self._table.followers.announce(hot.id, sum(len(line.body) for line in change.journal))
        self._memory.admit(hot, item.fresh)
        self._timers.lower(change.timers_set)
        for given, answer in item.inputs:
            self._finisher.finish(hot, given, answer, status)
        for cancel in item.cancels:
            self._attempts.cancel(hot.id, cancel)
        for start in item.starts.values():
            self._attempts.send(hot, start)
        for path in item.continues:
            hot.continuing += 1
            self._intake.put(Input(hot.id, Continue(path)))
        if item.sweeps:
            hot.sweeps.extend(item.sweeps)
            self._finisher.feed_sweeps(hot)
        if change.outward is not NOTHING_OUTWARD:
            if change.outward.passed or change.outward.permits:
                self._wake_inbox()  # others hear something: a gate may have granted permits, or told them to end
            if change.outward.audit:
                self._on_acts()
        if item.lost_count:
            self._observer.attempts_lost(item.lost_count)
        if status.is_terminal:
            self._ended(hot, status, is_first=bool(change.journal))
        elif hot.is_idle:
            self._leave(hot) if item.is_eviction else self._table.note_idle(hot)

    def _ended(self, hot: HotInstance, status: InstanceStatus, *, is_first: bool) -> None:
        """Let an ended instance leave memory at once; later inputs are answered from its row."""
        if is_first:
            self._observer.instance_ended(hot.row.dag_id if hot.row is not None else "", status)
            self._attempts.abandon(hot.id)
            header = None if hot.state is None else hot.state.header
            self._table.announce_end(hot.id, Ended(status, hot.row, header))
        if hot.gathering is None:
            self._leave(hot)

    def _taken_out(self, item: Item, refusal: Refusal) -> None:
        """Reload a refused item's instance and decide its inputs again, but for those that fell out (M5, M9)."""
        hot = item.hot
        self.refused_count += 1
        self._observer.refused(hot.id, refusal.reason, refusal.detail)
        if hot.is_dropped:
            return
        if refusal.reason == "seq":
            self._ownership.lose([hot.shard])  # R13: another writer was here
            return
        kept = self._fates.drop(hot)
        if refusal.reason == "gate":
            kept = self._refused_at_gate(kept, refusal, item)
            if hot.row is None and not kept:
                return  # its start was refused: there is nothing to load
        if refusal.reason == "duplicate" and refusal.instance_id != hot.id:
            self._repeated(hot, kept, refusal)
            return
        if refusal.reason == "seen":
            kept = self._seen_before(hot, kept, refusal)
        elif refusal.reason == "inbox":
            # The row was taken before (M3). Those that are still there are found again by presence (M14).
            gone = [given for given in kept if given.inbox is not None]
            kept = [given for given in kept if given.inbox is None]
            for given in gone:
                self._finisher.reject(given, InstanceNotFound("the command was taken before"))
        elif refusal.reason == "invalid" and self._table.strike(hot.id):
            fresh = self._fates.reload(hot, kept)
            self._fates.quarantine(fresh, None)
            return
        self._loader.start(self._fates.reload(hot, kept))

    def _repeated(self, hot: HotInstance, kept: Sequence[Input], refusal: Refusal) -> None:
        """Answer a start whose key the store knows: the first instance, whose status is read (R16)."""
        for given in kept:
            self._marks.end(given)
            if given.request is not None:
                self._repeats.answer([given, *given.repeats], refusal.instance_id or "", refusal.req_hash or "")
            else:
                given.reject(InstanceNotFound(f"no instance {hot.id}", instance_id=hot.id))

    def _refused_at_gate(self, kept: Sequence[Input], refusal: Refusal, item: Item) -> list[Input]:
        """Answer a start whose DAG refuses what would have to wait (S46); gives the inputs that are left."""
        left: list[Input] = []
        for given in kept:
            gate = None if given.request is None else given.request.plan.gate
            if gate is None or gate.on_limit != "reject" or refusal.detail != gate.limit:
                left.append(given)
                continue
            self._finisher.reject(given, reached(next(act for act in item.permits if act.gate.limit == gate.limit)))
        return left

    def _seen_before(self, hot: HotInstance, kept: Sequence[Input], refusal: Refusal) -> list[Input]:
        """Answer the signal whose key the store knows as the first one was; gives the inputs that are left."""
        left: list[Input] = []
        for given in kept:
            if given.seen is None or given.seen.key != refusal.detail:
                left.append(given)
                continue
            self._marks.end(given)
            status = InstanceStatus(sure(hot.row).status)  # it has one: it was signalled before
            first = msgspec.structs.replace(given.seen, req_hash=refusal.req_hash or "")
            for one in (given, *given.repeats):
                answer_same(one, first, Answer("accepted", status))
        return left

    def _leave(self, hot: HotInstance) -> None:
        self._memory.forget(hot)
        self._table.remove(hot)

    def evict(self) -> None:
        """Let idle instances above the bound leave memory, with their dirty frames written first (engine.md 1)."""
        for hot in self._table.surplus(self._hot_max):
            fence = self._ownership.fence(hot.shard)
            if hot.dirty and fence is not None:
                self._batch.item(hot, fence.epoch).is_eviction = True
                self._batch.grew(0, len(hot.dirty))
            else:
                self._leave(hot)


def _change(item: Item) -> InstanceChange:
    if item.change is None:
        raise AssertionError("a batch is closed before it is committed")
    if item.is_large and item.change.payload_object is None:
        raise AssertionError("values that lie nowhere are not referred to")
    return item.change
