"""Reading of instances for people: what stands in the store, told in the words of the language (semantics.md S2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine.events import Event
from core.engine.fold import replay
from core.engine.journal import decode_events, decode_frame
from core.engine.lending import Reused
from core.engine.shown_value import OUTCOME_SHOWN_BYTES_MAX, ValueReader, value_bytes
from core.engine.state import Frame, Header, Task
from core.engine.statuses import TASK_SUCCEEDED
from core.engine.values import stamp
from core.ports.instance_store import InstanceRow, Loaded
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope

VALUE_SHOWN_BYTES_MAX = 1_048_576  # one task's output in a page; a larger one is told by its size
PAGE_BYTES_MAX = 4_194_304  # all values of a page: it ends early above this, so that memory per request is bounded
FRAMES_READ_FIRST = 2  # a page of a large map lies in one chunk or two
FRAMES_READ_MAX = 32  # then twice as many each time: pages of small frames must not take a read per frame
FRAMES_PER_PAGE_MAX = 512  # a page over frames in which nothing has begun ends short rather than reading on for ever


class ParentView(msgspec.Struct, frozen=True):
    """What called an instance: an instance, and the path of its task."""

    instance_id: str
    task: str


class InstanceView(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as it is shown. Times are RFC 3339 UTC with milliseconds; `outputs` and `error` are JSON.

    `outputs_bytes` is set instead of `outputs` when these pass OUTCOME_SHOWN_BYTES_MAX. `trigger` is the kind of what
    started it, `parent` what called it. `priority` is the start's own, None = the DAG's.
    """

    id: str
    dag_id: str
    version: str
    status: str
    trigger: str
    labels: Mapping[str, str] = {}
    priority: int | None = None
    reason: str | None = None
    outputs: Any = None
    outputs_bytes: int | None = None
    error: Any = None
    rerun_of: str | None = None
    parent: ParentView | None = None
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    updated_at: str


class InstanceViewPage(msgspec.Struct, frozen=True):
    """Instances, newest first; `next` = the `before` of the next page, None = nothing follows."""

    items: tuple[InstanceView, ...]
    next: str | None


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it is shown. `output_bytes` is set instead of `output` when that passes VALUE_SHOWN_BYTES_MAX.

    `errors` of a succeeded map with `on_item_error: collect` lists its failed items (S17). `reused_from` is the
    instance in which it ran, when a rerun took over what it had come to (S44).
    """

    path: str
    step: str
    status: str
    reason: str | None
    attempts: int
    output: Any = None
    output_bytes: int | None = None
    error: Any = None
    errors: Any = None
    reused_from: str | None = None


class TaskPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of tasks goes on: behind `index` of the frame `path`, which follows the frame `before`."""

    before: str | None = None
    path: str | None = None
    index: int = -1


class TaskPage(msgspec.Struct, frozen=True):
    """Tasks ordered by (frame path, index); `next` None = these were the last."""

    tasks: tuple[TaskView, ...]
    next: TaskPlace | None


def row_view(row: InstanceRow) -> InstanceView:
    """Show what the row alone says: all but outcome and start."""
    return InstanceView(
        id=row.id,
        dag_id=row.dag_id,
        version=row.dag_version,
        status=row.status,
        trigger=row.trigger_kind,
        labels=row.labels or {},
        priority=row.priority,
        rerun_of=row.rerun_of,
        parent=_parent(row),
        created_at=stamp(row.created_at),
        updated_at=stamp(row.updated_at),
    )


def _parent(row: InstanceRow) -> ParentView | None:
    return None if row.parent_id is None else ParentView(row.parent_id, row.parent_path or "")


async def read_instance(
    views: InstanceViews, objects: ObjectStore, scope: Scope, plan: Plan, loaded: Loaded
) -> InstanceView:
    """Show an instance with its outcome.

    Raises:
        PayloadMissing: a value cannot be read.
    """
    header = _header(plan, loaded)
    if header is None:
        return row_view(loaded.row)
    return await shown_instance(ValueReader(views, objects, scope, loaded.row.id), loaded.row, header)


