"""Entering a list: its tasks become pending and the first of them are looked at (semantics.md S1)."""

from __future__ import annotations

from core.engine import events as e
from core.engine.draft import Draft


def enter_list(draft: Draft, path: str, index: int, number: int) -> None:
    """Enter list `number` of the task at `index`: in its own frame, or within the chunk of the map item around it."""
    frame = draft.frame(path)
    plan_list = draft.plan.lists[number]
    if plan_list.region == frame.region:
        cell = draft.cell(frame, index)
        draft.emit(e.ListEntered(path, cell, number))
        look_at_list(draft, path, cell, number)
        return
    inner = f"{draft.task_path(frame, index)}/{plan_list.name}"
    draft.emit(e.FrameOpened(inner, plan_list.region, path, index, frame.prefix, 0, 1, None))
    look_at_list(draft, inner, 0, number)


def look_at_list(draft: Draft, path: str, cell: int, number: int) -> None:
    """Look at every step of a list that was entered."""
    plan_list = draft.plan.lists[number]
    first = cell * draft.plan.regions[plan_list.region].size + plan_list.first_slot
    for index in range(first, first + len(plan_list.nodes)):
        draft.later("advance", path, index)
