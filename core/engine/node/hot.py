"""Instances in memory: their state upon commits that have not landed yet, and the inputs that wait for them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol

from core.dag.plan import Plan
from core.engine.effects import Answer
from core.engine.node.terms import Ended, StartRequest
from core.engine.origin import priority_of
from core.engine.state import Attempt, InstanceStatus, Reference, State
from core.engine.statuses import INSTANCE_PAUSED, INSTANCE_QUEUED, INSTANCE_STATUSES, TASK_READY
from core.engine.stimuli import Stimulus
from core.engine.sure import sure
from core.ports.instance_store import InboxRow, InstanceRow, SeenKey, TimerRow
from core.ports.permits import PermitAct
from pkg.wakes import Wakes

STRIKES_MAX = 3  # after so many inputs that could not be decided or written, an instance is quarantined (R10)


class Input:
    """One stimulus on its way, kept until the fate of its commit is known (engine.md 4).

    Attributes:
        domain_id: of the caller, held against the instance's; None for the node's own inputs.
        answer: the caller's future, if one waits.
        request: of a start given to this node; its key decides whether it may be given again.
        seen: the key of a signal, which it is taken in by once.
        repeats: inputs with the same key that wait for this one's commit (M6).
        is_unsure: it was in a commit whose fate was unknown; until it is answered from the store it may have landed.
        inbox, timer: the row that this input takes out of the store.
    """

    __slots__ = (
        "answer",
        "domain_id",
        "inbox",
        "instance_id",
        "is_unsure",
        "repeats",
        "request",
        "seen",
        "stimulus",
        "timer",
    )

    def __init__(
        self,
        instance_id: str,
        stimulus: Stimulus,
        *,
        domain_id: str | None = None,
        answer: asyncio.Future[Any] | None = None,
        request: StartRequest | None = None,
        inbox: InboxRow | None = None,
        timer: TimerRow | None = None,
        seen: SeenKey | None = None,
    ) -> None:
        self.instance_id = instance_id
        self.stimulus = stimulus
        self.domain_id = domain_id
        self.answer = answer
        self.request = request
        self.inbox = inbox
        self.timer = timer
        self.seen = seen
        self.repeats: list[Input] = []
        self.is_unsure = False

    def resolve(self, result: object) -> None:
        """Answer the caller, if one still waits."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(result)

    def reject(self, error: BaseException) -> None:
        """Answer the caller and all repeats with an error."""
        for one in (self, *self.repeats):
            if one.answer is not None and not one.answer.done():
                one.answer.set_exception(error)


class Uncommitted(Protocol):
    """Decisions of one instance on their way into a commit: what is needed of them when they are dropped."""

    inputs: list[tuple[Input, Answer | None]]

    @property
    def permits(self) -> Sequence[PermitAct]:
        """What is done at gates."""
        ...

    @property
    def starts(self) -> Sized:
        """Attempts to send after the commit."""
        ...

    def take(self, given: Input, answer: Answer | None) -> None:
        """Keep an input whose answer waits for this commit."""
        ...


class HotInstance:
    """One instance in memory.

    Attributes:
        state: upon everything decided so far, landed or not; None while it is loaded, before its start, or when only
            the row of an ended instance is at hand.
        row: as last committed; None = not in the store yet.
        seq: newest journal row, those of the commit in flight included.
        committing, gathering: what waits in the commit in flight and in the next batch.
        is_awaited: being loaded ahead of its timer; it stays in memory until that or something else has come.
        is_blocked: a load is under way; `waiting` inputs go on after it, in order.
        parked: inputs that came before the start's row of an ingested instance (M7).
        dirty: per frame the first journal row that its own row does not have, and how many transitions since.
        snapshots: per frame the journal row of its last snapshot, or of the moment before it was entered.
        written_bytes: per open frame the size of the row that this process wrote last.
        sweeps: frames that a closing mark has still to be carried into; `sweeping` are on their way.
        continuing: `Continue` inputs that are on their way.
        is_dropped: forgotten (R4, unknown fate, taken out); nothing that still refers to it counts.
    """

    __slots__ = (
        "committing",
        "continuing",
        "dirty",
        "domain_id",
        "gathering",
        "id",
        "is_awaited",
        "is_blocked",
        "is_dropped",
        "is_settling",
        "parked",
        "plan",
        "ready",
        "row",
        "running",
        "seq",
        "shard",
        "snapshots",
        "state",
        "sweeping",
        "sweeps",
        "values",
        "waiting",
        "wants_place",
        "written_bytes",
    )

    def __init__(self, instance_id: str, domain_id: str, shard: int) -> None:
        self.id = instance_id
        self.domain_id = domain_id
        self.shard = shard
        self.plan: Plan | None = None
        self.state: State | None = None
        self.row: InstanceRow | None = None
        self.seq = 0
        self.committing: Uncommitted | None = None
        self.gathering: Uncommitted | None = None
        self.is_awaited = False
        self.is_blocked = False
        self.is_settling = False
        self.is_dropped = False
        self.waiting: deque[Input] = deque()
        self.parked: list[Input] = []
        self.values: dict[Reference, Any] = {}
        self.dirty: dict[str, list[int]] = {}
        self.snapshots: dict[str, int] = {}
        self.written_bytes: dict[str, int] = {}
        self.sweeps: deque[str] = deque()
        self.sweeping = 0
        self.continuing = 0
        self.ready = 0
        self.running = 0
        self.wants_place = False

    def install(self, plan: Plan, state: State) -> None:
        """Take a state; its values are kept here."""
        self.plan = plan
        self.state = state
        state.values = self.values
        self.ready = sum(frame.ready for frame in state.frames.values())
        self.running = sum(frame.running for frame in state.frames.values())

    @property
    def uncommitted(self) -> Uncommitted | None:
        """The newest item whose fate is not known: what is read from the state waits for it (M6)."""
        return self.gathering or self.committing

    @property
    def status(self) -> InstanceStatus:
        """Status upon everything decided so far."""
        if self.state is not None:
            return self.state.header.status
        return INSTANCE_QUEUED if self.row is None else INSTANCE_STATUSES[self.row.status]

    @property
    def priority(self) -> int:
        """Priority among the instances that wait for a place: 1 lowest .. 5 highest."""
        return priority_of(sure(self.plan), sure(self.state).header.priority)

    @property
    def wants_room(self) -> bool:
        """Say whether a ready task of it would start when there is room: it does not wait for a permit."""
        if not self.ready or self.plan is None or not self.plan.has_limits or self.state is None:
            return self.ready > 0
        tasks = (task for frame in self.state.frames.values() if frame.ready for task in frame.tasks)
        return any(task is not None and task.status is TASK_READY and _is_permitted(task.detail) for task in tasks)

    @property
    def is_idle(self) -> bool:
        """Say whether only a timer, a command or an outcome from outside can move it."""
        return not (
            self.is_blocked
            or self.committing
            or self.gathering
            or self.waiting
            or self.parked
            or self.running
            or (self.wants_room and self.status is not INSTANCE_PAUSED)  # nothing of it starts
            or self.sweeping
            or self.sweeps
            or self.continuing
        )


