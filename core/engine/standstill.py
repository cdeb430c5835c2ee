"""An instance that stands still: it could go on, and nobody looks at it (reliability.md F12)."""

from __future__ import annotations

from core.engine.audited import RETRYING, UNKNOWN
from core.engine.invariants import InstanceAudit
from core.engine.statuses import INSTANCE_RUNNING
from core.ports.instance_store import InstanceRow

STILL_S_MAX = 60.0  # what only the engine itself can move is moved within milliseconds


def waits_for_a_look(audit: InstanceAudit, row: InstanceRow, inbox_count: int) -> bool:
    """Say whether nothing but a look of the engine moves an instance: no outcome, timer, place, command or person.

    One that waits for any of them has another status, a number in its row, or a task that is tried again or unknown.
    """
    if row.status != INSTANCE_RUNNING or row.open_attempts or row.ready or inbox_count or audit.is_closing:
        return False
    frames = (frame for frame in audit.frames.values() if frame.is_open)
    return not any(task.status in {RETRYING, UNKNOWN} for frame in frames for task in frame.tasks.values())
