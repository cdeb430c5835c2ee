"""What a loaded instance needs before it goes on: recovery is the start path (R31). Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from core.dag.plan import Plan
from core.engine.effects import CancelAttempt, StartAttempt
from core.engine.journal import decode_frame, is_attempt_running
from core.engine.node.item import SNAPSHOT_ROWS_MIN
from core.engine.state import Attempt, Frame, State
from core.engine.sure import sure_of
from core.ports.instance_store import Loaded

SWEPT_FRAMES_MAX = 64  # frames that one commit carries a closing mark into (engine.md 2)
SWEPT_BYTES_MAX = 1_048_576  # and their rows together
TASK_BYTES = 24  # of a task in its frame's row (engine.md 1)


def deepest_first(state: State) -> list[str]:
    """List the open frames, those below before those above."""
    depths: dict[str, int] = {}

    def depth(path: str) -> int:
        if path not in depths:
            parent = state.frames[path].parent
            depths[path] = 0 if parent is None or parent not in state.frames else depth(parent) + 1
        return depths[path]

    return sorted((path for path, frame in state.frames.items() if frame.is_open), key=depth, reverse=True)


def dirty_frames(state: State, loaded: Loaded) -> dict[str, list[int]]:
    """Tell which frames the journal's tail changed after their own row, and from which journal row on at the earliest.

    Returns:
        By path: that journal row, and a bound of how many transitions passed unwritten.
    """
    newest = loaded.row.seq
    if not loaded.journal:
        return {}
    first = loaded.journal[0].seq
    rows = {row.path: row.seq for row in loaded.frames}
    dirty = {
        path: [max(rows.get(path, 0) + 1, first), newest - max(rows.get(path, 0), first - 1)]
        for path, frame in state.frames.items()
        if frame.seq > rows.get(path, 0)
    }
    if rows.get("", 0) < newest:
        # The header lies in the top frame's row, and events of the header leave no trace in the frame.
        dirty.setdefault("", [max(rows.get("", 0) + 1, first), 0])
    return dirty


def newest_snapshots(state: State, loaded: Loaded) -> dict[str, int]:
    """Give the journal row of each open frame's newest snapshot."""
    first = loaded.journal[0].seq if loaded.journal else 1
    snapshots = dict.fromkeys(state.frames, first - 1)
    for row in loaded.frames:
        # A row this old cannot have had a snapshot; its body need not be read for it.
        snapshots[row.path] = decode_frame(row.body, seq=row.seq)[2] if row.seq >= SNAPSHOT_ROWS_MIN else 0
    return snapshots


def unsent_attempts(plan: Plan, state: State, sent: Collection[tuple[str, int, int]]) -> list[StartAttempt]:
    """List the attempts of the own epoch that are committed and that this process has not sent (engine.md 4, M1)."""
    starts: list[StartAttempt] = []
    for path, frame in state.frames.items():
        if not frame.running:
            continue
        for index, task in enumerate(frame.tasks):
            if task is None or not is_attempt_running(task) or not isinstance(task.detail, Attempt):
                continue
            held = task.detail
            if held.epoch == state.epoch and (path, index, held.number) not in sent:
                starts.append(_start(plan, frame, index, held))
    return starts


def ended_attempts(state: State, sent: Collection[tuple[str, int, int]]) -> list[CancelAttempt]:
    """List the attempts that this process has sent and that have ended without it: the word to stop was never sent.

    The commit that ended them landed, and its answer was lost (engine.md 4, M1).
    """
    return [CancelAttempt(*place) for place in sent if not _is_running(state, *place)]


def _is_running(state: State, path: str, index: int, number: int) -> bool:
    frame = state.frames.get(path)
    task = None if frame is None else frame.tasks[index]
    return task is not None and is_attempt_running(task) and sure_of(Attempt, task.detail).number == number


def _start(plan: Plan, frame: Frame, index: int, held: Attempt) -> StartAttempt:
    region = plan.regions[frame.region]
    node = plan.nodes[region.nodes[index % region.size]]
    cell = "" if region.map_node is None else f"{frame.first + index // region.size}."
    task_path = f"{frame.prefix}{cell}{node.id}"
    return StartAttempt(frame.path, index, held.number, held.token, node.index, task_path, held.parameters)


def sweep_portion(state: State, waiting: deque[str]) -> list[str]:
    """Take the frames that the next commit carries a closing mark into: at most 64, or 1 MiB of rows."""
    portion: list[str] = []
    size = 0
    while waiting and len(portion) < SWEPT_FRAMES_MAX and size < SWEPT_BYTES_MAX:
        path = waiting.popleft()
        frame = state.frames.get(path)
        if frame is None or not frame.is_open:
            continue  # ended meanwhile, or swept when an event touched it earlier
        portion.append(path)
        size += TASK_BYTES * len(frame.tasks) + frame.inline_bytes
    return portion
