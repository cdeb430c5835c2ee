"""Statements written for many rows, and threads that answer whatever happens to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import StoreBroken, StoreUnavailable
from driven_adapters.sqlite import statements
from driven_adapters.sqlite.statements import CHUNK_ROWS, RowsStatement, load_statements
from driven_adapters.sqlite.threads import CallThreads
from driven_adapters.sqlite.transaction import _chunks


def test_rows_statement_repeats_its_group_for_every_chunk_size() -> None:
    statement = RowsStatement("INSERT INTO t (a, b) VALUES (:a, :b) RETURNING a")

    assert 2 == statement.width
    assert list(CHUNK_ROWS) == [count for count, _ in statement.texts]
    assert "INSERT INTO t (a, b) VALUES (?, ?) RETURNING a" == statement.texts[-1][1]
    assert [count * 2 for count in CHUNK_ROWS] == [text.count("?") for _, text in statement.texts]


def test_statement_without_a_group_is_refused() -> None:
    with pytest.raises(ValueError, match="no VALUES"):
        RowsStatement("SELECT 1")


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 63, 64, 100, 256])
def test_chunks_hold_every_value_once_in_order(rows: int) -> None:
    values = list(range(3 * rows))
    chunks = _chunks(RowsStatement("VALUES (:a, :b, :c)"), values)

    assert values == [value for _, chunk in chunks for value in chunk]
    assert [len(chunk) for _, chunk in chunks] == [text.count("?") for text, _ in chunks]
    assert len(chunks) <= rows // 64 + 9


def test_statement_file_with_a_name_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "SQL_FOLDER", tmp_path)
    (tmp_path / "a.sql").write_text("-- one --\n-- First.\nSELECT 1\n\n-- one --\nSELECT 2\n")

    with pytest.raises(ValueError, match="one"):
        load_statements("a.sql")


def test_statement_text_has_no_comment_and_no_blank_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "SQL_FOLDER", tmp_path)
    (tmp_path / "a.sql").write_text("-- one --\n-- First.\nSELECT 1\n\n-- two --\n-- Second.\nSELECT\n    2\n")

    assert {"one": "SELECT 1", "two": "SELECT\n    2"} == load_statements("a.sql")


class Desk:
    """Carries out what it is asked; its rest does what a test wants."""

    def __init__(self, rest: Callable[[], None] = lambda: None) -> None:
        self._rest = rest
        self.is_closed = False

    def open(self) -> None:
        """Nothing to open."""

    def call(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    def rest(self, *, is_idle: bool) -> None:
        del is_idle
        self._rest()

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_calls_waiting_for_a_thread_that_dies_are_answered() -> None:
    go = threading.Event()

    def die() -> None:
        go.wait()
        raise LookupError("a bug")

    async def scenario() -> list[Any]:
        desk = Desk(die)
        threads = CallThreads("dying", [desk])
        threads.start()
        first = await threads.call(lambda _: "answered")
        waiting = [asyncio.ensure_future(threads.call(lambda _: "late")) for _ in range(3)]
        await asyncio.sleep(0)
        go.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        threads.stop()
        assert desk.is_closed
        with pytest.raises(StoreUnavailable):
            await threads.call(lambda _: "never")
        return [first, *map(type, answers)]

    assert ["answered", StoreBroken, StoreBroken, StoreBroken] == asyncio.run(scenario())


def test_answer_for_a_loop_that_was_closed_is_dropped() -> None:
    go, done = threading.Event(), threading.Event()
    threads = CallThreads("orphan", [Desk()])
    threads.start()

    def work(_desk: Any) -> None:
        go.wait()
        done.set()

    async def give_up() -> None:
        call = asyncio.ensure_future(threads.call(work))
        await asyncio.sleep(0)
        call.cancel()

    asyncio.run(give_up())
    go.set()
    assert done.wait(10)
    assert "next" == asyncio.run(threads.call(lambda _: "next"))
    threads.stop()


def test_desk_that_does_not_open_leaves_no_thread() -> None:
    class Shut(Desk):
        def open(self) -> None:
            raise StoreUnavailable("shut")

    desks = [Desk(), Shut()]
    threads = CallThreads("half", list(desks))
    with pytest.raises(StoreUnavailable, match="shut"):
        threads.start()

    assert desks[0].is_closed
    assert [] == [thread for thread in threading.enumerate() if thread.name.startswith("half")]
