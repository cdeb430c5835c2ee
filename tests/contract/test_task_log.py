"""TaskLog: lines in order, of one business domain, bounded per attempt, over every adapter."""

from __future__ import annotations

from typing import Any

import pytest

from core.ports.instance_store import READ_ROWS_MAX
from core.ports.scope import Scope
from core.ports.task_log import ATTEMPT_BYTES_MAX, MESSAGE_CHARACTERS_MAX, StoredLine, TaskLogLine
from tests.contract.rows import NOON, OTHER_SCOPE, SCOPE, later
from tests.contract.stores import Stores


def line_of(message: str, **changed: Any) -> TaskLogLine:
    fields: dict[str, Any] = {
        "instance_id": "i1",
        "domain_id": "dom-a",
        "task_path": "a",
        "attempt": 1,
        "level": "info",
    }
    return TaskLogLine(message=message, **(fields | changed))


async def read_all(stores: Stores, scope: Scope = SCOPE, **chosen: Any) -> list[StoredLine]:
    await stores.flush_log()
    wanted: dict[str, Any] = {"task_path": None, "attempt": None, "after": 0, "limit": READ_ROWS_MAX} | chosen
    return list(await stores.log.read(scope, "i1", **wanted))


async def texts(stores: Stores, **chosen: Any) -> list[str]:
    return [stored.line.message for stored in await read_all(stores, **chosen)]


async def fill(stores: Stores) -> None:
    for given in (
        line_of("one"),
        line_of("two", attempt=2, level="error", stream="stderr"),
        line_of("elsewhere", instance_id="i2"),
        line_of("three", task_path="b"),
        line_of("four", attempt=2),
    ):
        stores.log.write(given)


async def test_lines_are_read_as_they_were_written_in_order(stores: Stores) -> None:
    stores.log.write(line_of("first"))
    stores.clock.move(2)
    stores.log.write(line_of("second\nwith a break", attempt=2, level="error", stream="stderr"))
    found = await read_all(stores)

    assert [NOON, later(2)] == [stored.at for stored in found]
    assert [
        line_of("first"),
        line_of("second\nwith a break", attempt=2, level="error", stream="stderr"),
    ] == [stored.line for stored in found]
    assert found[0].n < found[1].n


async def test_filters_choose_task_and_attempt_and_pages_go_on(stores: Stores) -> None:
    await fill(stores)
    first = (await read_all(stores, limit=1))[0]

    assert ["one", "two", "three", "four"] == await texts(stores)
    assert ["one", "two", "four"] == await texts(stores, task_path="a")
    assert ["two", "four"] == await texts(stores, task_path="a", attempt=2)
    assert ["two", "three"] == await texts(stores, after=first.n, limit=2)
    assert ["two"] == await texts(stores, after=first.n, limit=1, task_path="a")
    assert [] == await texts(stores, task_path="c")


async def test_lines_of_another_domain_are_not_there(stores: Stores) -> None:
    await fill(stores)

    assert [] == await read_all(stores, OTHER_SCOPE)
    assert [] == await read_all(stores, OTHER_SCOPE, task_path="a")


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": READ_ROWS_MAX + 1}, {"attempt": 1}])
async def test_page_out_of_bounds_raises_value_error(stores: Stores, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"limit|attempt"):
        await read_all(stores, **wrong)


async def test_numbers_go_on_after_the_store_was_opened_again(stores: Stores) -> None:
    await fill(stores)
    before = await read_all(stores)
    await stores.close()
    await stores.open()
    stores.log.write(line_of("five"))
    after = await read_all(stores)

    assert [*(stored.n for stored in before), before[-1].n + 1] == [stored.n for stored in after]


async def test_attempt_that_writes_too_much_is_cut_off_with_a_line_that_says_so(stores: Stores) -> None:
    for _ in range(ATTEMPT_BYTES_MAX // MESSAGE_CHARACTERS_MAX + 8):
        stores.log.write(line_of("x" * (MESSAGE_CHARACTERS_MAX + 9)))
    stores.log.write(line_of("next attempt", attempt=2))
    found = [stored.line for stored in await read_all(stores)]

    assert "next attempt" == found[-1].message
    assert ("warning", True) == (found[-2].level, "left out" in found[-2].message)
    assert ATTEMPT_BYTES_MAX >= sum(len(line.message) for line in found)
    assert {MESSAGE_CHARACTERS_MAX} == {len(line.message) for line in found[:-2]}


async def test_text_that_no_database_takes_is_replaced(stores: Stores) -> None:
    stores.log.write(line_of("lone \ud800 and größer"))

    assert ["lone ? and größer"] == await texts(stores)


async def test_followers_hear_of_their_instance_only_and_no_more_after_leaving(stores: Stores) -> None:
    heard: list[int] = []
    leave = stores.log.follow("i1", heard.append)
    stores.log.write(line_of("other", instance_id="i2"))
    await stores.flush_log()
    assert [] == heard
    stores.log.write(line_of("mine"))
    await stores.flush_log()
    assert 1 == len(heard)
    leave()
    leave()
    stores.log.write(line_of("later"))
    await stores.flush_log()
    assert 1 == len(heard)
