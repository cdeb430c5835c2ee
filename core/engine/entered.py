"""Where a task stands that was entered and whose list is open."""

from __future__ import annotations

from core.engine.draft import Draft
from core.engine.timeline import FramePlace, find_index


def find_entered(draft: Draft, path: str) -> tuple[str, int] | None:
    """Give the place of the task with this path: its frame, which is open, and its index."""
    for frame in draft.open_frames():
        place = FramePlace(frame.region, frame.prefix, frame.first, frame.cells)
        index = find_index(draft.plan, place, path)
        if index is not None and frame.tasks[index] is not None:
            return frame.path, index
    return None
