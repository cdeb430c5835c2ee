"""Use cases of changes, drafts and versions: permissions first, and what is said when a commit's fate is unknown."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.access import dag_batch
from core.access.dag_access import DagAccess
from core.access.dag_batch import DagBatch
from core.access.kept_answers import KeptAnswers, KeyedRequest
from core.access.version_access import VersionAccess
from core.dag.document import read_document
from core.dag.history import DagHistory
from core.dag.language import language_catalog
from core.dag.service import DagService, PlanCache, Upon
from core.engine import dag_cancel
from core.engine.dag_cancel import CancelFilter, Cancelled, DagInstances
from core.engine.instance_search import InstanceQuery
from core.engine.service import InstanceService
from core.engine.state import InstanceStatus
from core.engine.views import InstanceView, InstanceViewPage
from core.errors import (
    CommitUnknown,
    DagChanged,
    DagNotFound,
    DraftMissing,
    InstanceEnded,
    InstanceNotFound,
    NodeStopping,
    NotAllowed,
    OutcomeUnknown,
)
from core.executor.pure import PURE_OPERATORS
from core.ports.definition_store import DagFilter, DagRow
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryDefinitionHistory, MemoryDefinitionStore, MemoryKeyStore, MemoryStore
from tests.unit.access.test_access import CountingIds, HandClock

ADMINISTRATOR = Scope("d", Principal("p", "key", "n", ("administrator",)))
VIEWER = Scope("d", Principal("p", "key", "n", ("viewer",)))
NOBODY = Scope("d", Principal("p", "key", "n"))
REQUEST = KeyedRequest("publishDraft", "k", "hash")


def _text(title: str = "T", step: str = "a") -> bytes:
    return msgspec.json.encode({"title": title, "steps": [{"id": step, "operator": "@time/now"}]})


class Lossy(MemoryStore):
    """Loses the answers of writes that a test names; the writes have landed."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__(clock)
        self.lost: deque[str] = deque()

    async def apply(self, name: str, transaction: Callable[[Any], Any]) -> Any:
        answer = await super().apply(name, transaction)
        if self.lost and self.lost[0] == name:
            self.lost.popleft()
            raise CommitUnknown("lost")
        return answer


class World:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.rows = Lossy(self.clock)
        store, ids = MemoryDefinitionStore(self.rows), CountingIds()
        catalog = language_catalog(operator.spec for operator in PURE_OPERATORS)
        computations = {operator.spec.name: operator.compute for operator in PURE_OPERATORS}
        definitions = DagService(store, self.clock, ids, catalog)
        answers = KeptAnswers(MemoryKeyStore(self.rows), self.clock)
        history = DagHistory(definitions, MemoryDefinitionHistory(self.rows), self.clock)
        self.dags = DagAccess(definitions, PlanCache(store, catalog, computations), self.clock, answers)
        self.versions = VersionAccess(self.dags, definitions, history, catalog, ids)
        self.batch = DagBatch(self.dags, self.versions)

    def create(self, title: str = "T") -> str:
        draft = self.dags.read(ADMINISTRATOR, _text(title), "json")
        return asyncio.run(self.dags.create(ADMINISTRATOR, draft, if_exists="refuse")).id

    def publish(self, dag_id: str, step: str) -> DagRow:
        draft = self.dags.read(ADMINISTRATOR, _text(step=step), "json", "modify")
        return asyncio.run(self.dags.publish(ADMINISTRATOR, dag_id, draft))


