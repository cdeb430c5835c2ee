"""Definitions: what is stored when, and which plan an instance gets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest

from core.dag.plan import Plan
from core.dag.service import CHANGE_TRIES_MAX, LIST_COUNT_MAX, PLANS_COUNT_MAX, DagService, PlanCache, Upon
from core.dag.version import (
    canonical_document,
    content_hash,
    content_of,
    described,
    next_patch,
    version_numbers,
)
from core.errors import DagChanged, DagInvalid, DagNotFound, DagTitleTaken, DagUndecodable, DagVersionTaken
from core.ports.definition_store import EVERY_DAG, DagFilter, DagPlace, DagRow, VersionRow, place_of
from core.ports.key_store import KeptAnswer, NewAnswer
from core.ports.scope import Principal, Scope
from tests.dags.check import CATALOG, dag, noop
from tests.problems.corpus import cases, differences

Value = TypeVar("Value")
SCOPE = Scope("domain", Principal("alice", "key", "Alice"))
OTHER = Scope("other", Principal("bob", "key", "Bob"))


def run(work: Coroutine[Any, Any, Value]) -> Value:
    return asyncio.run(work)


class Definitions:
    """A store of definitions in two dictionaries, with the port's errors."""

    def __init__(self) -> None:
        self.dags: dict[tuple[str, str], DagRow] = {}
        self.versions: list[VersionRow] = []
        self.answers: dict[str, KeptAnswer] = {}
        self.reads = 0
        self.faster: deque[Exception] = deque()

    async def create(
        self, scope: Scope, dag: DagRow, version: VersionRow, *, answer: NewAnswer | None = None
    ) -> KeptAnswer | None:
        if answer is not None and answer.key in self.answers:
            return self.answers[answer.key]
        if await self.find_title(scope, dag.title):
            raise DagTitleTaken(dag.title)
        self.versions.append(version)
        self._keep(answer)
        self.dags[scope.domain_id, dag.id] = dag
        return None

    async def publish(
        self,
        scope: Scope,
        dag: DagRow,
        version: VersionRow | None,
        *,
        answer: NewAnswer | None = None,
        expected_revision: int | None = None,
        draft_revision: int | None = None,
    ) -> KeptAnswer | None:
        assert draft_revision is None
        if self.faster:
            raise self.faster.popleft()
        assert expected_revision in (None, self.dags[scope.domain_id, dag.id].revision)
        if answer is not None and answer.key in self.answers:
            return self.answers[answer.key]
        self._keep(answer)
        self.dags[scope.domain_id, dag.id] = dag
        if version is not None:
            self.versions.append(version)
        return None

    def _keep(self, answer: NewAnswer | None) -> None:
        if answer is not None:
            self.answers[answer.key] = KeptAnswer(answer.req_hash, answer.status, answer.response)

    async def get(self, scope: Scope, dag_id: str) -> DagRow | None:
        return self.dags.get((scope.domain_id, dag_id))

    async def find_title(self, scope: Scope, title: str) -> DagRow | None:
        rows = (row for (domain, _), row in self.dags.items() if domain == scope.domain_id and row.title == title)
        return next(rows, None)

    async def list(
        self, scope: Scope, *, after: DagPlace | None, limit: int, chosen: DagFilter = EVERY_DAG, offset: int = 0
    ) -> list[DagRow]:
        assert (EVERY_DAG, 0) == (chosen, offset)
        start = "" if after is None else after.id
        rows = sorted(row.id for (domain, _), row in self.dags.items() if domain == scope.domain_id and row.id > start)
        return [self.dags[scope.domain_id, one] for one in rows[:limit]]

    async def version(self, scope: Scope, dag_id: str, version: str | None) -> VersionRow | None:
        found = [row for row in self.versions if (row.domain_id, row.dag_id) == (scope.domain_id, dag_id)]
        named = [row for row in found if version in (None, row.version)]
        return named[-1] if named else None

    async def by_hash(self, domain_id: str, dag_id: str, content_hash: str) -> VersionRow | None:
        self.reads += 1
        wanted = (domain_id, dag_id, content_hash)
        return next((row for row in self.versions if (row.domain_id, row.dag_id, row.content_hash) == wanted), None)


class Source:
    """Ids in order, and a clock that goes on by a second with every question."""

    def __init__(self) -> None:
        self.count = 0

    def new_id(self) -> str:
        self.count += 1
        return f"dag-{self.count}"

    def now(self) -> datetime:
        self.count += 1
        return datetime(2026, 1, 31, tzinfo=UTC) + timedelta(seconds=self.count)

    def monotonic(self) -> float:
        return float(self.count)

    async def sleep_until(self, monotonic_at: float) -> None:
        self.count = int(monotonic_at)


