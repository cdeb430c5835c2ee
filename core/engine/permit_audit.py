"""Permits as an audit of invariants sees them: what the events of an instance told, against the rows of gates (I17)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from core.engine.audited import BEGINNINGS, FrameAudit
from core.engine.events import AttemptStarted, Event, InstanceEnded
from core.engine.permit import Permit
from core.engine.permit_events import InstanceAdmitted, InstanceGated, TaskAdmitted, TaskGated
from core.engine.state import InstanceStatus
from core.engine.statuses import INSTANCE_QUEUED
from core.engine.sure import sure
from core.engine.violation import Violation
from core.ports.permits import PermitRow


class Audited(Protocol):
    """The audit of an instance, as far as it is read here."""

    instance_id: str
    seq: int
    status: InstanceStatus
    frames: dict[str, FrameAudit]

    def path_of(self, frame: FrameAudit, index: int) -> str:
        """Give the path of a task."""
        ...


class PermitAudit:
    """Reads events beside the audit of an instance. `held` is by task path ("" = the instance): held, or waited for."""

    def __init__(self) -> None:
        """Begin with none."""
        self.held: dict[str, Permit] = {}

    def read(self, audit: Audited, event: Event) -> list[Violation]:
        """Take one event that the audit has applied; gives what must not be."""
        frame = audit.frames.get(getattr(event, "frame", ""))
        index = getattr(event, "index", None)
        task = None if frame is None or index is None else frame.tasks.get(index)
        path = "" if frame is None or task is None else audit.path_of(frame, sure(index))
        found = self._take(event, path)
        if task is not None and task.status.is_terminal:
            self.held.pop(path, None)
        if audit.status is INSTANCE_QUEUED and isinstance(event, BEGINNINGS):
            found.append(f"{type(event).__name__} while it waits for a permit")
        return [Violation("I17", audit.instance_id, audit.seq, sentence) for sentence in found]

    def _take(self, event: Event, path: str) -> list[str]:
        match event:
            case InstanceGated(permit=permit) | TaskGated(permit=permit):
                found = [f"{path or 'the instance'} is at a gate already"] if path in self.held else []
                self.held[path] = permit
                return found
            case InstanceAdmitted() | TaskAdmitted():
                return self._admit(path)
            case InstanceEnded():
                self.held.pop("", None)
            case AttemptStarted() if path in self.held and not self.held[path].is_held:
                return [f"{path} starts, and waits for a permit"]
        return []

    def _admit(self, path: str) -> list[str]:
        permit = self.held.get(path)
        if permit is None or permit.is_held:
            return [f"{path or 'the instance'} is admitted, and waited for nothing"]
        self.held[path] = Permit(permit.limit, permit.key, permit.most, is_held=True)
        return []

    def compare(self, rows: Iterable[PermitRow], granted: Collection[str]) -> list[str]:
        """Hold the rows of the instance and its tasks against what they hold, after the same commit.

        Args:
            rows: all of them. granted: task paths whose grant is on its way, in an inbox row.
        """
        found: list[str] = []
        known = {row.task_path: row for row in rows}
        for path, permit in self.held.items():
            row = known.pop(path, None)
            name = path or "the instance"
            if row is None or (row.gate.limit, row.gate.key, row.most) != (permit.limit, permit.key, permit.most):
                found.append(f"{name} is at the gate of {permit.limit}, and has no row there")
            elif permit.is_held and not row.is_held:
                found.append(f"{name} holds a permit of {permit.limit}, and its row waits")
            elif row.is_held and not permit.is_held and path not in granted:
                found.append(f"{name} was granted a permit of {permit.limit}, and nobody tells it")
        left = [f"the row of {path or 'the instance'} at {row.gate.limit} is left" for path, row in known.items()]
        return found + left


def gate_faults(line: Sequence[PermitRow]) -> list[str]:
    """Hold the holders and waiters of one gate, in the order of `PermitStore.line`, against each other.

    Who was granted a permit last found fewer held than its own bound, so not more are held than the greatest of those
    bounds; and who waits first has found as many as its own, else it waits for nobody.
    """
    held = [row for row in line if row.is_held]
    found: list[str] = []
    if held and len(held) > max(row.most for row in held):
        found.append(f"{len(held)} permits of {held[0].gate.limit} are held, above every holder's bound")
    first = next((row for row in line if not row.is_held), None)
    if first is not None and len(held) < first.most:
        found.append(f"{first.instance_id} waits for {first.gate.limit}, of which only {len(held)} are held")
    return found
