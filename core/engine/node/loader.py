"""Loads instances and their values from the store; inputs of a loading instance wait behind it (engine.md 2, 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from core.dag.plan import Plan
from core.engine.effects import StartAttempt
from core.engine.fold import restore
from core.engine.former import read_former
from core.engine.journal import decode_value
from core.engine.kinship import Asked
from core.engine.node.attempts import Attempts
from core.engine.node.gates import Gates
from core.engine.node.hot import HotInstance, HotTable, Input
from core.engine.node.intake import Intake
from core.engine.node.marks import Marks
from core.engine.node.memory import ValueMemory
from core.engine.node.ownership import Ownership
from core.engine.node.pauses import Backoff
from core.engine.node.places import Places
from core.engine.node.recovery import (
    deepest_first,
    dirty_frames,
    ended_attempts,
    newest_snapshots,
    unsent_attempts,
)
from core.engine.node.terms import CalleeSource, Ended, PlanSource
from core.engine.payloads import whole
from core.engine.state import InstanceStatus, Reference, Value
from core.engine.stimuli import Continue
from core.engine.stored import GONE, Borrowed, Former, Found, GateAsked, Looked
from core.engine.sure import sure
from core.engine.values import decode_payload, resolve
from core.errors import InstanceNotFound, PayloadMissing, StoreBroken, StoreTimeout, StoreUnavailable
from core.ports.clock import Clock, Dice
from core.ports.instance_store import InstanceRow, InstanceStore, Loaded, PayloadRange
from core.ports.object_store import ObjectStore
from core.ports.output_cache import OutputCache, OutputKey
from core.ports.permits import Gate

LOADS_MAX = 128  # reads of the store at once: enough that a store which reads many in one go never waits for the node
RESOLVE_ROUNDS_MAX = 8  # a value that is put together needs one round per level (engine.md 2)

Quarantine = Callable[[HotInstance, BaseException], None]


class ValuesEndless(Exception):
    """Values were asked for in more rounds than a value has levels."""


class Loader:
    """Reads what decisions need. Every load ends with the instance going on, in quarantine, or dropped."""

    def __init__(
        self,
        *,
        store: InstanceStore,
        outputs: OutputCache,
        callees: CalleeSource,
        gates: Gates,
        objects: ObjectStore,
        plans: PlanSource,
        table: HotTable,
        intake: Intake,
        memory: ValueMemory,
        marks: Marks,
        ownership: Ownership,
        places: Places,
        clock: Clock,
        dice: Dice,
        quarantine: Quarantine,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._outputs = outputs
        self._callees = callees
        self._gates = gates
        self._objects = objects
        self._plans = plans
        self._table = table
        self._intake = intake
        self._memory = memory
        self._marks = marks
        self._ownership = ownership
        self._places = places
        self._clock = clock
        self._dice = dice
        self._quarantine = quarantine
        self._on_fatal = on_fatal
        self._tasks: dict[asyncio.Task[None], None] = {}  # in their order: stopping them is repeatable
        self._turns = asyncio.Semaphore(LOADS_MAX)
        self.attempts: Attempts | None = None

    def start(self, hot: HotInstance, pause: Callable[[], Awaitable[None]] | None = None) -> None:
        """Load an instance in the background, after a pause if one is given; it is blocked until then."""
        hot.is_blocked = True
        self._spawn(self.load(hot) if pause is None else self._load_after(hot, pause))

    async def load(self, hot: HotInstance) -> None:
        """Load a blocked instance; afterwards its waiting inputs are next in the queue."""
        await self._guarded(hot, lambda: self._load(hot))

    def fetch(
        self, hot: HotInstance, references: Sequence[Reference], resume: Callable[[dict[Reference, Any]], None]
    ) -> None:
        """Read values in the background, then call `resume` with them, unless the instance was dropped meanwhile."""
        hot.is_blocked = True
        self._spawn(self._guarded(hot, lambda: self._fetch(hot, references, resume)))

    async def parameters(self, hot: HotInstance, effect: StartAttempt) -> Any:
        """Give an attempt's parameters, read from the store when memory lacks them.

        What the store does not have as written puts the instance into quarantine, which cancels the attempt.
        """
        missing: list[Reference] = []
        found = resolve(effect.parameters, hot.values, missing)
        if not missing:
            return found
        held: dict[Reference, Any] = {}
        current = self._table.get(hot.id) or hot
        await self._guarded(current, lambda: self._resolve(hot, effect.parameters, held, missing))
        return resolve(effect.parameters, held, [])

    def stop(self) -> list[asyncio.Task[None]]:
        """Stop all loads and give the tasks to wait for."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    async def _load_after(self, hot: HotInstance, pause: Callable[[], Awaitable[None]]) -> None:
        await pause()
        await self.load(hot)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._on_fatal(fault)

    async def _guarded(self, hot: HotInstance, work: Callable[[], Awaitable[None]]) -> None:
        """Quarantine the instance when its rows cannot be understood; others run on (1.5, rows 25 and 57).

        The work is made here: a task that is stopped before its first step would leave a coroutine that nobody awaits.
        """
        try:
            await work()
        except StoreBroken:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever one instance's rows make the code raise stays with it
            if not hot.is_dropped:
                self._quarantine(hot, fault)

    async def _read(self, is_over: Callable[[], bool], read: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Read with back-off while the store is away, until nobody wants it: None then."""
        backoff = Backoff(self._clock, self._dice)
        while not is_over():
            try:
                async with self._turns:
                    return await read()
            except (StoreUnavailable, StoreTimeout):
                await backoff.pause()
        return None

    async def _load(self, hot: HotInstance) -> None:
        loaded: Loaded | None = await self._read(lambda: hot.is_dropped, lambda: self._store.load(hot.id))
        if hot.is_dropped:
            return
        if loaded is None:
            self._go_on_without_row(hot)
            return
        row = loaded.row
        hot.row, hot.seq, hot.domain_id = row, row.seq, row.domain_id
        if not InstanceStatus(row.status).is_terminal:
            plan = await self._read(
                lambda: hot.is_dropped, lambda: self._plans.get(row.domain_id, row.dag_id, row.dag_hash)
            )
            if hot.is_dropped:
                return
            hot.plan = plan
            if row.seq:
                self._install(hot, loaded)
        else:
            sure(self.attempts).abandon(hot.id)  # whose end had landed, and nobody knew
            self._table.announce_end(hot.id, Ended(InstanceStatus(row.status)))
        if hot.waiting or not InstanceStatus(row.status).is_terminal:
            self._unblock(hot)
        else:
            self._table.remove(hot)

    def _go_on_without_row(self, hot: HotInstance) -> None:
        """Nothing landed: a start is decided anew, everything else is for an instance that does not exist."""
        starts = [given for given in hot.waiting if given.request is not None]
        if starts:
            self._unblock(hot)
            return
        for given in hot.waiting:
            # Rows for an instance that does not exist would come back with every poll.
            self._marks.bar(given)
            given.reject(InstanceNotFound(f"no instance {hot.id}", instance_id=hot.id))
        hot.is_dropped = True
        self._table.remove(hot)

    def _install(self, hot: HotInstance, loaded: Loaded) -> None:
        fence = self._ownership.fence(hot.shard)
        if fence is None or hot.plan is None or self.attempts is None:
            raise AssertionError("a load without ownership, plan or attempts is dropped before")
        state = restore(hot.plan, loaded, epoch=fence.epoch)
        hot.install(hot.plan, state)
        hot.dirty = dirty_frames(state, loaded)
        hot.snapshots = newest_snapshots(state, loaded)
        if not hot.is_settling and loaded.row.epoch == fence.epoch:
            return  # it left memory idle, under this epoch: nothing was lost
        for ended in ended_attempts(state, self.attempts.sent(hot.id)):
            self.attempts.cancel(hot.id, ended)
        for effect in unsent_attempts(hot.plan, state, self.attempts.sent(hot.id)):
            self._places.take(1)
            self.attempts.send(hot, effect)
        paths = deepest_first(state)
        if state.has_marks:
            hot.sweeps.extend(paths)
        # Finds lost attempts of older epochs and whatever a lost `Continue` or `Dispatch` would have done.
        hot.continuing += len(paths)
        hot.waiting.extendleft(Input(hot.id, Continue(path)) for path in reversed(paths))

    def _unblock(self, hot: HotInstance) -> None:
        waiting = tuple(hot.waiting)
        hot.waiting.clear()
        hot.is_blocked = hot.is_settling = False
        self._intake.put_first(waiting)
        if hot.wants_room:
            self._places.want(hot)
        self._table.note_idle(hot)

    async def _fetch(
        self, hot: HotInstance, references: Sequence[Reference], resume: Callable[[dict[Reference, Any]], None]
    ) -> None:
        values = await self._values(hot, references, lambda: hot.is_dropped)
        if hot.is_dropped:
            return
        hot.is_blocked = False
        resume(values)
        # The decision that asked may ask for more, or may have put the instance into quarantine.
        if not hot.is_blocked and not hot.is_dropped:
            self._unblock(hot)

    async def _resolve(
        self, hot: HotInstance, value: Value, held: dict[Reference, Any], missing: list[Reference]
    ) -> None:
        """Fill `held` with all that `value` refers to. The attempt's end, not the instance's, ends this."""
        for _ in range(RESOLVE_ROUNDS_MAX):
            held.update(await self._values(hot, missing, _never))
            missing = []
            resolve(value, held, missing)
            if not missing:
                return
        raise ValuesEndless(f"parameters of {hot.id} need more than {RESOLVE_ROUNDS_MAX} rounds")

    async def _values(
        self, hot: HotInstance, references: Sequence[Reference], is_over: Callable[[], bool]
    ) -> dict[Reference, Any]:
        by_instance: dict[str, list[Reference]] = {}
        looked: list[Looked] = []
        former: dict[str, list[Former]] = {}
        callees: list[Asked] = []
        gates: list[Gate] = []
        for one in dict.fromkeys(references):
            if isinstance(one, Looked):
                looked.append(one)
                continue
            if isinstance(one, Asked):
                callees.append(one)
                continue
            if isinstance(one, GateAsked):
                gates.append(Gate(one.domain_id, one.limit, one.key))
                continue
            if isinstance(one, Former):
                former.setdefault(one.instance_id, []).append(one)
                continue
            by_instance.setdefault(one.instance_id if isinstance(one, Borrowed) else hot.id, []).append(one)
        values: dict[Reference, Any] = {}
        if looked:
            values |= await self._read(is_over, partial(self._kept, hot, looked)) or {}
        for callee in callees:
            found = await self._read(is_over, partial(self._callees.find, hot.domain_id, callee.dag, callee.version))
            values[callee] = GONE if found is None else found
        for asked in former.values():
            values |= await self._read(is_over, partial(self._former, hot, asked)) or {}
        for instance_id, wanted in by_instance.items():
            read = await self._read(is_over, partial(self._stored, hot, instance_id, wanted))
            if read is None:
                return {}
            values |= read
        if not hot.is_dropped:
            hot.values.update(values)
            self._memory.admit(hot, values)
        if gates:  # last: what is decided upon it follows at once
            await self._read(is_over, partial(self._gates.read, gates))
        return values

    async def _kept(self, hot: HotInstance, looked: Sequence[Looked]) -> dict[Reference, Any]:
        """Look outputs up that other tasks left for whoever asks for the same."""
        places = [OutputKey(hot.domain_id, one.dag_id, one.step, one.version, one.key) for one in looked]
        found = await self._outputs.find(places, now=sure(looked[0].at))
        return {
            one: GONE if kept is None else Found(kept.instance_id, decode_value(kept.body))
            for one, kept in zip(looked, found, strict=True)
        }

    async def _former(self, hot: HotInstance, asked: Sequence[Former]) -> Mapping[Reference, Any]:
        """Read how lists of the instance that this one is a rerun of had ended."""

        async def plan_of(row: InstanceRow) -> Plan:
            return await self._plans.get(row.domain_id, row.dag_id, row.dag_hash)

        async def load(instance_id: str, paths: Sequence[str]) -> Loaded | None:
            return await self._store.load(instance_id, paths=paths)

        return await read_former(load, plan_of, hot.domain_id, asked)

    async def _stored(self, hot: HotInstance, instance_id: str, wanted: Sequence[Reference]) -> dict[Reference, Any]:
        """Read values of the instance itself, or of the one that it is a rerun of; that one may have been removed.

        Raises:
            PayloadMissing: a value of its own is not there.
        """
        ranges = [PayloadRange(one.seq, one.offset, one.length) for one in wanted]
        try:
            found = await whole(self._objects, hot.domain_id, await self._store.read_payloads(instance_id, ranges))
            return {reference: decode_payload(reference, data) for reference, data in zip(wanted, found, strict=True)}
        except PayloadMissing:
            if instance_id == hot.id:
                raise
            return dict.fromkeys(wanted, GONE)


def _never() -> bool:
    return False