async def shown_instance(reader: ValueReader, row: InstanceRow, header: Header) -> InstanceView:
    """Show what row and header of one instance say.

    Raises:
        PayloadMissing: a value cannot be read.
    """
    outputs, outputs_bytes = await reader.shown(header.outputs, OUTCOME_SHOWN_BYTES_MAX)
    error, _ = await reader.shown(header.error, VALUE_SHOWN_BYTES_MAX)
    return InstanceView(
        id=row.id,
        dag_id=row.dag_id,
        version=row.dag_version,
        status=header.status.value,
        trigger=row.trigger_kind,
        labels=row.labels or {},
        priority=row.priority,
        rerun_of=row.rerun_of,
        parent=_parent(row),
        created_at=stamp(row.created_at),
        updated_at=stamp(row.updated_at),
        reason=header.reason,
        outputs=outputs,
        outputs_bytes=outputs_bytes,
        error=error,
        started_at=None if header.started_at is None else stamp(header.started_at),
        ended_at=None if header.ended_at is None else stamp(header.ended_at),
    )


async def read_tasks(
    views: InstanceViews,
    objects: ObjectStore,
    scope: Scope,
    plan: Plan,
    loaded: Loaded,
    *,
    place: TaskPlace,
    limit: int,
) -> TaskPage:
    """Show a page of tasks that were entered, from `place` on; holds at most FRAMES_READ_MAX frames at once.

    The page is true as of `loaded` or later, frame by frame: rows written meanwhile are newer, never older, and each
    frame's row and the journal's tail together reach at least to what was loaded.
    """
    tail = [] if _is_settled(loaded) else [(row.seq, decode_events(row.version, row.body)) for row in loaded.journal]
    page = TaskGathering(plan, limit)
    looked_at = 0
    async for frame, before in _frames(views, scope, plan, loaded.row.id, tail, place):
        looked_at += 1
        full_at = page.gather(frame, place)
        if full_at is not None:
            return await page.told(
                ValueReader(views, objects, scope, loaded.row.id), TaskPlace(before, frame.path, full_at - 1)
            )
        if looked_at >= FRAMES_PER_PAGE_MAX:
            last = TaskPlace(before, frame.path, len(frame.tasks))
            return await page.told(ValueReader(views, objects, scope, loaded.row.id), last)
    return await page.told(ValueReader(views, objects, scope, loaded.row.id), None)


def _is_settled(loaded: Loaded) -> bool:
    """Say whether every frame's row is the last word: frames are written when they close, the top one with the end."""
    return any(frame.path == "" and not frame.is_open and frame.seq == loaded.row.seq for frame in loaded.frames)


class TaskGathering:
    """Tasks gathered for one page, until it is full in number or bytes."""

    def __init__(self, plan: Plan, limit: int) -> None:
        """Begin with none."""
        self._plan = plan
        self._limit = limit
        self._bytes = 0
        self._held: list[tuple[str, str, Task]] = []

    def gather(self, frame: Frame, place: TaskPlace) -> int | None:
        """Take the frame's tasks behind `place`; give the index of the first one that finds no room."""
        start = place.index + 1 if frame.path == place.path else 0
        for index in range(start, len(frame.tasks)):
            task = frame.tasks[index]
            if task is not None:
                if not self._takes(task):
                    return index
                self._add(frame, index, task)
        return None

    def _takes(self, task: Task) -> bool:
        if len(self._held) >= self._limit:
            return False
        return not self._held or self._bytes + _task_bytes(task) <= PAGE_BYTES_MAX

    def _add(self, frame: Frame, index: int, task: Task) -> None:
        self._bytes += _task_bytes(task)
        region = self._plan.regions[frame.region]
        step = self._plan.nodes[region.nodes[index % region.size]].id
        is_chunk = region.map_node is not None
        path = f"{frame.prefix}{frame.first + index // region.size}.{step}" if is_chunk else frame.prefix + step
        self._held.append((path, step, task))

    async def told(self, values: ValueReader, place: TaskPlace | None) -> TaskPage:
        """Show what was gathered; `place` is where the next page goes on.

        Raises:
            PayloadMissing: a value cannot be read.
        """
        shown = []
        await values.fetch([value for _, _, task in self._held for value in (task.output, task.error)])
        for path, step, task in self._held:
            shown.append(await shown_task(values, path, step, task))
        return TaskPage(tuple(shown), place)


