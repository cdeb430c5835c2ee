"""FileStore: files by name and id, notes of loose objects; over every adapter."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from core.errors import CommitUnknown, NoSuchFile
from core.ports.file_store import FileRow, object_key
from core.ports.instance_store import READ_ROWS_MAX
from core.ports.key_store import KeptAnswer, NewAnswer
from core.ports.object_notes import LooseObject
from core.ports.scope import Scope
from tests.contract.rows import NOON, OTHER_SCOPE, SCOPE, later
from tests.contract.stores import Crash, Stores


def row(file_id: str = "f1", **changed: Any) -> FileRow:
    fields: dict[str, Any] = {
        "domain_id": "dom-a",
        "name": "orders/2026.csv",
        "media_type": "text/csv; charset=utf-8",
        "bytes_count": 2**40,
        "sha256": "ab" * 32,
        "created_at": NOON,
        "created_by": "ann",
    }
    return FileRow(id=file_id, **(fields | changed))


def answer(key: str = "k", *, req_hash: str = "h") -> NewAnswer:
    return NewAnswer(
        route="uploadFile", key=key, req_hash=req_hash, status=201, response=b"{}", at=NOON, expires_at=later(60)
    )


async def begin(stores: Stores, scope: Scope, file_id: str, at: datetime) -> None:
    await stores.notes.note([LooseObject(scope.domain_id, object_key(file_id), at)])


async def add(stores: Stores, one: FileRow) -> None:
    scope = SCOPE if one.domain_id == "dom-a" else OTHER_SCOPE
    await begin(stores, scope, one.id, NOON)
    assert await stores.files.add(scope, one) is None


async def ids(stores: Stores, prefix: str = "", after: tuple[str, str] = ("", ""), limit: int = 50) -> list[str]:
    return [one.id for one in await stores.files.list(SCOPE, prefix=prefix, after=after, limit=limit)]


async def test_file_reads_back_equal_after_the_store_was_closed(stores: Stores) -> None:
    await add(stores, row())
    await stores.close()
    await stores.open()

    assert row() == await stores.files.find(SCOPE, file_id="f1")
    assert row() == await stores.files.find(SCOPE, name="orders/2026.csv")
    assert [] == list(await stores.notes.loose(later(1), 10))


async def test_file_of_another_domain_is_missing(stores: Stores) -> None:
    await add(stores, row(domain_id="dom-b"))

    assert await stores.files.find(SCOPE, file_id="f1") is None
    assert await stores.files.find(SCOPE, name="orders/2026.csv") is None
    assert [] == await ids(stores)
    assert not await stores.files.remove(SCOPE, "f1", NOON)
    assert await stores.files.find(OTHER_SCOPE, file_id="f1") is not None


async def test_file_belongs_to_the_domain_of_the_request_whatever_the_row_says(stores: Stores) -> None:
    await begin(stores, SCOPE, "f1", NOON)
    await stores.files.add(SCOPE, row(domain_id="dom-b"))

    assert row() == await stores.files.find(SCOPE, file_id="f1")


async def test_newest_file_of_a_name_is_found(stores: Stores) -> None:
    for file_id in ("f2", "f3", "f1"):
        await add(stores, row(file_id))

    found = await stores.files.find(SCOPE, name="orders/2026.csv")

    assert found is not None
    assert "f3" == found.id


async def test_list_pages_by_name_then_id_within_the_prefix(stores: Stores) -> None:
    names = {"f1": "b", "f2": "a/x", "f3": "a", "f4": "a/é", "f5": "a/x", "f6": "a_", "f7": "a%", "f8": "a/\U0001f600"}
    for file_id, name in names.items():
        await add(stores, row(file_id, name=name))

    assert ["f3", "f7", "f2", "f5", "f4", "f8", "f6", "f1"] == await ids(stores)
    assert ["f2", "f5", "f4", "f8"] == await ids(stores, "a/")
    assert ["f7"] == await ids(stores, "a%")
    assert ["f6"] == await ids(stores, "a_")
    assert ["f2", "f5"] == await ids(stores, "a/", limit=2)
    assert ["f5", "f4", "f8"] == await ids(stores, "a/", ("a/x", "f2"))
    assert [] == await ids(stores, "A")


@pytest.mark.parametrize("limit", [0, READ_ROWS_MAX + 1])
async def test_page_of_a_size_outside_its_bounds_is_refused(stores: Stores, limit: int) -> None:
    with pytest.raises(ValueError):
        await ids(stores, limit=limit)


async def test_removed_file_is_gone_and_its_object_loose(stores: Stores) -> None:
    await add(stores, row(write_key="task-1"))

    assert await stores.files.remove(SCOPE, "f1", later(5))
    assert not await stores.files.remove(SCOPE, "f1", later(6))

    assert await stores.files.find(SCOPE, file_id="f1") is None
    assert [LooseObject("dom-a", "file/f1", later(5))] == list(await stores.notes.loose(later(6), 10))
    await add(stores, row("f2", write_key="task-1"))


async def test_file_whose_object_was_swept_away_is_refused(stores: Stores) -> None:
    await begin(stores, SCOPE, "f1", NOON)
    await stores.notes.forget([LooseObject("dom-a", "file/f1", NOON)])

    with pytest.raises(NoSuchFile):
        await stores.files.add(SCOPE, row())
    assert await stores.files.find(SCOPE, file_id="f1") is None


async def test_second_write_of_a_task_gives_the_file_of_the_first(stores: Stores) -> None:
    first = row("f1", write_key="task-1")
    await add(stores, first)
    await begin(stores, SCOPE, "f2", NOON)

    assert first == await stores.files.add(SCOPE, row("f2", write_key="task-1"))
    assert await stores.files.find(SCOPE, file_id="f2") is None
    assert ["file/f2"] == [one.key for one in await stores.notes.loose(later(1), 10)]
    await add(stores, row("f3", domain_id="dom-b", write_key="task-1"))


async def test_answer_is_kept_with_the_file_and_given_to_the_second_request(stores: Stores) -> None:
    await begin(stores, SCOPE, "f1", NOON)
    await begin(stores, SCOPE, "f2", NOON)

    assert await stores.files.add(SCOPE, row("f1"), answer=answer()) is None
    assert KeptAnswer("h", 201, b"{}") == await stores.files.add(SCOPE, row("f2"), answer=answer(req_hash="other"))
    assert await stores.files.find(SCOPE, file_id="f2") is None
    assert KeptAnswer("h", 201, b"{}") == await stores.keys.find_answer(SCOPE, "uploadFile", "k", now=NOON)


@pytest.mark.parametrize("verb", ["add", "remove"])
@pytest.mark.parametrize("point", ["after_each_statement:1", "after_each_statement:2", "before_commit"])
async def test_crash_before_the_commit_changes_nothing(stores: Stores, verb: str, point: str) -> None:
    await add(stores, row("f1"))
    await begin(stores, SCOPE, "f2", later(1))
    before = (await ids(stores), list(await stores.notes.loose(later(9), 10)))

    def crash(passed: str) -> None:
        if passed == point:
            raise Crash

    stores.points.on_pass = crash
    work = stores.files.add(SCOPE, row("f2")) if verb == "add" else stores.files.remove(SCOPE, "f1", NOON)
    with pytest.raises(Crash):
        await work
    stores.points.on_pass = None

    assert before == (await ids(stores), list(await stores.notes.loose(later(9), 10)))


async def test_answer_lost_after_the_commit_is_an_unknown_fate_and_the_file_is_there(stores: Stores) -> None:
    await begin(stores, SCOPE, "f1", NOON)

    def lose(passed: str) -> None:
        if passed == "after_commit":
            raise Crash

    stores.points.on_pass = lose
    with pytest.raises(CommitUnknown):
        await stores.files.add(SCOPE, row())
    stores.points.on_pass = None

    assert row() == await stores.files.find(SCOPE, file_id="f1")
