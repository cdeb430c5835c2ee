"""Parents and children in the simulation: held against each other with every transaction that touches one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from core.engine.events import Event, TaskClosing
from core.engine.invariants import InstanceAudit
from core.engine.kin_audit import kin_faults, relatives
from core.engine.violation import Violation
from core.ports.instance_store import InstanceRow
from tests.sim.store import SimStore


class Kin:
    """Remembers who called whom. `cells` counts what became of children."""

    def __init__(self, store: SimStore, audits: Mapping[str, InstanceAudit]) -> None:
        self._store = store
        self._audits = audits
        self._children: dict[str, list[str]] = {}
        self._seen: dict[str, str] = {}
        self._told: dict[str, str] = {}  # child that is to end -> path of the call that says so
        self.cells: Counter[str] = Counter()

    def read(self, audit: InstanceAudit, events: Sequence[Event]) -> None:
        """Note which calls told their children to end, from a journal row that the audit has read."""
        for event in events:
            if isinstance(event, TaskClosing):
                frame = audit.frames[event.frame]
                child = frame.tasks[event.index].child
                if child:
                    self._told[child] = audit.path_of(frame, event.index)

    def look(self, row: InstanceRow) -> list[Violation]:
        """Look at an instance that changed, and at those that it is related to."""
        if row.parent_id is not None and row.id not in self._seen:
            self._children.setdefault(row.parent_id, []).append(row.id)
        if row.parent_id is not None and self._seen.get(row.id) != row.status:
            self._seen[row.id] = row.status
            self.cells[f"child {row.status}"] += 1
        rows = self._store.tables.group("instance")
        near = [row.id, *self._children.get(row.id, ())]
        near += [] if row.parent_id is None else [row.parent_id]
        return [fault for one in near for fault in self._of(rows, one)]

    def _of(self, rows: Mapping[str, InstanceRow], instance_id: str) -> list[Violation]:
        audit, row = self._audits.get(instance_id), rows.get(instance_id)
        if audit is None or row is None:
            return []
        inbox = self._store.tables.group("inbox", row.shard).values()
        found = {one: rows[one] for one in relatives(audit) if one in rows}
        waiting = sum(item.instance_id == instance_id for item in inbox)
        is_heard = waiting or audit.is_closing or audit.is_concluded or audit.status.is_terminal
        faults = kin_faults(audit, row, found, waiting)
        if instance_id in self._told and not is_heard:
            sentence = f"call {self._told[instance_id]} ends, and it was not told to"
            faults.append(Violation("S29", instance_id, audit.seq, sentence))
        return faults

    def faults(self) -> list[str]:
        """Say which task has more than one child (R16), and who has a parent that is not there."""
        rows = self._store.tables.group("instance").values()
        counts = Counter((row.parent_id, row.parent_path) for row in rows if row.parent_id is not None)
        found = [
            f"R16: {path} of {parent} has {count} children" for (parent, path), count in counts.items() if count > 1
        ]
        known = {row.id for row in rows}
        return found + [
            f"I1: {row.id} is the child of nobody" for row in rows if row.parent_id and row.parent_id not in known
        ]
