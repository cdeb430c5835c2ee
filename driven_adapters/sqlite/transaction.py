"""One open transaction: runs statements, counts them, and passes the named points of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import apsw

    from driven_adapters.sqlite.statements import RowsStatement


class Stats:
    """What the writer has done since the store was opened; for benchmarks and metrics.

    `bytes` are those of the write-ahead log: frames x (page + 24), checkpoints left out.
    """

    __slots__ = ("bytes", "checkpoints", "commits", "rows", "statements")

    def __init__(self) -> None:
        self.commits = 0
        self.statements = 0
        self.rows = 0
        self.bytes = 0
        self.checkpoints = 0


class Transaction:
    """Statements of one transaction on the writer's connection. Lives on the writer's thread only.

    `is_wal_full`: the log has reached its bound, so nothing may be taken in that makes more work.
    """

    __slots__ = ("_connection", "_on_point", "_statements", "_stats", "is_wal_full")

    def __init__(
        self,
        connection: apsw.Connection,
        stats: Stats,
        on_point: Callable[[str], None] | None,
        *,
        is_wal_full: bool,
    ) -> None:
        self.is_wal_full = is_wal_full
        self._connection = connection
        self._stats = stats
        self._on_point = on_point
        self._statements = 0

    def rows(self, sql: str, bindings: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and give all its rows."""
        found = self._connection.execute(sql, bindings).fetchall()
        self._count()
        return found

    def write(self, sql: str, bindings: Mapping[str, Any] | Sequence[Any] = ()) -> int:
        """Run one statement and give the number of rows that it changed."""
        self._connection.execute(sql, bindings)
        changed = self._connection.changes()
        self._stats.rows += changed
        self._count()
        return changed

    def write_rows(self, statement: RowsStatement, values: list[Any]) -> int:
        """Run a statement for many rows, in chunks of fixed sizes; give the number of rows changed.

        Args:
            statement: repeated per row.
            values: the rows' values end to end.
        """
        changed = 0
        if values:  # most commits write no row of most tables
            for sql, chunk in _chunks(statement, values):
                changed += self.write(sql, chunk)
        return changed

    def rows_of(self, statement: RowsStatement, values: list[Any]) -> list[tuple[Any, ...]]:
        """Run a statement that answers rows, in chunks of fixed sizes."""
        found: list[tuple[Any, ...]] = []
        if values:
            for sql, chunk in _chunks(statement, values):
                found += self.rows(sql, chunk)
        return found

    def reach(self, point: str) -> None:
        """Pass a named point."""
        if self._on_point is not None:
            self._on_point(point)

    def _count(self) -> None:
        self._stats.statements += 1
        if self._on_point is not None:
            self._statements += 1
            self._on_point(f"after_each_statement:{self._statements}")


def _chunks(statement: RowsStatement, values: list[Any]) -> list[tuple[str, list[Any]]]:
    """Cut the values into as few statements as the fixed sizes allow."""
    if len(values) == statement.width:
        return [(statement.texts[-1][1], values)]
    chunks: list[tuple[str, list[Any]]] = []
    at, end = 0, len(values)
    for count, sql in statement.texts:
        step = count * statement.width
        while end - at >= step:
            chunks.append((sql, values[at : at + step]))
            at += step
    return chunks
