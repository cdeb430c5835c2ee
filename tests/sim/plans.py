"""Plans of generated DAGs. They are compiled once per process and shared by all seeds: a plan never changes."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import msgspec

from core.dag.callee import Callee
from core.dag.compile import compile_dag
from core.dag.language import language_catalog
from core.dag.parse import parse_dag
from core.dag.plan import Plan
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import OperatorRegistry
from tests.sim.chance import Random, derived
from tests.sim.dags import generated, other_version, with_calls
from tests.sim.ends import breaks_of
from tests.sim.operators import Ledger, SimWork

POOL_COUNT = 96  # different DAGs; each seed takes a few of them
CALLING_COUNT = 32  # that call others


def registry_of(work: SimWork) -> OperatorRegistry:
    """Give the operators of the simulation."""
    return OperatorRegistry([work, *PURE_OPERATORS])


@functools.cache
def _declared() -> OperatorRegistry:
    return registry_of(SimWork(Ledger(), derived(0, "catalog")))


def compiled(document: object, dag_id: str, number: int = 0) -> Plan:
    """Compile a document whose operators are those of the simulation, as version `number` of the DAG."""
    declared = _declared()
    catalog = language_catalog(declared.catalog.values())
    dag = parse_dag(msgspec.json.encode(document), format="json", catalog=catalog)
    return compile_dag(
        dag,
        dag_id=dag_id,
        version=f"v1.{number}.0",
        content_hash=f"hash-{dag_id}-{number}" if number else f"hash-{dag_id}",
        catalog=catalog,
        computations=declared.computations,
    )


@functools.cache
def pooled(number: int) -> Plan:
    """Give DAG `number` of the pool."""
    return compiled(_document(number), f"dag-{number:04d}")


@functools.cache
def pooled_next(number: int) -> Plan | None:
    """Give the next version of DAG `number` of the pool, which has other limits; None when it has none."""
    document = other_version(derived(number, "next version"), _document(number))
    return None if document is None else compiled(document, f"dag-{number:04d}", 1)


def _document(number: int) -> dict[str, Any]:
    # What nobody settles would never end in a world; decisions alone have somebody who does.
    return generated(derived(number, "dag"), f"Simulated {number}", once=number >= POOL_COUNT)


@functools.cache
def calling(number: int) -> Plan:
    """Give DAG `number` of those that call others of the pool, and of their own kind below their number."""
    return compiled(_calling_document(number), f"call-{number:04d}")


def _calling_document(number: int) -> dict[str, Any]:
    rng = derived(number, "calling")
    titles = [f"Simulated {rng.randrange(POOL_COUNT)}" for _ in range(3)]
    titles += [f"Calling {rng.randrange(number)}"] if number else []
    document = generated(rng, f"Calling {number}")
    with_calls(rng, document, [*titles, "Nobody"])
    return document


@functools.cache
def pooled_breaks() -> dict[str, dict[str, int]]:
    """Give by content hash after which iteration the loops of each DAG of the pool break."""
    breaks = {f"hash-dag-{number:04d}": breaks_of(_document(number)) for number in range(POOL_COUNT)}
    called = {f"hash-call-{number:04d}": breaks_of(_calling_document(number)) for number in range(CALLING_COUNT)}
    return breaks | called | {f"{content_hash}-1": found for content_hash, found in breaks.items()}


def drawn(rng: Random, count: int) -> list[Plan]:
    """Draw some of the pool."""
    numbers = rng.sample(range(POOL_COUNT), count)
    later = [pooled_next(number) for number in numbers]
    return [*(pooled(number) for number in numbers), *(plan for plan in later if plan is not None)]


def drawn_calling(rng: Random, count: int) -> list[Plan]:
    """Draw some of those that call others."""
    return [calling(number) for number in rng.sample(range(CALLING_COUNT), count)]


class SimCallees:
    """Finds DAGs of both pools by their titles, after a while, as a store does."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    async def find(self, domain_id: str, dag: str, version: str | None) -> Callee | None:
        """Find one."""
        del domain_id, version
        await asyncio.sleep(self._delay_s)
        return callee_of(dag)


def callee_of(title: str) -> Callee | None:
    """Give the DAG with this title."""
    word, _, number = title.partition(" ")
    if not number:
        return None
    plan = pooled(int(number)) if word == "Simulated" else calling(int(number))
    return Callee(plan.dag_id, "normal", plan)


class SimPlans:
    """`PlanSource` over plans at hand."""

    def __init__(self, plans: list[Plan]) -> None:
        self._by_hash = {plan.content_hash: plan for plan in plans}

    def of(self, content_hash: str) -> Plan:
        """Give the plan of a version, also of one that only calls start."""
        plan = self._by_hash.get(content_hash)
        if plan is None:
            _, kind, number = content_hash.split("-")
            plan = self._by_hash[content_hash] = pooled(int(number)) if kind == "dag" else calling(int(number))
        return plan

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        """Give the plan of a version to a node."""
        plan = self.of(content_hash)
        assert plan.dag_id == dag_id, (domain_id, dag_id)
        return plan
