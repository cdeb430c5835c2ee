"""Drafts, versions and the end of a DAG, over the memory store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
import pytest

from core.dag.document import read_document
from core.dag.history import DRAFT_BYTES_MAX, DagHistory
from core.dag.service import CHANGE_TRIES_MAX, LIST_COUNT_MAX, DagService, Upon
from core.errors import DagChanged, DagInvalid, DagNotFound, DraftMissing
from core.ports.definition_store import DraftRow
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryDefinitionHistory, MemoryDefinitionStore, MemoryStore
from tests.dags.check import CATALOG, dag, noop
from tests.unit.dag.test_service import Source

Value = TypeVar("Value")
SCOPE = Scope("domain", Principal("alice", "key", "Alice"))
OTHER = Scope("other", Principal("bob", "key", "Bob"))


def run(work: Coroutine[Any, Any, Value]) -> Value:
    return asyncio.run(work)


class Faster(MemoryDefinitionHistory):
    """Lets others save a draft in between."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.faster: deque[bytes] = deque()

    async def save_draft(self, scope: Scope, draft: DraftRow, *, expected_revision: int) -> None:
        if self.faster:
            other = msgspec.structs.replace(draft, document=self.faster.popleft())
            await super().save_draft(scope, other, expected_revision=expected_revision)
        await super().save_draft(scope, draft, expected_revision=expected_revision)


class World:
    def __init__(self) -> None:
        source = Source()
        rows = MemoryStore(source)
        self.definitions = DagService(MemoryDefinitionStore(rows), source, source, CATALOG)
        self.store = Faster(rows)
        self.history = DagHistory(self.definitions, self.store, source)
        self.id = run(self.definitions.create(SCOPE, self.read(noop("a")))).id

    def read(self, *steps: dict[str, Any], **fields: Any) -> Any:
        return self.definitions.read(msgspec.json.encode(dag(*steps, **fields)))

    def save(self, document: Any, expected: int | None = None) -> DraftRow:
        read = read_document(msgspec.json.encode(document))
        return run(self.history.save_draft(SCOPE, self.id, read, expected_revision=expected))


def test_without_a_draft_the_newest_version_is_what_is_edited() -> None:
    world = World()
    view = run(world.history.draft(SCOPE, world.id))
    assert (0, None, dag(noop("a"))) == (view.revision, view.draft, msgspec.json.decode(view.document))
    with pytest.raises(DraftMissing):
        run(world.history.saved_draft(SCOPE, world.id))


def test_draft_with_faults_is_saved_and_publishes_nothing() -> None:
    world = World()
    row = world.save({"title": 7, "steps": "none yet"})
    view = run(world.history.draft(SCOPE, world.id))
    assert (1, row, {"steps": "none yet", "title": 7}) == (
        view.revision,
        view.draft,
        msgspec.json.decode(view.document),
    )
    assert "v1.0.0" == run(world.definitions.get(SCOPE, world.id)).version
    assert (view.document, 1) == run(world.history.saved_draft(SCOPE, world.id))


def test_published_draft_is_no_draft_any_more() -> None:
    world = World()
    world.save(dag(noop("b")))
    published = run(world.definitions.publish(SCOPE, world.id, world.read(noop("b")), Upon(draft_revision=1)))
    view = run(world.history.draft(SCOPE, world.id))
    assert ("v1.0.1", 2, None) == (published.version, view.revision, view.draft)
    assert dag(noop("b")) == msgspec.json.decode(view.document)


def test_draft_upon_another_revision_is_refused_and_upon_any_saved_again() -> None:
    world = World()
    world.save(dag(noop("b")), 0)
    with pytest.raises(DagChanged):
        world.save(dag(noop("c")), 0)
    world.store.faster.append(b"{}")
    assert 3 == world.save(dag(noop("c"))).revision
    world.store.faster.extend([b"{}"] * (CHANGE_TRIES_MAX + 1))
    with pytest.raises(DagChanged):
        world.save(dag(noop("d")))
    assert 1 == len(world.store.faster)


def test_draft_that_could_be_no_dag_is_refused() -> None:
    world = World()
    with pytest.raises(DagInvalid) as caught:
        world.save([1])
    assert ("dag.schema", "") == (caught.value.faults[0]["code"], caught.value.faults[0]["pointer"])
    document = read_document(b"{}")
    large = msgspec.structs.replace(document, value={"title": "x" * DRAFT_BYTES_MAX})
    with pytest.raises(DagInvalid, match="at most"):
        run(world.history.save_draft(SCOPE, world.id, large, expected_revision=None))
    assert 0 == run(world.history.draft(SCOPE, world.id)).revision


def test_rollback_publishes_the_old_content_under_the_name_of_today() -> None:
    world = World()
    run(world.definitions.publish(SCOPE, world.id, world.read(noop("b"), title="New", version="v2.0.0")))
    document = run(world.history.rollback_document(SCOPE, world.id, "v1.0.0"))
    row = run(world.definitions.publish(SCOPE, world.id, world.definitions.read(document)))
    assert ("v2.0.1", "New") == (row.version, row.title)
    newest = run(world.definitions.document(SCOPE, world.id))
    first = run(world.definitions.document(SCOPE, world.id, "v1.0.0"))
    assert first.content_hash == newest.content_hash
    assert dag(noop("a"), title="New") == msgspec.json.decode(newest.document)


def test_versions_are_paged_newest_first_and_their_limit_bounded() -> None:
    world = World()
    for name in ("b", "c"):
        run(world.definitions.publish(SCOPE, world.id, world.read(noop(name))))
    pages = [
        run(world.history.versions(SCOPE, world.id, before=before, limit=limit))
        for before, limit in ((None, 0), ("v1.0.2", LIST_COUNT_MAX + 1))
    ]
    assert [["v1.0.2"], ["v1.0.1", "v1.0.0"]] == [[row.version for row in page] for page in pages]


def test_removed_dag_is_not_found_by_any_use_case() -> None:
    world = World()
    with pytest.raises(DagChanged):
        run(world.history.remove(SCOPE, world.id, expected_revision=9))
    with pytest.raises(DagNotFound):
        run(world.history.remove(OTHER, world.id, expected_revision=None))
    run(world.history.remove(SCOPE, world.id, expected_revision=1))
    for work in (
        world.history.versions(SCOPE, world.id, before=None, limit=1),
        world.history.draft(SCOPE, world.id),
        world.history.saved_draft(SCOPE, world.id),
        world.history.rollback_document(SCOPE, world.id, "v1.0.0"),
        world.history.save_draft(SCOPE, world.id, read_document(b"{}"), expected_revision=0),
        world.history.remove(SCOPE, world.id, expected_revision=None),
    ):
        with pytest.raises(DagNotFound):
            run(work)
