"""Plans of generated DAGs. They are compiled once per process and shared by all seeds: a plan never changes."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from core.dag.compile import compile_dag
from core.dag.language import language_catalog
from core.dag.parse import parse_dag
from core.dag.plan import Plan
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import OperatorRegistry
from tests.sim.chance import Random, derived
from tests.sim.dags import generated
from tests.sim.ends import breaks_of
from tests.sim.operators import Ledger, SimWork

POOL_COUNT = 96  # different DAGs; each seed takes a few of them


def registry_of(work: SimWork) -> OperatorRegistry:
    """Give the operators of the simulation."""
    return OperatorRegistry([work, *PURE_OPERATORS])


@functools.cache
def _declared() -> OperatorRegistry:
    return registry_of(SimWork(Ledger(), derived(0, "catalog")))


def compiled(document: object, dag_id: str) -> Plan:
    """Compile a document whose operators are those of the simulation."""
    declared = _declared()
    catalog = language_catalog(declared.catalog.values())
    dag = parse_dag(msgspec.json.encode(document), format="json", catalog=catalog)
    return compile_dag(
        dag,
        dag_id=dag_id,
        version="v1.0.0",
        content_hash=f"hash-{dag_id}",
        catalog=catalog,
        computations=declared.computations,
    )


@functools.cache
def pooled(number: int) -> Plan:
    """Give DAG `number` of the pool."""
    return compiled(_document(number), f"dag-{number:04d}")


def _document(number: int) -> dict[str, Any]:
    # What nobody settles would never end in a world; decisions alone have somebody who does.
    return generated(derived(number, "dag"), f"Simulated {number}", once=number >= POOL_COUNT)


@functools.cache
def pooled_breaks() -> dict[str, dict[str, int]]:
    """Give by content hash after which iteration the loops of each DAG of the pool break."""
    return {f"hash-dag-{number:04d}": breaks_of(_document(number)) for number in range(POOL_COUNT)}


def drawn(rng: Random, count: int) -> list[Plan]:
    """Draw some of the pool."""
    return [pooled(number) for number in rng.sample(range(POOL_COUNT), count)]


class SimPlans:
    """`PlanSource` over plans at hand."""

    def __init__(self, plans: list[Plan]) -> None:
        self._by_hash = {plan.content_hash: plan for plan in plans}

    def of(self, content_hash: str) -> Plan:
        """Give the plan of a version."""
        return self._by_hash[content_hash]

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        """Give the plan of a version to a node."""
        plan = self._by_hash[content_hash]
        assert plan.dag_id == dag_id, (domain_id, dag_id)
        return plan
