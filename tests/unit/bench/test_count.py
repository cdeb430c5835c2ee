"""The counter of the benchmark sees what is missing, doubled or out of order in a store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from bench.count import Count, StoreOpen, count_store
from bench.workloads import CountWrong, check_count
from core.engine.events import ContainerEntered, Event, InstanceEnded, ItemEnded, TaskSucceeded
from core.engine.journal import JOURNAL_VERSION, encode_events
from core.engine.state import InstanceStatus, MapState
from tests.arch.source import ROOT

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDED = InstanceEnded(at=NOON, status=InstanceStatus.SUCCEEDED, outputs=None, error=None, reason=None)


def done(index: int) -> TaskSucceeded:
    """Give the success of a task of the top list."""
    return TaskSucceeded(frame="", index=index, output=b"{}")


def store_with(
    folder: Path, journal: dict[int, list[Event]], *, status: str = "succeeded", seq: int | None = None
) -> Path:
    """Write a store of one instance with these journal rows."""
    path = folder / "flow.db"
    connection = apsw.Connection(str(path))
    connection.execute((ROOT / "schema/sqlite/001_engine.sql").read_text("utf-8"))
    connection.execute(
        "INSERT INTO instance VALUES (1, 'i', 'd', 0, 'dag', 'h', 'v1.0.0', 0, ?, ?, 0, 0, 0, 1, 0)",
        (status, max(journal) if seq is None else seq),
    )
    for row_seq, events in journal.items():
        connection.execute(
            "INSERT INTO journal (instance_n, seq, version, domain_id, body) VALUES (1, ?, ?, 'd', ?)",
            (row_seq, JOURNAL_VERSION, encode_events(events)),
        )
    connection.close()
    return path


def test_tasks_and_instances_that_ended_are_counted(tmp_path: Path) -> None:
    path = store_with(tmp_path, {1: [done(0)], 2: [done(1), ENDED]})

    counts = count_store(path)

    assert {"dag": Count(instances=1, succeeded=1, tasks=2)} == counts.by_dag
    assert "journal" == counts.row_table


def test_container_is_not_counted_as_a_task(tmp_path: Path) -> None:
    entered = ContainerEntered(frame="", index=0, detail=MapState(count=0, chunk_items=1, items=(), ends=()))
    path = store_with(tmp_path, {1: [entered, done(0), done(1), ENDED]})

    assert 1 == count_store(path).by_dag["dag"].tasks


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ({1: [done(0)], 2: [done(0), ENDED]}, Count(instances=1, succeeded=1, tasks=1, doubled=1)),
        ({1: [done(0), ENDED], 2: [ENDED]}, Count(instances=1, tasks=1, doubled=1)),
        ({1: [done(0)], 3: [ENDED]}, Count(instances=1, succeeded=1, tasks=1, gaps=1)),
        ({1: [done(0)]}, Count(instances=1, tasks=1)),
    ],
    ids=["task-twice", "end-twice", "row-missing", "no-end"],
)
def test_journal_that_is_wrong_is_told(journal: dict[int, list[Event]], expected: Count, tmp_path: Path) -> None:
    path = store_with(tmp_path, journal)

    found = count_store(path).by_dag["dag"]

    assert expected == found
    with pytest.raises(CountWrong):
        check_count("W", found, instances=1, tasks_each=2)


def test_items_that_end_after_a_later_one_are_counted(tmp_path: Path) -> None:
    ends: list[Event] = [ItemEnded(frame="m", cell=cell, succeeded=True) for cell in (2, 0, 1, 3)]
    path = store_with(tmp_path, {1: [*ends, ENDED]})

    assert 2 == count_store(path).by_dag["dag"].items_out_of_order


def test_store_with_a_log_that_was_not_copied_is_refused(tmp_path: Path) -> None:
    path = store_with(tmp_path, {1: [ENDED]})
    Path(f"{path}-wal").write_bytes(b"x")

    with pytest.raises(StoreOpen):
        count_store(path)
