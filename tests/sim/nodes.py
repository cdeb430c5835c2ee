"""One simulated process of the engine: the production node on simulated ports."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from core.engine.node import EngineNode, NodeSettings, SilentObserver
from core.engine.node.hot import Input
from core.engine.stimuli import AttemptEnded
from core.executor.operator import Outcome
from core.executor.pipeline import AttemptPipeline, AttemptRequest
from tests.sim.chance import pick_seconds
from tests.sim.loop import Process
from tests.sim.operators import SimWork
from tests.sim.plans import registry_of
from tests.sim.sources import SimClock, SimDice, SimIds

if TYPE_CHECKING:
    from tests.sim.watch import Watch
    from tests.sim.world import World


DELAYED_S_MIN = 0.005
DELAYED_S_MAX = 3.0  # longer than most timeouts of the generated DAGs, so that outcomes come after them
HEALED_RETRIES_PER_S = 10.0  # when the faults are over: what the storm left in line ends in time


class SimObserver(SilentObserver):
    """Counts what the node meets; a decision that raises, or an instance that cannot go on, ends the seed."""

    def __init__(self, world: World) -> None:
        self._world = world

    def failed_input(self, instance_id: str, fault: BaseException) -> None:
        """Take a bug of `decide` for what it is."""
        self._world.watch.stop(f"{instance_id}: {''.join(traceback.format_exception(fault))}")

    def quarantined(self, instance_id: str, fault: BaseException | None) -> None:
        """No instance of the simulation deserves it."""
        told = "".join(traceback.format_exception(fault)) if fault else "refused too often"
        self._world.watch.stop(f"{instance_id} is quarantined: {told}")

    def refused(self, instance_id: str, reason: str, detail: str) -> None:
        """Count it."""
        self._world.watch.note("refused", instance_id, reason, detail)
        self._world.cells[f"refused {reason}"] += 1

    def fenced(self, shards: tuple[int, ...]) -> None:
        """Count it."""
        self._world.cells["shards lost"] += len(shards)

    def attempts_lost(self, count: int) -> None:
        """Count them."""
        self._world.cells["attempt lost"] += count

    def late_result(self) -> None:
        """Count it."""
        self._world.cells["late outcome"] += 1


class SimRunner:
    """The production pipeline; what it gives is noted before the node hears of it."""

    def __init__(self, pipeline: AttemptPipeline, watch: Watch) -> None:
        self._pipeline = pipeline
        self._watch = watch

    async def run(self, request: AttemptRequest) -> Outcome:
        """Make one attempt."""
        outcome = await self._pipeline.run(request)
        self._watch.outcomes[request.instance_id, request.task_path, request.attempt] = type(outcome).__name__
        return outcome


class NodeBox:
    """A process with an engine node in it. `is_up`: its start returned."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        name = f"node-{number}"
        self.process = Process(name)
        self.clock = SimClock(world.loop)
        self.ids = SimIds(self.clock, world.rng("ids", name))
        self.work = SimWork(world.ledger, world.rng("work", name))
        self.work.is_leased = self._is_leased
        self.resumed_at_s = -1.0
        self.is_up = False
        self.is_draining = False
        self._name = name
        self.skew_s = self.clock.offset_s = world.rng("skew", name).uniform(-1.0, 1.0) * world.options.skew_s
        self._set_mood()
        self.engine = self.process.context.run(self._make)

    @property
    def is_answering(self) -> bool:
        """Say whether somebody who asks it would be heard."""
        return not (self.process.is_killed or self.process.is_paused)

    def resume(self) -> None:
        """Let a paused process go on; what it had begun at that moment it may still do."""
        self.resumed_at_s = self._world.loop.time()
        self.process.resume(self._world.loop)

    def _is_leased(self) -> bool:
        store, loop = self._world.store, self._world.loop
        until = store.tables.group("lease").get(self.engine._ownership.node)
        return self.resumed_at_s == loop.time() or (until is not None and until > store.now())

    def boot(self) -> None:
        """Start the node; a start that fails ends the process, as it would end the program."""
        started = self.process.call(self.engine.start())
        started.add_done_callback(lambda _: self._up(started.exception()), context=self._world.loop.world)

    def drain(self, on_end: Callable[[], None]) -> None:
        """Let the node stop by itself; `on_end` is called when it has."""
        self.is_draining = True
        stopped = self.process.call(self.engine.stop())

        def end(_: object) -> None:
            stopped.exception()  # heard: a process that was killed meanwhile answers nothing
            on_end()

        stopped.add_done_callback(end, context=self._world.loop.world)

    def heal(self) -> None:
        """End every fault of this process."""
        if self.process.is_paused:
            self.resume()
        self.clock.offset_s = 0.0
        self.engine._retries._reserve_per_s = HEALED_RETRIES_PER_S
        self._set_mood()
        self.work.release()

    def cells(self) -> Counter[str]:
        """Count what its operators did."""
        return self.work.cells

    def _make(self) -> EngineNode:
        world, options = self._world, self._world.options
        settings = NodeSettings(
            node_id=self._name,
            attempts_max=options.attempts_max,
            hot_instances_max=options.hot_instances_max,
            grace_s=options.grace_s,
            retry_reserve_per_s=options.retries_per_s if world.is_storm else HEALED_RETRIES_PER_S,
        )
        engine = EngineNode(
            shards=world.shards,
            store=world.instances,
            notes=world.notes,
            objects=world.objects,
            outputs=world.outputs,
            permits=world.permits,
            plans=world.source,
            callees=world.callees,
            attempts=SimRunner(AttemptPipeline(registry_of(self.work), self.clock), world.watch),
            clock=self.clock,
            ids=self.ids,
            dice=SimDice(world.rng("dice", self._name)),
            settings=settings,
            observer=SimObserver(world),
            on_fatal=self._fatal,
        )
        self._repeat_outcomes(engine)
        self._count_moves(engine)
        return engine

    def _count_moves(self, engine: EngineNode) -> None:
        """Count shards that are handed to a node that they prefer."""
        ready, cells = engine._sharing.ready, self._world.cells

        def ready_counted(owned: Collection[int]) -> list[int]:
            leaving = ready(owned)
            cells["shard moves"] += len(leaving)
            return leaving

        engine._sharing.ready = ready_counted  # type: ignore[method-assign]  # the seam where a shard leaves

    def _repeat_outcomes(self, engine: EngineNode) -> None:
        """Let outcomes come twice, or long after they were given: no transport promises more than at least once."""
        intake, rng, put = engine._intake, self._world.rng("repeat", self._name), engine._intake.put
        loop, share = self._world.loop, self._world.options.duplicate

        def put_again(given: Input) -> None:
            if not isinstance(given.stimulus, AttemptEnded) or not self._world.is_storm or rng.random() >= share:
                put(given)
                return
            if rng.random() < 0.5:
                self._world.cells["outcome delayed"] += 1
                loop.call_later(
                    pick_seconds(rng, DELAYED_S_MIN, DELAYED_S_MAX), put, given, context=self.process.context
                )
                return
            self._world.cells["outcome doubled"] += 1
            put(given)
            again = Input(given.instance_id, given.stimulus)
            loop.call_later(pick_seconds(rng, DELAYED_S_MIN, DELAYED_S_MAX), put, again, context=self.process.context)

        intake.put = put_again  # type: ignore[method-assign]  # the seam where an outcome enters the node

    def _set_mood(self) -> None:
        options, is_storm = self._world.options, self._world.is_storm
        self.work.is_storm = is_storm
        self.work.large = options.large if is_storm else 0.0
        self.work.failing = options.failing if is_storm else 0.0
        self.work.hanging = options.hanging if is_storm else 0.0
        self.work.stubborn = options.stubborn if is_storm else 0.0

    def _up(self, fault: BaseException | None) -> None:
        if self.process.is_killed:
            return
        if fault is None:
            self.is_up = True
        else:
            self._world.cells[f"start fails with {type(fault).__name__}"] += 1
            self._world.kill(self)

    def _fatal(self, fault: BaseException) -> None:
        self._world.cells[f"fatal {type(fault).__name__}"] += 1
        self._world.fatal = "".join(traceback.format_exception(fault))
        self._world.loop.call_world(0.0, lambda: self._world.kill(self) if not self.process.is_killed else None)