def test_every_use_case_asks_for_its_permission() -> None:
    world = World()
    dag_id = world.create()
    dags, versions = world.dags, world.versions
    draft = dags.read(ADMINISTRATOR, _text(), "json", "modify")
    document = read_document(_text())
    for scope, permission, works in (
        (NOBODY, "dag:view", [
            versions.versions(NOBODY, dag_id, before=None, limit=1), versions.version(NOBODY, dag_id, None),
            versions.draft(NOBODY, dag_id), dags.find(NOBODY, dag_id, "view"), world.batch.act(NOBODY, "get", [dag_id]),
        ]),
        (NOBODY, "dag:list", [
            versions.suggest_title(NOBODY, "T"), dags.find_title(NOBODY, "T"), world.batch.named(NOBODY, DagFilter()),
        ]),
        (VIEWER, "dag:modify", [
            versions.save_draft(VIEWER, dag_id, document, expected_revision=None), versions.saved_draft(VIEWER, dag_id),
            versions.rollback_document(VIEWER, dag_id, "v1.0.0"), dags.publish(VIEWER, dag_id, draft),
            dags.publish_once(VIEWER, dag_id, draft, REQUEST, lambda _: (201, b"")),
            dags.set_status(VIEWER, dag_id, "stopped"), dags.recall(VIEWER, REQUEST, "modify"),
            world.batch.act(VIEWER, "activate", [dag_id]), world.batch.act(VIEWER, "deactivate", [dag_id]),
        ]),
        (VIEWER, "dag:delete", [
            versions.remove(VIEWER, dag_id, expected_revision=None), world.batch.act(VIEWER, "delete", [dag_id]),
        ]),
    ):  # fmt: skip
        assert ADMINISTRATOR != scope
        for work in works:
            with pytest.raises(NotAllowed, match=permission):
                asyncio.run(work)
    for act in (
        lambda: dags.read(VIEWER, _text(), "json", "modify"),
        lambda: versions.read_draft(VIEWER, _text(), None),
        lambda: versions.faults(VIEWER, document),
        lambda: versions.operators(NOBODY),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert ["@control/approval", "@control/branch"] == [spec.name for spec in versions.operators(VIEWER)][:2]


def test_next_start_sees_every_change_at_once() -> None:
    world = World()
    dag_id = world.create()

    def runnable() -> tuple[str, str]:
        found = asyncio.run(world.dags.runnable(ADMINISTRATOR, dag_id, None))
        return found.version, found.status

    assert ("v1.0.0", "normal") == runnable()
    world.publish(dag_id, "b")
    assert ("v1.0.1", "normal") == runnable()
    asyncio.run(world.dags.set_status(ADMINISTRATOR, dag_id, "stopped"))
    assert ("v1.0.1", "stopped") == runnable()
    asyncio.run(world.versions.remove(ADMINISTRATOR, dag_id, expected_revision=None))
    with pytest.raises(DagNotFound):
        runnable()


def test_instance_of_a_rolled_back_dag_is_pinned_to_the_later_number() -> None:
    world = World()
    dag_id = world.create()
    world.publish(dag_id, "b")
    document = asyncio.run(world.versions.rollback_document(ADMINISTRATOR, dag_id, "v1.0.0"))
    draft = world.dags.read(ADMINISTRATOR, document, "json", "modify")
    asyncio.run(world.dags.publish(ADMINISTRATOR, dag_id, draft))
    plans = {
        version: asyncio.run(world.dags.runnable(ADMINISTRATOR, dag_id, version)).plan for version in ("v1.0.0", None)
    }
    assert ["v1.0.0", "v1.0.2"] == [plan.version for plan in plans.values()]
    assert 1 == len({plan.content_hash for plan in plans.values()})


def test_change_whose_fate_is_unknown_says_so() -> None:
    world = World()
    dag_id = world.create()
    draft = world.dags.read(ADMINISTRATOR, _text(step="b"), "json", "modify")
    document = read_document(_text())
    for name, work in (
        ("publish", lambda: world.dags.publish(ADMINISTRATOR, dag_id, draft)),
        ("publish", lambda: world.dags.set_status(ADMINISTRATOR, dag_id, "stopped")),
        ("save_draft", lambda: world.versions.save_draft(ADMINISTRATOR, dag_id, document, expected_revision=None)),
        ("remove", lambda: world.versions.remove(ADMINISTRATOR, dag_id, expected_revision=None)),
    ):
        world.rows.lost.append(name)
        with pytest.raises(OutcomeUnknown):
            asyncio.run(work())
    assert not world.rows.lost


def test_keyed_publication_of_a_draft_whose_fate_is_unknown_happens_once() -> None:
    world = World()
    dag_id = world.create()
    asyncio.run(world.versions.save_draft(ADMINISTRATOR, dag_id, read_document(_text(step="b")), expected_revision=0))
    data, revision = asyncio.run(world.versions.saved_draft(ADMINISTRATOR, dag_id))
    draft = world.dags.read(ADMINISTRATOR, data, "json", "modify")

    def once(request: KeyedRequest) -> Coroutine[Any, Any, Any]:
        upon = Upon(draft_revision=revision)
        return world.dags.publish_once(
            ADMINISTRATOR, dag_id, draft, request, lambda row: (201, row.version.encode()), upon
        )

    world.rows.lost.append("publish")
    kept = asyncio.run(once(REQUEST))
    assert (201, b"v1.0.1") == (kept.status, kept.response)
    with pytest.raises(DraftMissing):
        asyncio.run(world.versions.saved_draft(ADMINISTRATOR, dag_id))
    assert kept == asyncio.run(once(REQUEST))
    with pytest.raises(DagChanged):
        asyncio.run(once(KeyedRequest("publishDraft", "other", "hash")))


def test_faults_of_a_draft_are_listed_and_none_is_an_empty_list() -> None:
    versions = World().versions
    document = versions.read_draft(ADMINISTRATOR, b'{"title": "T"}', None)
    assert ["dag.schema"] == [fault["code"] for fault in versions.faults(ADMINISTRATOR, document)]
    assert [] == list(versions.faults(ADMINISTRATOR, read_document(_text())))


def test_title_that_is_free_for_certain_comes_last() -> None:
    world = World()
    world.create()
    for number in range(2, 21):
        world.create(f"T {number}")
    assert "T " == asyncio.run(world.versions.suggest_title(ADMINISTRATOR, "T"))[:2]
    assert "U" == asyncio.run(world.versions.suggest_title(ADMINISTRATOR, "U"))


def test_filter_that_names_more_than_a_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_batch, "PAGE_ROWS_MAX", 2)
    world = World()
    ids = [world.create(title) for title in ("A", "B")]
    assert (ids, True) == asyncio.run(world.batch.named(ADMINISTRATOR, DagFilter()))
    assert (ids[:1], False) == asyncio.run(world.batch.named(ADMINISTRATOR, DagFilter(text="a")))


