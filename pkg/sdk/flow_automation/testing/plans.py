"""Plans of the documents that a simulated run is given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.dag.callee import Callee
from core.dag.compile import compile_dag
from core.dag.document import Format, read_document
from core.dag.language import language_catalog
from core.dag.parse import parse_document
from core.dag.plan import Plan
from core.dag.version import FIRST, canonical_document, content_hash
from core.executor.registry import OperatorRegistry
from flow_automation.dag import Dag

Document = Dag | Mapping[str, Any] | bytes | str | Path
PLANS_KEPT_COUNT = 64  # of the test session; a scenario that is killed at a hundred places has one DAG or two

# Compiling takes longer than running a small DAG, and a plan never changes.
_kept: OrderedDict[tuple[bytes, Format | None], tuple[Plan, bytes]] = OrderedDict()


class DocumentPlans:
    """`PlanSource` over the documents given so far; `by_hash` has their plans, `documents` their JSON by that hash."""

    def __init__(self, registry: OperatorRegistry, *, is_shipped: bool) -> None:
        """Take the operators; `is_shipped` = none but the product's own, so plans can be shared by simulations."""
        self.by_hash: dict[str, Plan] = {}
        self.documents: dict[str, bytes] = {}
        self._by_title: dict[str, Plan] = {}
        self._computations = registry.computations
        self._catalog = language_catalog(registry.catalog.values())
        self._is_shipped = is_shipped

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        """Give a plan to the engine."""
        del domain_id, dag_id
        return self.by_hash[content_hash]

    async def find(self, domain_id: str, dag: str, version: str | None) -> Callee | None:
        """Let a call find the document with this title that was given last."""
        del domain_id
        plan = self._by_title.get(dag)
        return None if plan is None or version not in (None, plan.version) else Callee(plan.dag_id, "normal", plan)

    def plan_of(self, dag: Document) -> Plan:
        """Compile a document, or take the plan of the same one.

        Raises:
            DagInvalid, DagUndecodable: every fault of the document.
        """
        data, form = _data(dag)
        kept = _kept.get((data, form)) if self._is_shipped else None
        if kept is None:
            kept = self._compile(data, form)
            if self._is_shipped:
                _kept[data, form] = kept
                if len(_kept) > PLANS_KEPT_COUNT:
                    _kept.popitem(last=False)
        plan, document = kept
        self.documents.setdefault(plan.content_hash, document)
        self._by_title[plan.title] = plan
        return self.by_hash.setdefault(plan.content_hash, plan)

    def _compile(self, data: bytes, form: Format | None) -> tuple[Plan, bytes]:
        document = read_document(data, form)
        parsed = parse_document(document, catalog=self._catalog)
        plan = compile_dag(
            parsed,
            dag_id=parsed.title,
            version=parsed.version or FIRST,
            content_hash=content_hash(document.value),
            catalog=self._catalog,
            computations=self._computations,
        )
        return plan, canonical_document(document.value)


def _data(dag: Document) -> tuple[bytes, Format | None]:
    match dag:
        case Dag():
            return msgspec.json.encode(dag.to_document()), "json"
        case Path():
            return dag.read_bytes(), None
        case str():
            return dag.encode(), None
        case bytes():
            return dag, None
        case _:
            return msgspec.json.encode(dag), "json"
