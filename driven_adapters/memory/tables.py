"""Rows in dicts, and a draft of changes that becomes visible as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Rows = dict[Any, Any]


class Tables:
    """The durable image: table -> group -> key -> row. Rows are immutable values, so a copy shares them.

    The group is what a table is read by: the instance's id for journal, frame, payload and snapshot; the shard for
    inbox; the gate for permit; else "".
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[Hashable, Rows]] = {}

    def group(self, table: str, group: Hashable = "") -> Rows:
        """Give the rows of one group by key, in the order of their insertion; do not change them."""
        return self._groups.get(table, {}).get(group, {})

    def every(self, table: str) -> list[tuple[Any, Any]]:
        """List (group, row) of all groups of a table."""
        return [(group, row) for group, rows in self._groups.get(table, {}).items() for row in rows.values()]

    def groups(self, table: str) -> tuple[Rows, ...]:
        """Give the rows of every group of a table; do not change them."""
        return tuple(self._groups.get(table, {}).values())

    def copy(self) -> Tables:
        """Give an image that later changes of this one do not reach."""
        image = Tables()
        image._groups = {
            table: {group: dict(rows) for group, rows in groups.items()} for table, groups in self._groups.items()
        }
        return image

    def land(self, table: str, group: Hashable, key: Hashable, row: object | None) -> None:
        """Write one row, or delete it (None)."""
        groups = self._groups.setdefault(table, {})
        rows = groups.setdefault(group, {})
        if row is None:
            rows.pop(key, None)
            if not rows:
                del groups[group]
        else:
            rows[key] = row


class Draft:
    """One transaction being written: reads see its own writes, the tables see them when it lands."""

    def __init__(self, tables: Tables, on_point: Callable[[str], None]) -> None:
        self._tables = tables
        self._on_point = on_point
        self._writes: dict[tuple[str, Hashable, Hashable], object | None] = {}
        self._statements = 0

    def get(self, table: str, key: Hashable, group: Hashable = "") -> Any:
        """Read one row, None when there is none."""
        place = (table, group, key)
        if place in self._writes:
            return self._writes[place]
        return self._tables.group(table, group).get(key)

    def rows(self, table: str, group: Hashable = "") -> Rows:
        """Read all rows of a group, with what this transaction wrote."""
        rows = dict(self._tables.group(table, group))
        for (of_table, of_group, key), row in self._writes.items():
            if (of_table, of_group) == (table, group):
                rows.pop(key, None) if row is None else rows.update({key: row})
        return rows

    @property
    def before(self) -> Tables:
        """The tables as they were when the transaction began; do not change them."""
        return self._tables

    def is_empty(self, table: str) -> bool:
        """Tell whether a table without groups had no row when the transaction began."""
        return not self._tables.group(table)

    def put(self, table: str, key: Hashable, row: object, group: Hashable = "") -> None:
        """Write one row, replacing what is there."""
        self._write((table, group, key), row)

    def delete(self, table: str, key: Hashable, group: Hashable = "") -> None:
        """Delete one row; a missing one is no error."""
        self._write((table, group, key), None)

    def reach(self, point: str) -> None:
        """Pass a named point at which a test may end the transaction."""
        self._on_point(point)

    def land(self) -> None:
        """Make every write visible."""
        for (table, group, key), row in self._writes.items():
            self._tables.land(table, group, key, row)

    def _write(self, place: tuple[str, Hashable, Hashable], row: object | None) -> None:
        self._writes[place] = row
        self._statements += 1
        self._on_point(f"after_each_statement:{self._statements}")
