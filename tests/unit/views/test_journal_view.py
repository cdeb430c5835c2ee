"""The journal for people: names, small values, sizes of large ones; bounded pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from core.engine import journal_view
from core.engine.events import AttemptStarted, ContainerEntered, InstanceEnded, TaskSucceeded
from core.engine.journal import JOURNAL_VERSION, encode_events
from core.engine.journal_view import read_journal
from core.engine.state import Indirect, InstanceStatus, Joined, MapState, Reference, Timer
from core.ports.instance_store import JournalRow
from core.ports.instance_views import StampedRow
from core.ports.scope import Principal, Scope

SCOPE = Scope("d", Principal("p", "key", "n"))
AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
FAR = Reference(3, 4, 500, 6)


class Journal:
    """Rows of one instance."""

    def __init__(self, *rows: tuple[object, ...]) -> None:
        self.rows = [
            StampedRow(JournalRow("i", seq, JOURNAL_VERSION, encode_events(list(events))), AT)  # type: ignore[arg-type] # events
            for seq, events in enumerate(rows, 1)
        ]
        self.limits: list[int] = []

    async def journal(self, scope: Scope, instance_id: str, *, after_seq: int, limit: int) -> Sequence[StampedRow]:
        assert (SCOPE, "i") == (scope, instance_id)
        self.limits.append(limit)
        return [row for row in self.rows if row.row.seq > after_seq][:limit]


def _page(journal: Journal, *, after_seq: int = 0, limit: int = 50) -> journal_view.JournalPage:
    return asyncio.run(
        read_journal(journal, SCOPE, "i", after_seq=after_seq, limit=limit)  # type: ignore[arg-type] # only this verb
    )


def test_events_are_told_by_name_with_their_fields() -> None:
    timer = Timer(7, AT, "retry")
    state = MapState(count=2, chunk_items=256, items=(FAR,), ends=(None,))
    page = _page(
        Journal(
            (
                AttemptStarted("", 0, 1, b"\x01" * 16, 9, (timer,)),
                TaskSucceeded("a/b", 1, b'{"x":1}', None),
                TaskSucceeded("", 2, FAR, Joined("list", (FAR, b"1"))),
                TaskSucceeded("", 2, Indirect(FAR), None),
                ContainerEntered("", 3, state),
                InstanceEnded(AT, InstanceStatus.SUCCEEDED, None, None, None),
            )
        )
    )
    shown = msgspec.json.decode(msgspec.json.encode(page.entries[0].events))
    started, near, far, hidden, entered, ended = shown
    assert "2026-01-02T03:04:05.678Z" == ended["at"] == started["timers"][0]["due_at"]
    assert "token" not in started
    assert ("attempt_started", 1, 9) == (started["event"], started["number"], started["epoch"])
    assert ("a/b", {"x": 1}) == (near["frame"], near["output"])
    assert {"value_bytes": 500, "value_seq": 3, "value_offset": 4} == far["output"]
    assert ({"value_bytes": 501}, {"value_bytes": 500}) == (far["errors"], hidden["output"])
    assert [{"value_bytes": 500, "value_seq": 3, "value_offset": 4}] == entered["detail"]["items"]
    assert "succeeded" == ended["status"]


def test_pages_go_on_without_loss_and_read_in_small_steps() -> None:
    journal = Journal(*([TaskSucceeded("", 0, None)] for _ in range(40)))  # type: ignore[arg-type] # one event each
    first = _page(journal, limit=35)
    assert (35, 35) == (len(first.entries), first.next)
    rest = _page(journal, after_seq=35, limit=35)
    assert ([36, 37, 38, 39, 40], None) == ([entry.seq for entry in rest.entries], rest.next)
    assert journal_view.ROWS_PER_READ >= max(journal.limits)


def test_page_ends_early_when_its_rows_are_large() -> None:
    large = TaskSucceeded("", 0, b'"' + b"x" * 120_000 + b'"')
    journal = Journal(*([large] for _ in range(20)))  # type: ignore[arg-type] # one event each
    page = _page(journal)
    assert 8 == len(page.entries)
    assert 8 == page.next
