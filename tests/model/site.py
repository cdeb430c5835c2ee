"""An installation under the machine: one process of the product in virtual time, killed and started again at will."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, TypeVar

from core.access.permission import ADMINISTRATOR
from core.ports.http_client import EgressUnavailable, HttpAnswer, HttpRequest, HttpResponse
from driven_adapters.memory import MemoryStore
from module.container import Container
from module.resources import Resources
from tests.http.world import build_box, build_world
from tests.model.fronts import Front, HttpFront, ServiceFront
from tests.model.inline_database import InlineDatabase, over_sqlite
from tests.sim.chance import derived
from tests.sim.loop import ConnectionLostError, Process, SimLoop
from tests.sim.sources import SimClock, SimDice, SimIds
from tests.sim.store import SimStore

T = TypeVar("T")
Kind = Literal["simulated", "sqlite", "http"]
SHARD_COUNT = 4
TRIES_MAX = 20  # of one request: a crash costs one
DOWN_S = 0.01  # between a crash and the next start


class Target:
    """The other side of every call: it answers when the machine says so."""

    def __init__(self) -> None:
        self.open: dict[tuple[int, str], asyncio.Future[bool]] = {}
        self.keys: dict[tuple[int, str], str] = {}
        self.calls: Counter[tuple[int, str]] = Counter()
        self.faults: list[str] = []

    async def request(self, request: HttpRequest) -> HttpAnswer:
        """Take a call: who it is of stands in its path."""
        number, step = request.url.rsplit("/", 2)[1:]
        place = (int(number), step)
        key = dict(request.headers)["idempotency-key"]
        if self.keys.setdefault(place, key) != key:
            self.faults.append(f"{place} is called with another idempotency key")
        if place in self.open:
            self.faults.append(f"{place} is called while an attempt of it runs")
        self.calls[place] += 1
        answer = self.open[place] = asyncio.get_running_loop().create_future()
        try:
            is_fine = await answer
        finally:
            if self.open.get(place) is answer:
                del self.open[place]
        return HttpResponse(status=200, headers=(), body=b"") if is_fine else EgressUnavailable("the machine says so")


class Site:
    """One installation. `do` runs what is asked to its end in virtual time."""

    def __init__(self, kind: Kind, folder: Path, seed: int) -> None:
        self.kind, self.seed = kind, seed
        self.loop = SimLoop(seed)
        self.target = Target()
        self.fatal: list[BaseException] = []
        self.crashes = 0
        self._folder = folder
        self._boots: list[asyncio.Task[None]] = []
        self._up = asyncio.Event()
        self._store = self._new_store()
        self._database: InlineDatabase | None = None
        self._keys: dict[str, str] = {}
        self._boot()
        self.do(self._up.wait())

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.loop.time()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        answer = self.loop.run_until_complete(work)
        assert [] == self.fatal + self.loop.surprises + self.target.faults
        return answer

    def ask(self, call: Callable[[Front], Coroutine[Any, Any, T]], crash_in_s: float | None = None) -> T:
        """Ask as a client does: again until an answer comes. The process may be killed meanwhile."""
        if crash_in_s is not None:
            self.loop.call_world(crash_in_s, self.crash)
        answer = self.do(self._asked(call))
        if crash_in_s is not None:
            self.pass_s(crash_in_s)  # it answered sooner
        return answer

    def answer(self, place: tuple[int, str], *, is_fine: bool, crash_in_s: float | None = None) -> None:
        """Let the other side answer a call."""
        self.target.open[place].set_result(is_fine)
        if crash_in_s is not None:
            self.pass_s(crash_in_s)
            self.crash()

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.do(asyncio.sleep(seconds))

    def crash(self) -> None:
        """Kill the process as kill -9 does; it is started again a moment later."""
        self.crashes += 1
        self._up.clear()
        self._process.kill()
        self.target.open.clear()
        if isinstance(self._store, SimStore):
            self._store.let_go(self._process)
        if self._database is not None:
            self._database.end()
        self.loop.call_world(DOWN_S, self._boot)

    def violations(self) -> list[str]:
        """Prove the store as `flow verify` does."""
        found = self.do(self._asked(lambda _: self._verified()))
        return [f"{one.invariant} {one.instance_id}: {one.sentence}" for one in found]

    def close(self) -> None:
        """End everything."""
        self._process.kill()
        if self._database is not None:
            self._database.end()
        self.loop.close()

    def _new_store(self) -> MemoryStore:
        if self.kind == "simulated":
            return SimStore(self.loop, derived(self.seed, "store"), shard_count=SHARD_COUNT)
        return MemoryStore(SimClock(self.loop), shard_count=SHARD_COUNT)

    async def _asked(self, call: Callable[[Front], Coroutine[Any, Any, T]]) -> T:
        for _ in range(TRIES_MAX):
            await self._up.wait()
            try:
                return await self._process.call(call(self._front))
            except ConnectionLostError:
                continue
        raise AssertionError("no answer")

    async def _verified(self) -> list[Any]:
        verifier = self._box.verifier()
        verified = await verifier.slice(None, after="", limit=100, rows_max=10_000)
        return [*verified.violations, *await verifier.strays()]

    def _boot(self) -> None:
        number = self.crashes + 1
        self._process = Process(f"process-{number}")
        self.loop.processes.append(self._process)
        self._box, self._front = self._process.context.run(self._compose, number)
        boot = self.loop.create_task(self._started(self._process, self._box))
        self._boots.append(boot)

    def _compose(self, number: int) -> tuple[Container, Front]:
        clock = SimClock(self.loop)
        over: Callable[[Resources], Resources] = _unchanged
        if self.kind == "sqlite":
            self._database = database = InlineDatabase(
                self._folder / "flow.db", clock, derived(self.seed, "ways", number)
            )
            database.open_inline()
            over = functools.partial(over_sqlite, database=database)
        ids = SimIds(clock, derived(self.seed, "ids", number))
        dice = SimDice(derived(self.seed, "dice", number))
        box, metrics = build_box(self._store, clock, ids, dice, self.target, self.fatal.append, over=over)
        if self.kind == "http":
            return box, HttpFront(build_world(self._store, box, metrics, dice), self._keys)
        return box, ServiceFront(box)

    async def _started(self, process: Process, box: Container) -> None:
        with contextlib.suppress(ConnectionLostError):
            shards = box.shard_store()
            for node in await shards.living_nodes():
                await shards.renew(node, 0.0)  # nobody waits for the lease of a process that is known to be dead
            await process.call(box.engine_node().start())
            if not self._keys:
                made = await process.call(box.access_service().add_key("one", "model", [ADMINISTRATOR]))
                self._keys["one"] = made.text
            self._up.set()


def _unchanged(resources: Resources) -> Resources:
    return resources
