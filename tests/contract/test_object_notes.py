"""ObjectNotes: objects that nothing refers to, in the list until they are removed; over every adapter."""

from __future__ import annotations

import pytest

from core.errors import NoSuchFile
from core.ports.file_store import object_key
from core.ports.instance_store import READ_ROWS_MAX
from core.ports.object_notes import LooseObject
from tests.contract.rows import NOON, SCOPE, later, loose
from tests.contract.stores import Crash, Stores
from tests.contract.test_file_store import row


async def test_noted_objects_of_every_domain_come_oldest_first_until_they_are_forgotten(stores: Stores) -> None:
    second, first, third = loose("file/f2", later(2)), loose("file/f1", later(1), "dom-b"), loose("a/b", later(3))
    await stores.notes.note([second, first])
    await stores.notes.note([third])
    await stores.notes.note([])

    assert [first, second, third] == list(await stores.notes.loose(later(4), 10))
    assert [first, second] == list(await stores.notes.loose(later(3), 10))
    assert [first] == list(await stores.notes.loose(later(4), 1))
    await stores.notes.forget([first, third, loose("unknown")])
    await stores.close()
    await stores.open()
    assert [second] == list(await stores.notes.loose(later(4), 10))


async def test_object_noted_twice_is_loose_since_the_later_time(stores: Stores) -> None:
    await stores.notes.note([loose("a")])
    await stores.notes.note([loose("a", later(9))])

    assert [loose("a", later(9))] == list(await stores.notes.loose(later(10), 10))


async def test_condemned_object_stays_in_the_list_and_no_row_may_refer_to_it(stores: Stores) -> None:
    key = object_key("f1")
    await stores.notes.note([loose(key)])

    assert [loose(key)] == list(await stores.notes.condemn([loose(key), loose("unknown")]))
    assert [loose(key)] == list(await stores.notes.condemn([loose(key)]))
    assert [loose(key)] == list(await stores.notes.loose(later(1), 10))
    with pytest.raises(NoSuchFile):
        await stores.files.add(SCOPE, row("f1"))
    await stores.notes.forget([loose(key)])
    assert [] == list(await stores.notes.loose(later(1), 10))
    await stores.notes.note([loose(key)])
    assert await stores.files.add(SCOPE, row("f1")) is None


async def test_object_that_a_row_refers_to_is_not_condemned(stores: Stores) -> None:
    seen = loose(object_key("f1"))
    await stores.notes.note([seen])
    assert await stores.files.add(SCOPE, row("f1")) is None

    assert [] == list(await stores.notes.condemn([seen]))


@pytest.mark.parametrize("limit", [0, READ_ROWS_MAX + 1])
async def test_page_of_a_size_outside_its_bounds_is_refused(stores: Stores, limit: int) -> None:
    with pytest.raises(ValueError):
        await stores.notes.loose(NOON, limit)


@pytest.mark.parametrize("verb", ["note", "condemn", "forget"])
async def test_crash_in_the_middle_changes_nothing(stores: Stores, verb: str) -> None:
    both = [loose("a"), loose("b")]
    if verb != "note":
        await stores.notes.note(both)
    before: list[LooseObject] = list(await stores.notes.loose(later(9), 10))

    def crash(passed: str) -> None:
        if passed == "before_commit":
            raise Crash

    stores.points.on_pass = crash
    with pytest.raises(Crash):
        await getattr(stores.notes, verb)(both)
    stores.points.on_pass = None

    assert before == list(await stores.notes.loose(later(9), 10))
