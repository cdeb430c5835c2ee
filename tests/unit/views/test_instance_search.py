"""Lists of instances by text: pages of several lists put together, short ones too."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from core.engine.instance_search import InstanceQuery, filter_of, search
from core.ports.instance_views import InstanceFilter, InstanceList
from core.ports.row_rules import listed
from tests.contract.rows import NOON, SCOPE, dag_row, instance_row, later

ROWS = [instance_row(f"01JD{number:02d}", dag_id=f"dag-{number % 3}") for number in range(12)]


class Views:
    """Lists ROWS, and looks at `walked` of them for a page."""

    def __init__(self, walked: int) -> None:
        self.walked = walked

    async def list(self, _scope: Any, chosen: InstanceFilter, *, limit: int) -> InstanceList:
        within = [row for row in ROWS[::-1] if (chosen.since or "") <= row.id < (chosen.before or "~")]
        walked = within[: self.walked]
        rows = [row for row in walked if chosen.dag_id in (None, row.dag_id)][:limit]
        return listed(rows, limit=limit, floor=walked[-1].id if len(walked) < len(within) else None)


class Dags:
    """Knows two DAGs whatever the text."""

    async def list(self, _scope: Any, **_chosen: Any) -> Any:
        return [dag_row("dag-0", "A"), dag_row("dag-1", "B")]


def pages(walked: int, limit: int, text: str) -> list[list[str]]:
    views: Any = Views(walked)
    dags: Any = Dags()
    found: list[list[str]] = []
    before: str | None = None
    while True:
        asked = search(views, dags, SCOPE, InstanceFilter(before=before), text, limit=limit)
        page = asyncio.run(asked)
        found.append([row.id for row in page.rows])
        before = page.next
        if before is None:
            return found
        assert len(found) < 30


@pytest.mark.parametrize("text", ["a", "01JD"])
@pytest.mark.parametrize("limit", [1, 2, 3, 20])
@pytest.mark.parametrize("walked", [1, 2, 5, 12, 20])
def test_pages_of_several_lists_give_each_instance_once_and_in_order(walked: int, limit: int, text: str) -> None:
    found = pages(walked, limit, text)
    expected = [row.id for row in ROWS[::-1] if text == "01JD" or row.dag_id != "dag-2"]

    assert expected == [one for page in found for one in page]
    assert all(len(page) <= limit for page in found)


def test_page_that_holds_all_is_the_last_one() -> None:
    assert 1 == len(pages(20, 20, "a"))


def test_filter_says_times_as_ids_and_goes_on_below_the_page_before() -> None:
    query = InstanceQuery(trigger="cron", labels={"a": "b"}, created_from=NOON, created_to=later(60))
    chosen = filter_of(query, None)

    assert ("cron", {"a": "b"}) == (chosen.trigger, chosen.labels)
    assert chosen.since is not None
    assert chosen.before is not None
    assert chosen.since < chosen.before
    assert chosen.before == filter_of(query, "~").before
    assert chosen.since == filter_of(query, chosen.since).before
    assert InstanceFilter(before="x") == msgspec.structs.replace(filter_of(InstanceQuery(), "x"))
