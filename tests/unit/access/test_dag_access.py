"""Use cases of DAGs: permissions first, and what a start would run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

import pytest

from core.access import dag_access as dag_access_module
from core.access.dag_access import RUNNABLE_S, TRIES_MAX, DagAccess
from core.access.kept_answers import ANSWER_KEPT_S, KeptAnswers, KeyedRequest
from core.dag.language import language_catalog
from core.dag.service import DagService, PlanCache
from core.errors import (
    CommitUnknown,
    DagInvalid,
    DagNotFound,
    DagTitleTaken,
    IdempotencyKeyReused,
    NotAllowed,
    OutcomeUnknown,
)
from core.executor.pure import PURE_OPERATORS
from core.ports.definition_store import DagRow
from core.ports.key_store import KeptAnswer
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryDefinitionStore, MemoryKeyStore, MemoryStore
from tests.unit.access.test_access import CountingIds, HandClock

TEXT = b'{"title": "%s", "steps": [{"id": "a", "operator": "@time/now"}], "status": "%s"}'
ADMINISTRATOR = Scope("d", Principal("p", "key", "n", ("administrator",)))
NOBODY = Scope("d", Principal("p", "key", "n"))

REQUEST = KeyedRequest("createDag", "k", "hash")


def shown(row: DagRow) -> tuple[int, bytes]:
    return 201, f"{row.id} {row.version}".encode()


class Reads(MemoryDefinitionStore):
    """Counts what a start reads, loses answers of writes, and lets others come in between."""

    count = 0
    writes = 0

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.fates: deque[Exception] = deque()
        self.meanwhile: deque[Callable[[], Awaitable[Any]]] = deque()
        self.after_get: deque[Callable[[], Awaitable[Any]]] = deque()

    async def create(self, *given: Any, **more: Any) -> Any:
        return await self._written(super().create(*given, **more))

    async def publish(self, *given: Any, **more: Any) -> Any:
        return await self._written(super().publish(*given, **more))

    async def _written(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Write, and raise what a test wants afterwards: the write has landed, its answer is lost."""
        self.writes += 1
        answer = await work
        if self.fates:
            raise self.fates.popleft()
        return answer

    async def find_title(self, scope: Scope, title: str) -> Any:
        found = await super().find_title(scope, title)
        if self.meanwhile:
            await self.meanwhile.popleft()()
        return found

    async def get(self, scope: Scope, dag_id: str) -> Any:
        self.count += 1
        found = await super().get(scope, dag_id)
        if self.after_get:
            await self.after_get.popleft()()
        return found


def _made() -> tuple[DagAccess, Reads, HandClock]:
    clock = HandClock()
    rows = MemoryStore(clock)
    store = Reads(rows)
    catalog = language_catalog(operator.spec for operator in PURE_OPERATORS)
    computations = {operator.spec.name: operator.compute for operator in PURE_OPERATORS}
    definitions = DagService(store, clock, CountingIds(), catalog)
    return (
        DagAccess(
            definitions, PlanCache(store, catalog, computations), clock, KeptAnswers(MemoryKeyStore(rows), clock)
        ),
        store,
        clock,
    )


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
        (dags.recall(NOBODY, REQUEST), "dag:create"),
        (dags.create_once(NOBODY, draft, REQUEST, shown, if_exists="refuse"), "dag:create"),
        (dags.get(NOBODY, "x"), "dag:view"),
        (dags.list(NOBODY, after=None, limit=1), "dag:list"),
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


def test_starts_at_one_time_share_one_read() -> None:
    dags, store, _ = _made()
    dag_id = _create(dags)

    async def together() -> list[str]:
        found = await asyncio.gather(*(dags.runnable(ADMINISTRATOR, dag_id, None) for _ in range(50)))
        return [one.version for one in found]

    assert ["v1.0.0"] * 50 == asyncio.run(together())
    assert 1 == store.count


def test_what_was_read_before_a_publication_is_not_kept_behind_it() -> None:
    dags, store, _ = _made()
    dag_id = _create(dags)
    draft = dags.read(ADMINISTRATOR, TEXT % (b"T", b"stopped"), "json")

    async def publish() -> None:
        await dags.create(ADMINISTRATOR, draft, if_exists="publish")

    store.after_get.append(publish)
    assert "normal" == asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None)).status
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


