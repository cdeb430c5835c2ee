"""The engine node: owns shards, decides inputs, commits in groups, carries out effects (engine.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from core.engine.effects import Answer
from core.engine.node.ahead import LoadAhead
from core.engine.node.attempts import Attempts
from core.engine.node.batch import Batch
from core.engine.node.committer import Committer
from core.engine.node.decider import Decider
from core.engine.node.end_waits import EndWaits
from core.engine.node.fates import Fates
from core.engine.node.finish import Finisher, ShardMoved
from core.engine.node.gates import Gates
from core.engine.node.hot import HotInstance, HotTable, Input
from core.engine.node.inbox import InboxWatch, key_of
from core.engine.node.intake import Intake
from core.engine.node.large_values import LargeValues
from core.engine.node.loader import Loader
from core.engine.node.marks import Marks
from core.engine.node.memory import ValueMemory
from core.engine.node.moment import NodeTime
from core.engine.node.ownership import OUTAGE, Ownership
from core.engine.node.passing import Passing
from core.engine.node.pauses import Backoff, wait_until
from core.engine.node.places import Places
from core.engine.node.repeats import Repeats
from core.engine.node.sharing import Sharing
from core.engine.node.terms import (
    AttemptRunner,
    CalleeSource,
    Ended,
    NoCallees,
    NodeObserver,
    NodeSettings,
    NodeStats,
    PlanSource,
    SilentObserver,
    Started,
    StartRequest,
)
from core.engine.node.timers import TimerWatch
from core.engine.stimuli import Command
from core.errors import InstanceNotFound, NodeStopping, OutcomeUnknown, StoreFull, StoreUnavailable
from core.executor.retry_budget import RetryBudget
from core.ports.clock import Clock, Dice, IdSource
from core.ports.instance_store import InstanceStore
from core.ports.object_notes import ObjectNotes
from core.ports.object_store import ObjectStore
from core.ports.output_cache import OutputCache
from core.ports.permits import PermitStore
from core.ports.shard_store import ShardStore

RECOVERY_PAGE_ROWS = 256  # open instances read at once when a shard is acquired
DRAINED_LOOPS = 3  # decider, committer and lease go on while the node drains
RECOVERY_LOADS_MAX = 16  # loaded at once then: reads of others come in between


def _ignore() -> None:
    """Do nothing."""


class EngineNode:
    """One engine node on the running event loop. Everything in it runs on that loop; it has no threads."""

    def __init__(
        self,
        *,
        shards: ShardStore,
        store: InstanceStore,
        notes: ObjectNotes,
        objects: ObjectStore,
        outputs: OutputCache,
        permits: PermitStore,
        plans: PlanSource,
        attempts: AttemptRunner,
        clock: Clock,
        ids: IdSource,
        dice: Dice,
        settings: NodeSettings,
        on_fatal: Callable[[BaseException], None],
        observer: NodeObserver | None = None,
        callees: CalleeSource | None = None,
        on_acts: Callable[[], None] = _ignore,
    ) -> None:
        """Take the ports; nothing is opened or read before `start`.

        Args:
            settings: `node_id` is new for every process start.
            on_fatal: called when the process must end (R12): the store is broken, or the node has a bug.
            observer: told what happens; None = nobody.
            callees: where calls find DAGs; None = they find none.
            on_acts: called when rows of the audit landed, or may have.
        """
        self._store, self._outputs, self._callees = store, outputs, callees or NoCallees()
        self._gates = Gates(permits)
        self._clock, self._dice = clock, dice
        self._settings = settings
        self._on_fatal, self._on_acts = on_fatal, on_acts
        self._observer: NodeObserver = observer or SilentObserver()
        self._tasks: dict[asyncio.Task[None], None] = {}  # in their order: stopping them is repeatable
        self._loops: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._is_stopping = self._is_started = False
        self._time = NodeTime(clock)
        self._table = HotTable()
        self.followers = self._table.followers  # told how many bytes of an instance's journal this node wrote
        self._intake = Intake(settings.inputs_max)
        self._batch = Batch(store.commit_bounds)
        self._memory = ValueMemory()
        self._marks = Marks()
        self._places = Places(settings.attempts_max, settings.waiting_max)
        self._repeats = Repeats(store=store, table=self._table, on_fatal=on_fatal)
        self._sharing = Sharing(
            table=self._table, intake=self._intake, places=self._places, clock=clock, renew_s=settings.renew_s
        )
        self._ownership = Ownership(
            shards=shards, clock=clock, dice=dice, settings=settings, observer=self._observer, sharing=self._sharing,
            on_lost=self._lost, on_acquired=self._acquired,
        )  # fmt: skip
        self._passing = Passing(
            store=store, ownership=self._ownership, time=self._time, ids=ids, backoff=Backoff(clock, dice)
        )
        large = LargeValues(notes=notes, objects=objects, ids=ids, clock=clock, dice=dice)
        self._wire(shards, plans, attempts, objects, large)

    def _wire(
        self, shards: ShardStore, plans: PlanSource, attempts: AttemptRunner, objects: ObjectStore, large: LargeValues
    ) -> None:
        store, clock, dice, observer = self._store, self._clock, self._dice, self._observer
        table, intake, batch, places = self._table, self._intake, self._batch, self._places
        reserve_per_s, share = self._settings.retry_reserve_per_s, self._settings.retry_share
        self._retries = RetryBudget(reserve_per_s=reserve_per_s, share=share)
        self._loader = Loader(
            store=store, outputs=self._outputs, callees=self._callees, gates=self._gates, objects=objects, plans=plans,
            table=table,
            intake=intake, memory=self._memory, marks=self._marks, ownership=self._ownership, places=places,
            clock=clock, dice=dice, quarantine=self._quarantine, on_fatal=self._on_fatal,
        )  # fmt: skip
        self._attempts = Attempts(
            runner=attempts, resolve=self._loader.parameters, intake=intake, places=places, clock=clock,
            observer=observer, may_start=self._ownership.check, on_fatal=self._on_fatal, on_change=self._changed.set,
        )  # fmt: skip
        self._loader.attempts = self._attempts
        self._finisher = Finisher(marks=self._marks, attempts=self._attempts, intake=intake)
        self._fates = Fates(
            table=table, intake=intake, batch=batch, places=places, memory=self._memory, gates=self._gates,
            attempts=self._attempts, finisher=self._finisher, observer=observer,
            is_committing=lambda: self._committer.is_committing,
        )  # fmt: skip
        self._inbox = InboxWatch(
            store=store, ownership=self._ownership, intake=intake, marks=self._marks, clock=clock,
            poll_s=self._settings.inbox_poll_s, on_unreadable=self._unreadable,
        )  # fmt: skip
        self._timers = TimerWatch(
            store=store, ownership=self._ownership, intake=intake, marks=self._marks, time=self._time, clock=clock,
            dice=dice,
        )  # fmt: skip
        self._end_waits = EndWaits(store=store, table=table, waiters_max=self._settings.waiters_max)
        self._ahead = LoadAhead(
            store=store, ownership=self._ownership, table=table, loader=self._loader, timers=self._timers,
            time=self._time, clock=clock,
        )  # fmt: skip
        self._decider = Decider(
            table=table, intake=intake, batch=batch, places=places, loader=self._loader, ownership=self._ownership,
            finisher=self._finisher, time=self._time, clock=clock, dice=dice, observer=observer,
            sharing=self._sharing, gates=self._gates, retries=self._retries, wake_inbox=self._inbox.wake,
            quarantine=self._quarantine, on_change=self._changed.set,
        )  # fmt: skip
        self._committer = Committer(
            store=store, shards=shards, table=table, wake_inbox=self._inbox.wake, intake=intake, batch=batch,
            ownership=self._ownership,
            fates=self._fates, finisher=self._finisher, loader=self._loader, large=large, attempts=self._attempts,
            memory=self._memory, marks=self._marks, timers=self._timers, repeats=self._repeats, time=self._time,
            clock=clock, dice=dice, observer=observer, hot_max=self._settings.hot_instances_max,
            on_change=self._changed.set, on_acts=self._on_acts,
        )  # fmt: skip

    async def start(self) -> None:
        """Open a lease, take every free shard, and go on with the open work: recovery is the start path (R31).

        Returns when requests are taken; open instances are loaded meanwhile, and shards of other nodes are taken
        when they become free. While the store does not answer, the node keeps asking and refuses requests.
        """
        self._is_started = True
        try:
            await self._ownership.open()
        except OUTAGE:
            self._ownership.give_up()  # the loop below goes on under a new lease
        drained = (self._decider, self._committer, self._ownership)
        self._loops = [self._spawn(part.run()) for part in (*drained, self._timers, self._inbox, self._ahead)]

    async def stop(self) -> None:
        """Drain and hand over (R30): running attempts get `grace_s`, then their epoch ends with the release.

        Nothing new is accepted or started meanwhile. Safe to call twice, and before `start` has ended.
        """
        is_idle, self._is_stopping = self._is_stopping or not self._is_started, True
        if is_idle:
            return
        self._observer.point("before_drain")
        self._ownership.stop_acquiring()
        self._places.close()
        for watch in self._loops[DRAINED_LOOPS:]:
            watch.cancel()  # timers and inbox rows are the successor's
        deadline = self._clock.monotonic() + self._settings.grace_s
        while self._loops and not self._is_quiet and self._clock.monotonic() < deadline:
            self._changed.clear()
            await wait_until(self._clock, self._changed, deadline)
        self._observer.point("before_release")
        ending = [*self._tasks, *self._attempts.stop(), *self._loader.stop(), *self._repeats.stop()]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        try:
            await self._ownership.hand_over()
        except OUTAGE:
            return  # the lease ends by itself

    async def submit(self, request: StartRequest) -> Started:
        """Start an instance; answered when it is durable.

        A keyed start may be repeated at any time; the repeat answers the first instance (R16).

        Raises:
            IdempotencyKeyReused: the key was used with another request hash.
            ConcurrencyReached: as many run as may; nothing was started.
            QueueFull, NodeStopping, StoreUnavailable, StoreFull: nothing was started.
            OutcomeUnknown: it may have been started; with a key, repeat it.
        """
        self._check_open()
        first = None if request.start_key is None else self._marks.first(request.start_key)
        if first is None and self._ownership.fence(self._ownership.shard(request.id)) is None:
            return await self._passing.start(request)
        if first is None:
            self._places.check_line(request.domain_id)
        answer = self._answer()
        given = Input(request.id, request.stimulus(), answer=answer, request=request)
        if self._marks.begin(given):  # else it is answered when the first one's commit has landed, not before (M6)
            self._intake.put(given)
        try:
            started: Started = await answer
        except ShardMoved:
            return await self._passing.start(request)
        return started

    async def command(self, domain_id: str | None, instance_id: str, stimulus: Command) -> Answer:
        """Tell an instance something; answered when that is durable. Repeating it changes nothing.

        Raises:
            InstanceNotFound: not in this business domain (None = in any: the stimulus itself proves that it may come).
            IdempotencyKeyReused: a signal's key was another one's.
            InstanceQuarantined, QueueFull, NodeStopping, StoreUnavailable, StoreFull: nothing happened.
            OutcomeUnknown: repeat it.
        """
        self._check_open()
        if self._ownership.fence(self._ownership.shard(instance_id)) is None:
            return await self._passing.command(domain_id, instance_id, stimulus)
        answer = self._answer()
        seen = key_of(domain_id or "", instance_id, stimulus, self._time.now())
        given = Input(instance_id, stimulus, domain_id=domain_id, answer=answer, seen=seen)
        if self._marks.begin(given):
            self._intake.put(given)
        try:
            result: Answer = await answer
        except ShardMoved:
            return await self._passing.command(domain_id, instance_id, stimulus)
        except OutcomeUnknown as unknown:
            try:
                return await self._passing.command(domain_id, instance_id, stimulus)
            except (StoreUnavailable, StoreFull):
                raise unknown from None  # this try did nothing, but the commit may have landed
        return result

    async def wait_ended(self, domain_id: str, instance_id: str, timeout_s: float) -> Ended | None:
        """Wait until an instance of this business domain has ended: `EndWaits.wait`."""
        return await self._end_waits.wait(domain_id, instance_id, timeout_s)

    def end_waits(self) -> None:
        """Answer all who wait for an end: `EndWaits.end`."""
        self._end_waits.end()

    def wake(self) -> None:
        """Look into the inbox now: somebody has stored a command for this node."""
        self._inbox.wake()

    def stats(self) -> NodeStats:
        """Give the node's numbers."""
        return NodeStats(
            queued_inputs=len(self._intake),
            hot_instances=len(self._table),
            open_attempts=self._places.taken,
            waiting_instances=self._places.waiting_count,
            owned_shards=len(self._ownership.owned),
            waiters=self._table.waiter_count,
            value_bytes=self._memory.bytes_count,
            commit_count=self._committer.commit_count,
            committed_item_count=self._committer.item_count,
            refused_item_count=self._committer.refused_count,
            unknown_commit_count=self._committer.unknown_count,
            fenced_count=self._ownership.fenced_count,
            late_result_count=self._decider.late_result_count,
            quarantined_instances=len(self._table.quarantined),
            permit_wait_count=self._gates.wait_count,
            permit_grant_count=self._inbox.grant_count,
            put_off_retry_count=self._retries.put_off_count,
        )

    @property
    def _is_quiet(self) -> bool:
        """Say whether nothing runs and nothing waits for a commit."""
        is_committing = self._committer.is_busy or len(self._batch) > 0
        return not (self._attempts.open_count or len(self._intake) or is_committing)

    def _check_open(self) -> None:
        if self._is_stopping:
            raise NodeStopping("this node takes nothing more")
        if not self._ownership.shard_count:
            raise StoreUnavailable("this node has not reached its store yet")
        outage = self._committer.outage
        if outage is not None:
            raise type(outage)(outage.detail)  # a new one: the raised one carries its caller's traceback

    def _answer(self) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._intake.count(answer)
        return answer

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._on_fatal(fault)

    def _lost(self, shards: tuple[int, ...]) -> None:
        lost = set(shards)
        self._fates.lose(lost)
        self._fates.purge(lambda instance_id: self._ownership.shard(instance_id) in lost)
        self._marks.forget(lost, self._ownership.shard)
        self._changed.set()

    def _acquired(self, shards: tuple[int, ...]) -> None:
        self._timers.reread()
        self._inbox.wake()
        self._spawn(self._recover(shards))

    async def _recover(self, shards: tuple[int, ...]) -> None:
        """Load the open work of acquired shards and go on with it (R31)."""
        for shard in shards:
            fence = self._ownership.fence(shard)
            after: str | None = ""
            backoff = Backoff(self._clock, self._dice)
            while after is not None and fence is not None and self._ownership.fence(shard) == fence:
                try:
                    after = await self._recover_page(shard, after)
                except OUTAGE:
                    await backoff.pause()

    async def _recover_page(self, shard: int, after: str) -> str | None:
        rows = await self._store.open_instances(shard, after=after, limit=RECOVERY_PAGE_ROWS)
        for start in range(0, len(rows), RECOVERY_LOADS_MAX):
            # An instance at seq 0 begins with its inbox row.
            found = [
                HotInstance(row.id, row.domain_id, shard)
                for row in rows[start : start + RECOVERY_LOADS_MAX]
                if row.seq and self._table.get(row.id) is None and row.id not in self._table.quarantined
            ]
            await self._intake.has_room.wait()
            found = [hot for hot in found if self._table.get(hot.id) is None]
            if self._ownership.fence(shard) is None:
                return None
            for hot in found:
                self._table.add(hot).is_blocked = True
            await asyncio.gather(*(self._loader.load(hot) for hot in found))
            self._committer.evict()
        return rows[-1].id if len(rows) == RECOVERY_PAGE_ROWS else None

    def _quarantine(self, hot: HotInstance, fault: BaseException) -> None:
        self._fates.quarantine(hot, fault)

    def _unreadable(self, instance_id: str, fault: BaseException) -> None:
        shard = self._ownership.shard(instance_id)
        self._fates.quarantine(self._table.get(instance_id) or HotInstance(instance_id, "", shard), fault)


def _not_found(instance_id: str) -> InstanceNotFound:
    return InstanceNotFound(f"no instance {instance_id}", instance_id=instance_id)