def service(store: Definitions) -> DagService:
    source = Source()
    return DagService(store, source, source, CATALOG)


def text(*steps: dict[str, Any], **fields: Any) -> bytes:
    return msgspec.json.encode(dag(*(steps or (noop("a"),)), **fields))


def test_created_dag_is_published_as_first_version_or_the_one_named() -> None:
    store = Definitions()
    definitions = service(store)
    row = run(definitions.create(SCOPE, definitions.read(text(tags=["x"], description="d"))))
    assert ("v1.0.0", "T", ("x",), "d", "domain") == (row.version, row.title, row.tags, row.description, row.domain_id)
    assert row.created_at == row.updated_at
    assert "v3.1.4" == run(definitions.create(SCOPE, definitions.read(text(title="U", version="v3.1.4")))).version
    version = run(definitions.document(SCOPE, row.id))
    assert ("alice", row.content_hash) == (version.published_by, version.content_hash)
    assert canonical_document(dag(noop("a"), tags=["x"], description="d")) == version.document


def test_document_with_a_fault_stores_nothing() -> None:
    store = Definitions()
    definitions = service(store)
    with pytest.raises(DagInvalid):
        run(definitions.create(SCOPE, definitions.read(text(noop("a-b")))))
    with pytest.raises(DagUndecodable):
        run(definitions.apply(SCOPE, definitions.read(b"\xff")))
    assert ({}, []) == (store.dags, store.versions)


def test_validate_gives_faults_and_nothing_for_a_right_document() -> None:
    definitions = service(Definitions())
    assert [] == list(definitions.validate(text()))
    assert ["dag.schema"] == [fault["code"] for fault in definitions.validate(b"title: T\n")]
    assert ["dag.syntax"] == [fault["code"] for fault in definitions.validate(b"{", "json")]


def test_second_dag_with_the_title_is_refused_in_the_domain_only() -> None:
    definitions = service(Definitions())
    run(definitions.create(SCOPE, definitions.read(text())))
    run(definitions.create(OTHER, definitions.read(text())))
    with pytest.raises(DagTitleTaken):
        run(definitions.create(SCOPE, definitions.read(text())))


def test_changed_content_makes_the_next_patch_or_the_version_named() -> None:
    definitions = service(Definitions())
    first = run(definitions.create(SCOPE, definitions.read(text())))
    second = run(definitions.publish(SCOPE, first.id, definitions.read(text(noop("b")))))
    third = run(definitions.publish(SCOPE, first.id, definitions.read(text(noop("c"), version="v2.0.0"))))
    assert ["v1.0.0", "v1.0.1", "v2.0.0"] == [first.version, second.version, third.version]
    assert first.created_at == third.created_at
    assert "v1.0.1" == run(definitions.document(SCOPE, first.id, "v1.0.1")).version


def test_equal_content_makes_no_version_but_takes_the_other_fields() -> None:
    store = Definitions()
    definitions = service(store)
    first = run(definitions.create(SCOPE, definitions.read(text())))
    stopped = run(
        definitions.publish(SCOPE, first.id, definitions.read(text(status="stopped", title="New", version="v1.0.0")))
    )
    assert ("v1.0.0", "stopped", "New") == (stopped.version, stopped.status, stopped.title)
    assert 1 == len(store.versions)
    again = run(definitions.publish(SCOPE, first.id, definitions.read(text(status="stopped", title="New"))))
    assert stopped == again


@pytest.mark.parametrize("version", ["v1.4.0", "v1.3.99", "v0.9.9"])
def test_version_that_is_not_higher_is_a_fault(version: str) -> None:
    definitions = service(Definitions())
    row = run(definitions.create(SCOPE, definitions.read(text(version="v1.4.0"))))
    with pytest.raises(DagInvalid) as caught:
        run(definitions.publish(SCOPE, row.id, definitions.read(text(noop("b"), version=version))))
    assert ("dag.version", "/version") == (caught.value.faults[0]["code"], caught.value.faults[0]["pointer"])


@pytest.mark.parametrize("name", [name for name, case in cases().items() if case.published is not None])
def test_published_version_gives_the_problem_written_for_it(name: str) -> None:
    case = cases()[name]
    definitions = service(Definitions())
    run(definitions.create(SCOPE, definitions.read(text(noop("before"), version=case.published))))
    with pytest.raises(DagInvalid) as caught:
        run(definitions.apply(SCOPE, definitions.read(case.data(), case.format)))
    pairs = zip(case.errors, caught.value.faults, strict=True)
    assert [] == [said for expected, fault in pairs for said in differences(expected, dict(fault))]


