"""Traces of runs that are decided in memory."""

from __future__ import annotations

from typing import Any

from core.engine.journal import decode_events
from core.engine.state import Indirect, Reference
from core.engine.trace.export import Gathered, masked_trace
from core.engine.trace.file import Trace
from core.engine.trace.masker import MaskText, joined_of, values_in
from core.ports.instance_store import InstanceRow, JournalRow, Loaded
from core.ports.instance_views import StampedRow
from tests.unit.engine.instance_run import NOW, InstanceRun


def unmasked(text: str) -> str:
    return text


def gathered(run: InstanceRun, *, document: bytes | None = None, leave_out: int | None = None) -> Gathered:
    """Give what an export would read of a run; values longer than `leave_out` are left out."""
    rows = []
    values: dict[Reference, bytes] = {}
    for seq, body in run.rows:
        events = decode_events(1, body)
        rows.append((StampedRow(JournalRow("01J", seq, 1, body), NOW), events))
        asked = [found for event in events for found in values_in(event)]
        while asked:
            following: list[Reference | Indirect] = []
            for leaf in asked:
                at = leaf.at if isinstance(leaf, Indirect) else leaf
                if leave_out is not None and at.length > leave_out:
                    continue
                values[at] = run.payloads[at.seq][at.offset : at.offset + at.length]
                if isinstance(leaf, Indirect):
                    following += values_in(joined_of(values[at]))
            asked = following
    header = run.state.header
    row = InstanceRow(
        id=header.id, domain_id="d", shard=0, dag_id="dag", dag_hash="h", dag_version="v1.0.0", seq=len(rows),
        status=header.status.value, open_attempts=0, ready=0, open_frames=0, epoch=1, created_at=NOW, updated_at=NOW,
        labels=header.labels,
    )  # fmt: skip
    return Gathered(Loaded(row, (), ()), run.plan, document, rows, values, 0, 0)


def trace_of(run: InstanceRun, mask_text: MaskText = unmasked, **more: Any) -> Trace:
    """Give the trace of a run."""
    return masked_trace(gathered(run, **more), mask_text)
