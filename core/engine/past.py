"""What the newest state does not say: how an instance stood at a journal row, when its tasks ran, one task whole."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine.events import Event
from core.engine.fold import replay
from core.engine.masking import masked
from core.engine.reread import reread
from core.engine.shown_value import ValueReader
from core.engine.state import Frame, Header
from core.engine.timeline import TaskSpan, Timeline
from core.engine.values import stamp
from core.engine.views import VALUE_SHOWN_BYTES_MAX, TaskGathering, TaskPage, TaskPlace, TaskView, shown_task
from core.errors import TaskNotFound
from core.ports.instance_store import Loaded
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope


class StateView(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as it was after journal row `seq`; `at` None = by a release that did not write it down."""

    seq: int
    at: str | None
    status: str
    reason: str | None
    started_at: str | None
    ended_at: str | None
    page: TaskPage


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt; `outcome` is running, succeeded, failed, lost or cancelled."""

    number: int
    outcome: str
    started_at: str | None
    ended_at: str | None
    error: Any = None


class SpanView(msgspec.Struct, frozen=True, kw_only=True):
    """When a task was ready, ran and ended; `waited_s` in all between being ready and being called."""

    path: str
    step: str
    status: str
    ready_at: str | None
    started_at: str | None
    ended_at: str | None
    waited_s: float
    attempts: tuple[AttemptView, ...]


class TimelinePage(msgspec.Struct, frozen=True):
    """Spans in the order in which their tasks were first touched; `next` = how many came before the next page."""

    spans: tuple[SpanView, ...]
    next: int | None


class TaskDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One task whole. `inputs` are its rendered parameters, masked; `inputs_bytes` instead when they are too large."""

    task: TaskView
    span: SpanView
    inputs: Any = None
    inputs_bytes: int | None = None


async def read_state(
    views: InstanceViews,
    objects: ObjectStore,
    scope: Scope,
    plan: Plan,
    loaded: Loaded,
    *,
    seq: int,
    place: TaskPlace,
    limit: int,
) -> StateView:
    """Fold the journal up to row `seq` (the newest, when there is none so high) and show the instance as it was then.

    Raises:
        HistoryTooLong: the journal up to there. PayloadMissing: a value cannot be read.
    """
    header: Header | None = None
    frames: dict[str, Frame] = {}
    reached, at = 0, None
    async for stamped, events in reread(views, scope, loaded.row.id, until_seq=min(seq, loaded.row.seq)):
        reached, at = stamped.row.seq, stamped.at
        header = replay(plan, header, frames, reached, events, {})
    page = await _state_page(ValueReader(views, objects, scope, loaded.row.id), plan, frames, place, limit)
    started_at = None if header is None else header.started_at
    ended_at = None if header is None else header.ended_at
    return StateView(
        seq=reached,
        at=None if at is None else stamp(at),
        status="queued" if header is None else header.status.value,
        reason=None if header is None else header.reason,
        started_at=None if started_at is None else stamp(started_at),
        ended_at=None if ended_at is None else stamp(ended_at),
        page=page,
    )


async def _state_page(
    values: ValueReader, plan: Plan, frames: dict[str, Frame], place: TaskPlace, limit: int
) -> TaskPage:
    page = TaskGathering(plan, limit)
    for path in sorted(frames):
        if place.path is None or path >= place.path:
            full_at = page.gather(frames[path], place)
            if full_at is not None:
                return await page.told(values, TaskPlace(None, path, full_at - 1))
    return await page.told(values, None)


async def read_timeline(
    views: InstanceViews, objects: ObjectStore, scope: Scope, plan: Plan, loaded: Loaded, *, skip: int, limit: int
) -> TimelinePage:
    """Show when the tasks ran, `limit` of them after the first `skip`.

    Raises:
        HistoryTooLong: of an instance with a very long journal. PayloadMissing: an error cannot be read.
    """
    timeline = Timeline(plan)
    async for stamped, events in reread(views, scope, loaded.row.id, until_seq=loaded.row.seq):
        timeline.read(stamped.at, events)
    chosen = list(timeline.spans.values())[skip : skip + limit]
    values = ValueReader(views, objects, scope, loaded.row.id)
    shown = tuple([await _shown_span(values, span) for span in chosen])
    is_last = skip + limit >= len(timeline.spans)
    return TimelinePage(shown, None if is_last else skip + limit)


async def read_task(
    views: InstanceViews, objects: ObjectStore, scope: Scope, plan: Plan, loaded: Loaded, *, path: str
) -> TaskDetail:
    """Show one task: rendered parameters with secrets masked, output, every attempt.

    Raises:
        TaskNotFound: no such task, or it was not entered. HistoryTooLong: as `read_timeline`.
        PayloadMissing: a value cannot be read.
    """
    timeline = Timeline(plan, path)
    frames: dict[str, Frame] = {}
    async for stamped, events in reread(views, scope, loaded.row.id, until_seq=loaded.row.seq):
        timeline.read(stamped.at, events)
        if timeline.wanted is not None:
            replay(plan, None, frames, stamped.row.seq, _of_frame(events, timeline.wanted[0]), {})
    found = None if timeline.wanted is None else frames[timeline.wanted[0]].tasks[timeline.wanted[1]]
    if timeline.wanted is None or found is None:
        raise TaskNotFound(f"instance {loaded.row.id} has not entered a task of that path")
    values = ValueReader(views, objects, scope, loaded.row.id)
    span = timeline.span(*timeline.wanted)
    inputs, inputs_bytes = await values.shown(span.parameters, VALUE_SHOWN_BYTES_MAX)
    return TaskDetail(
        task=await shown_task(values, span.path, span.step, found),
        span=await _shown_span(values, span),
        inputs=None if inputs is None else masked(msgspec.json.decode(inputs)),
        inputs_bytes=inputs_bytes,
    )


def _of_frame(events: tuple[Event, ...], path: str) -> tuple[Event, ...]:
    return tuple(event for event in events if getattr(event, "frame", None) == path)


async def _shown_span(values: ValueReader, span: TaskSpan) -> SpanView:
    attempts = []
    for attempt in span.attempts:
        error, _ = await values.shown(attempt.error, VALUE_SHOWN_BYTES_MAX)
        attempts.append(
            AttemptView(
                number=attempt.number,
                outcome=attempt.outcome,
                started_at=None if attempt.started_at is None else stamp(attempt.started_at),
                ended_at=None if attempt.ended_at is None else stamp(attempt.ended_at),
                error=error,
            )
        )
    return SpanView(
        path=span.path,
        step=span.step,
        status=span.status,
        ready_at=None if span.ready_at is None else stamp(span.ready_at),
        started_at=None if span.started_at is None else stamp(span.started_at),
        ended_at=None if span.ended_at is None else stamp(span.ended_at),
        waited_s=round(span.waited_s, 6),
        attempts=tuple(attempts),
    )
