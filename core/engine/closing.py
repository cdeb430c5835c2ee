"""What goes down: marks, and the sweep that carries them into every frame below (semantics.md S10, S23, S40, S41)."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from core.engine import effects as x
from core.engine import events as e
from core.engine.draft import Draft
from core.engine.lending import Lent
from core.engine.names import Place, holder_of, outward
from core.engine.state import Attempt, CallState, Closing, Frame, Holding, InstanceStatus, Timer, Value
from core.engine.statuses import TASK_PENDING, TASK_RUNNING
from core.engine.sure import sure
from core.engine.telling import goes_on

SWEPT_FRAMES_MAX = 64  # per commit, other instances between (engine.md 2)
GRACE_S = 30.0  # what running attempts get when they are told to end (S41)
CLEANUP_S = 3_600.0  # what `finally` lists of a cancel or timeout, and hooks, have together (S39)

_RANK = {"failing": 0, "timeout": 1, "cancel": 2, "return": 3, "terminate": 4}


def closing_at(draft: Draft, place: Place) -> Closing | None:
    """Give the strongest mark that holds for the list at `place`: on its item, on what holds it, on the instance."""
    if not draft.has_marks:
        return None
    return _strongest(_marks_from(draft, place, None))


def closing_of(draft: Draft, frame: Frame, index: int) -> Closing | None:
    """Give the strongest mark above a task that holds for it, its own not counted.

    A failing list's mark does not hold for an `all_done` step, unless the step is a container that was entered before,
    nor for what is taken over: it ended before.
    """
    if not draft.has_marks:
        return None
    node = draft.node(frame, index)
    held = _held(frame, index)
    place = Place(frame, draft.cell(frame, index), node.list)
    if isinstance(held, Holding):
        return _strongest(_marks_from(draft, place, held.under))
    marks = _marks_from(draft, place, None)
    is_spared = node.join == "all_done" or isinstance(held, Lent)
    return _strongest([mark for mark in marks if mark.cause != "failing" or not is_spared])


def closing_inside(draft: Draft, frame: Frame, index: int) -> Closing | None:
    """Give the strongest mark that holds for the lists of a container: its own and those around it."""
    own = getattr(_held(frame, index), "closing", None)
    above = closing_of(draft, frame, index)
    return _strongest([mark for mark in (own, above) if mark is not None])


def failing_since(draft: Draft, frame: Frame, index: int) -> datetime | None:
    """Give the time of the newest failing mark above a step that starts in spite of it (`under` of what it enters)."""
    if not draft.has_marks:
        return None
    marks = _marks_from(draft, Place(frame, draft.cell(frame, index), draft.node(frame, index).list), None)
    return max((mark.at for mark in marks if mark.cause == "failing"), default=None)


def _strongest(marks: list[Closing]) -> Closing | None:
    """Give the mark that wins; of equal ones the outermost, which stands last."""
    return max(reversed(marks), key=lambda mark: _RANK[mark.cause]) if marks else None


def _marks_from(draft: Draft, place: Place, under: datetime | None) -> list[Closing]:
    """List the marks from a place outward that hold there.

    Failing ones that stood when an `all_done` step entered the inside do not, and none but those that end clean-up
    above a `finally` list.
    """
    found: list[Closing] = []
    is_cleanup = False
    for at in outward(draft, place):
        region = draft.plan.regions[at.frame.region]
        item = at.frame.closing.get(at.cell) if region.root == at.list else None
        holder = holder_of(draft, at)
        held = None if holder is None else _held(holder.frame, holder.at)
        above = draft.header.closing if holder is None else getattr(held, "closing", None)
        marks = [mark for mark in (item, above) if mark is not None and not _is_under(mark, under)]
        found += [mark for mark in marks if not is_cleanup or ends_cleanup(mark)]
        is_cleanup = is_cleanup or draft.plan.lists[at.list].is_cleanup
        inner = getattr(held, "under", None)
        under = max(under, inner) if under is not None and inner is not None else under or inner
    return found


def _is_under(mark: Closing, under: datetime | None) -> bool:
    return mark.cause == "failing" and under is not None and mark.at <= under


def ends_cleanup(mark: Closing) -> bool:
    """Say whether a mark holds for `finally` lists below it, too (S41)."""
    return mark.cause == "terminate" or mark.is_cleanup_over


def _held(frame: Frame, index: int) -> object:
    task = frame.tasks[index]
    return None if task is None else task.detail


def mark_instance(
    draft: Draft, closing: Closing, status: InstanceStatus, *, returned: Value | None = None
) -> None:  # fmt: skip
    """Mark the whole instance, unless a stronger mark stands there, and sweep."""
    present = draft.header.closing
    if present is not None and _RANK[present.cause] >= _RANK[closing.cause]:
        return
    draft.has_marks = True
    draft.emit(e.InstanceClosing(_with_timers(draft, closing), status, returned))
    sweep(draft, draft.open_frames())


def mark_task(draft: Draft, path: str, index: int, closing: Closing) -> None:
    """Mark everything in the container (or `on_error` list) of a task, unless a stronger mark is there, and sweep."""
    frame = draft.frame(path)
    present = getattr(_held(frame, index), "closing", None)
    if present is not None and _RANK[present.cause] >= _RANK[closing.cause]:
        return
    draft.has_marks = True
    draft.emit(e.TaskClosing(path, index, _with_timers(draft, closing)))
    sweep(draft, _below(draft, frame, index))
    draft.later("container_may_end", path, index)  # nothing of it may be open


def mark_item(draft: Draft, path: str, cell: int, closing: Closing) -> None:
    """Mark one map item, which fails alone (`collect`, `ignore`), and sweep."""
    frame = draft.frame(path)
    if cell in frame.closing:
        return
    draft.has_marks = True
    draft.emit(e.ItemClosing(path, cell, closing))
    sweep(draft, [frame, *_below_cell(draft, frame, cell)])


def end_grace(draft: Draft, path: str, index: int) -> None:
    """The 30 s are over: running attempts under this mark are abandoned."""
    mark = draft.header.closing if index < 0 else sure(draft.frame(path).tasks[index]).closing
    _mark_again(draft, path, index, msgspec.structs.replace(sure(mark), is_grace_over=True, grace=None))


def end_cleanup(draft: Draft, path: str, index: int) -> None:
    """The 3 600 s are over: `finally` lists under this mark end, too, and without grace."""
    mark = draft.header.closing if index < 0 else sure(draft.frame(path).tasks[index]).closing
    over = msgspec.structs.replace(sure(mark), is_grace_over=True, grace=None, is_cleanup_over=True, cleanup=None)
    _mark_again(draft, path, index, over)


def _mark_again(draft: Draft, path: str, index: int, over: Closing) -> None:
    if index < 0:
        draft.emit(e.InstanceClosing(over, draft.header.status))
        sweep(draft, draft.open_frames())
    else:
        draft.emit(e.TaskClosing(path, index, over))
        sweep(draft, _below(draft, draft.frame(path), index))


def _with_timers(draft: Draft, closing: Closing) -> Closing:
    """Bound what may go on under a mark: running attempts, and `finally` lists."""
    if closing.is_grace_over or closing.cause not in {"cancel", "timeout", "return"}:
        return closing
    if draft.plan.cleans_up:
        closing = msgspec.structs.replace(closing, cleanup=cleanup_timer(draft))
    if closing.cause == "return" or not any(frame.running for frame in draft.open_frames()):
        return closing
    due_at = closing.at + timedelta(seconds=GRACE_S)
    return msgspec.structs.replace(closing, grace=draft.new_timer(due_at, "grace"))


def cleanup_timer(draft: Draft) -> Timer:
    """Make the timer that ends clean-up."""
    return draft.new_timer(draft.now + timedelta(seconds=CLEANUP_S), "cleanup")


def _depth(draft: Draft, frame: Frame) -> int:
    depth = 0
    while frame.parent is not None:
        frame = draft.peek(frame.parent)
        depth += 1
    return depth


def _is_below(draft: Draft, frame: Frame, path: str, first: int, last: int) -> bool:
    """Say whether a chain of parents leads from `frame` to a task of frame `path` with first <= index < last."""
    while frame.parent is not None:
        if frame.parent == path and first <= frame.parent_index < last:
            return True
        frame = draft.peek(frame.parent)
    return False


def _below(draft: Draft, frame: Frame, index: int) -> list[Frame]:
    """List the open frames below a task; its own frame too when lists of a map item lie in it."""
    region = draft.plan.regions[frame.region]
    if region.map_node is None:
        return [other for other in draft.open_frames() if _is_below(draft, other, frame.path, index, index + 1)]
    return [frame, *_below_cell(draft, frame, index // region.size)]


def _below_cell(draft: Draft, frame: Frame, cell: int) -> list[Frame]:
    size = draft.plan.regions[frame.region].size
    first, last = cell * size, (cell + 1) * size
    return [other for other in draft.open_frames() if _is_below(draft, other, frame.path, first, last)]


def sweep(draft: Draft, frames: list[Frame]) -> None:
    """Sweep these frames, deepest first: the first 64 in this decision, the others in later batches."""
    ordered = sorted(frames, key=lambda frame: (-_depth(draft, frame), frame.path))
    for frame in ordered[:SWEPT_FRAMES_MAX]:
        draft.later("sweep_frame", frame.path)
    if len(ordered) > SWEPT_FRAMES_MAX:
        draft.effects.append(x.Sweep(tuple(frame.path for frame in ordered[SWEPT_FRAMES_MAX:])))


def sweep_frame(draft: Draft, path: str) -> None:
    """Carry the marks above the lists of one frame into their tasks. Doing it again changes nothing."""
    if not draft.has_marks or not draft.has_frame(path):
        return
    frame = draft.frame(path)
    region = draft.plan.regions[frame.region]
    lists = [plan_list for plan_list in draft.plan.lists if plan_list.region == frame.region]
    for cell in range(frame.begun):
        for plan_list in lists:
            first = cell * region.size + plan_list.first_slot
            if frame.tasks[first] is None:
                continue
            closing = closing_at(draft, Place(frame, cell, plan_list.index))
            if closing is not None:
                for index in range(first, first + len(plan_list.nodes)):
                    _sweep_task(draft, frame, index, closing)
                draft.later("list_may_end", path, cell, plan_list.index)
    draft.later("frame_may_end", path)


def _sweep_task(draft: Draft, frame: Frame, index: int, closing: Closing) -> None:
    task = frame.tasks[index]
    if task is None or task.status.is_terminal:
        return
    if closing_of(draft, frame, index) is None:
        draft.later("advance", frame.path, index)
    elif task.status is TASK_PENDING:
        _sweep_pending(draft, frame, index, closing)
    elif task.status is not TASK_RUNNING:
        if not (isinstance(task.detail, CallState) and goes_on(draft, frame, index, task.detail, closing)):
            draft.emit(e.TaskCancelled(frame.path, index, closing.cause))
    elif isinstance(task.detail, Attempt) and not _may_end(closing):
        draft.effects.append(x.CancelAttempt(frame.path, index, task.detail.number))
        draft.emit(e.TaskCancelled(frame.path, index, closing.cause))
    else:
        draft.later("container_may_end", frame.path, index)


def _may_end(closing: Closing) -> bool:
    """Say whether running attempts under this mark may still end by themselves."""
    return closing.cause == "failing" or (closing.cause in {"cancel", "timeout"} and not closing.is_grace_over)


def _sweep_pending(draft: Draft, frame: Frame, index: int, closing: Closing) -> None:
    if closing.cause == "failing":
        draft.emit(e.TaskSkipped(frame.path, index, "failing"))
    elif closing.cause == "return":
        draft.emit(e.TaskSkipped(frame.path, index, "returned"))
    else:
        draft.emit(e.TaskCancelled(frame.path, index, closing.cause))