def test_apply_creates_then_changes_nothing_then_publishes() -> None:
    store = Definitions()
    definitions = service(store)
    created = run(definitions.apply(SCOPE, definitions.read(text())))
    assert created == run(definitions.apply(SCOPE, definitions.read(text())))
    changed = run(definitions.apply(SCOPE, definitions.read(text(noop("b")))))
    assert (created.id, "v1.0.1") == (changed.id, changed.version)
    assert created.id == (run(definitions.find(SCOPE, "T")) or changed).id


def answer_of(row: DagRow) -> NewAnswer:
    return NewAnswer(
        route="createDag", key="k", req_hash="h", status=201, response=row.version.encode(), at=row.updated_at,
        expires_at=row.updated_at + timedelta(hours=24),
    )  # fmt: skip


def test_work_of_a_key_is_done_once_and_its_answer_given_again() -> None:
    store = Definitions()
    definitions = service(store)
    draft, changed = definitions.read(text()), definitions.read(text(noop("b")))
    created = run(definitions.create_once(SCOPE, draft, answer_of))
    assert isinstance(created, DagRow)
    assert ("v1.0.0", created) == (created.version, run(definitions.get(SCOPE, created.id)))
    kept = KeptAnswer("h", 201, b"v1.0.0")
    assert [kept, kept, kept] == [
        run(definitions.create_once(SCOPE, changed, answer_of)),
        run(definitions.apply_once(SCOPE, changed, answer_of)),
        run(definitions.apply_once(SCOPE, definitions.read(text(title="U")), answer_of)),
    ]
    assert 1 == len(store.versions)


def test_first_use_of_a_key_publishes_or_finds_nothing_to_publish() -> None:
    definitions = service(Definitions())
    created = run(definitions.create(SCOPE, definitions.read(text())))
    assert created == run(definitions.apply_once(SCOPE, definitions.read(text()), answer_of))
    other = service(Definitions())
    run(other.create(SCOPE, other.read(text())))
    published = run(other.apply_once(SCOPE, other.read(text(noop("b"))), answer_of))
    assert isinstance(published, DagRow)
    assert "v1.0.1" == published.version


def test_missing_dag_or_version_is_not_found() -> None:
    definitions = service(Definitions())
    row = run(definitions.create(SCOPE, definitions.read(text())))
    assert row == run(definitions.get(SCOPE, row.id))
    for work in (
        definitions.get(OTHER, row.id),
        definitions.document(OTHER, row.id),
        definitions.document(SCOPE, row.id, "v9.0.0"),
        definitions.publish(OTHER, row.id, definitions.read(text())),
    ):
        with pytest.raises(DagNotFound):
            run(work)


def test_list_is_paged_and_its_limit_bounded() -> None:
    definitions = service(Definitions())
    for number in range(3):
        run(definitions.create(SCOPE, definitions.read(text(title=f"T{number}"))))
    assert ["T0", "T1"] == [row.title for row in run(definitions.list(SCOPE, limit=2))]
    after = place_of(run(definitions.list(SCOPE, limit=0))[0])
    assert ["T1", "T2"] == [row.title for row in run(definitions.list(SCOPE, after=after, limit=LIST_COUNT_MAX + 1))]


def test_s45_content_hash_leaves_out_what_does_not_run() -> None:
    same = dag(noop("a"), description="x", tags=["y"], status="stopped", version="v9.0.0", change_log="z")
    assert content_hash(dag(noop("a"))) == content_hash(same | {"title": "Other", "$schema": "here"})
    assert content_hash(dag(noop("a"))) == content_hash({"steps": [dict(reversed(noop("a").items()))], "title": "T"})
    assert content_hash(dag(noop("a"))) != content_hash(dag(noop("a"), vars={}))


def test_versions_compare_by_numbers() -> None:
    assert (1, 10, 0) == version_numbers("v1.10.0") > version_numbers("v1.9.99")
    assert "v1.2.4" == next_patch("v1.2.3")
    with pytest.raises(ValueError, match=r"1\.2\.3"):
        version_numbers("1.2.3")


def test_plan_is_compiled_once_per_version() -> None:
    store = Definitions()
    row = run(service(store).create(SCOPE, service(store).read(text())))
    cache = PlanCache(store, CATALOG, {})
    first = run(cache.get("domain", row.id, row.content_hash))
    assert first is run(cache.get("domain", row.id, row.content_hash))
    assert (1, row.content_hash, "v1.0.0", row.id) == (store.reads, first.content_hash, first.version, first.dag_id)


