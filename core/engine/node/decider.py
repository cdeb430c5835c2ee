"""Decides inputs as they arrive, upon state whose commits may not have landed yet (engine.md 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from core.engine.decide import decide
from core.engine.effects import Answer, Decision, Need
from core.engine.fold import queued_state
from core.engine.lending import Rerun
from core.engine.node.batch import Batch
from core.engine.node.finish import Finisher
from core.engine.node.gates import Gates
from core.engine.node.hot import HotInstance, HotTable, Input
from core.engine.node.intake import Intake
from core.engine.node.loader import Loader
from core.engine.node.moment import NodeTime
from core.engine.node.ownership import Ownership
from core.engine.node.passed_on import passed_on
from core.engine.node.places import Places
from core.engine.node.sharing import Sharing
from core.engine.node.terms import NodeObserver
from core.engine.state import Reference
from core.engine.statuses import INSTANCE_CANCELLED
from core.engine.stimuli import AttemptEnded, Cancel, Command, Dispatch, Granted, Start, Terminate, TimerFired
from core.engine.stored import GateAsked
from core.errors import InstanceNotFound, InstanceQuarantined
from core.executor.retry_budget import RetryBudget
from core.ports.clock import Clock, Dice
from core.ports.permits import Gate

AT_ONCE_MAX = 32  # decisions in one turn of the loop: some 3 ms, then others have their turn
NEED_ROUNDS_MAX = 8  # a decision reads values level by level, and no value has more levels (engine.md 2)
SLICE_S = 0.005  # and no longer than this: looking a large frame over takes milliseconds
Ask = tuple[datetime, bytes, int, dict[Reference, Any]]  # now, seed, rounds so far, values read for it so far


class NeedEndless(Exception):
    """A decision asked for values in more rounds than NEED_ROUNDS_MAX."""


class Decider:
    """The loop between the intake and the batch.

    Args:
        wake_inbox: called when an instance at seq 0 waits for its start's row (M7).
        quarantine: called with an instance that may not go on.
    """

    def __init__(
        self,
        *,
        table: HotTable,
        intake: Intake,
        batch: Batch,
        places: Places,
        loader: Loader,
        ownership: Ownership,
        finisher: Finisher,
        time: NodeTime,
        clock: Clock,
        dice: Dice,
        observer: NodeObserver,
        sharing: Sharing,
        gates: Gates,
        retries: RetryBudget,
        wake_inbox: Callable[[], None],
        quarantine: Callable[[HotInstance, BaseException], None],
        on_change: Callable[[], None],
    ) -> None:
        self._table = table
        self._intake = intake
        self._batch = batch
        self._places = places
        self._loader = loader
        self._ownership = ownership
        self._finisher = finisher
        self._time = time
        self._now = time.now()  # of one turn: asking for each decision costs 4 % of a chain (bench/NOTES.md)
        self._clock = clock
        self._dice = dice
        self._observer = observer
        self._sharing = sharing
        self._gates = gates
        self._retries = retries
        self._wake_inbox = wake_inbox
        self._quarantine = quarantine
        self._on_change = on_change
        self.late_result_count = 0

    async def run(self) -> None:
        """Decide while inputs wait and the batch takes them."""
        while True:
            await self._intake.arrived.wait()
            await self._batch.open.wait()
            self.decide_some()
            self._on_change()
            await asyncio.sleep(0)

    def decide_some(self) -> None:
        """Decide the next inputs, at most AT_ONCE_MAX, or as many as fit into SLICE_S."""
        self._now = self._time.now()
        end_at = self._clock.monotonic() + SLICE_S
        for _ in range(AT_ONCE_MAX):
            if self._batch.is_full or self._clock.monotonic() > end_at:
                return
            given = self._intake.pop()
            if given is None:
                if not self._offer_place():
                    return
            else:
                self._process(given)
        self._offer_place()

    def _offer_place(self) -> bool:
        """Give free places to instances that wait for one (engine.md 2)."""
        instance_id = self._places.offer()
        if instance_id is None:
            return False
        self._intake.put(Input(instance_id, Dispatch()))
        return True

    def _process(self, given: Input) -> None:
        if type(given.stimulus) is Dispatch:
            self._places.answered()
        hot = self._table.get(given.instance_id) or self._open(given)
        if hot is None:
            return
        if type(given.stimulus) is Dispatch:
            hot.wants_place = False
            if hot.is_blocked:
                return  # it asks again when it is loaded
        if hot.is_blocked:
            hot.waiting.append(given)
        elif given.domain_id is not None and given.domain_id != hot.domain_id:
            # Another tenant's instance is answered like one that does not exist.
            self._finisher.reject(given, InstanceNotFound(f"no instance {hot.id}", instance_id=hot.id))
        elif isinstance(given.stimulus, Start):
            self._start(hot, given, given.stimulus)
        elif hot.status.is_terminal:
            self._after_end(hot, given)
        elif hot.state is None:
            hot.parked.append(given)
            self._wake_inbox()
        else:
            self._decide(hot, given, None)

    def _open(self, given: Input) -> HotInstance | None:
        """Bring an instance into memory, or end an input that has none."""
        instance_id = given.instance_id
        if instance_id in self._table.quarantined:
            error = InstanceQuarantined(f"instance {instance_id} is in quarantine", instance_id=instance_id)
            self._finisher.bar(given, error)
            return None
        shard = self._ownership.shard(instance_id)
        if self._ownership.fence(shard) is None:
            self._finisher.moved(given)
            return None
        domain_id = "" if given.request is None else given.request.domain_id
        if given.request is not None and not given.is_unsure:
            return self._table.add(HotInstance(instance_id, domain_id, shard))
        if isinstance(given.stimulus, Start | Command | TimerFired | Granted):  # also a start that may have landed
            hot = self._table.add(HotInstance(instance_id, domain_id, shard))
            self._loader.start(hot)
            return hot
        if isinstance(given.stimulus, AttemptEnded):
            self._late()  # an instance with a running attempt is in memory: this one has ended
        return None

    def _start(self, hot: HotInstance, given: Input, start: Start) -> None:
        if hot.state is not None or hot.status.is_terminal or (given.request is not None and hot.row is not None):
            # It landed before its fate was known, or another node stored it: it is answered like any first start.
            self._settle(hot, given, None)
            return
        if given.request is not None:
            hot.plan = given.request.plan
        else:
            ready = self._ingested(hot, given, start)
            if ready is None:
                return
            start = ready
        fence = self._ownership.fence(hot.shard)
        if fence is None or hot.plan is None:
            raise AssertionError("an instance in memory has an owned shard and a plan")
        hot.install(hot.plan, queued_state(start, epoch=fence.epoch))
        given.stimulus = start
        self._decide(hot, given, None)
        parked, hot.parked = hot.parked, []
        self._intake.put_first(parked)

    def _ingested(self, hot: HotInstance, given: Input, start: Start) -> Start | None:
        """Complete a start that another node stored; None while its inputs are read."""
        row = hot.row
        reference = start.inputs_at
        if row is None or not isinstance(reference, Reference):
            raise AssertionError("a stored start has a row and its inputs")
        wanted = [one for one in (reference, start.rerun_at) if one is not None]
        if any(one not in hot.values for one in wanted):
            hot.waiting.appendleft(given)
            self._loader.fetch(hot, wanted, hot.values.update)
            return None
        rerun = None if start.rerun_at is None else msgspec.convert(hot.values[start.rerun_at], Rerun)
        ends = (one.stimulus for one in hot.parked)
        # A cancel that came first is decided together with the start: nothing begins (M7).
        first = next((end for end in ends if isinstance(end, Cancel | Terminate)), None)
        return msgspec.structs.replace(
            start,
            dag_id=row.dag_id,
            dag_hash=row.dag_hash,
            dag_version=row.dag_version,
            created_at=row.created_at,
            inputs=hot.values[reference],
            labels=row.labels,
            priority=row.priority,
            cancelled=None if first is None else first.reason,
            cancelled_by="" if first is None else first.by,
            rerun=rerun,
        )

    def _decide(self, hot: HotInstance, given: Input, ask: Ask | None) -> None:
        now, seed, rounds, read = ask or (self._now, self._dice.seed(), 0, {})
        state, plan = hot.state, hot.plan
        if state is None or plan is None:
            raise AssertionError("only a loaded instance decides")
        if plan.has_limits:
            state.gates = self._gates.views
        state.retries = self._retries
        room = self._places.room_for(hot, type(given.stimulus) is Dispatch)
        if self._sharing.is_moving(hot.shard):
            room = 0
        try:
            decision = decide(plan, state, given.stimulus, now, seed, room)
            while isinstance(decision, Need):
                rounds += 1
                if rounds > NEED_ROUNDS_MAX:
                    raise NeedEndless(f"more than {NEED_ROUNDS_MAX} rounds")  # noqa: TRY301 - counted like any other bug
                missing = [one for one in decision.references if not self._is_at_hand(hot, one)]
                if missing:
                    self._fetch(hot, given, missing, (now, seed, rounds, read))
                    return
                decision = decide(plan, state, given.stimulus, now, seed, room)
        except Exception as bug:  # noqa: BLE001 - decide is total; a bug in it costs one instance, never the node (R10)
            self._strike(hot, given, bug)
            return
        self._apply(hot, given, decision)

    def _is_at_hand(self, hot: HotInstance, one: Reference) -> bool:
        if isinstance(one, GateAsked):
            return Gate(one.domain_id, one.limit, one.key) in self._gates.views
        return one in hot.values

    def _fetch(self, hot: HotInstance, given: Input, missing: list[Reference], ask: Ask) -> None:
        """Load values, then ask again with the same now and seed; later inputs wait behind (engine.md 2)."""
        # First in the row of those that wait, so that a drop meanwhile keeps it in its order.
        hot.waiting.appendleft(given)

        def resume(values: dict[Reference, Any]) -> None:
            hot.waiting.popleft()
            # What was read in earlier rounds may have been trimmed while these were read.
            ask[3].update(values)
            hot.values.update(ask[3])
            self._decide(hot, given, ask)
            self._intake.arrived.set()  # a place that it wants is offered in a turn of decisions, and this is none

        self._loader.fetch(hot, missing, resume)

    def _apply(self, hot: HotInstance, given: Input, decision: Decision) -> None:
        if not decision.events and not decision.timers_removed and not decision.effects:
            if isinstance(given.stimulus, AttemptEnded):
                self._late()
            self._settle(hot, given, decision.answer)
            # With room and nothing started its ready tasks may not start: asking again would go round for ever.
            if hot.wants_room and (type(given.stimulus) is not Dispatch or not self._places.room):
                self._places.want(hot)
            return
        item = self._batch.item(hot, self._epoch(hot))
        bytes_before, writes_before, starts_before = item.bytes_count, item.write_count, len(item.starts)
        calls_before = item.first_calls
        item.take(given, decision.answer)
        item.merge(decision)
        if decision.outward is not None:
            item.pass_on(passed_on(decision.outward, hot.domain_id, hot.id, self._ownership.shard, self._time.now()))
            self._gates.note(decision.outward.permits)
            if decision.outward.retries is not None:
                self._retries.take(hot.domain_id, self._now, decision.outward.retries)
        if item.first_calls != calls_before:
            self._retries.called(hot.domain_id, self._now, item.first_calls - calls_before)
        self._places.take(len(item.starts) - starts_before)
        self._batch.grew(item.bytes_count - bytes_before, item.write_count - writes_before)
        if hot.wants_room:
            self._places.want(hot)

    def _after_end(self, hot: HotInstance, given: Input) -> None:
        """Answer what comes to an ended instance; nothing leaves a terminal status (R26)."""
        answer = None
        if isinstance(given.stimulus, Command):
            is_end = isinstance(given.stimulus, Cancel | Terminate)
            is_same = is_end and hot.status is INSTANCE_CANCELLED
            answer = Answer("accepted" if is_same else "ended", hot.status)
        elif isinstance(given.stimulus, AttemptEnded):
            self._late()
        self._settle(hot, given, answer)

    def _settle(self, hot: HotInstance, given: Input, answer: Answer | None) -> None:
        """End an input that changes nothing.

        Rows that it took leave the store, and an answer read from state whose commit is on its way waits for it (M6).
        """
        if given.inbox is not None or given.timer is not None:
            item = self._batch.item(hot, self._epoch(hot))
            item.take(given, answer)
            self._batch.grew(0, 1)
        elif hot.uncommitted is not None:
            hot.uncommitted.take(given, answer)
        else:
            self._finisher.finish(hot, given, answer, hot.status)
            if hot.status.is_terminal:
                self._table.remove(hot)
            else:
                self._table.note_idle(hot)

    def _strike(self, hot: HotInstance, given: Input, bug: Exception) -> None:
        """Drop an input that cannot be decided; the third one puts the instance into quarantine (R10)."""
        self._observer.failed_input(hot.id, bug)
        self._finisher.struck(hot, given, bug)
        if self._table.strike(hot.id):
            self._quarantine(hot, bug)
        elif hot.seq == 0 and hot.uncommitted is None:
            hot.state = None
            if hot.row is None:
                hot.is_dropped = True
                self._table.remove(hot)  # a start that never was

    def _epoch(self, hot: HotInstance) -> int:
        fence = self._ownership.fence(hot.shard)
        if fence is None:
            raise AssertionError("state of a lost shard is dropped before anything is decided upon it")
        return fence.epoch

    def _late(self) -> None:
        self.late_result_count += 1
        self._observer.late_result()
