"""What really happened, counted by a process of its own from the store's file after the engine stopped.

`python -m bench.count FILE` opens the file for reading alone, folds every instance's journal and prints, per DAG, how
many instances ended and how many tasks succeeded, with everything that should not be there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import apsw
import msgspec

from core.engine.events import ContainerEntered, InstanceEnded, ItemEnded, TaskSucceeded
from core.engine.journal import decode_events

BODY_TABLES = ("journal", "frame", "payload", "snapshot", "inbox")


class StoreOpen(Exception):
    """The file has a log that was not copied back: its engine did not stop cleanly, or runs."""


class Count(msgspec.Struct, kw_only=True):
    """What the journals of one DAG's instances say.

    Attributes:
        instances, succeeded: rows in the table, and those whose row and journal both say so.
        tasks: tasks that succeeded and are no containers; each counts once.
        doubled: outcomes of a task, or of an instance, that came a second time.
        gaps: journals in which a number is missing.
        items_out_of_order: map items that ended after a later one of their map had.
    """

    instances: int = 0
    succeeded: int = 0
    tasks: int = 0
    doubled: int = 0
    gaps: int = 0
    items_out_of_order: int = 0


class Counts(msgspec.Struct, kw_only=True):
    """Counts by the DAG's id, and the longest row of the whole store with its table."""

    by_dag: dict[str, Count]
    row_bytes_max: int
    row_table: str


def count_store(path: Path) -> Counts:
    """Read the whole store.

    Raises:
        StoreOpen: it is not known to be at rest.
    """
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreOpen(str(log))
    # Nobody writes any more, so SQLite needs neither locks nor a log (which a reader could not make).
    connection = apsw.Connection(f"file:{path}?immutable=1", apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        by_dag: dict[str, Count] = {}
        for n, dag_id, status, seq in connection.execute("SELECT n, dag_id, status, seq FROM instance ORDER BY n"):
            _count_instance(connection, n, seq, status, by_dag.setdefault(dag_id, Count()))
        sizes = [(_longest_row(connection, table), table) for table in BODY_TABLES]
        return Counts(by_dag=by_dag, row_bytes_max=max(sizes)[0], row_table=max(sizes)[1])
    finally:
        connection.close()


def _count_instance(connection: apsw.Connection, n: int, seq: int, status: str, count: Count) -> None:
    containers: set[tuple[str, int]] = set()
    done: set[tuple[str, int]] = set()
    newest_items: dict[str, int] = {}
    expected, ends = 1, []
    for row_seq, version, body in connection.execute(
        "SELECT seq, version, body FROM journal WHERE instance_n = ? ORDER BY seq", (n,)
    ):
        count.gaps += row_seq != expected
        expected = row_seq + 1
        for event in decode_events(version, body):
            match event:
                case ContainerEntered(frame, index):
                    containers.add((frame, index))
                case TaskSucceeded(frame, index):
                    count.doubled += (frame, index) in done
                    done.add((frame, index))
                case ItemEnded(frame, cell):
                    count.items_out_of_order += cell < newest_items.get(frame, -1)
                    newest_items[frame] = max(cell, newest_items.get(frame, -1))
                case InstanceEnded():
                    ends.append(event.status.value)
                case _:
                    pass
    count.gaps += expected != seq + 1
    count.doubled += max(len(ends) - 1, 0)
    count.instances += 1
    count.succeeded += status == "succeeded" and ends == ["succeeded"]
    count.tasks += len(done - containers)


def _longest_row(connection: apsw.Connection, table: str) -> int:
    longest: int = connection.execute(f"SELECT coalesce(max(length(body)), 0) FROM {table}").get  # noqa: S608 - names of BODY_TABLES
    return longest


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(count_store(Path(sys.argv[1]))))
