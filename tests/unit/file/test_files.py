"""Files: rows and objects stay together whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from core.errors import CommitUnknown, NoSuchFile, OutcomeUnknown, RequestInvalid, StoreUnavailable
from core.file import files as files_module
from core.file.files import LOOSE_KEPT, SWEEP_PERIOD_S, Files, NewFile, UploadTimeout
from core.file.name import DEFAULT_MEDIA_TYPE, check_media_type, name_fault
from core.ports.file_store import object_key
from core.ports.object_notes import LooseObject
from core.ports.object_store import ObjectMissing
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryFileStore, MemoryObjectNotes, MemoryStore
from driven_adapters.object_store import MemoryObjectStore
from tests.contract.operators.file_world import CountingIds, one
from tests.contract.stores import HandClock, Points

SCOPE = Scope("dom-a", Principal("ann", "key", "Ann"))
NEW = NewFile(name="a.csv", media_type="text/csv")


class World:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.points = Points()
        rows = MemoryStore(self.clock, on_point=self.points)
        self.rows, self.notes = MemoryFileStore(rows), MemoryObjectNotes(rows)
        self.objects = MemoryObjectStore(self.clock)
        self.files = Files(self.rows, self.notes, self.objects, self.clock, CountingIds())

    async def keys(self) -> list[str]:
        return [found.key for found in await self.objects.list("dom-a", prefix="", after="", limit=10)]


async def broken() -> AsyncIterator[bytes]:
    yield b"part"
    raise LookupError("the line broke")


def test_upload_that_failed_leaves_a_note_that_the_sweep_takes_away() -> None:
    async def scenario() -> None:
        world = World()
        with pytest.raises(LookupError):
            await world.files.put(SCOPE, NEW, broken())
        assert 0 == await world.files.sweep()
        world.clock.move(LOOSE_KEPT.total_seconds() + 1)
        assert 1 == await world.files.sweep()
        assert 0 == await world.files.sweep()

    asyncio.run(scenario())


def test_object_whose_row_was_never_written_is_swept_away() -> None:
    async def scenario() -> None:
        world = World()
        await world.notes.note([LooseObject("dom-a", object_key("f1"), world.clock.now())])
        await world.objects.put("dom-a", object_key("f1"), one(b"x"), bytes_max=1)
        world.clock.move(LOOSE_KEPT.total_seconds() + 1)
        assert 1 == await world.files.sweep()
        assert [] == await world.keys()

    asyncio.run(scenario())


def test_object_that_a_row_came_to_refer_to_after_the_look_at_the_list_stays() -> None:
    async def scenario() -> None:
        world = World()
        await world.notes.note([LooseObject("dom-a", object_key("f1"), world.clock.now())])
        await world.objects.put("dom-a", object_key("f1"), one(b"x"), bytes_max=1)
        world.clock.move(LOOSE_KEPT.total_seconds() + 1)
        loose = world.notes.loose

        async def loose_then_taken(*given: Any) -> Any:
            found = await loose(*given)
            await world.notes.forget(found)
            return found

        world.notes.loose = loose_then_taken  # type: ignore[method-assign,assignment] # a commit comes in between
        assert 0 == await world.files.sweep()
        assert [object_key("f1")] == await world.keys()

    asyncio.run(scenario())


def test_delete_whose_object_stays_is_finished_by_the_sweep() -> None:
    class Away(MemoryObjectStore):
        async def delete(self, domain_id: str, key: str) -> bool:
            raise StoreUnavailable(f"{domain_id} {key}")

    async def scenario() -> None:
        world = World()
        row = await world.files.put(SCOPE, NEW, one(b"x"))
        away = Files(world.rows, world.notes, Away(world.clock), world.clock, CountingIds())
        await away.delete(SCOPE, row.id)
        assert [object_key(row.id)] == await world.keys()
        with pytest.raises(NoSuchFile):
            await world.files.get(SCOPE, row.id)
        world.clock.move(LOOSE_KEPT.total_seconds() + 1)
        assert 1 == await world.files.sweep()
        assert [] == await world.keys()

    asyncio.run(scenario())


@pytest.mark.parametrize("times", [1, 2, 9])
def test_lost_answer_of_the_commit_gives_the_file_that_landed(times: int) -> None:
    async def scenario() -> None:
        world = World()
        left = times

        def lose(point: str) -> None:
            nonlocal left
            if point == "after_commit" and left:
                left -= 1
                raise LookupError("lost")

        note = world.notes.note

        async def note_and_arm(*given: Any) -> None:
            await note(*given)
            world.points.on_pass = lose

        world.notes.note = note_and_arm  # type: ignore[method-assign,assignment] # the fault begins after the note
        row = await world.files.put(SCOPE, NEW, one(b"x"))
        world.points.on_pass = None
        assert row == await world.files.get(SCOPE, row.id)

    asyncio.run(scenario())


def test_commit_that_never_answers_is_an_unknown_outcome() -> None:
    class Lost(MemoryFileStore):
        async def add(self, *given: Any, **more: Any) -> Any:
            raise CommitUnknown(f"lost {given} {more}")

    async def scenario() -> None:
        world = World()
        files = Files(Lost(MemoryStore(world.clock)), world.notes, world.objects, world.clock, CountingIds())
        with pytest.raises(OutcomeUnknown):
            await files.put(SCOPE, NEW, one(b"x"))

    asyncio.run(scenario())


def test_upload_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "UPLOAD_S_MAX", 0.0)

    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def scenario() -> None:
        world = World()
        with pytest.raises(UploadTimeout):
            await world.files.put(SCOPE, NEW, silent())
        assert [] == await world.keys()

    asyncio.run(scenario())


def test_file_whose_bytes_are_gone_is_told_as_no_file() -> None:
    async def scenario() -> None:
        world = World()
        row = await world.files.put(SCOPE, NEW, one(b"x"))
        await world.objects.delete("dom-a", object_key(row.id))
        with pytest.raises(NoSuchFile) as told:
            await anext(world.files.read(row))
        assert isinstance(told.value.__cause__, ObjectMissing)
        assert await world.files.local_path(row) is None

    asyncio.run(scenario())


def test_sweeps_go_on_after_a_fault_once_a_period() -> None:
    class Faulty(MemoryObjectNotes):
        asked = 0

        async def loose(self, *given: Any) -> Any:
            self.asked += 1
            raise StoreUnavailable(f"away {given}")

    class Ending(HandClock):
        async def sleep_until(self, monotonic_at: float) -> None:
            assert SWEEP_PERIOD_S == monotonic_at - self.monotonic()
            await super().sleep_until(monotonic_at)
            if self.now() - started > timedelta(seconds=2.5 * SWEEP_PERIOD_S):
                raise asyncio.CancelledError

    clock = Ending()
    started = clock.now()
    rows = MemoryStore(clock)
    notes = Faulty(rows)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Files(MemoryFileStore(rows), notes, MemoryObjectStore(clock), clock, CountingIds()).run_sweeps())
    assert 3 == notes.asked


@pytest.mark.parametrize("name", ["a", "a/b.csv", "a b", "é", "x" * 255, "...", "a..b", ".hidden", "😀"])
def test_name_that_a_person_would_give_is_one(name: str) -> None:
    assert "" == name_fault(name)


@pytest.mark.parametrize(
    "name",
    ["", "x" * 256, ".", "..", "a/..", "/a", "a/", "a//b", "a\\b", "a\nb", "\u202ea", "\ud800", "a/ /b", "\U0010ffff"],
)
def test_name_that_could_mislead_is_none(name: str) -> None:
    assert name_fault(name)


def test_media_type_is_one_or_the_default() -> None:
    assert DEFAULT_MEDIA_TYPE == check_media_type("")
    for text in ("text/csv", "text/plain; charset=utf-8", 'a/b; c="d e"', "application/vnd.x+json"):
        assert text == check_media_type(text)
    for text in ("text", "text/", "/csv", "a/b;", "a/b\r\nx: y", "é/a", "a/b; c", "a/" + "b" * 300):
        with pytest.raises(RequestInvalid):
            check_media_type(text)
