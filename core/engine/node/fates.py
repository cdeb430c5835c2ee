"""What becomes of an instance when state is dropped: decisions gathered upon it go, their inputs stay (engine.md 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.engine.node.attempts import Attempts
from core.engine.node.batch import Batch
from core.engine.node.finish import Finisher
from core.engine.node.gates import Gates
from core.engine.node.hot import HotInstance, HotTable, Input
from core.engine.node.intake import Intake
from core.engine.node.memory import ValueMemory
from core.engine.node.places import Places
from core.engine.node.terms import NodeObserver
from core.engine.stimuli import Continue, Dispatch, SweepFrame
from core.errors import InstanceQuarantined

OWN_STIMULI = (Continue, Dispatch, SweepFrame)  # a load finds anew what they were for


class Fates:
    """Drops instances, and gives back what must be decided again."""

    def __init__(
        self,
        *,
        table: HotTable,
        intake: Intake,
        batch: Batch,
        places: Places,
        memory: ValueMemory,
        gates: Gates,
        attempts: Attempts,
        finisher: Finisher,
        observer: NodeObserver,
        is_committing: Callable[[], bool],
    ) -> None:
        self._table = table
        self._intake = intake
        self._batch = batch
        self._places = places
        self._memory = memory
        self._gates = gates
        self._attempts = attempts
        self._finisher = finisher
        self._observer = observer
        self._is_committing = is_committing

    def drop(self, hot: HotInstance) -> list[Input]:
        """Forget an instance and all that was gathered upon it; gives its inputs in the order of their arrival."""
        kept: list[Input] = []
        for item in (hot.committing, hot.gathering):
            if item is not None:
                kept += [given for given, _answer in item.inputs]
                self._places.release(len(item.starts))  # none of them was sent
                self._gates.forget(act.gate for act in item.permits)  # what they did there may be undone
                self._intake.arrived.set()  # wakes the decider: the places are free for other instances
        self._batch.drop(hot)
        hot.committing = None
        kept += hot.parked
        kept += hot.waiting
        hot.parked = []
        hot.waiting.clear()
        hot.is_dropped = True
        self._memory.forget(hot)
        self._table.remove(hot)
        return [given for given in kept if not isinstance(given.stimulus, OWN_STIMULI)]

    def reload(self, hot: HotInstance, kept: Iterable[Input]) -> HotInstance:
        """Put an empty instance in a dropped one's place; the caller has it loaded, then `kept` is decided again."""
        fresh = self._table.add(HotInstance(hot.id, hot.domain_id, hot.shard))
        fresh.waiting.extend(kept)
        fresh.is_blocked = fresh.is_settling = True
        return fresh

    def lose(self, shards: Iterable[int]) -> None:
        """Forget everything of shards whose epoch is over, cancel their attempts (R4). Inbox rows stay in the store."""
        lost = set(shards)
        for hot in self._table.of_shards(lost):
            in_flight = {id(given) for given, _ in hot.committing.inputs} if hot.committing is not None else set()
            is_settling = hot.is_settling
            self._attempts.abandon(hot.id)
            for given in self.drop(hot):
                is_unknown = is_settling or (self._is_committing() and id(given) in in_flight)
                self._finisher.moved(given, is_unknown=is_unknown)
        self._table.pardon(lost)

    def purge(self, is_lost: Callable[[str], bool]) -> None:
        """Take the inputs of lost shards out of the queue."""
        for given in self._intake.purge(is_lost):
            if type(given.stimulus) is Dispatch:
                self._places.answered()
            self._finisher.moved(given)

    def quarantine(self, hot: HotInstance, fault: BaseException | None) -> None:
        """Let nothing more happen to an instance; others run on (R10)."""
        self._table.quarantine(hot.id, hot.shard)
        self._attempts.abandon(hot.id)
        for given in self.drop(hot):
            self._finisher.bar(given, InstanceQuarantined(f"instance {hot.id} is in quarantine", instance_id=hot.id))
        self._observer.quarantined(hot.id, fault)
