"""One seed: nodes, clients and faults over one store, first a storm, then healing (reliability.md T-01)."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec

from core.dag.plan import Plan
from core.ports.instance_store import TERMINAL_STATUSES
from driven_adapters.memory.object_notes import MemoryObjectNotes
from driven_adapters.memory.output_cache import MemoryOutputCache
from driven_adapters.memory.permits import MemoryPermitStore
from driven_adapters.memory.shard_store import MemoryShardStore
from tests.sim.chance import Random, derived
from tests.sim.clients import DOMAINS, Clients
from tests.sim.loop import SimLoop, running
from tests.sim.nodes import NodeBox
from tests.sim.objects import SimObjectStore, object_faults, sweeper
from tests.sim.operators import Ledger
from tests.sim.options import Options, options_of
from tests.sim.outputs import output_faults
from tests.sim.plans import SimCallees, SimPlans, drawn, drawn_calling
from tests.sim.store import SimInstanceStore, SimStore, StoreFaults
from tests.sim.storm import Storm
from tests.sim.traces import write_traces
from tests.sim.watch import InvariantBrokenError, Watch

# reliability.md F12: so long after the faults ended nothing stands still. Work that goes on may take longer: a seed may
# have one place for attempts and a queue of instances before it.
HEAL_S = 60.0  # ADR 0049
WORK_S_MAX = 20 * HEAL_S
LOOK_EVERY_S = 0.5


class StuckError(Exception):
    """Without faults something was not finished and stood still for HEAL_S, or moved without end; the message says what."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed did."""

    seed: int
    trace: str
    steps: int
    virtual_s: float
    commits: int
    transitions: int
    instances: int
    calls: int
    healed_s: float
    stood_s: float
    cells: dict[str, int]


