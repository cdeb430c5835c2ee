"""Calls that would go round for ever, as far as they are known when a DAG is saved (semantics.md S29)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from core.dag.builder import build_dag
from core.dag.control import CALL
from core.dag.fault import Fault, Faults
from core.dag.lists import top_lists, walk_steps
from core.dag.model import Dag
from core.ports.definition_store import DagRow, DefinitionStore
from core.ports.scope import Scope

# Versions read for one saving: some may have a megabyte. What lies behind them is refused when it runs.
VERSIONS_READ_MAX = 50


class _Named(NamedTuple):
    """A DAG as a call names it, and the call of the saved document that leads there."""

    dag: str
    version: str | None
    pointer: str


async def find_cycle(store: DefinitionStore, scope: Scope, dag: Dag, dag_id: str | None) -> Fault | None:
    """Find a call through which a DAG would come back to itself; None = none is known.

    Args:
        dag: that is saved. dag_id: its own, None = it is new.
    """
    waiting = deque(_calls_of(dag))
    looked: dict[tuple[str, str], None] = {}
    while waiting and len(looked) < VERSIONS_READ_MAX:
        named = waiting.popleft()
        row = await store.get(scope, named.dag) or await store.find_title(scope, named.dag)
        if named.dag == dag.title or (row is not None and row.id == dag_id):
            message = f"the DAG {dag.title} would call itself for ever"
            return Fault(code="dag.call.cycle", pointer=named.pointer, message=message)
        if row is None or (row.id, named.version or row.version) in looked:
            continue
        looked[row.id, named.version or row.version] = None
        waiting += [_Named(*one, named.pointer) for one in await _calls_in(store, scope, row, named.version)]
    return None


def _calls_of(dag: Dag) -> Iterator[_Named]:
    for _, top in top_lists(dag):
        for step in walk_steps(top):
            if step.operator == CALL and "{{" not in step.parameters["dag"]:
                version = step.parameters.get("version")
                yield _Named(step.parameters["dag"], version, f"{step.pointer}/parameters/dag")


async def _calls_in(
    store: DefinitionStore, scope: Scope, row: DagRow, version: str | None
) -> list[tuple[str, str | None]]:  # fmt: skip
    published = await store.version(scope, row.id, version or row.version)
    if published is None:
        return []
    called = build_dag(msgspec.json.decode(published.document), Faults())
    return [(named.dag, named.version) for named in _calls_of(called)]
