"""Clients of the simulation: they start with keys, repeat, cancel, terminate, wait, and remember every answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from core.engine.lending import Again
from core.engine.node import StartRequest
from core.engine.stimuli import Cancel, Pause, Resume, Signal, Terminate
from core.errors import FlowError, OutcomeUnknown
from core.ports.instance_store import TERMINAL_STATUSES, StartKey
from tests.sim.loop import ConnectionLostError
from tests.sim.reruns import drawn_rerun
from tests.sim.watch import InvariantBrokenError

if TYPE_CHECKING:
    from core.dag.plan import Plan
    from core.engine.lending import Rerun
    from tests.sim.chance import Random
    from tests.sim.nodes import NodeBox
    from tests.sim.world import World

DOMAINS = ("dom-a", "dom-b")
TRIGGER = b'{"kind":"manual","data":null,"event":null,"scheduled_at":null}'
ENDING = frozenset({"cancelling", "succeeded", "failed", "cancelled"})
ANSWER_S_MAX = 20.0  # a client gives up waiting for one answer and asks again


Work = Callable[[], Coroutine[Any, Any, None]]


class Tried(msgspec.Struct):
    """One request that was sent: what it asked to be created, and what came back."""

    key: str | None
    instance_id: str
    result: str = "unknown"


class Clients:
    """A few clients that share the seed's starts.

    Attributes:
        acked: key -> instance id, as the first answer said. tried: every request by its own instance id.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng("clients")
        self._left = world.options.instance_count
        self._ids = 0
        self.cells: Counter[str] = Counter()
        self.acked: dict[str, str] = {}
        self.acked_keyless: list[str] = []
        self.tried: dict[str, Tried] = {}
        self.signalled: dict[str, dict[str, str]] = {}  # instance id -> key -> how the newest request was answered
        self._open: set[str] = set()
        self._terminated: set[str] = set()

    def open_keys(self) -> list[str]:
        """Give the keys that no answer came for yet."""
        return sorted(self._open)[:5]

    async def run(self) -> None:
        """Start everything, and end when every answer is there."""
        await self._all([partial(self._client, number) for number in range(self._world.options.client_count)])

    async def _all(self, works: list[Work]) -> None:
        """Run them side by side; what one of them finds ends the seed."""
        tasks = [asyncio.create_task(work()) for work in works]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _client(self, number: int) -> None:
        rng = self._world.rng("client", number)
        asides: list[Work] = []
        while self._left:
            self._left -= 1
            await asyncio.sleep(rng.expovariate(1 / 0.5) if self._world.is_storm else 0.01)
            key = None if rng.random() < self._world.options.keyless else f"key-{number}-{self._left}"
            instance_id = await self._start(rng, key)
            if instance_id is not None:
                asides += self._asides(rng, instance_id)
        await self._all(asides)

    def _asides(self, rng: Random, instance_id: str) -> list[Work]:
        options = self._world.options
        asides: list[Work] = []
        if rng.random() < options.cancel:
            asides.append(partial(self._command, rng, instance_id, Cancel("simulated")))
        if rng.random() < options.terminate:
            asides.append(partial(self._command, rng, instance_id, Terminate("simulated")))
        if rng.random() < 0.3:
            asides.append(partial(self._wait, rng, instance_id))
        asides += [partial(self._signal, rng, instance_id, number) for number in range(rng.choice((0, 1, 3)))]
        if rng.random() < options.held:
            asides.append(partial(self._hold, rng, instance_id))
        return asides

    async def _start(self, rng: Random, key: str | None) -> str | None:
        """Ask until somebody answers; a start without a key is asked once."""
        plan = rng.choice(self._world.plans)
        inputs, faults = plan.inputs_complete(self._inputs(rng))
        assert not faults, faults
        rerun = self._rerun(rng, plan, key)
        if key is not None:
            self._open.add(key)
        answer: str | None = None
        repeats = 2 if rng.random() < 0.3 else 1
        for _ in range(repeats):
            if key is not None and rng.random() < self._world.options.at_once:
                self.cells["start at two nodes at once"] += 1
                both = [self._ask(rng, plan, inputs, key, rerun), self._ask(rng, plan, inputs, key, rerun)]
                answer = (await asyncio.gather(*both))[0]
            else:
                answer = await self._ask(rng, plan, inputs, key, rerun)
            if key is None:
                break
        self._open.discard(key or "")
        return answer

    def _inputs(self, rng: Random) -> dict[str, Any]:
        given: dict[str, Any] = {
            "n": rng.randint(0, 10),
            "items": [rng.randint(0, 9) for _ in range(rng.randint(0, 9))],
        }
        if rng.random() < 0.2:
            given["text"] = "abc" * rng.randint(1, 3000)
        return given

    def _rerun(self, rng: Random, plan: Plan, key: str | None) -> Rerun | None:
        """Draw an ended instance that is run again instead."""
        if not self._world.options.rerun or rng.random() >= self._world.options.rerun:
            return None
        rerun = drawn_rerun(rng, self._world.store.tables, _domain(key), plan)
        if rerun is not None:
            self.cells["rerun" if rerun.lent else "rerun of all"] += 1
            if any(isinstance(one, Again) for _, one in rerun.lent):
                self.cells["rerun inside a container"] += 1
        return rerun

    async def _ask(
        self, rng: Random, plan: Plan, inputs: Any, key: str | None, rerun: Rerun | None
    ) -> str | None:  # fmt: skip
        while True:
            box = await self._some_node(rng)
            request = msgspec.structs.replace(
                self._request(box, plan, inputs, key), rerun=rerun, priority=_priority(key)
            )
            tried = self.tried[request.id] = Tried(key, request.id)
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    started = await box.process.call(box.engine.submit(request))
            except (ConnectionLostError, OutcomeUnknown, TimeoutError):
                self.cells["start with unknown outcome"] += 1
            except FlowError as error:
                self.cells[f"start refused {error.slug}"] += 1
                tried.result = f"refused {error.slug}"
            else:
                tried.result = "answered"
                self._take_answer(key, request.id, started.instance_id)
                return started.instance_id
            if key is None and tried.result == "unknown":
                return None
            await asyncio.sleep(rng.uniform(0.01, 0.5))

    def _request(self, box: NodeBox, plan: Plan, inputs: Any, key: str | None) -> StartRequest:
        domain_id = _domain(key)
        instance_id = box.ids.new_id()
        start_key = None
        if key is not None:
            start_key = StartKey(domain_id, f"run:{plan.dag_id}:tester", key, instance_id, f"hash of {key}")
        return StartRequest(
            plan=plan,
            id=instance_id,
            domain_id=domain_id,
            start_key=start_key,
            inputs=inputs,
            trigger=TRIGGER,
            created_at=box.clock.now(),
        )

    def _take_answer(self, key: str | None, asked_id: str, instance_id: str) -> None:
        self._world.watch.note("started", key, instance_id)
        row = self._world.watch.row(instance_id)
        if row is None:
            raise InvariantBrokenError(f"M6: {instance_id} is answered for {key} and is not durable")
        if key is None:
            if instance_id != asked_id:
                raise InvariantBrokenError(f"I1: {asked_id} without a key is answered with {instance_id}")
            self.acked_keyless.append(instance_id)
            return
        first = self.acked.setdefault(key, instance_id)
        if first != instance_id:
            raise InvariantBrokenError(f"R16: {key} is answered with {first}, then with {instance_id}")

    async def _hold(self, rng: Random, instance_id: str) -> None:
        """Pause an instance, later resume it: whatever is paused in the end would stand still (S42)."""
        await self._command(rng, instance_id, Pause("simulated"))
        while True:
            await self._command(rng, instance_id, Resume("simulated"))
            row = self._world.watch.row(instance_id)
            # A pause that another node stored may be decided after a resume that the owner took itself.
            if row is None or not (row.status == "paused" or self._world.watch.has_inbox_row(row)):
                return

    async def resume(self, left: list[str]) -> None:
        """Resume what a pause holds that reached the store only after its client had given it up."""
        for instance_id in left:
            await self._command(self._rng, instance_id, Resume("simulated"))

    async def _command(self, rng: Random, instance_id: str, stimulus: Cancel | Terminate | Pause | Resume) -> None:
        await asyncio.sleep(rng.uniform(0.0, 2.0))
        if isinstance(stimulus, Terminate):
            self._terminated.add(instance_id)
        while True:
            box = await self._some_node(rng)
            domain_id = self._domain_of(instance_id)
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    answer = await box.process.call(box.engine.command(domain_id, instance_id, stimulus))
            except (ConnectionLostError, FlowError, TimeoutError):
                await asyncio.sleep(rng.uniform(0.01, 0.5))
                continue
            self.cells[f"{type(stimulus).__name__} {answer.result}"] += 1
            self._check_answer(instance_id, stimulus, answer.result)
            return

    async def _signal(self, rng: Random, instance_id: str, number: int) -> None:
        """Send a signal until somebody answers, and perhaps once more: it is taken in once."""
        await asyncio.sleep(rng.uniform(0.0, 3.0))
        key = f"{instance_id}-{number}"
        data = b'{"n":%d}' % rng.randint(0, 5)
        stimulus = Signal(name=rng.choice(("paid", "sent")), id=key, data=data, key=key, req_hash=key)
        for _ in range(rng.choice((1, 1, 2))):
            result = await self._told(rng, instance_id, stimulus)
            self.cells[f"Signal {result}"] += 1
            self.signalled.setdefault(instance_id, {})[key] = result

    async def _told(self, rng: Random, instance_id: str, stimulus: Signal) -> str:
        while True:
            box = await self._some_node(rng)
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    told = box.engine.command(self._domain_of(instance_id), instance_id, stimulus)
                    return (await box.process.call(told)).result
            except (ConnectionLostError, FlowError, TimeoutError):
                await asyncio.sleep(rng.uniform(0.01, 0.5))

    def _check_answer(self, instance_id: str, stimulus: Cancel | Terminate | Pause | Resume, result: str) -> None:
        """What was answered must be durable at this moment: the end itself, its mark, or the command in the inbox."""
        watch = self._world.watch
        row, audit = watch.row(instance_id), watch.audits.get(instance_id)
        told = f"R26: {type(stimulus).__name__} of {instance_id} is answered {result}"
        if row is None:
            raise InvariantBrokenError(f"{told}, and the store does not have it")
        if isinstance(stimulus, Pause | Resume):
            if result == "ended" and row.status not in TERMINAL_STATUSES:
                raise InvariantBrokenError(f"{told}, and the store says {row.status}")
            return  # another client's act may have followed it
        is_ending = row.status in ENDING or (audit is not None and (audit.is_closing or audit.is_concluded))
        if result == "accepted" and not is_ending and not watch.has_inbox_row(row):
            raise InvariantBrokenError(f"{told}, and the store says {row.status}")
        # A hook may have run then, which a termination in the same commit has ended, and with it the outcome.
        is_cancelled = row.status in {"cancelled", "cancelling"} and instance_id not in self._terminated
        if result == "ended" and (is_cancelled or not is_ending):
            raise InvariantBrokenError(f"{told}, and the store says {row.status}")

    async def _wait(self, rng: Random, instance_id: str) -> None:
        box = await self._some_node(rng)
        domain_id = self._domain_of(instance_id)
        try:
            ended = await box.process.call(box.engine.wait_ended(domain_id, instance_id, rng.uniform(0.1, 10.0)))
        except (ConnectionLostError, FlowError):
            return
        row = self._world.watch.row(instance_id)
        self.cells[f"wait {'ended' if ended else 'not ended'}"] += 1
        if ended is not None and (row is None or row.status != ended.status):
            raise InvariantBrokenError(
                f"{instance_id} is told to be {ended.status}; the store says {row and row.status}"
            )

    async def _some_node(self, rng: Random) -> NodeBox:
        while True:
            up = [box for box in self._world.live() if box.is_up]
            if up:
                return rng.choice(up)
            await asyncio.sleep(rng.uniform(0.05, 0.3))

    def _domain_of(self, instance_id: str) -> str:
        row = self._world.watch.row(instance_id)
        assert row is not None, instance_id
        return row.domain_id

    def faults(self) -> list[str]:
        """Compare every answer with the store (I1)."""
        rows = {row.id: row for row in self._world.watch.rows()}
        found = [f"I1: {key} -> {made} is lost" for key, made in self.acked.items() if made not in rows]
        found += [f"I1: {made} is lost" for made in self.acked_keyless if made not in rows]
        keys: Counter[str] = Counter()
        for instance_id, row in rows.items():
            if row.parent_id is not None:
                continue  # a call started it
            tried = self.tried[instance_id]
            if tried.key is not None:
                keys[tried.key] += 1
            if tried.result.startswith("refused"):
                found.append(f"I1: {instance_id} exists, and its start was {tried.result}")
        found += [f"I1: {key} made {count} instances" for key, count in keys.items() if count > 1]
        return found + self._signal_faults()

    def _signal_faults(self) -> list[str]:
        """Say which signals were taken in twice (S26)."""
        audits = self._world.watch.audits
        return [
            f"R15: {count} signals {key} were taken in by {instance_id}"
            for instance_id in self.signalled
            if instance_id in audits
            for key, count in audits[instance_id].signals.ids.items()
            if count > 1
        ]


def _priority(key: str | None) -> int | None:
    """Give a start with a key a priority of its own, or leave it the DAG's; repeats of the key ask for the same."""
    return None if key is None else (None, 1, 5)[sum(key.encode()) % 3]


def _domain(key: str | None) -> str:
    """Give the business domain that a start with this key is of."""
    return DOMAINS[len(key or "") % len(DOMAINS)]
