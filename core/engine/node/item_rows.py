"""Rows of one instance's change: the instance itself, its journal, what people are asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from core.engine.effects import ApprovalSet
from core.engine.journal import JOURNAL_ROW_BYTES_MAX, join_events
from core.engine.kinship import Parent
from core.engine.node.hot import HotInstance
from core.engine.origin import trigger_kind
from core.engine.sure import sure
from core.ports.audit_log import AuditEntry
from core.ports.instance_store import ApprovalRow, InstanceRow

ARRAY_HEAD_BYTES = 5  # of the array that the events of a row stand in


def journal_bodies(encoded: list[bytes]) -> list[bytes]:
    """Give the journal bodies of encoded events: one, or more when one would pass 128 KiB."""
    if not encoded:
        return []
    if sum(map(len, encoded)) + ARRAY_HEAD_BYTES <= JOURNAL_ROW_BYTES_MAX:
        return [join_events(encoded)]
    bodies: list[bytes] = []
    run: list[bytes] = []
    size = ARRAY_HEAD_BYTES
    for event in encoded:
        if run and size + len(event) > JOURNAL_ROW_BYTES_MAX:
            bodies.append(join_events(run))
            run, size = [], ARRAY_HEAD_BYTES
        run.append(event)
        size += len(event)
    bodies.append(join_events(run))
    return bodies


def instance_row(hot: HotInstance, last: int, now: datetime, epoch: int) -> InstanceRow:
    """Give the instance's row as it is after journal row `last`."""
    if hot.state is None:
        if hot.row is None:
            raise AssertionError("an instance without a state is known by its row")
        return hot.row  # ended: only inbox or timer rows are taken out
    header = hot.state.header
    top = hot.state.frames.get("")
    open_frames = len(hot.state.frames) - (top is not None and not top.is_open)
    if hot.row is not None:  # made anew it would take five times as long
        return msgspec.structs.replace(
            hot.row,
            seq=last,
            status=header.status._value_,  # the property costs ten times as much
            open_attempts=hot.running,
            ready=hot.ready,
            open_frames=open_frames,
            epoch=epoch,
            updated_at=now,
        )
    origin = header.origin
    return InstanceRow(
        id=hot.id,
        domain_id=hot.domain_id,
        shard=hot.shard,
        dag_id=header.dag_id,
        dag_hash=header.dag_hash,
        dag_version=header.dag_version,
        seq=last,
        status=header.status._value_,
        open_attempts=hot.running,
        ready=hot.ready,
        open_frames=open_frames,
        epoch=epoch,
        created_at=header.created_at,
        updated_at=now,
        trigger_kind=trigger_kind(header.trigger),
        labels=header.labels,
        rerun_of=origin if isinstance(origin, str) else None,
        parent_id=origin.instance_id if isinstance(origin, Parent) else None,
        parent_path=origin.path if isinstance(origin, Parent) else None,
        priority=header.priority,
    )


def audit_entries(hot: HotInstance, now: datetime, acts: list[bytes]) -> tuple[AuditEntry, ...]:
    """Give the rows of the audit, in order, that say what people did to the instance."""
    return tuple(AuditEntry(hot.shard, hot.domain_id, now, act) for act in acts)


def approval_rows(hot: HotInstance, asked: Iterable[ApprovalSet]) -> tuple[ApprovalRow, ...]:
    """Give the rows by which people find what they are asked."""
    return tuple(_approval_row(hot, one) for one in asked)


def _approval_row(hot: HotInstance, asked: ApprovalSet) -> ApprovalRow:
    header = sure(hot.state).header
    return ApprovalRow(
        id=asked.id,
        domain_id=hot.domain_id,
        instance_id=hot.id,
        dag_id=header.dag_id,
        dag_hash=header.dag_hash,
        dag_version=header.dag_version,
        task_path=asked.task_path,
        title=asked.title,
        approvers=asked.approvers,
        since=asked.since,
        due_at=asked.due_at,
    )
