"""Parents and children held against each other: no call waits for nobody, no child stays when it should end (S29)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.engine.audited import WAITING
from core.engine.invariants import InstanceAudit
from core.engine.violation import Violation
from core.ports.instance_store import TERMINAL_STATUSES, InstanceRow


def waiting_calls(audit: InstanceAudit) -> Iterator[tuple[str, str]]:
    """Give (path, child) of every call that waits."""
    for frame in audit.frames.values():
        if frame.is_open:
            for index, task in frame.tasks.items():
                if task.status is WAITING and task.child:
                    yield audit.path_of(frame, index), task.child


def relatives(audit: InstanceAudit) -> list[str]:
    """List the instances that `kin_faults` looks at."""
    children = [child for _, child in waiting_calls(audit)]
    return children if audit.parent is None else [audit.parent.instance_id, *children]


def kin_faults(
    audit: InstanceAudit, row: InstanceRow, found: Mapping[str, InstanceRow], inbox_count: int
) -> list[Violation]:  # fmt: skip
    """Hold an instance against its parent and the children that it waits for.

    Args:
        audit: has read the journal up to `row`. found: rows of `relatives`, read before what follows; none = gone.
        inbox_count: commands that wait for the instance.
    """
    told: list[tuple[str, str]] = []
    for path, child_id in waiting_calls(audit):
        child = found.get(child_id)
        if child is None:
            told.append(("I4", f"{path} waits for instance {child_id}, which is not there"))
        elif child.domain_id != row.domain_id or (child.parent_id, child.parent_path) != (row.id, path):
            told.append(("I11", f"{path} waits for instance {child_id}, which is not its child"))
        elif child.status in TERMINAL_STATUSES and not inbox_count:
            told.append(("I4", f"{path} waits for instance {child_id}, which has ended and told nobody"))
    parent = audit.parent
    if parent is not None and parent.ends_too and not audit.status.is_terminal:
        above = found.get(parent.instance_id)
        is_over = above is None or above.status in TERMINAL_STATUSES
        if is_over and not (audit.is_closing or audit.is_concluded or inbox_count):
            told.append(("S29", f"it outlives instance {parent.instance_id}, which called it, and was not told to end"))
    return [Violation(name, row.id, audit.seq, sentence) for name, sentence in told]
