"""One engine node on virtual time, a store whose commits meet the fates that a test writes down, and operators by hand."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from core.dag.callee import Callee
from core.dag.plan import Plan
from core.engine.node import Ended, EngineNode, NodeSettings, SilentObserver, Started, StartRequest
from core.engine.state import InstanceStatus
from core.errors import CommitUnknown, Fenced, StoreBroken, StoreFull, StoreTimeout, StoreUnavailable
from core.executor.operator import Cancelled, Failed, Outcome, Succeeded
from core.executor.pipeline import AttemptRequest
from core.ports.clock import Clock
from core.ports.instance_store import InstanceChange, InstanceRow, Loaded, Refusal, StartKey
from core.ports.object_notes import LooseObject
from core.ports.object_store import PutObject
from core.ports.shard_store import Fence
from driven_adapters.memory import (
    MemoryInstanceStore,
    MemoryObjectNotes,
    MemoryOutputCache,
    MemoryPermitStore,
    MemoryShardStore,
    MemoryStore,
)
from driven_adapters.object_store import MemoryObjectStore
from tests.sim.chance import derived
from tests.sim.loop import SimLoop
from tests.sim.sources import SimClock, SimDice, SimIds
from tests.unit.engine.plans import plan_of

STEPS_MAX = 200_000  # of one test; the longest takes 20 000, and a node that is left alone never ends by itself
SETTLED_STEPS = 400  # turns of the loop after which nothing is left to do without time passing
CHAIN = """
steps:
  - {id: a, operator: "@debug/noop", parameters: {x: 1}}
  - {id: b, operator: "@debug/noop", parameters: {x: "{{ steps.a.output }}"}}
