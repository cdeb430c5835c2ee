"""Entering a list: its tasks become pending and the first of them are looked at (semantics.md S1)."""

from __future__ import annotations

from datetime import timedelta

from core.dag.plan import Node
from core.engine import events as e
from core.engine import reentry
from core.engine.draft import Draft
from core.engine.lending import Again
from core.engine.state import Frame, Task, Timer


def enter_list(draft: Draft, path: str, index: int, number: int, again: Again | None = None) -> bool:
    """Enter list `number` of the task at `index`: in its own frame, or within the chunk of the map item around it.

    With `again` what ended well in it is taken over. Gives whether all of it is.
    """
    frame = draft.frame(path)
    plan_list = draft.plan.lists[number]
    inner, cell = path, 0
    if plan_list.region == frame.region:
        cell = draft.cell(frame, index)
        draft.emit(e.ListEntered(path, cell, number))
    else:
        inner = list_path(draft, frame, index, number)
        draft.emit(e.FrameOpened(inner, plan_list.region, path, index, frame.prefix, 0, 1, None))
    if again is not None:
        return reentry.lend_list(draft, again, draft.task_path(frame, index), inner, cell, number)
    look_at_list(draft, inner, cell, number)
    return False


def list_path(draft: Draft, frame: Frame, index: int, number: int) -> str:
    """Give the path of the frame that a list of the task at `index` has, when it has one of its own."""
    return f"{draft.task_path(frame, index)}/{draft.plan.lists[number].name}"


def look_at_list(draft: Draft, path: str, cell: int, number: int) -> None:
    """Look at every step of a list that was entered."""
    plan_list = draft.plan.lists[number]
    first = cell * draft.plan.regions[plan_list.region].size + plan_list.first_slot
    for index in range(first, first + len(plan_list.nodes)):
        draft.later("advance", path, index)


def total_timer(draft: Draft, node: Node) -> tuple[Timer, ...]:
    """Make the timer of `total_s`, if the step has one (S15)."""
    if node.timeout.total_s is None:
        return ()
    return (draft.new_timer(draft.now + timedelta(seconds=node.timeout.total_s), "total"),)


def kept_timers(task: Task) -> tuple[Timer, ...]:
    """Give the timers that a task keeps from one attempt to the next: that of `total_s` counts them all (S15)."""
    return tuple(timer for timer in task.timers if timer.kind == "total") if task.timers else ()
