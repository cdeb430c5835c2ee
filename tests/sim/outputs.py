"""Kept outcomes, held against the attempts that gave them: a late result must never be the accepted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.engine.events import TaskSucceeded
from core.engine.journal import decode_events
from core.engine.state import Reference, Value
from core.ports.instance_store import JournalRow, PayloadRange
from driven_adapters.memory.instance_store import read_ranges

if TYPE_CHECKING:
    from core.engine.invariants import InstanceAudit
    from driven_adapters.memory.tables import Tables
    from tests.sim.objects import SimObjectStore
    from tests.sim.watch import Watch


def output_faults(tables: Tables, objects: SimObjectStore, watch: Watch) -> list[str]:
    """Read every accepted output of `@sim/work`: its attempt's number must be the one that was current (R23)."""
    found: list[str] = []
    for instance_id, audit in sorted(watch.audits.items()):
        journal: dict[int, JournalRow] = tables.group("journal", instance_id)
        for _, row in sorted(journal.items()):
            for event in decode_events(row.version, row.body):
                if isinstance(event, TaskSucceeded) and event.output is not None:
                    found += _fault_of(tables, objects, audit, event, event.output)
    return found


def _fault_of(
    tables: Tables, objects: SimObjectStore, audit: InstanceAudit, event: TaskSucceeded, output: Value
) -> list[str]:
    frame = audit.frames[event.frame]
    task = frame.tasks[event.index]
    region = audit.plan.regions[frame.region]
    node = audit.plan.nodes[region.nodes[event.index % region.size]]
    if node.operator.name != "@sim/work":
        return []
    number = msgspec.json.decode(_bytes_of(tables, objects, audit.instance_id, output))["attempt"]
    if number == task.number:
        return []
    path = audit.path_of(frame, event.index)
    return [f"R23: {audit.instance_id} {path} has the result of attempt {number}, and {task.number} was current"]


def _bytes_of(tables: Tables, objects: SimObjectStore, instance_id: str, output: Value) -> bytes:
    if isinstance(output, Reference):
        wanted = PayloadRange(output.seq, output.offset, output.length)
        found = read_ranges(tables, instance_id, [wanted])[0]
        return (
            found
            if isinstance(found, bytes)
            else objects.bytes_of(tables.group("instance")[instance_id].domain_id, found)
        )
    assert isinstance(output, bytes), output
    return output
