"""KeyStore, and the answers that other verbs keep with their work: over every adapter."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from core.errors import DagNotFound, DagTitleTaken
from core.ports.instance_store import BODY_BYTES_MAX, READ_ROWS_MAX
from core.ports.key_store import KeptAnswer
from core.ports.scope import Principal, Scope
from tests.contract.rows import (
    NOON,
    OTHER_SCOPE,
    SCOPE,
    SHARD,
    change,
    dag_row,
    later,
    new_answer,
    new_command,
    new_start,
    seen_key,
    start_key,
    version_row,
)
from tests.contract.stores import Stores, own

MADE = KeptAnswer("r1", 201, b"made")


async def find(stores: Stores, key: str = "k1", *, now: datetime = NOON) -> KeptAnswer | None:
    return await stores.keys.find_answer(SCOPE, "createDag", key, now=now)


async def create(stores: Stores, name: str, key: str = "k1", **changed: object) -> KeptAnswer | None:
    answer = new_answer(key, **changed)  # type: ignore[arg-type] # fields of the row by name
    return await stores.definitions.create(SCOPE, dag_row(name, name), version_row(name), answer=answer)


async def test_answer_is_kept_with_the_dag_that_it_tells_of(stores: Stores) -> None:
    assert await find(stores) is None
    assert await create(stores, "d1") is None
    assert MADE == await find(stores)
    await stores.close()
    await stores.open()
    assert MADE == await find(stores)


async def test_key_used_before_writes_nothing_and_gives_its_answer(stores: Stores) -> None:
    await create(stores, "d1")
    assert MADE == await create(stores, "d2", req_hash="r2", response=b"other")
    assert await stores.definitions.get(SCOPE, "d2") is None
    row = dag_row("d1", "New", "v1.1.0")
    for version in (None, version_row("d1", "v1.1.0")):
        assert MADE == await stores.definitions.publish(SCOPE, row, version, answer=new_answer(req_hash="r3"))
    assert dag_row("d1", "d1") == await stores.definitions.get(SCOPE, "d1")
    assert MADE == await find(stores)


async def test_repeat_meets_its_own_answer_not_the_title_that_it_took(stores: Stores) -> None:
    await create(stores, "d1")
    assert MADE == await create(stores, "d1")
    with pytest.raises(DagTitleTaken):
        await stores.definitions.create(SCOPE, dag_row("d2", "d1"), version_row("d2"), answer=new_answer("k2"))
    assert await find(stores, "k2") is None


async def test_answer_of_a_publication_is_kept_with_it_or_not_at_all(stores: Stores) -> None:
    await create(stores, "d1")
    row = dag_row("d1", "New", "v1.1.0")
    first = await stores.definitions.publish(SCOPE, row, version_row("d1", "v1.1.0"), answer=new_answer("k2"))
    assert first is None
    assert MADE == await find(stores, "k2")
    with pytest.raises(DagNotFound):
        await stores.definitions.publish(SCOPE, dag_row("d9", "No"), None, answer=new_answer("k3"))
    assert await find(stores, "k3") is None


async def test_requests_with_one_key_at_the_same_time_do_the_work_once(stores: Stores) -> None:
    names = [f"d{n}" for n in range(8)]
    answers = await asyncio.gather(*(create(stores, name, response=name.encode()) for name in names))
    [made] = [name for name, answer in zip(names, answers, strict=True) if answer is None]

    assert [made] == [row.id for row in await stores.definitions.list(SCOPE, after=None, limit=10)]
    assert {KeptAnswer("r1", 201, made.encode())} == {answer for answer in answers if answer is not None}


async def test_key_belongs_to_one_tenant_principal_and_route(stores: Stores) -> None:
    await create(stores, "d1")
    other_principal = Scope(SCOPE.domain_id, Principal("cleo", "key", "Cleo"))
    for scope, route in ((OTHER_SCOPE, "createDag"), (other_principal, "createDag"), (SCOPE, "other")):
        assert await stores.keys.find_answer(scope, route, "k1", now=NOON) is None
    kept = await stores.definitions.create(
        OTHER_SCOPE, dag_row("d2", "d1"), version_row("d2"), answer=new_answer(response=b"theirs")
    )
    assert kept is None
    assert MADE == await find(stores)


async def test_key_whose_time_is_over_is_free_again(stores: Stores) -> None:
    await create(stores, "d1", kept_s=10)
    assert MADE == await find(stores, now=later(9.999))
    assert await find(stores, now=later(10)) is None
    assert MADE == await create(stores, "d2", at=later(9))
    assert await create(stores, "d2", at=later(10), response=b"new") is None
    assert KeptAnswer("r1", 201, b"new") == await find(stores, now=later(10))


@pytest.mark.parametrize("wrong", [{"response": bytes(BODY_BYTES_MAX + 1)}, {"key": "\ud800"}])
async def test_answer_that_no_store_holds_is_refused_and_nothing_written(
    stores: Stores, wrong: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"response|key"):
        await create(stores, "d1", **wrong)  # type: ignore[arg-type] # fields of the row by name
    assert await stores.definitions.get(SCOPE, "d1") is None


async def test_largest_answer_is_kept_whole(stores: Stores) -> None:
    await create(stores, "d1", response=bytes(BODY_BYTES_MAX))
    assert KeptAnswer("r1", 201, bytes(BODY_BYTES_MAX)) == await find(stores)


async def test_purge_removes_what_is_due_in_portions_and_nothing_else(stores: Stores) -> None:
    for n in range(5):
        await create(stores, f"d{n}", f"k{n}", kept_s=10 + n)
    fences = await own(stores, SHARD)
    seen = tuple(seen_key(f"s{n}", expires_at=later(10 + n)) for n in range(5))
    await stores.instances.commit(fences, [change("i1", None, seen=seen)])

    assert 0 == await stores.keys.purge(now=later(9.999), limit=10)
    assert [2, 2, 2, 0] == [await stores.keys.purge(now=later(12), limit=2) for _ in range(4)]
    assert 0 == await stores.keys.purge(now=later(12), limit=4)
    assert [None, None, None, MADE, MADE] == [await find(stores, f"k{n}") for n in range(5)]
    again = [change("i1", 1, seen=(one,)) for one in seen]
    refused = [(await stores.instances.commit(fences, [one]))[0] for one in (again[3], again[4], again[0])]
    assert ["seen", "seen", None] == [None if one is None else one.reason for one in refused]


async def test_purged_command_key_is_taken_in_anew(stores: Stores) -> None:
    command = new_command("i1", "c1")
    await stores.instances.ingest([new_start("i1"), command])
    assert 0 == await stores.keys.purge(now=later(1), limit=10)
    assert ["duplicate"] == [one.status for one in await stores.instances.ingest([command])]
    assert 1 == await stores.keys.purge(now=command.seen_expires_at, limit=10)
    assert ["accepted"] == [one.status for one in await stores.instances.ingest([command])]


async def test_start_key_is_kept_as_long_as_its_instance(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, start_key=start_key("i1"))])

    assert 0 == await stores.keys.purge(now=later(1e8), limit=READ_ROWS_MAX)
    [again] = await stores.instances.commit(fences, [change("i2", None, start_key=start_key("i2"))])
    assert ("duplicate", "i1") == (again and again.reason, again and again.instance_id)


@pytest.mark.parametrize("limit", [0, READ_ROWS_MAX + 1])
async def test_purge_without_a_bound_is_refused(stores: Stores, limit: int) -> None:
    with pytest.raises(ValueError, match=str(limit)):
        await stores.keys.purge(now=NOON, limit=limit)


async def test_purge_of_nothing_is_no_transaction(stores: Stores) -> None:
    await create(stores, "d1")
    passed: list[str] = []
    stores.points.on_pass = passed.append
    await stores.keys.purge(now=NOON, limit=10)
    assert [] == passed
    await stores.keys.purge(now=later(1e8), limit=10)
    assert "after_commit" in passed
