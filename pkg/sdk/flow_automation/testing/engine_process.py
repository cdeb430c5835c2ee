"""One simulated process with the production engine node in it."""

from __future__ import annotations

from collections.abc import Callable

from core.engine.node import EngineNode, NodeSettings, SilentObserver
from core.engine.node.hot import Input
from core.engine.stimuli import AttemptEnded
from core.executor.pipeline import AttemptPipeline
from core.executor.registry import OperatorRegistry
from core.ports.instance_store import InstanceStore
from core.ports.object_notes import ObjectNotes
from core.ports.object_store import ObjectStore
from core.ports.output_cache import OutputCache
from core.ports.permits import PermitStore
from core.ports.shard_store import ShardStore
from flow_automation.testing.chance import derived
from flow_automation.testing.faults import Faults
from flow_automation.testing.plans import DocumentPlans
from flow_automation.testing.sources import SimClock, SimDice, SimIds
from flow_automation.testing.virtual_loop import Process, SimLoop

# Months of virtual time must not be spent on renewing a lease that nobody else wants, or on looking for mail.
LEASE_S = 1e9
RENEW_S = 1e8
INBOX_POLL_S = 86_400.0


class EngineProcess:
    """A process of the simulation; killed, it leaves nothing but what its store holds."""

    def __init__(
        self,
        loop: SimLoop,
        number: int,
        *,
        seed: int,
        faults: Faults,
        shards: ShardStore,
        store: InstanceStore,
        notes: ObjectNotes,
        objects: ObjectStore,
        outputs: OutputCache,
        permits: PermitStore,
        plans: DocumentPlans,
        registry: OperatorRegistry,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """Make process and node; nothing runs before `start`."""
        name = f"node-{number}"
        self._loop = loop
        self._faults = faults
        self.process = Process(name)
        loop.processes.append(self.process)
        self._clock = SimClock(loop)
        self._ids = SimIds(self._clock, derived(seed, "ids", name))
        self._dice = SimDice(derived(seed, "dice", name))
        self._repeats = derived(seed, "repeats", name)
        self._notes, self._objects, self._outputs = notes, objects, outputs
        self._permits = permits
        self.engine = self.process.context.run(self._make, name, shards, store, plans, registry, on_fatal)
        if faults.duplicate_share:
            self._repeat_outcomes()

    def new_id(self) -> str:
        """Give an id of this process's own."""
        return self._ids.new_id()

    def _make(
        self, name: str, shards: ShardStore, store: InstanceStore, plans: DocumentPlans, registry: OperatorRegistry,
        on_fatal: Callable[[BaseException], None],
    ) -> EngineNode:  # fmt: skip
        return EngineNode(
            shards=shards,
            store=store,
            notes=self._notes,
            objects=self._objects,
            outputs=self._outputs,
            permits=self._permits,
            plans=plans,
            callees=plans,
            attempts=AttemptPipeline(registry, self._clock),
            clock=self._clock,
            ids=self._ids,
            dice=self._dice,
            settings=NodeSettings(node_id=name, lease_ttl_s=LEASE_S, renew_s=RENEW_S, inbox_poll_s=INBOX_POLL_S),
            observer=SilentObserver(),
            on_fatal=on_fatal,
        )

    def _repeat_outcomes(self) -> None:
        """Let outcomes come twice: no transport promises more than at least once."""
        intake = self.engine._intake  # noqa: SLF001 - the seam where an outcome enters the node; nothing else meets it
        put, faults = intake.put, self._faults

        def put_again(given: Input) -> None:
            put(given)
            if isinstance(given.stimulus, AttemptEnded) and self._repeats.random() < faults.duplicate_share:
                again = Input(given.instance_id, given.stimulus)
                delay_s = self._repeats.uniform(0.0, faults.duplicate_delay_s)
                self._loop.call_later(delay_s, put, again, context=self.process.context)

        intake.put = put_again  # type: ignore[method-assign]  # as above