def _once(
    dags: DagAccess,
    *,
    title: bytes = b"T",
    version: str = "",
    request: KeyedRequest = REQUEST,
    if_exists: Literal["refuse", "publish"] = "refuse",
) -> Coroutine[Any, Any, KeptAnswer]:
    text = TEXT % (title, b"normal")
    if version:
        text = text[:-1] + b', "version": "%s", "vars": {"v": "%s"}}' % (version.encode(), version.encode())
    draft = dags.read(ADMINISTRATOR, text, "json")
    return dags.create_once(ADMINISTRATOR, draft, request, shown, if_exists=if_exists)


def test_keyed_creation_is_recalled_for_a_day_and_only_for_the_same_request() -> None:
    dags, _, clock = _made()
    assert asyncio.run(dags.recall(ADMINISTRATOR, REQUEST)) is None
    made = asyncio.run(_once(dags))
    assert (201, "hash") == (made.status, made.req_hash)
    clock.seconds += ANSWER_KEPT_S - 1
    assert made == asyncio.run(dags.recall(ADMINISTRATOR, REQUEST))
    for work in (
        dags.recall(ADMINISTRATOR, KeyedRequest("createDag", "k", "other")),
        _once(dags, request=KeyedRequest("createDag", "k", "other")),
    ):
        with pytest.raises(IdempotencyKeyReused):
            asyncio.run(work)
    clock.seconds += 1
    assert asyncio.run(dags.recall(ADMINISTRATOR, REQUEST)) is None


def test_keyed_creation_whose_commit_is_unknown_is_given_again_and_done_once() -> None:
    for if_exists in ("refuse", "publish"):
        dags, store, _ = _made()
        store.fates.append(CommitUnknown("lost"))
        made = asyncio.run(_once(dags, if_exists=if_exists))
        [row] = asyncio.run(store.list(ADMINISTRATOR, after=None, limit=10))
        assert (2, shown(row)) == (store.writes, (made.status, made.response))


def test_creation_whose_fate_stays_unknown_says_so() -> None:
    dags, store, _ = _made()
    store.fates.extend([CommitUnknown("lost")] * (TRIES_MAX + 1))
    with pytest.raises(OutcomeUnknown, match="Idempotency-Key"):
        asyncio.run(_once(dags))
    assert TRIES_MAX == store.writes
    with pytest.raises(OutcomeUnknown, match="list"):
        _create(dags, b"Other")


def test_keyed_request_that_meets_its_own_twins_work_gives_the_twins_answer() -> None:
    dags, _, _ = _made()
    asyncio.run(_once(dags, version="v1.0.0", request=KeyedRequest("createDag", "first", "h")))
    made: list[KeptAnswer] = []

    async def twin() -> None:
        made.append(await _once(dags, version="v1.1.0", if_exists="publish"))
        later = KeyedRequest("createDag", "later", "h")
        await _once(dags, version="v1.2.0", request=later, if_exists="publish")

    # The look at the key was before: what is met now is a version that is not higher than the newest.
    async def meet() -> KeptAnswer:
        await twin()
        return await _once(dags, version="v1.1.0", if_exists="publish")

    assert asyncio.run(meet()) == made[0]
    assert b"v1.1.0" in made[0].response
    with pytest.raises(DagInvalid):
        asyncio.run(_once(dags, version="v1.1.0", request=KeyedRequest("createDag", "new", "h"), if_exists="publish"))


def test_title_taken_between_look_and_insert_is_published_upon() -> None:
    dags, store, _ = _made()

    async def other() -> None:
        await dags.create(ADMINISTRATOR, dags.read(ADMINISTRATOR, TEXT % (b"T", b"normal"), "json"), if_exists="refuse")

    store.meanwhile.append(other)
    made = asyncio.run(_once(dags, if_exists="publish"))
    [row] = asyncio.run(store.list(ADMINISTRATOR, after=None, limit=10))
    assert shown(row) == (made.status, made.response)
    with pytest.raises(DagTitleTaken):
        asyncio.run(_once(dags, request=KeyedRequest("createDag", "refused", "h")))


def test_keyed_publication_is_seen_by_the_next_start() -> None:
    dags, _, _ = _made()
    dag_id = _create(dags)
    before = asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None)).version
    asyncio.run(_once(dags, version="v2.0.0", if_exists="publish"))
    after = asyncio.run(dags.runnable(ADMINISTRATOR, dag_id, None)).version
    assert ("v1.0.0", "v2.0.0") == (before, after)
