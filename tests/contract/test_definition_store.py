"""DefinitionStore: DAGs and immutable versions within one business domain, over every adapter."""

from __future__ import annotations

import pytest

from core.errors import DagNotFound, DagTitleTaken, DagVersionTaken
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
    assert [] == list(await stores.definitions.list(OTHER_SCOPE, after="", limit=10))
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
    first = await stores.definitions.list(SCOPE, after="", limit=2)
    rest = await stores.definitions.list(SCOPE, after="d2", limit=2)

    assert (["d1", "d2"], ["d3"]) == ([row.id for row in first], [row.id for row in rest])
    with pytest.raises(ValueError, match="0"):
        await stores.definitions.list(SCOPE, after="", limit=0)


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