class World:
    """Everything that one seed has."""

    def __init__(self, loop: SimLoop, options: Options) -> None:
        self.loop = loop
        self.options = options
        self.plans = drawn(derived(options.seed, "dags"), options.dag_count)
        if options.calls:
            wanted = max(1, round(options.calls * options.dag_count))
            self.plans += drawn_calling(derived(options.seed, "calls"), wanted)
        self.source = SimPlans(self.plans)
        self.callees = SimCallees(options.store_delay_s)
        self.store = SimStore(loop, derived(options.seed, "store"), shard_count=options.shard_count)
        self.watch = Watch(loop, self.store, self.source.of)
        self.instances = SimInstanceStore(self.store, derived(options.seed, "refused"), options.bounds)
        self.shards = MemoryShardStore(self.store)
        self.notes = MemoryObjectNotes(self.store)
        self.outputs = MemoryOutputCache(self.store)
        self.permits = MemoryPermitStore(self.store)
        self.objects = SimObjectStore(loop, self.store, derived(options.seed, "objects"))
        self.ledger = Ledger()
        self.ledger.is_committed = self.watch.is_attempt_committed
        self.cells: Counter[str] = Counter()
        self.nodes: list[NodeBox] = []
        self.is_storm = True
        self.fatal = ""
        self._node_count = 0
        self.clients = Clients(self)

    def use(self, plans: list[Plan]) -> None:
        """Let clients start these and no others."""
        self.plans = plans
        self.source = SimPlans(plans)
        self.watch.use_plans(self.source.of)

    def rng(self, *names: object) -> Random:
        """Give a generator of its own."""
        return derived(self.options.seed, *names)

    async def run(self) -> Report:
        """Storm, heal, check, stop."""
        self.set_faults()
        storm = Storm(self)
        self.add_node()
        clients = asyncio.create_task(self.clients.run())
        try:
            await asyncio.sleep(self.options.storm_s)
            storm.end()
            self._heal()
            healed_s, stood_s = await self._wait_finished(clients)
        finally:
            storm.end()
            clients.cancel()
        self.cells["object swept at the end"] += await self._sweep_all()
        self._check_end()
        report = self._report(healed_s, stood_s)
        await self._stop_nodes()  # after the report: in which order a set of tasks is cancelled is nobody's promise
        return report

    def add_node(self) -> NodeBox:
        """Start one more process."""
        self._node_count += 1
        box = NodeBox(self, self._node_count)
        self.nodes.append(box)
        self.loop.processes.append(box.process)
        box.boot()
        return box

    def live(self) -> list[NodeBox]:
        """Give the processes that answer."""
        return [box for box in self.nodes if box.is_answering]

    def kill(self, box: NodeBox) -> None:
        """End a process as kill -9 does; what it had sent to the store goes its own way."""
        self.cells[f"kill {self.state_of(box)}"] += 1
        self.watch.note("kill", box.process.name)
        box.process.kill()
        self.store.let_go(box.process)
        self._remove(box)

    def drain(self, box: NodeBox) -> None:
        """Stop a process as SIGTERM does: it hands its shards over, then it ends (R30)."""
        self.cells[f"drain {self.state_of(box)}"] += 1
        self.watch.note("drain", box.process.name)
        box.drain(lambda: self._drained(box))

    def _drained(self, box: NodeBox) -> None:
        if box.process.is_killed:
            return
        self.cells["drained"] += 1
        box.process.kill()
        self._remove(box)

    def _remove(self, box: NodeBox) -> None:
        self.store.cut.pop(box.process, None)
        self.nodes.remove(box)
        self.cells += box.cells()

    def is_zombie(self, box: NodeBox) -> bool:
        """Say whether a process believes to own a shard that another one has taken."""
        rows = self.store.tables.group("shard")
        return any(rows[fence.shard].epoch != fence.epoch for fence in box.engine._ownership._fences.values())

    def state_of(self, box: NodeBox) -> str:
        """Say in which state a fault meets a process."""
        if not box.is_up:
            return "while starting"
        if self.store.is_commit_under_way(box.process):
            return "in a commit"
        return "with attempts open" if box.engine.stats().open_attempts else "idle"

    def set_faults(self) -> None:
        """Let the store behave as the options say."""
        options = self.options
        self.store.faults = StoreFaults(
            delay_s=options.store_delay_s,
            slow=options.slow,
            unavailable=options.unavailable,
            unknown=options.unknown,
            refused=options.refused,
            zombie=options.zombie,
        )
        self.objects.unavailable = options.objects_unavailable

    def _heal(self) -> None:
        self.is_storm = False
        self.store.cut.clear()
        self.store.faults = StoreFaults(delay_s=self.options.store_delay_s)
        self.objects.unavailable = 0.0
        for box in list(self.nodes):
            box.heal()
            if self.options.restart_to_heal:
                self.kill(box)
        if not self.nodes:
            self.add_node()

    async def _wait_finished(self, clients: asyncio.Task[None]) -> tuple[float, float]:
        """Wait until every instance ended; give the seconds that it took, and the longest in which nothing moved."""
        began_at = moved_at = self.loop.time()
        stood_s, transitions = 0.0, self.watch.transitions
        while self.loop.time() < min(moved_at + HEAL_S, began_at + WORK_S_MAX):
            await asyncio.sleep(LOOK_EVERY_S)
            stood_s = max(stood_s, self.loop.time() - moved_at)
            if self.watch.transitions != transitions:
                moved_at, transitions = self.loop.time(), self.watch.transitions
            if clients.done():
                clients.result()
                await self.clients.resume([row.id for row in self.watch.rows() if row.status == "paused"])
                if all(row.status in TERMINAL_STATUSES for row in self.watch.rows()):
                    return self.loop.time() - began_at, stood_s
            if self.fatal:
                raise StuckError(f"the process ended although nothing was wrong: {self.fatal}")
            if not self.nodes:
                self.add_node()  # its start met the last moment of the storm
        raise StuckError(self._why_stuck(clients))

    def _why_stuck(self, clients: asyncio.Task[None]) -> str:
        rows = [row for row in self.watch.rows() if row.status not in TERMINAL_STATUSES]
        told = [f"{row.id} {row.dag_id} {row.status} seq {row.seq} {self._open_tasks(row.id)}" for row in rows]
        waiting = "" if clients.done() else f"clients wait: {self.clients.open_keys()}; "
        return f"{waiting}{len(rows)} instances open: {'; '.join(told[:3])}"

    def _open_tasks(self, instance_id: str) -> str:
        audit = self.watch.audits.get(instance_id)
        if audit is None:
            return "(not begun)"
        return " ".join(f"{path}={task.status.name}" for path, task in audit.tasks() if not task.has_ended)

    async def _sweep_all(self) -> int:
        """Sweep once more; what is on its way to the object store has arrived by then."""
        await asyncio.sleep(HEAL_S)
        return await sweeper(self.store, self.objects, self.loop, self.rng("sweep ids")).sweep()

    def _check_end(self) -> None:
        self.watch.check_all()
        faults = [*self.ledger.faults, *self.clients.faults(), *self._left_rows()]
        faults += self.watch.kin.faults()
        faults += object_faults(self.store, self.objects, list(DOMAINS))
        if not faults:
            faults += output_faults(self.store.tables, self.objects, self.watch)
        if faults:
            raise InvariantBrokenError("; ".join(faults[:5]))

    def _left_rows(self) -> list[str]:
        tables = self.store.tables
        left = [f"I3: timer {row.n} of {row.instance_id} is left" for row in tables.group("timer").values()]
        for shard in range(self.options.shard_count):
            left += [f"I3: inbox row of {row.instance_id} is left" for row in tables.group("inbox", shard).values()]
        left += [f"I17: {row} is left" for rows in tables.groups("permit") for row in rows.values()]
        return left

    async def _stop_nodes(self) -> None:
        for box in self.nodes:
            await box.process.call(box.engine.stop())

    def _report(self, healed_s: float, stood_s: float) -> Report:
        cells = self.cells + self.store.cells + self.clients.cells
        cells["output used again"] += self.watch.used_again
        cells += self.watch.kin.cells
        cells += self.watch.gates
        for box in self.nodes:
            cells += box.cells()
        return Report(
            seed=self.options.seed,
            trace=self.watch.trace,
            steps=self.loop.steps_count,
            virtual_s=self.loop.time(),
            commits=self.watch.commits,
            transitions=self.watch.transitions,
            instances=len(self.watch.rows()),
            calls=len(self.ledger.calls),
            healed_s=healed_s,
            stood_s=stood_s,
            cells=dict(sorted(cells.items())),
        )


def run_seed(seed: int, options: Options | None = None, plans: list[Plan] | None = None) -> Report:
    """Run one seed from nothing, with other options and plans than its own if some are given.

    Raises:
        InvariantBrokenError, StuckError, DeadlockError: what the seed found.
    """
    with running(seed) as loop:
        world = World(loop, options or options_of(seed))
        if plans is not None:
            world.use(plans)
        try:
            return _run(world, loop)
        except Exception as fault:
            for path in write_traces(world, str(fault)):
                fault.add_note(f"flow replay {path}")
            raise


def _run(world: World, loop: SimLoop) -> Report:
    main = loop.create_task(world.run())
    try:
        return loop.run_until_complete(main)
    except RuntimeError:
        if world.watch.fault is None:  # else the loop was stopped by the watch
            raise
        raise world.watch.fault from None
    finally:
        main.cancel()
        if loop.surprises and world.watch.fault is None:
            raise InvariantBrokenError(f"a task died unnoticed: {loop.surprises[0]}")