async def shown_task(values: ValueReader, path: str, step: str, task: Task) -> TaskView:
    """Show one task.

    Raises:
        PayloadMissing: a value cannot be read.
    """
    output, output_bytes = await values.shown(task.output, VALUE_SHOWN_BYTES_MAX)
    error, _ = await values.shown(task.error, VALUE_SHOWN_BYTES_MAX)
    is_list = task.status is TASK_SUCCEEDED  # then it is the map's list of its failed items
    return TaskView(
        path=path,
        step=step,
        status=task.status.name.lower(),
        reason=task.reason,
        attempts=task.attempts,
        output=output,
        output_bytes=output_bytes,
        error=None if is_list else error,
        errors=error if is_list else None,
        reused_from=_reused_from(task),
    )


def _reused_from(task: Task) -> str | None:
    """Give the instance in which it ran; of a failure that is answered again, too."""
    detail = task.detail
    return detail.of if isinstance(detail, Reused) else getattr(detail, "reused_from", None)


async def _frames(
    views: InstanceViews, scope: Scope, plan: Plan, instance_id: str, tail: Sequence[tuple[int, tuple[Event, ...]]],
    place: TaskPlace,
) -> AsyncIterator[tuple[Frame, str | None]]:  # fmt: skip
    """Give (frame, path of the one before it), ascending by path from `place` on."""
    before, wanted = place.before, FRAMES_READ_FIRST
    while True:
        rows = await views.frames(scope, instance_id, after_path=before, limit=wanted)
        end = rows[-1].path if len(rows) == wanted else None
        wanted = min(2 * wanted, FRAMES_READ_MAX)
        frames: dict[str, Frame] = {}
        for row in rows:
            _header_unused, frames[row.path], _snapshot = decode_frame(row.body, seq=row.seq)
        _apply_tail(plan, frames, tail, before, end)
        for path in sorted(frames):
            if place.path is None or path >= place.path:
                yield frames[path], before
            before = path
        if end is None:
            return


def _apply_tail(
    plan: Plan, frames: dict[str, Frame], tail: Iterable[tuple[int, tuple[Event, ...]]], before: str | None,
    end: str | None,
) -> None:  # fmt: skip
    """Bring frames between `before` and `end` up to the tail, those that the tail opened included."""
    written = {path: frame.seq for path, frame in frames.items()}
    for seq, events in tail:
        here = tuple(event for event in events if _is_within(event, before, end))
        if here:
            replay(plan, None, frames, seq, here, written)


def _is_within(event: Event, before: str | None, end: str | None) -> bool:
    path = getattr(event, "frame", None)
    if path is None or (before is not None and path <= before):
        return False
    return end is None or path <= end


def _header(plan: Plan, loaded: Loaded) -> Header | None:
    """Give the header as it is now; None before the first decision (seq 0)."""
    header, frames, written = None, {}, {}
    for row in loaded.frames:
        if row.path == "":
            header, frame, _snapshot = decode_frame(row.body, seq=row.seq)
            frames[""] = frame
            written[""] = row.seq
    for line in loaded.journal:
        events = tuple(event for event in decode_events(line.version, line.body) if not hasattr(event, "frame"))
        header = replay(plan, header, frames, line.seq, events, written)
    return header


def _task_bytes(task: Task) -> int:
    sizes = (value_bytes(value) for value in (task.output, task.error) if value is not None)
    return sum(size for size in sizes if size <= VALUE_SHOWN_BYTES_MAX)
