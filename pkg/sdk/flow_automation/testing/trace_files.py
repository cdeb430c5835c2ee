"""Trace files of what a failed test leaves behind."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from core.engine.state import InstanceStatus
from core.errors import FlowError
from flow_automation.testing.journal_store import AuditedStore

TRACES_COUNT_MAX = 3


class EngineBrokenError(Exception):
    """The engine met a bug of its own, not one of the DAG; `__cause__` is what it met."""


def write_failing_traces(store: AuditedStore, read_trace: Callable[[str], bytes]) -> list[Path]:
    """Write the traces of the first instances that did not succeed; what broke may be that nothing can be read."""
    ids = [one for one in store.audits if store.status(one) is not InstanceStatus.SUCCEEDED]
    ids = ids or list(store.audits)
    if not ids:
        return []
    folder = Path(tempfile.mkdtemp(prefix="flow-traces-"))
    written = []
    for instance_id in ids[:TRACES_COUNT_MAX]:
        with contextlib.suppress(FlowError, EngineBrokenError, RuntimeError, OSError):
            file = folder / f"{instance_id}.flowtrace"
            file.write_bytes(read_trace(instance_id))
            written.append(file)
    return written
