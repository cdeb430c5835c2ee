"""`flow replay` in this process: trace files played, and decided anew with the operators of this installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from core.dag.compile import compile_dag
from core.dag.document import read_document
from core.dag.language import language_catalog
from core.dag.parse import parse_document
from core.dag.plan import Plan
from core.engine.trace.file import Trace, read_trace
from core.engine.trace.playback import Playback
from core.engine.trace.redecide import Edit, redecide
from core.engine.values import stamp
from core.errors import DagInvalid, DagUndecodable, TraceInvalid
from core.executor.registry import OperatorRegistry


class PlayedTrace:
    """A trace as the command line shows it."""

    def __init__(self, data: bytes, operators_of: Callable[[], OperatorRegistry]) -> None:
        """Read the file.

        Raises:
            TraceInvalid: foreign, damaged, too large, or of another version.
        """
        self._playback = Playback(read_trace(data))
        self._operators_of = operators_of

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the file says of the instance."""
        trace = self._playback.trace
        plan = trace.plan
        return {
            "instance": trace.instance_id, "dag": plan.title, "dag_id": plan.dag_id, "version": plan.version,
            "created_at": stamp(trace.created_at), "trigger": trace.trigger_kind, "labels": trace.labels or None,
            "rows": len(trace.rows), "values": len(trace.values), "values_left_out": trace.left_out or None,
            "notes": trace.notes or None,
        }  # fmt: skip

    @property
    def seq(self) -> int:
        """Number of the newest row."""
        return self._playback.seq

    def stand(self, seq: int) -> Mapping[str, Any]:
        """How the instance stood after a row.

        Raises:
            TraceInvalid: there is no such row, or the rows contradict each other.
        """
        return _plain(self._playback.stand(seq))

    def edited(self, step: str, output: Any) -> Mapping[str, Any]:
        """What another output of a step leads to.

        Raises:
            TraceInvalid: the file has no document that this installation can run, or no outcome of that step.
        """
        plan = _compiled(self._playback.trace, self._operators_of())
        return _plain(redecide(self._playback, plan, Edit(step, output)))


def _compiled(trace: Trace, operators: OperatorRegistry) -> Plan:
    if trace.document is None:
        raise TraceInvalid("the file holds no document: nothing can be decided anew")
    catalog = language_catalog(operators.catalog.values())
    try:
        document = read_document(trace.document, "json")
        dag = parse_document(document, catalog=catalog)
    except (DagInvalid, DagUndecodable) as refused:
        message = "this installation cannot run the file's document: a masked value, or an operator that is not here"
        raise TraceInvalid(message, faults=refused.faults) from refused
    outline = trace.plan
    return compile_dag(
        dag, dag_id=outline.dag_id, version=outline.version, content_hash=outline.content_hash, catalog=catalog,
        computations=operators.computations,
    )  # fmt: skip


def _plain(value: Any) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return plain