"""
ONE = """
steps: [{id: a, operator: "@debug/noop", parameters: {x: "{{ inputs }}"}}]
"""


def simulated(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on virtual time; waiting for ever is a failure."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        loop = SimLoop(1, steps_max=STEPS_MAX)
        try:
            loop.run_until_complete(test(*args, **kwargs))
            loop.outside.tasks.clear()  # errors that nobody looked at are told when their tasks are gone
            assert [] == loop.surprises
        finally:
            loop.close()

    return run


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(SETTLED_STEPS):
        await asyncio.sleep(0)


class ScriptedStore(MemoryInstanceStore):
    """The memory store; `fates` says what becomes of the next commits, `gate` holds them, `faults` of the next reads."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.fates: deque[str] = deque()
        self.commits: list[tuple[InstanceChange, ...]] = []
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.load_faults: deque[Exception] = deque()
        self.pull_faults: deque[Exception] = deque()
        self.timer_faults: deque[Exception] = deque()
        self.ingest_faults: deque[Exception] = deque()
        self.payload_faults: deque[Exception] = deque()

    async def commit(self, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        self.reached.set()
        self.commits.append(tuple(changes))
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        fate, _, word = (self.fates.popleft() if self.fates else "land").partition(":")
        if fate == "unavailable":
            raise StoreUnavailable("no connection")
        if fate == "full":
            raise StoreFull("no space")
        if fate == "broken":
            raise StoreBroken("the sync failed")
        if fate == "fenced":
            raise Fenced([int(word)] if word else [])
        if fate == "refuse":
            kept = changes[1:]
            landed = await super().commit(fences, kept) if kept else []
            return [Refusal(word), *landed]  # type: ignore[arg-type]  # a reason written in the test
        if fate == "unknown" and word == "lost":
            raise CommitUnknown("the answer was lost")
        refusals = await super().commit(fences, changes)
        if fate == "unknown":
            raise StoreTimeout("no answer") if word == "late" else CommitUnknown("the answer was lost")
        return refusals

    async def load(self, instance_id: str, *, paths: Sequence[str] | None = None) -> Loaded | None:
        if self.load_faults:
            raise self.load_faults.popleft()
        return await super().load(instance_id, paths=paths)

    async def read_payloads(self, instance_id: str, ranges: Any) -> Any:
        if self.payload_faults:
            raise self.payload_faults.popleft()
        return await super().read_payloads(instance_id, ranges)

    async def pull_inbox(self, shards: Any, *, limit: int) -> Any:
        if self.pull_faults:
            raise self.pull_faults.popleft()
        return await super().pull_inbox(shards, limit=limit)

    async def due_timers(self, shards: Any, *, since: Any = None, skip: int = 0, until: Any, limit: int) -> Any:
        if self.timer_faults:
            raise self.timer_faults.popleft()
        return await super().due_timers(shards, since=since, skip=skip, until=until, limit=limit)

    async def ingest(self, items: Any) -> Any:
        if self.ingest_faults:
            raise self.ingest_faults.popleft()
        return await super().ingest(items)


class ScriptedNotes(MemoryObjectNotes):
    """The memory store's notes; `faults` are what the next notes raise."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.faults: deque[Exception] = deque()

    async def note(self, objects: Sequence[LooseObject]) -> None:
        if self.faults:
            raise self.faults.popleft()
        await super().note(objects)


class ScriptedObjects(MemoryObjectStore):
    """The memory's objects; `faults` are what the next writes raise, `get_faults` the next reads, `gate` holds writes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.faults: deque[Exception] = deque()
        self.get_faults: deque[Exception] = deque()
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def put(self, domain_id: str, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> PutObject:
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.faults:
            raise self.faults.popleft()
        return await super().put(domain_id, key, chunks, bytes_max=bytes_max)

    async def get(self, domain_id: str, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        if self.get_faults:
            raise self.get_faults.popleft()
        async for chunk in super().get(domain_id, key, first=first, last=last):
            yield chunk


class ScriptedShards(MemoryShardStore):
    """The memory store's shards; `faults` are what the next calls raise, `gate` holds renewals, `settled` is what was settled."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.renew_faults: deque[Exception] = deque()
        self.settle_faults: deque[Exception] = deque()
        self.open_faults: deque[Exception] = deque()
        self.acquire_faults: deque[Exception | None] = deque()
        self.gate: asyncio.Event | None = None
        self.settled: list[tuple[Fence, ...]] = []

    async def open_lease(self, node: str, ttl_s: float) -> None:
        if self.open_faults:
            raise self.open_faults.popleft()
        await super().open_lease(node, ttl_s)

    async def acquire(self, node: str, shard: int, seen_epoch: int) -> Fence | None:
        fault = self.acquire_faults.popleft() if self.acquire_faults else None
        if isinstance(fault, CommitUnknown):
            await super().acquire(node, shard, seen_epoch)
        if fault is not None:
            raise fault
        return await super().acquire(node, shard, seen_epoch)

    async def renew(self, node: str, ttl_s: float) -> bool:
        if self.gate is not None:
            await self.gate.wait()
        if self.renew_faults:
            raise self.renew_faults.popleft()
        return await super().renew(node, ttl_s)

    async def settle(self, fences: Sequence[Fence]) -> None:
        self.settled.append(tuple(fences))
        if self.settle_faults:
            raise self.settle_faults.popleft()
        await super().settle(fences)


class Operators:
    """Attempts by hand: `calls` are all that were made; those of `held` wait for `end`, others succeed at once."""

    def __init__(self) -> None:
        self.calls: list[AttemptRequest] = []
        self.held: set[str] = set()
        self.outcomes: dict[str, deque[Outcome]] = {}
        self.cancelled: list[str] = []
        self._open: dict[str, asyncio.Future[Outcome]] = {}

    async def run(self, request: AttemptRequest) -> Outcome:
        self.calls.append(request)
        path = request.task_path
        if path in self.held:
            future = self._open[path] = asyncio.get_running_loop().create_future()
            try:
                outcome: Outcome = await future
            except asyncio.CancelledError:
                self.cancelled.append(path)
                return Cancelled()
            return outcome
        scripted = self.outcomes.get(path)
        if scripted:
            return scripted.popleft()
        return Succeeded(msgspec.Raw(msgspec.json.encode(request.parameters)))

    def end(self, path: str, outcome: Outcome | None = None) -> None:
        self._open.pop(path).set_result(outcome or Succeeded({"done": path}))

    def paths(self) -> list[str]:
        return [call.task_path for call in self.calls]


class Notes(SilentObserver):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.points: list[str] = []

    def point(self, name: str) -> None:
        self.points.append(name)

    def committed(self, item_count: int, duration_s: float) -> None:
        self.heard.append(("committed", item_count, duration_s))

    def refused(self, instance_id: str, reason: str, detail: str) -> None:
        self.heard.append(("refused", reason))
        del instance_id, detail

    def fenced(self, shards: tuple[int, ...]) -> None:
        self.heard.append(("fenced", shards))

    def quarantined(self, instance_id: str, fault: BaseException | None) -> None:
        self.heard.append(("quarantined", instance_id, type(fault).__name__))

    def failed_input(self, instance_id: str, fault: BaseException) -> None:
        self.heard.append(("failed_input", instance_id, fault))

    def instance_ended(self, dag_id: str, status: InstanceStatus) -> None:
        self.heard.append(("ended", dag_id, status))

    def attempts_lost(self, count: int) -> None:
        self.heard.append(("lost", count))

    def count(self, word: str) -> int:
        return sum(entry[0] == word for entry in self.heard)


class Plans:
    """Plans by content hash."""

    def __init__(self) -> None:
        self.by_hash: dict[str, Plan] = {}
        self.faults: deque[Exception] = deque()

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        del domain_id, dag_id
        if self.faults:
            raise self.faults.popleft()
        return self.by_hash[content_hash]


class Callees:
    """DAGs that calls find, by title; `looked` = what was looked up."""

    def __init__(self) -> None:
        self.by_title: dict[str, Callee] = {}
        self.looked: list[tuple[str, str, str | None]] = []
        self.faults: deque[Exception] = deque()

    async def find(self, domain_id: str, dag: str, version: str | None) -> Callee | None:
        self.looked.append((domain_id, dag, version))
        if self.faults:
            raise self.faults.popleft()
        return self.by_title.get(dag)


def status_of(ended: Ended | None) -> InstanceStatus | None:
    """Give how an instance ended, if it has."""
    return None if ended is None else ended.status


class World:
    """A store, operators and plans that outlive nodes."""

    def __init__(self, *, shard_count: int = 4, seed: int = 1) -> None:
        loop = asyncio.get_running_loop()
        self.clock = SimClock(loop)
        self.ids = SimIds(self.clock, derived(seed, "ids"))
        self.dice = SimDice(derived(seed, "dice"))
        self.rows = MemoryStore(self.clock, shard_count=shard_count)
        self.store = ScriptedStore(self.rows)
        self.shards = ScriptedShards(self.rows)
        self.object_notes = ScriptedNotes(self.rows)
        self.objects = ScriptedObjects(self.clock)
        self.outputs = MemoryOutputCache(self.rows)
        self.permits = MemoryPermitStore(self.rows)
        self.operators = Operators()
        self.plans = Plans()
        self.callees = Callees()
        self.notes = Notes()
        self.fatal: list[BaseException] = []
        self.acts_count = 0  # how often a node said that rows of the audit landed

    def node(self, **settings: Any) -> EngineNode:
        """Make a node that is not started."""
        chosen = NodeSettings(**{"node_id": self.ids.new_id(), **settings})
        return EngineNode(
            shards=self.shards,
            store=self.store,
            notes=self.object_notes,
            objects=self.objects,
            outputs=self.outputs,
            permits=self.permits,
            plans=self.plans,
            callees=self.callees,
            attempts=self.operators,
            clock=self.clock,
            ids=self.ids,
            dice=self.dice,
            settings=chosen,
            observer=self.notes,
            on_fatal=self.fatal.append,
            on_acts=self._note_acts,
        )

    def _note_acts(self) -> None:
        self.acts_count += 1

    async def started(self, **settings: Any) -> EngineNode:
        """Make and start a node."""
        node = self.node(**settings)
        await node.start()
        return node

    def plan(self, text: str) -> Plan:
        """Compile a document; each text has a hash of its own."""
        plan = msgspec.structs.replace(plan_of(text), content_hash=f"hash-{len(self.plans.by_hash)}")
        self.plans.by_hash[plan.content_hash] = plan
        return plan

    def callee(self, title: str, text: str, status: Any = "normal") -> Plan:
        """Let calls find a DAG under a title."""
        plan = msgspec.structs.replace(self.plan(text), dag_id=f"dag-{title}")
        self.plans.by_hash[plan.content_hash] = plan
        self.callees.by_title[title] = Callee(plan.dag_id, status, plan)
        return plan

    def request(
        self, plan: Plan, *, inputs: Any = None, key: str | None = None, req_hash: str = "h", domain_id: str = "d"
    ) -> StartRequest:
        """Make a start."""
        instance_id = self.ids.new_id()
        start_key = None if key is None else StartKey(domain_id, "run:dag:me", key, instance_id, req_hash)
        return StartRequest(
            plan=plan,
            id=instance_id,
            domain_id=domain_id,
            start_key=start_key,
            inputs={} if inputs is None else inputs,
            trigger=b"{}",
            created_at=self.clock.now(),
        )

    async def finished(self, node: EngineNode, started: Started, timeout_s: float = 60.0) -> InstanceStatus | None:
        """Wait for an end."""
        return status_of(await node.wait_ended("d", started.instance_id, timeout_s))

    def row(self, instance_id: str) -> InstanceRow | None:
        """Read a row as it lies in the store."""
        found: InstanceRow | None = self.rows.copy().group("instance").get(instance_id)
        return found

    def table(self, name: str, group: Any = "") -> dict[Any, Any]:
        """Read a table as it lies in the store."""
        return dict(self.rows.copy().group(name, group))

    async def lying(self, domain_id: str = "d") -> dict[str, int]:
        """Give the length of every object by its key."""
        return {one.key: one.bytes_count for one in await self.objects.list(domain_id, prefix="", after="", limit=100)}

    async def kill(self, node: EngineNode) -> None:
        """End a node's tasks as a killed process does: nothing is released, nothing is said."""
        tasks = [*node._tasks, *node._attempts.stop(), *node._loader.stop()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def later(self, seconds: float) -> Any:
        """Give a time from now."""
        return self.clock.now() + timedelta(seconds=seconds)


FAILED = Failed(error_kind="unavailable", message="not now")