def test_plan_of_another_domain_or_hash_is_not_found() -> None:
    store = Definitions()
    row = run(service(store).create(SCOPE, service(store).read(text())))
    cache = PlanCache(store, CATALOG, {})
    for domain, digest in (("other", row.content_hash), ("domain", "0" * 64)):
        with pytest.raises(DagNotFound):
            run(cache.get(domain, row.id, digest))


def test_plan_asked_for_least_recently_is_dropped_when_there_are_too_many() -> None:
    store = Definitions()
    definitions = service(store)
    rows = [
        run(definitions.create(SCOPE, definitions.read(text(title=f"T{number}"))))
        for number in range(PLANS_COUNT_MAX + 1)
    ]
    plan = run(PlanCache(store, CATALOG, {}).get("domain", rows[0].id, rows[0].content_hash))
    compiled: list[str] = []

    def counted(*_: Any, dag_id: str, **__: Any) -> Plan:
        compiled.append(dag_id)
        return plan

    cache = PlanCache(store, CATALOG, {}, compiled=counted)
    for row in [*rows[:PLANS_COUNT_MAX], rows[0], rows[-1], rows[0], rows[1]]:
        run(cache.get("domain", row.id, row.content_hash))
    assert [row.id for row in [*rows, rows[1]]] == compiled


def test_change_upon_another_state_is_refused_and_upon_any_state_done_again() -> None:
    store = Definitions()
    definitions = service(store)
    row = run(definitions.create(SCOPE, definitions.read(text())))
    second = run(definitions.publish(SCOPE, row.id, definitions.read(text(noop("b"))), Upon(revision=1)))
    assert (1, 2, "v1.0.1") == (row.revision, second.revision, second.version)
    with pytest.raises(DagChanged):
        run(definitions.publish(SCOPE, row.id, definitions.read(text(noop("c"))), Upon(revision=1)))
    store.faster.extend([DagChanged("lost"), DagVersionTaken("lost")])
    assert "v1.0.2" == run(definitions.publish(SCOPE, row.id, definitions.read(text(noop("c"))))).version


def test_change_that_always_comes_too_late_is_given_up() -> None:
    store = Definitions()
    definitions = service(store)
    row = run(definitions.create(SCOPE, definitions.read(text())))
    store.faster.extend([DagChanged("lost")] * (CHANGE_TRIES_MAX + 1))
    with pytest.raises(DagChanged):
        run(definitions.set_status(SCOPE, row.id, "stopped"))
    assert 1 == len(store.faster)


def test_status_is_set_once_and_makes_no_version() -> None:
    store = Definitions()
    definitions = service(store)
    row = run(definitions.create(SCOPE, definitions.read(text())))
    stopped = run(definitions.set_status(SCOPE, row.id, "stopped"))
    assert ("stopped", 2, "v1.0.0") == (stopped.status, stopped.revision, stopped.version)
    assert stopped == run(definitions.set_status(SCOPE, row.id, "stopped"))
    assert 1 == len(store.versions)


def test_keyed_publication_is_done_once() -> None:
    store = Definitions()
    definitions = service(store)
    row = run(definitions.create(SCOPE, definitions.read(text())))
    draft = definitions.read(text(noop("b")))
    made = run(definitions.publish_once(SCOPE, row.id, draft, answer_of))
    assert isinstance(made, DagRow)
    again = run(definitions.publish_once(SCOPE, row.id, draft, answer_of))
    assert KeptAnswer("h", 201, b"v1.0.1") == again


def test_document_is_shown_with_the_description_of_today() -> None:
    definitions = service(Definitions())
    row = run(definitions.create(SCOPE, definitions.read(text(tags=["x"], version="v1.2.0", change_log="c"))))
    document = run(definitions.document(SCOPE, row.id)).document
    assert document is described(document, row)
    later = msgspec.structs.replace(row, title="New", description="", tags=(), status="stopped")
    shown = msgspec.json.decode(described(document, later))
    assert dag(noop("a"), title="New", tags=[], status="stopped", version="v1.2.0", change_log="c") == shown
    assert dag(noop("a"), title="New", tags=[], status="stopped") == msgspec.json.decode(content_of(document, later))
    tagged = msgspec.structs.replace(row, tags=("x", "y"), description="d")
    assert ["x", "y"] == msgspec.json.decode(described(document, tagged))["tags"]
    assert "status" not in msgspec.json.decode(described(document, tagged))