class Instances(InstanceService):
    """Instances in a list; what a test says happens to those that are told to end."""

    def __init__(self, statuses: Sequence[tuple[str, str]]) -> None:
        self.statuses = dict(statuses)
        self.fates: dict[str, Exception] = {}
        self.told: list[str] = []
        self.asked: list[InstanceQuery] = []
        self.walked = 100

    async def list(
        self, scope: Scope, query: InstanceQuery, *, before: str | None = None, limit: int
    ) -> InstanceViewPage:
        del scope
        self.asked.append(query)
        looked_at = sorted((one for one in self.statuses if one < (before or "~")), reverse=True)
        walked = looked_at[: self.walked]
        ids = [one for one in walked if self.statuses[one] == query.status][:limit]
        at = "2026-01-31T08:30:01.000Z"
        shown: dict[str, Any] = {"status": "running", "trigger": "manual"}
        items = [
            InstanceView(id=one, dag_id="d", version="v1.0.0", created_at=at, updated_at=at, **shown) for one in ids
        ]
        is_cut = len(walked) < len(looked_at)
        return InstanceViewPage(tuple(items), ids[-1] if len(ids) == limit else walked[-1] if is_cut else None)

    async def tell(self, scope: Scope, instance_id: str, how: Any, reason: str) -> InstanceStatus:
        del scope, how, reason
        if instance_id in self.fates:
            raise self.fates[instance_id]
        self.told.append(instance_id)
        return InstanceStatus.CANCELLING


