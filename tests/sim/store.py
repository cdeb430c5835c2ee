"""The store of the simulation: the memory adapter behind a connection that delays, loses and refuses.

What is durable are the memory adapter's tables. Between a process and them every call is an `_Errand` of the world: it
goes on when the process that sent it dies, or reaches the tables much later than that.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from core.errors import CommitUnknown, Fenced, StoreFull, StoreTimeout, StoreUnavailable
from core.ports.instance_store import CommitBounds, InstanceChange, Refusal
from core.ports.shard_store import Fence
from driven_adapters.memory.instance_store import MemoryInstanceStore
from driven_adapters.memory.store import MemoryStore
from driven_adapters.memory.tables import Draft, Tables
from tests.sim.chance import Random
from tests.sim.loop import CURRENT, Process, SimLoop
from tests.sim.sources import SimClock

Answer = TypeVar("Answer")
Carry = Callable[[Process | None, str, Callable[[], None]], None]
REFUSED_PER_INSTANCE_MAX = 2  # after three refusals that are no conflict an instance is quarantined (engine.md 4)
CALLS_KEPT_COUNT = 1000
# Verbs whose lost answer leaves open what happened; the others only read, or do nothing when they are done again.
UNKNOWN_VERBS = frozenset({"commit", "ingest", "open_lease", "renew", "acquire", "release", "note_objects"})
LEASE_VERBS = frozenset({"open_lease", "renew"})
TOLD_VERBS = frozenset({"ingest", "acquire", "release"})  # counted when they land: several nodes make them happen
CUT_S_MAX = 3.0  # how long a node behind a cut waits until its client gives up
ZOMBIE_GIVEN_UP_S = 30.0  # a batch of a dead process that found no new epoch by then is lost
ZOMBIE_SOON_S, ZOMBIE_LATE_S = 0.002, 0.3  # after the new epoch
HELD_S_MAX = 8.0  # and one of a frozen process: longer than a takeover needs, then its fate is unknown


class StoreFaults(msgspec.Struct):
    """How badly the connection behaves; all zero = it only takes its time.

    Attributes:
        delay_s: longest time of one way. slow: share of calls that take `slow_s`.
        unavailable: share of calls that fail, nothing having happened.
        unknown: share of writes whose answer is lost; a third each landed, never land, land later.
        refused: share of commits of which one item is taken out.
        is_down: every call fails; commits under way get no answer.
        is_full: every write is refused, reads go on.
        zombie: share of a killed process's commits that reach the store after the next epoch was taken.
    """

    delay_s: float = 0.004
    slow: float = 0.0
    slow_s: float = 1.0
    unavailable: float = 0.0
    unknown: float = 0.0
    refused: float = 0.0
    is_down: bool = False
    is_full: bool = False
    zombie: float = 0.0


@dataclasses.dataclass(eq=False)
class _Errand:
    """One call on its way."""

    name: str
    transaction: Callable[[Draft], Any]
    process: Process | None
    answer: asyncio.Future[Any]
    is_commit: bool
    is_over: bool = False


class SimStore(MemoryStore):
    """Tables in memory, faults before them.

    Attributes:
        faults: changed at will while it runs. cells: how often each fault met each kind of call.
        on_landed: told after every transaction that became visible.
        script: for directed tests: (verb, how many-th call of it) -> its fate, None = by chance. Fates of a commit are
            `landed`, `never` and `later` with a lost answer, `held` = does not arrive until `release`.
        calls: every verb that arrived, in order.
        cut: processes without a way to the store: their `requests` are lost, or the `answers` to them, or the requests
            about `leases` alone.
        carry: how a message goes its way, told as its process, its verb (`<- verb` on the way back) and what it does
            when it is there: after a while, unless a test puts them in an order of its own.
    """

    def __init__(self, loop: SimLoop, rng: Random, *, shard_count: int) -> None:
        super().__init__(SimClock(loop), shard_count=shard_count)
        self.faults = StoreFaults()
        self.cells: Counter[str] = Counter()
        self.on_landed: Callable[[str, Draft, Process | None], None] = _ignore
        self.script: Callable[[str, int], str | None] = _by_chance
        self.calls: deque[str] = deque(maxlen=CALLS_KEPT_COUNT)
        self.cut: dict[Process, str] = {}
        self.carry: Carry = self.carry_by_chance
        self._count: Counter[str] = Counter()
        self._loop = loop
        self._rng = rng
        self._held: list[_Errand] = []
        self._kept_back: list[_Errand] = []
        self._zombies: list[_Errand] = []

    @property
    def tables(self) -> Tables:
        """Give the durable rows."""
        return self._tables

    async def apply(self, name: str, transaction: Callable[[Draft], Answer]) -> Answer:
        """Send a transaction to the tables and wait for its answer."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        errand = _Errand(name, transaction, CURRENT.get(), answer, name == "commit")
        if name in UNKNOWN_VERBS:
            self._held.append(errand)
        self.carry(errand.process, name, lambda: self._arrive(errand))
        return await answer

    async def read(self, name: str, query: Callable[[Tables], Answer]) -> Answer:
        """Ask the tables: one way, the moment that is read, the way back."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        process = CURRENT.get()
        self.carry(process, name, lambda: self._answer_read(name, query, answer, process))
        return await answer

    def run(self, transaction: Callable[[Draft], Answer]) -> Answer:
        """Run one transaction now, without a connection."""
        return self._land("direct", transaction, None)

    def let_go(self, process: Process) -> None:
        """Decide what becomes of the commits that a killed process had sent."""
        for errand in [held for held in self._held if held.process is process and not held.is_over]:
            if self._rng.random() < self.faults.zombie:
                self._make_zombie(errand, ZOMBIE_GIVEN_UP_S)
            elif self._rng.random() < 0.5:
                self.cells["crash drops commit"] += 1
                self._end(errand)
            else:
                self.cells["crash lands commit"] += 1

    def hold(self, process: Process) -> None:
        """Let commits of a process that is being frozen or cut off stay on their way until another one took a shard."""
        for errand in [held for held in self._held if held.process is process and held.is_commit and not held.is_over]:
            if not errand.answer.done() and self._rng.random() < self.faults.zombie:
                self._make_zombie(errand, HELD_S_MAX)

    def is_commit_under_way(self, process: Process) -> bool:
        """Say whether a commit of this process is between it and the tables."""
        return any(errand.process is process and errand.is_commit for errand in self._held)

    def break_down(self) -> None:
        """Go down: every call fails from now on, and commits under way may have landed."""
        self.faults.is_down = True
        for errand in list(self._held):
            if not errand.is_over and not errand.answer.done():
                self._lose_answer(errand, self._rng.choice(("landed", "never", "later")))

    def carry_by_chance(self, _process: Process | None, _told: str, arrive: Callable[[], None]) -> None:
        """Let a message arrive after a while."""
        self._loop.call_world(self.draw_delay_s(), arrive)

    def draw_delay_s(self) -> float:
        """Give how long one way takes."""
        if self.faults.slow and self._rng.random() < self.faults.slow:
            self.cells["store slow"] += 1
            return self._rng.uniform(0.0, self.faults.slow_s)
        return self._rng.uniform(0.0, self.faults.delay_s)

    def _arrive(self, errand: _Errand) -> None:
        if errand.is_over:
            return
        self.calls.append(errand.name)
        self._count[errand.name] += 1
        fate = self.script(errand.name, self._count[errand.name])
        if fate == "held":
            self._kept_back.append(errand)
        elif fate is not None:
            self._lose_answer(errand, fate)
        elif self._is_cut(errand.process, errand.name):
            self._cut_off(errand)
        elif self.faults.is_full:
            self.cells[f"disk full for {'a commit' if errand.is_commit else 'a call'}"] += 1
            self._end(errand)
            self._reply(errand, error=StoreFull("simulated: no space"))
        elif self.faults.is_down or self._rng.random() < self.faults.unavailable:
            self.cells[f"unavailable {'commit' if errand.is_commit else 'call'}"] += 1
            self._end(errand)
            self._reply(errand, error=StoreUnavailable("simulated: no connection"))
        elif errand.name in UNKNOWN_VERBS and self._rng.random() < self.faults.unknown:
            self._lose_answer(errand, self._rng.choice(("landed", "never", "later")))
        else:
            if errand.name == "settle":
                self._settle(errand.process)
            self._finish(errand)

    def release(self) -> None:
        """Let the errands go on that the script held."""
        for errand in self._kept_back:
            self._finish(errand)
        self._kept_back.clear()

    def _is_cut(self, process: Process | None, name: str) -> bool:
        lost = None if process is None else self.cut.get(process)
        return lost is not None and (lost != "leases" or name in LEASE_VERBS)

    def _cut_off(self, errand: _Errand) -> None:
        """Let the caller wait until it gives up; what it asked for has happened when only the answer was lost."""
        lost = "" if errand.process is None else self.cut[errand.process]
        self.cells[f"cut from the store, {lost} lost"] += 1
        if lost == "answers":
            self._finish(errand, is_silent=True)
        else:
            self._end(errand)
        error = CommitUnknown if errand.name in UNKNOWN_VERBS else StoreTimeout
        wait_s = self._rng.uniform(0.0, CUT_S_MAX)
        self._loop.call_world(wait_s, lambda: self._reply(errand, error=error("simulated: no way to the store")))

    def _lose_answer(self, errand: _Errand, fate: str) -> None:
        self.cells[f"unknown {fate} {errand.name}"] += 1
        if fate == "later":
            # Until somebody settles it may land at any moment; `_settle` decides otherwise.
            self._loop.call_world(self._rng.uniform(0.01, 4.0), lambda: self._finish(errand))
        elif fate == "never":
            self._end(errand)
        else:
            self._finish(errand, is_silent=True)
        self._reply(errand, error=CommitUnknown("simulated: the answer is lost"))

    def _settle(self, process: Process | None) -> None:
        for errand in [
            held for held in self._held if held.process is process and held.answer.done() and held.is_commit
        ]:
            if self._rng.random() < 0.5:
                self.cells["settle lands pending"] += 1
                self._finish(errand)
            else:
                self.cells["settle ends pending"] += 1
                self._end(errand)

    def _make_zombie(self, errand: _Errand, given_up_s: float) -> None:
        """Let the errand reach the tables only after somebody else took a shard; after `given_up_s` it is lost."""
        self.cells["zombie sent"] += 1
        errand.is_over = True
        self._zombies.append(errand)

        def give_up() -> None:
            if errand in self._zombies:
                self._zombies.remove(errand)
                self._end(errand)
                self._reply(errand, error=CommitUnknown("simulated: the answer is lost"))

        self._loop.call_world(given_up_s, give_up)

    def _raise_zombies(self) -> None:
        """A shard has a new epoch: what dead processes had sent arrives at any moment from now on."""
        for errand in self._zombies:
            errand.is_over = False
            self.cells["zombie arrives"] += 1
            # Half of them before the new owner has committed anything: only the fence can tell.
            within_s = self._rng.choice((ZOMBIE_SOON_S, ZOMBIE_LATE_S))
            self._loop.call_world(self._rng.uniform(0.0, within_s), partial(self._finish, errand))
        self._zombies.clear()

    def _finish(self, errand: _Errand, *, is_silent: bool = False) -> None:
        """Run the errand on the tables, and answer unless nobody listens."""
        if errand.is_over:
            return
        self._end(errand)
        try:
            result = self._land(errand.name, errand.transaction, errand.process)
        except Exception as error:  # noqa: BLE001 - what a port raises is handed to the caller, whatever it is
            if isinstance(error, Fenced):
                self.cells["fenced"] += 1
            if not is_silent:
                self._reply(errand, error=error)
            return
        if not is_silent:
            self._reply(errand, result=result)

    def _end(self, errand: _Errand) -> None:
        errand.is_over = True
        if errand in self._held:
            self._held.remove(errand)

    def _land(self, name: str, transaction: Callable[[Draft], Answer], process: Process | None) -> Answer:
        draft = Draft(self._tables, _pass)
        result = transaction(draft)
        draft.land()
        if name in TOLD_VERBS:
            self.cells[f"landed {name}"] += result is not None or name == "release"
        self.on_landed(name, draft, process)
        if name == "acquire" and result is not None:
            self._raise_zombies()
        return result

    def _reply(self, errand: _Errand, *, result: Any = None, error: Exception | None = None) -> None:
        self.deliver(errand.answer, result, error, told=errand.name, process=errand.process)

    def _answer_read(
        self, name: str, query: Callable[[Tables], Any], answer: asyncio.Future[Any], process: Process | None
    ) -> None:
        self.calls.append(name)
        if self._is_cut(process, name):
            error = StoreTimeout(f"simulated: no way to the store for {name}")
            self._loop.call_world(self._rng.uniform(0.0, CUT_S_MAX), lambda: self.deliver(answer, None, error))
            return
        if self.faults.is_down or self._rng.random() < self.faults.unavailable:
            self.cells["unavailable read"] += 1
            unavailable = StoreUnavailable(f"simulated: no connection for {name}")
            self.deliver(answer, None, unavailable, told=name, process=process)
            return
        try:
            result = query(self._tables)
        except Exception as raised:  # noqa: BLE001 - as above
            self.deliver(answer, None, raised, told=name, process=process)
        else:
            self.deliver(answer, result, None, told=name, process=process)

    def deliver(
        self,
        answer: asyncio.Future[Any],
        result: Any,
        error: Exception | None,
        *,
        told: str = "",
        process: Process | None = None,
    ) -> None:
        """Let an answer go its way back."""

        def give() -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        self.carry(process, f"<- {told}", give)


class SimInstanceStore(MemoryInstanceStore):
    """`InstanceStore` of the simulation: bounds of its own, and items taken out now and then (R10)."""

    def __init__(self, store: SimStore, rng: Random, bounds: CommitBounds) -> None:
        super().__init__(store)
        self.commit_bounds = bounds
        self._sim = store
        self._rng = rng
        self._refused: Counter[str] = Counter()

    async def commit(self, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        """Commit all, or all but one."""
        place = self._draw_refused(changes)
        if place is None:
            return await super().commit(fences, changes)
        kept = [*changes[:place], *changes[place + 1 :]]
        answers = await super().commit(fences, kept)
        self._sim.cells["item taken out"] += 1
        return [*answers[:place], Refusal("invalid", detail="simulated: this item alone was refused"), *answers[place:]]

    def _draw_refused(self, changes: Sequence[InstanceChange]) -> int | None:
        if not changes or self._rng.random() >= self._sim.faults.refused:
            return None
        place = self._rng.randrange(len(changes))
        instance_id = changes[place].row.id
        if self._refused[instance_id] >= REFUSED_PER_INSTANCE_MAX:
            return None
        self._refused[instance_id] += 1
        return place


def _ignore(_name: str, _draft: Draft, _process: Process | None) -> None:
    """Tell nobody."""


def _by_chance(_name: str, _count: int) -> str | None:
    """Let chance decide."""
    return None


def _pass(_point: str) -> None:
    """No point of a transaction is watched here: it runs at one moment."""
