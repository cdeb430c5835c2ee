"""Who is at a gate, as it is told to people: who holds its permits, who waits, and where somebody stands in line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.ports.permits import PermitRow

HOLDERS_SHOWN_MAX = 10


class Line(msgspec.Struct, frozen=True):
    """How many hold permits of a gate, the first of them, how many wait, and the place of one of those, from 1.

    Counted among the rows that were read; `place` None = it is none of them.
    """

    held: int
    holders: tuple[str, ...]
    waiting: int
    place: int | None

    def told(self, limit: str, key: str, most: int) -> dict[str, Any]:
        """Give it as JSON, with what is limited."""
        shown: dict[str, Any] = msgspec.to_builtins(self)
        return {"limit": limit, "key": key, "max": most, **shown}


def line_of(rows: Sequence[PermitRow], instance_id: str, task_path: str) -> Line:
    """Tell of the rows of a gate, as `PermitStore.line` gives them, for one holder."""
    held = [row for row in rows if row.is_held]
    waiting = [(row.instance_id, row.task_path) for row in rows if not row.is_held]
    own = (instance_id, task_path)
    return Line(
        held=len(held),
        holders=tuple(_name(row) for row in held[:HOLDERS_SHOWN_MAX]),
        waiting=len(waiting),
        place=waiting.index(own) + 1 if own in waiting else None,
    )


def _name(row: PermitRow) -> str:
    return f"{row.instance_id} {row.task_path}" if row.task_path else row.instance_id
