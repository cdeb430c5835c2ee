"""What an instance must have done, held against its plan: tries, hooks that ran, loops that broke (S14, S20, S39)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine import events as e
from core.engine.invariants import InstanceAudit
from core.engine.permit_events import InstanceAdmitted, InstanceGated
from core.engine.state import InstanceStatus


class Ends:
    """Reads one instance's journal beside the audit. `breaks`: by step, after which iteration its loop breaks."""

    def __init__(self, plan: Plan, breaks: dict[str, int]) -> None:
        self._plan = plan
        self._breaks = breaks
        self._hooks: set[int] = set()
        self._outcome: InstanceStatus | None = None
        self._is_cut_short = False
        self._is_marked = False
        self._is_queued = False
        self._iterations: Counter[tuple[str, int]] = Counter()

    def read(self, audit: InstanceAudit, events: Sequence[e.Event]) -> list[str]:
        """Read one journal row that the audit has read; gives what must not be."""
        found: list[str] = []
        for event in events:
            self._is_marked |= isinstance(event, e.InstanceClosing | e.TaskClosing | e.ItemClosing | e.TaskActed)
            match event:
                case e.TaskFailed() if not self._is_marked:
                    found += self._gave_up(audit, event)
                case e.InstanceClosing():
                    self._is_cut_short |= event.closing.cause == "terminate" or event.closing.is_cleanup_over
                case e.InstanceConcluded():
                    self._outcome = event.outcome.status
                case e.HookEntered():
                    self._hooks.add(event.list)
                case InstanceGated() | InstanceAdmitted():
                    self._is_queued = isinstance(event, InstanceGated) and not event.permit.is_held
                case e.IterationBegun():
                    found += self._begun(audit, event)
                case e.InstanceEnded():
                    found += self._ended(audit, event, is_first=audit.seq == 1)
                case _:
                    pass
        return found

    def _begun(self, audit: InstanceAudit, event: e.IterationBegun) -> list[str]:
        place = (event.frame, event.index)
        self._iterations[place] += 1
        frame = audit.frames[event.frame]
        region = self._plan.regions[frame.region]
        name = self._plan.nodes[region.nodes[event.index % region.size]].id
        last = self._breaks.get(name)
        if last is None or self._iterations[place] <= last + 1:
            return []
        return [f"S20: {audit.instance_id} {name} goes on after iteration {last}, which breaks it"]

    def _gave_up(self, audit: InstanceAudit, event: e.TaskFailed) -> list[str]:
        """Look whether a task that nothing else bounds was tried as often as it may be: lost attempts do not count."""
        frame = audit.frames[event.frame]
        region = self._plan.regions[frame.region]
        node = self._plan.nodes[region.nodes[event.index % region.size]]
        task = frame.tasks.get(event.index)
        if task is None or not task.number or node.kind != "attempt" or not isinstance(event.error, bytes):
            return []
        error = msgspec.json.decode(event.error)
        is_bounded = node.timeout.total_s is not None or node.timeout.queue_s is not None
        if is_bounded or error["kind"] not in node.retry.on or error["message"].endswith("lost with their node"):
            return []
        tried = task.number - task.lost
        if tried >= node.retry.max_attempts:
            return []
        return [f"S14: {audit.instance_id} {node.id} fails after {tried} tries, {task.lost} more were lost"]

    def _ended(self, audit: InstanceAudit, event: e.InstanceEnded, *, is_first: bool) -> list[str]:
        if self._is_cut_short or ((is_first or self._is_queued) and event.status is InstanceStatus.CANCELLED):
            return []
        plan, outcome = self._plan, self._outcome or event.status
        wanted = [plan.on_finish]
        if outcome is InstanceStatus.FAILED:
            wanted.append(plan.on_failure)
        missed = [plan.lists[hook].name for hook in wanted if hook is not None and hook not in self._hooks]
        return [f"S39: {audit.instance_id} came to {outcome} and ended without {name}" for name in missed]


def breaks_of(document: Any) -> dict[str, int]:
    """Find after which iteration each loop of a generated document breaks: its `break_when` is `index == N`."""
    found: dict[str, int] = {}
    if isinstance(document, dict):
        told = document.get("parameters", {}).get("break_when") if "operator" in document else None
        if told is not None:
            found[document["id"]] = int(told.removeprefix("index == "))
        for inner in document.values():
            found |= breaks_of(inner)
    elif isinstance(document, list):
        for inner in document:
            found |= breaks_of(inner)
    return found