def _is_permitted(detail: object) -> bool:
    return not isinstance(detail, Attempt) or detail.permit is None or detail.permit.is_held


class HotTable:
    """All instances in memory, those that may not go on, and the callers who wait for an end."""

    def __init__(self) -> None:
        self._hot: dict[str, HotInstance] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._strikes: dict[str, int] = {}
        self._waiters: dict[str, list[asyncio.Future[Ended | None]]] = {}
        self.followers = Wakes()  # those who read on when more of an instance has landed
        self.waiter_count = 0
        self.quarantined: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._hot)

    def get(self, instance_id: str) -> HotInstance | None:
        """Find an instance in memory."""
        return self._hot.get(instance_id)

    def add(self, hot: HotInstance) -> HotInstance:
        """Keep an instance in memory."""
        self._hot[hot.id] = hot
        return hot

    def remove(self, hot: HotInstance) -> None:
        """Forget an instance; nothing if another object took its place."""
        if self._hot.get(hot.id) is hot:
            del self._hot[hot.id]
            self._idle.pop(hot.id, None)

    def of_shards(self, shards: Iterable[int]) -> list[HotInstance]:
        """List the instances of these shards."""
        wanted = set(shards)
        return [hot for hot in self._hot.values() if hot.shard in wanted]

    def note_idle(self, hot: HotInstance) -> None:
        """Remember that an instance may leave memory; the one idle for longest leaves first."""
        if hot.is_awaited:
            hot.is_awaited = False
            return
        self._idle.pop(hot.id, None)
        self._idle[hot.id] = None

    def surplus(self, hot_max: int) -> Iterator[HotInstance]:
        """Give idle instances above `hot_max`, idle for longest first; each is looked at once."""
        while self._idle and len(self._hot) > hot_max:
            instance_id, _ = self._idle.popitem(last=False)
            hot = self._hot.get(instance_id)
            if hot is not None and hot.is_idle:
                yield hot

    def strike(self, instance_id: str) -> bool:
        """Count a fault of an instance; True when it has to be quarantined."""
        count = self._strikes.get(instance_id, 0) + 1
        self._strikes[instance_id] = count
        return count >= STRIKES_MAX

    def quarantine(self, instance_id: str, shard: int) -> None:
        """Let nothing happen to this instance as long as the shard is held."""
        self._strikes.pop(instance_id, None)
        self.quarantined[instance_id] = shard

    def pardon(self, shards: Iterable[int]) -> None:
        """Forget the faults of these shards' instances: the next owner tries anew."""
        wanted = set(shards)
        self.quarantined = {key: shard for key, shard in self.quarantined.items() if shard not in wanted}
        self._strikes.clear()

    def await_end(self, instance_id: str) -> asyncio.Future[Ended | None]:
        """Give a future that is set when the instance ends; hand it back with `give_up_waiting`."""
        future: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(instance_id, []).append(future)
        self.waiter_count += 1
        return future

    def give_up_waiting(self, instance_id: str, future: asyncio.Future[Ended | None]) -> None:
        """Take a waiter out again, answered or not."""
        self.waiter_count -= 1
        waiting = self._waiters.get(instance_id, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiters.pop(instance_id, None)

    def pass_waiting_over(self) -> None:
        """End all waits without an outcome."""
        for waiting in self._waiters.values():
            for future in waiting:
                pass_over(future)

    def announce_end(self, instance_id: str, ended: Ended) -> None:
        """Tell everyone who waits for this instance, after its last commit landed."""
        for future in self._waiters.pop(instance_id, ()):
            if not future.done():
                future.set_result(ended)


def pass_over(future: asyncio.Future[Ended | None]) -> None:
    """End a wait without an outcome."""
    if not future.done():
        future.set_result(None)