def test_cancel_of_a_dag_goes_on_over_pages_and_past_what_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_cancel, "_PAGE_ROWS", 2)
    world = World()
    dag_id = world.create()
    instances = Instances([(f"r{n}", "running") for n in range(5)] + [("q0", "queued"), ("c0", "cancelling")])
    instances.fates = {"r1": InstanceEnded("ended"), "r2": InstanceNotFound("gone")}
    of_dag = DagInstances(world.dags, instances)
    assert Cancelled(4, has_more=False) == asyncio.run(of_dag.cancel(ADMINISTRATOR, dag_id, "why"))
    assert ["q0", "r0", "r3", "r4"] == sorted(instances.told)


def test_cancel_of_a_dag_goes_on_over_pages_that_end_short() -> None:
    world = World()
    dag_id = world.create()
    instances = Instances([("r0", "running"), *((f"s{n}", "succeeded") for n in range(5)), ("t0", "running")])
    instances.walked = 1
    of_dag = DagInstances(world.dags, instances)
    assert Cancelled(2, has_more=False) == asyncio.run(of_dag.cancel(ADMINISTRATOR, dag_id, "why"))
    assert ["t0", "r0"] == instances.told


def test_cancel_of_a_dag_is_bounded_and_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_cancel, "_PAGE_ROWS", 2)
    monkeypatch.setattr(dag_cancel, "CANCEL_COUNT_MAX", 4)
    world = World()
    dag_id = world.create()
    instances = Instances([(f"r{n}", "running") for n in range(5)])
    of_dag = DagInstances(world.dags, instances)
    assert Cancelled(4, has_more=True) == asyncio.run(of_dag.cancel(ADMINISTRATOR, dag_id, "why"))
    instances.fates = {"r4": NodeStopping("stopping")}
    with pytest.raises(NodeStopping):
        asyncio.run(of_dag.cancel(ADMINISTRATOR, dag_id, "why"))
    with pytest.raises(DagNotFound):
        asyncio.run(of_dag.cancel(ADMINISTRATOR, "nothing", "why"))
    with pytest.raises(NotAllowed, match="instance:modify"):
        asyncio.run(of_dag.cancel(VIEWER, dag_id, "why"))


def test_cancel_in_a_filter_asks_for_those_alone_and_a_dry_run_tells_nobody() -> None:
    world = World()
    dag_id = world.create()
    instances = Instances([("r0", "running"), ("r1", "running"), ("q0", "queued"), ("c0", "cancelling")])
    of_dag = DagInstances(world.dags, instances)
    at = datetime(2026, 1, 31, tzinfo=UTC)
    chosen = CancelFilter(
        status=InstanceStatus.QUEUED, version="v1.0.0", created_from=at, created_to=at, trigger="manual",
        labels={"region": "eu"},
    )  # fmt: skip
    assert Cancelled(3, has_more=False) == asyncio.run(of_dag.cancel(ADMINISTRATOR, dag_id, "why", is_dry_run=True))
    assert [] == instances.told
    instances.asked.clear()
    assert Cancelled(1, has_more=False) == asyncio.run(of_dag.cancel(ADMINISTRATOR, dag_id, "why", chosen))
    assert ["q0"] == instances.told
    told = [(one.version, one.created_from, one.created_to, one.trigger, one.labels) for one in instances.asked]
    assert [("v1.0.0", at, at, "manual", {"region": "eu"})] == told
    ended = CancelFilter(status=InstanceStatus.FAILED)
    assert Cancelled(0, has_more=False) == asyncio.run(of_dag.cancel(ADMINISTRATOR, dag_id, "why", ended))
