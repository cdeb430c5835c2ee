"""The memory store of a simulated run: every commit that lands is audited, and a process can be killed around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from core.dag.plan import Plan
from core.engine.events import Event
from core.engine.invariants import InstanceAudit, sentences
from core.engine.journal import decode_events
from core.engine.state import InstanceStatus
from core.errors import CommitUnknown
from core.ports.instance_store import InstanceChange, Refusal
from core.ports.shard_store import Fence
from driven_adapters.memory import MemoryInstanceStore, MemoryStore

AnswerFate = Literal["given", "lost", "never landed"]


class AuditedStore(MemoryInstanceStore):
    """`InstanceStore` in memory.

    Attributes:
        commit_count: commits asked for so far. lost_answer_count: of them, those whose answer was lost.
        audits: of every instance, by id. violations: what the audit found.
    """

    def __init__(
        self,
        store: MemoryStore,
        *,
        plan_of: Callable[[str], Plan],
        is_killed: Callable[[str, int], bool],
        fate_of: Callable[[], AnswerFate],
        on_landed: Callable[[], None],
    ) -> None:
        """Take the tables.

        Args:
            plan_of: gives the plan of a content hash.
            is_killed: asked at `before_commit` and `after_commit` with the commit's number; True = the process that
                asked was killed just now, and hears nothing any more.
            fate_of: asked once per commit what becomes of its answer.
            on_landed: told after every commit.
        """
        super().__init__(store)
        self.commit_count = 0
        self.audits: dict[str, InstanceAudit] = {}
        self.violations: list[str] = []
        self._ended: set[tuple[str, str]] = set()
        self._plan_of = plan_of
        self.lost_answer_count = 0
        self._is_killed = is_killed
        self._fate_of = fate_of
        self._on_landed = on_landed

    def is_started(self, instance_id: str, path: str, attempt: int) -> bool:
        """Say whether the start of an attempt is durable."""
        audit = self.audits.get(instance_id)
        return audit is not None and audit.started.get(path, 0) >= attempt

    def has_ended(self, instance_id: str, path: str) -> bool:
        """Say whether a task has ended durably."""
        return (instance_id, path) in self._ended

    def status(self, instance_id: str) -> InstanceStatus:
        """Give the status upon everything that landed."""
        audit = self.audits.get(instance_id)
        return InstanceStatus.QUEUED if audit is None else audit.status

    async def commit(self, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        """Write many instances' changes in one transaction, unless the process dies here."""
        self.commit_count += 1
        number = self.commit_count
        await self._pass("before_commit", number)
        fate = self._fate_of()
        if fate == "never landed":
            self._lose_answer()
        refusals = await super().commit(fences, changes)
        for change, refusal in zip(changes, refusals, strict=True):
            if refusal is None:
                self._audit(change)
        self._on_landed()
        await self._pass("after_commit", number)
        if fate == "lost":
            self._lose_answer()
        return refusals

    def _lose_answer(self) -> None:
        self.lost_answer_count += 1
        raise CommitUnknown("simulated: the answer of the commit is lost")

    async def _pass(self, point: str, number: int) -> None:
        if self._is_killed(point, number):
            # Nothing of a killed process runs on: this answer never comes.
            await asyncio.get_running_loop().create_future()

    def _audit(self, change: InstanceChange) -> None:
        row = change.row
        audit = self.audits.get(row.id)
        if audit is None:
            audit = self.audits[row.id] = InstanceAudit(self._plan_of(row.dag_hash), row.id)
        for line in change.journal:
            events = decode_events(line.version, line.body)
            self.violations += sentences(audit.read(line.seq, events, epoch=row.epoch))
            self._note_ends(audit, events)

    def _note_ends(self, audit: InstanceAudit, events: Sequence[Event]) -> None:
        for event in events:
            index: int = getattr(event, "index", -1)  # events of a frame or the instance have none
            frame = audit.frames.get(getattr(event, "frame", ""))
            task = None if frame is None else frame.tasks.get(index)
            if frame is not None and task is not None and task.has_ended:
                self._ended.add((audit.instance_id, audit.path_of(frame, index)))
