"""Use cases of DAGs: permissions first, and what a start would run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.access import dag_access as dag_access_module
from core.access.dag_access import RUNNABLE_S, DagAccess
from core.dag.language import language_catalog
from core.dag.service import DagService, PlanCache
from core.errors import DagNotFound, NotAllowed
from core.executor.pure import PURE_OPERATORS
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryDefinitionStore, MemoryStore
from tests.unit.access.test_access import CountingIds, HandClock

TEXT = b'{"title": "%s", "steps": [{"id": "a", "operator": "@time/now"}], "status": "%s"}'
ADMINISTRATOR = Scope("d", Principal("p", "key", "n", ("administrator",)))
NOBODY = Scope("d", Principal("p", "key", "n"))


class Reads(MemoryDefinitionStore):
    """Counts what a start reads."""

    count = 0

    async def get(self, scope: Scope, dag_id: str) -> Any:
        self.count += 1
        return await super().get(scope, dag_id)


def _made() -> tuple[DagAccess, Reads, HandClock]:
    clock = HandClock()
    store = Reads(MemoryStore(clock))
    catalog = language_catalog(operator.spec for operator in PURE_OPERATORS)
    computations = {operator.spec.name: operator.compute for operator in PURE_OPERATORS}
    definitions = DagService(store, clock, CountingIds(), catalog)
    return DagAccess(definitions, PlanCache(store, catalog, computations), clock), store, clock


def _create(dags: DagAccess, title: bytes = b"T", status: bytes = b"normal") -> str:
    draft = dags.read(ADMINISTRATOR, TEXT % (title, status), "json")
    row = asyncio.run(dags.create(ADMINISTRATOR, draft, if_exists="publish"))
    return row.id


def test_every_use_case_asks_for_its_permission() -> None:
    dags, _, _ = _made()
    with pytest.raises(NotAllowed, match="dag:create"):
        dags.validate(NOBODY, b"", None)
    with pytest.raises(NotAllowed, match="dag:create"):
        dags.read(NOBODY, b"", None)
    draft = dags.read(ADMINISTRATOR, TEXT % (b"T", b"normal"), "json")
    for work, permission in (
        (dags.create(NOBODY, draft, if_exists="refuse"), "dag:create"),
        (dags.get(NOBODY, "x"), "dag:view"),
        (dags.list(NOBODY, after="", limit=1), "dag:list"),
        (dags.runnable(NOBODY, "x", None), "dag:run"),
    ):
        with pytest.raises(NotAllowed, match=permission):
            asyncio.run(work)


def test_start_reads_the_store_once_a_second() -> None:
    dags, store, clock = _made()
    dag_id = _create(dags)
    first = asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None))
    assert first is asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None))
    assert 1 == store.count
    clock.seconds += RUNNABLE_S
    asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None))
    assert 2 == store.count


def test_publication_is_seen_by_the_next_start() -> None:
    dags, _, _ = _made()
    dag_id = _create(dags)
    assert "normal" == asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None)).status
    _create(dags, status=b"stopped")
    assert "stopped" == asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None)).status


def test_missing_dag_or_version_is_not_found() -> None:
    dags, _, _ = _made()
    dag_id = _create(dags)
    for work in (
        dags.runnable(ADMINISTRATOR, "nothing", None),
        dags.runnable(ADMINISTRATOR, dag_id, "v9.9.9"),
        dags.runnable(Scope("other", ADMINISTRATOR.principal), dag_id, None),
    ):
        with pytest.raises(DagNotFound):
            asyncio.run(work)


def test_remembered_dags_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_access_module, "RUNNABLES_COUNT_MAX", 2)
    dags, store, _ = _made()
    ids = [_create(dags, b"D%d" % number) for number in range(3)]
    for dag_id in (*ids, ids[2], ids[1]):
        asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None))
    assert 3 == store.count
    asyncio.run(dags.runnable(ADMINISTRATOR, ids[0], None))
    assert 4 == store.count


def test_version_that_does_not_exist_takes_no_place() -> None:
    dags, store, _ = _made()
    dag_id = _create(dags)
    for _ in range(2):
        with pytest.raises(DagNotFound):
            asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, "v9.9.9"))
    assert 2 == store.count
