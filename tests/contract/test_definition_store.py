"""DefinitionStore and DefinitionHistory: DAGs, drafts and immutable versions within one business domain, over every adapter."""

from __future__ import annotations

import pytest

from core.errors import DagChanged, DagNotFound, DagTitleTaken, DagVersionTaken
from core.ports.definition_store import DagFilter, DagRow, DraftRow, VersionHead, place_of
from tests.contract.rows import NOON, OTHER_SCOPE, SCOPE, dag_row, later, version_row
from tests.contract.stores import Stores


async def test_created_dag_reads_back_equal(stores: Stores) -> None:
    dag, version = dag_row("d1", "Sum up"), version_row("d1")
    await stores.definitions.create(SCOPE, dag, version)

    assert dag == await stores.definitions.get(SCOPE, "d1")
    assert dag == await stores.definitions.find_title(SCOPE, "Sum up")
    assert version == await stores.definitions.version(SCOPE, "d1", None)
    assert version == await stores.definitions.version(SCOPE, "d1", "v1.0.0")
    assert version == await stores.definitions.by_hash("dom-a", "d1", "hash-v1.0.0")


async def test_title_in_use_is_refused_and_nothing_stored(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    with pytest.raises(DagTitleTaken):
        await stores.definitions.create(SCOPE, dag_row("d2", "Sum up"), version_row("d2"))

    assert await stores.definitions.get(SCOPE, "d2") is None
    assert await stores.definitions.version(SCOPE, "d2", "v1.0.0") is None


async def test_title_of_another_domain_is_free(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.definitions.create(OTHER_SCOPE, dag_row("d2", "Sum up"), version_row("d2"))
    found = await stores.definitions.find_title(OTHER_SCOPE, "Sum up")

    assert found is not None
    assert ("d2", "dom-b") == (found.id, found.domain_id)


async def test_published_version_is_the_newest_and_the_old_one_stays(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    newer = dag_row("d1", "Add up", "v1.1.0", status="stopped", created_at=later(9), updated_at=later(9))
    await stores.definitions.publish(SCOPE, newer, version_row("d1", "v1.1.0", document=b"{}"))
    dag = await stores.definitions.get(SCOPE, "d1")
    newest = await stores.definitions.version(SCOPE, "d1", None)

    assert dag is not None
    assert newest is not None
    assert ("Add up", "v1.1.0", "stopped", NOON, later(9)) == (
        dag.title,
        dag.version,
        dag.status,
        dag.created_at,
        dag.updated_at,
    )
    assert ("v1.1.0", b"{}") == (newest.version, newest.document)
    assert version_row("d1") == await stores.definitions.version(SCOPE, "d1", "v1.0.0")
    assert version_row("d1") == await stores.definitions.by_hash("dom-a", "d1", "hash-v1.0.0")


async def test_publication_under_the_same_title_keeps_it(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.definitions.publish(SCOPE, dag_row("d1", "Sum up", "v1.0.1"), version_row("d1", "v1.0.1"))
    found = await stores.definitions.find_title(SCOPE, "Sum up")

    assert found is not None
    assert ("d1", "v1.0.1") == (found.id, found.version)


async def test_renamed_dag_frees_its_old_title(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.definitions.publish(SCOPE, dag_row("d1", "Add up", "v2.0.0"), version_row("d1", "v2.0.0"))

    assert await stores.definitions.find_title(SCOPE, "Sum up") is None
    await stores.definitions.create(SCOPE, dag_row("d2", "Sum up"), version_row("d2"))


async def test_publication_under_another_dags_title_is_refused(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.definitions.create(SCOPE, dag_row("d2", "Add up"), version_row("d2"))
    with pytest.raises(DagTitleTaken):
        await stores.definitions.publish(SCOPE, dag_row("d2", "Sum up", "v1.0.1"), version_row("d2", "v1.0.1"))

    assert dag_row("d2", "Add up") == await stores.definitions.get(SCOPE, "d2")
    assert await stores.definitions.version(SCOPE, "d2", "v1.0.1") is None


async def test_version_published_by_another_first_is_refused(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    with pytest.raises(DagVersionTaken):
        await stores.definitions.publish(SCOPE, dag_row("d1", "Other"), version_row("d1", document=b"other"))

    assert version_row("d1") == await stores.definitions.version(SCOPE, "d1", None)


@pytest.mark.parametrize("dag_id", ["d1", "d9"])
async def test_publication_outside_the_domain_finds_no_dag(stores: Stores, dag_id: str) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    with pytest.raises(DagNotFound):
        await stores.definitions.publish(OTHER_SCOPE, dag_row(dag_id, "Mine", "v2.0.0"), version_row(dag_id, "v2.0.0"))


async def test_dag_of_another_domain_answers_like_a_missing_one(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))

    assert await stores.definitions.get(OTHER_SCOPE, "d1") is None
    assert await stores.definitions.find_title(OTHER_SCOPE, "Sum up") is None
    assert [] == list(await stores.definitions.list(OTHER_SCOPE, after=None, limit=10))
    assert await stores.definitions.version(OTHER_SCOPE, "d1", None) is None
    assert await stores.definitions.version(OTHER_SCOPE, "d1", "v1.0.0") is None
    assert await stores.definitions.by_hash("dom-b", "d1", "hash-v1.0.0") is None


async def test_unknown_version_or_hash_gives_none(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))

    assert await stores.definitions.version(SCOPE, "d1", "v9.9.9") is None
    assert await stores.definitions.version(SCOPE, "d9", None) is None
    assert await stores.definitions.by_hash("dom-a", "d1", "no such hash") is None


async def test_dags_page_ascending_by_id(stores: Stores) -> None:
    for name in ("d3", "d1", "d2"):
        await stores.definitions.create(SCOPE, dag_row(name, name), version_row(name))
    first = await stores.definitions.list(SCOPE, after=None, limit=2)
    rest = await stores.definitions.list(SCOPE, after=place_of(first[-1]), limit=2)

    assert (["d1", "d2"], ["d3"]) == ([row.id for row in first], [row.id for row in rest])
    with pytest.raises(ValueError, match="0"):
        await stores.definitions.list(SCOPE, after=None, limit=0)


async def test_row_replaced_without_a_version_keeps_the_versions(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.definitions.publish(SCOPE, dag_row("d1", "Add up", status="stopped", updated_at=later(9)), None)
    dag = await stores.definitions.get(SCOPE, "d1")

    assert dag is not None
    assert ("Add up", "stopped", "v1.0.0", later(9)) == (dag.title, dag.status, dag.version, dag.updated_at)
    assert version_row("d1") == await stores.definitions.version(SCOPE, "d1", None)
    assert await stores.definitions.find_title(SCOPE, "Sum up") is None


async def test_row_replaced_without_a_version_does_not_take_a_newer_version_back(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.definitions.publish(SCOPE, dag_row("d1", "Sum up", "v1.1.0"), version_row("d1", "v1.1.0"))
    await stores.definitions.publish(SCOPE, dag_row("d1", "Add up", "v1.0.0"), None)
    dag = await stores.definitions.get(SCOPE, "d1")

    assert dag is not None
    assert ("Add up", "v1.1.0", "hash-v1.1.0") == (dag.title, dag.version, dag.content_hash)


async def test_revision_counts_every_change_and_a_change_upon_another_one_is_refused(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up", revision=7), version_row("d1"))
    await stores.definitions.publish(SCOPE, dag_row("d1", "Sum"), None, expected_revision=1)
    newer = dag_row("d1", "Sum", "v1.1.0")
    await stores.definitions.publish(SCOPE, newer, version_row("d1", "v1.1.0"), expected_revision=2)
    for version in (None, version_row("d1", "v1.2.0")):
        with pytest.raises(DagChanged):
            await stores.definitions.publish(SCOPE, dag_row("d1", "X", "v1.2.0"), version, expected_revision=2)
    dag = await stores.definitions.get(SCOPE, "d1")

    assert dag is not None
    assert (3, "Sum", "v1.1.0") == (dag.revision, dag.title, dag.version)


async def test_dags_are_filtered_and_sorted_and_pages_lose_none(stores: Stores) -> None:
    rows = [
        dag_row("d1", "Sum of Ä", tags=("a", "b"), updated_at=later(3)),
        dag_row("d2", "add up SUMS", tags=("b",), status="stopped", updated_at=later(1)),
        dag_row("d3", "Greet", tags=("ab",), updated_at=later(2)),
        dag_row("d4", "100%", updated_at=later(2)),
    ]
    for row in rows:
        await stores.definitions.create(SCOPE, row, version_row(row.id))
    for chosen, expected in (
        (DagFilter(), "d1 d2 d3 d4"),
        (DagFilter(is_descending=True), "d4 d3 d2 d1"),
        (DagFilter(sort="title"), "d4 d3 d1 d2"),
        (DagFilter(sort="title", is_descending=True), "d2 d1 d3 d4"),
        (DagFilter(sort="updated_at"), "d2 d3 d4 d1"),
        (DagFilter(sort="updated_at", is_descending=True), "d1 d4 d3 d2"),
        (DagFilter(text="sUm"), "d1 d2"),
        (DagFilter(text="ä"), ""),
        (DagFilter(text="0%"), "d4"),
        (DagFilter(tag="b"), "d1 d2"),
        (DagFilter(tag="b", status="stopped"), "d2"),
        (DagFilter(status="active", sort="title"), "d4 d3 d1"),
    ):
        assert expected.split() == await _paged(stores, chosen)
        offset = await stores.definitions.list(SCOPE, after=None, limit=2, chosen=chosen, offset=1)
        assert expected.split()[1:3] == [row.id for row in offset]


async def _paged(stores: Stores, chosen: DagFilter) -> list[str]:
    found: list[DagRow] = []
    while True:
        after = place_of(found[-1]) if found else None
        page = await stores.definitions.list(SCOPE, after=after, limit=1, chosen=chosen)
        if not page:
            return [row.id for row in found]
        found += page


async def test_versions_page_newest_first_without_their_documents(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up", "v1.9.0"), version_row("d1", "v1.9.0"))
    for version in ("v1.10.0", "v2.0.0"):
        await stores.definitions.publish(SCOPE, dag_row("d1", "Sum up", version), version_row("d1", version))
    first = await stores.history.versions(SCOPE, "d1", before=None, limit=2)
    rest = await stores.history.versions(SCOPE, "d1", before="v1.10.0", limit=2)

    assert (["v2.0.0", "v1.10.0"], ["v1.9.0"]) == ([row.version for row in first], [row.version for row in rest])
    assert VersionHead is type(rest[0])
    assert [] == list(await stores.history.versions(SCOPE, "d1", before="v9.9.9", limit=2))
    assert [] == list(await stores.history.versions(OTHER_SCOPE, "d1", before=None, limit=2))
    with pytest.raises(ValueError, match="0"):
        await stores.history.versions(SCOPE, "d1", before=None, limit=0)


async def test_saved_draft_reads_back_and_one_upon_another_revision_is_refused(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    assert await stores.history.draft(SCOPE, "d1") is None
    await stores.history.save_draft(SCOPE, draft_row(document=b"one"), expected_revision=0)
    await stores.history.save_draft(SCOPE, draft_row(document=b"two"), expected_revision=1)
    for revision in (0, 1, 3):
        with pytest.raises(DagChanged):
            await stores.history.save_draft(SCOPE, draft_row(document=b"three"), expected_revision=revision)

    assert draft_row(document=b"two", revision=2) == await stores.history.draft(SCOPE, "d1")
    assert await stores.history.draft(OTHER_SCOPE, "d1") is None
    with pytest.raises(DagNotFound):
        await stores.history.save_draft(OTHER_SCOPE, draft_row(), expected_revision=2)


async def test_published_draft_is_gone_and_its_revision_goes_on(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.history.save_draft(SCOPE, draft_row(document=b"one"), expected_revision=0)
    newer, version = dag_row("d1", "Sum up", "v1.1.0"), version_row("d1", "v1.1.0")
    for revision in (0, 2):
        with pytest.raises(DagChanged):
            await stores.definitions.publish(SCOPE, newer, version, draft_revision=revision)
    assert await stores.definitions.version(SCOPE, "d1", "v1.1.0") is None
    await stores.definitions.publish(SCOPE, newer, version, draft_revision=1)

    assert draft_row(document=None, revision=2) == await stores.history.draft(SCOPE, "d1")
    assert version == await stores.definitions.version(SCOPE, "d1", None)


async def test_publication_of_a_draft_that_never_was_is_refused(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    with pytest.raises(DagChanged):
        await stores.definitions.publish(SCOPE, dag_row("d1", "Sum up"), None, draft_revision=1)


async def test_removed_dag_is_gone_but_for_instances_that_are_pinned_to_it(stores: Stores) -> None:
    await stores.definitions.create(SCOPE, dag_row("d1", "Sum up"), version_row("d1"))
    await stores.history.save_draft(SCOPE, draft_row(), expected_revision=0)
    with pytest.raises(DagChanged):
        await stores.history.remove(SCOPE, "d1", expected_revision=2)
    with pytest.raises(DagNotFound):
        await stores.history.remove(OTHER_SCOPE, "d1", expected_revision=None)
    await stores.history.remove(SCOPE, "d1", expected_revision=1)

    assert await stores.definitions.get(SCOPE, "d1") is None
    assert await stores.definitions.version(SCOPE, "d1", None) is None
    assert await stores.definitions.version(SCOPE, "d1", "v1.0.0") is None
    assert await stores.history.draft(SCOPE, "d1") is None
    assert [] == list(await stores.history.versions(SCOPE, "d1", before=None, limit=2))
    assert version_row("d1") == await stores.definitions.by_hash("dom-a", "d1", "hash-v1.0.0")
    await stores.definitions.create(SCOPE, dag_row("d2", "Sum up"), version_row("d2"))
    with pytest.raises(DagNotFound):
        await stores.history.remove(SCOPE, "d1", expected_revision=None)


def draft_row(*, document: bytes | None = b"{}", revision: int = 1) -> DraftRow:
    return DraftRow(dag_id="d1", domain_id="dom-a", revision=revision, document=document, saved_at=NOON, saved_by="ann")
