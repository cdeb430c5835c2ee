"""Containers that a rerun enters again: of their lists it takes over what had ended well (semantics.md S44).

How a list had ended is asked for when it is entered, so that a rerun of a large instance begins as fast as any. What
the container evaluates itself it evaluates again; but a branch that was chosen stays chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.engine import rerun_events as r
from core.engine.borrowing import IsGone, borrowed, former
from core.engine.draft import Draft
from core.engine.lending import Again, FormerList, FormerTask, Lent
from core.engine.sharing import chosen
from core.engine.state import Frame, Reference, Value
from core.engine.values import encode_json


def again_of(frame: Frame, index: int) -> Again | None:
    """Say whether the pending container runs again but for what ended well inside it."""
    detail = getattr(frame.tasks[index], "detail", None)
    return detail if isinstance(detail, Again) else None


def entered_before(draft: Draft, again: Again, frame: Frame, index: int, lists: Iterable[int]) -> list[int]:
    """Give those of these lists of a container that had been entered; means nothing while something is missing."""
    holder = draft.task_path(frame, index)
    plan_lists = draft.plan.lists
    return [number for number in lists if former(draft, again, holder, plan_lists[number].name) is not None]


def lend_list(
    draft: Draft, again: Again, holder: str, path: str, cell: int, number: int, *, first: int = 0
) -> bool:  # fmt: skip
    """Lend to the tasks of a list that was just entered; they are looked at in a next batch.

    Args:
        holder: path of the container's task. path, cell: where the list lies. first: number of a loop's iteration.

    Returns:
        Whether all of it is taken over.
    """
    held = former(draft, again, holder, draft.plan.lists[number].name, first=first)
    draft.defer(path)
    return False if held is None else _lend(draft, again, path, cell, number, held.cells[0])


def lend_items(
    draft: Draft, again: Again, holder: str, path: str, number: int, items: Value, cells: range
) -> None:  # fmt: skip
    """Lend to the tasks of map items that just began, where an item is the same as it was under its number."""
    held = former(draft, again, holder, draft.plan.lists[number].name, first=draft.frame(path).first)
    draft.defer(path)
    if held is None:
        return
    before, now = _items_before(draft, again, held), draft.load(items)
    if draft.is_missing or before is None:
        return
    for cell in cells:
        if cell < min(len(held.cells), len(before)) and encode_json(before[cell]) == encode_json(now[cell]):
            _lend(draft, again, path, cell, number, held.cells[cell])


def _items_before(draft: Draft, again: Again, held: FormerList) -> list[object] | None:
    """Give the items as they were; None when they are not at hand (any more)."""
    try:
        found = borrowed(draft, held.items, again.lender) if isinstance(held.items, Reference) else None
    except IsGone:
        return None
    return draft.load(held.items) if isinstance(held.items, bytes) else found


def _lend(
    draft: Draft, again: Again, path: str, cell: int, number: int, tasks: Mapping[str, FormerTask]
) -> bool:  # fmt: skip
    frame = draft.frame(path)
    region = draft.plan.regions[frame.region]
    prefix = frame.prefix if region.map_node is None else f"{frame.prefix}{frame.first + cell}."
    found = chosen(draft.plan, number, tasks, again.from_step, prefix)
    for index, choice in found.items():
        draft.emit(r.TaskLent(path, cell * region.size + draft.plan.nodes[index].slot, choice))
    lent = [choice for choice in found.values() if isinstance(choice, Lent)]
    return len(lent) == len(draft.plan.lists[number].nodes)
