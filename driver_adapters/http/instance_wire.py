"""Shapes of what is read of one instance: its past, its timeline, its tasks, its lines."""

from __future__ import annotations

from typing import Any

import msgspec

from core.engine.past import AttemptView, SpanView, StateView, TaskDetail
from core.engine.views import TaskView


class AttemptBody(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt; `outcome` is running, succeeded, failed, lost or cancelled."""

    number: int
    outcome: str
    started_at: str | None
    ended_at: str | None
    error: Any


class SpanBody(msgspec.Struct, frozen=True, kw_only=True):
    """When a task was ready, ran and ended; `waited_s` in all between being ready and being called."""

    path: str
    step: str
    status: str
    ready_at: str | None
    started_at: str | None
    ended_at: str | None
    waited_s: float
    attempts: tuple[AttemptBody, ...]


class TimelinePageBody(msgspec.Struct, frozen=True):
    """Tasks in the order in which something first happened to them; `next` is the cursor of the next page."""

    items: tuple[SpanBody, ...]
    next: str | None = None


class PastTaskBody(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it was; `output_bytes` stands in for an output that is too large for a page."""

    path: str
    step: str
    status: str
    reason: str | None
    attempts: int
    output: Any
    output_bytes: int | None
    error: Any
    errors: Any
    reused_from: str | None


class StateBody(msgspec.Struct, frozen=True, kw_only=True):
    """An instance after journal row `seq`, which was committed at `at`; `next` is the cursor of the next page."""

    seq: int
    at: str | None
    status: str
    reason: str | None
    started_at: str | None
    ended_at: str | None
    items: tuple[PastTaskBody, ...]
    next: str | None


class TaskDetailBody(msgspec.Struct, frozen=True, kw_only=True):
    """One task whole; `inputs` are its rendered parameters, with what names say is secret masked."""

    path: str
    step: str
    status: str
    reason: str | None
    inputs: Any
    inputs_bytes: int | None
    output: Any
    output_bytes: int | None
    error: Any
    errors: Any
    reused_from: str | None
    ready_at: str | None
    started_at: str | None
    ended_at: str | None
    waited_s: float
    attempts: tuple[AttemptBody, ...]


class LineBody(msgspec.Struct, frozen=True, kw_only=True):
    """A line that an attempt wrote; `n` ascends within the instance."""

    n: int
    at: str
    task: str
    attempt: int
    level: str
    stream: str
    message: str


class LinePageBody(msgspec.Struct, frozen=True):
    """Lines in the order of their arrival; `next` is the cursor of the next page."""

    items: tuple[LineBody, ...]
    next: str | None = None


def span_body(span: SpanView) -> SpanBody:
    """Show a span."""
    return SpanBody(
        path=span.path, step=span.step, status=span.status, ready_at=span.ready_at, started_at=span.started_at,
        ended_at=span.ended_at, waited_s=span.waited_s, attempts=_attempts(span.attempts),
    )  # fmt: skip


def state_body(state: StateView, cursor: str | None) -> StateBody:
    """Show a state with a page of its tasks."""
    return StateBody(
        seq=state.seq, at=state.at, status=state.status, reason=state.reason, started_at=state.started_at,
        ended_at=state.ended_at, items=tuple(_past_task(task) for task in state.page.tasks), next=cursor,
    )  # fmt: skip


def task_body(detail: TaskDetail) -> TaskDetailBody:
    """Show a task."""
    task, span = detail.task, detail.span
    return TaskDetailBody(
        path=task.path, step=task.step, status=task.status, reason=task.reason, inputs=detail.inputs,
        inputs_bytes=detail.inputs_bytes, output=task.output, output_bytes=task.output_bytes, error=task.error,
        errors=task.errors, reused_from=task.reused_from, ready_at=span.ready_at,
        started_at=span.started_at, ended_at=span.ended_at, waited_s=span.waited_s, attempts=_attempts(span.attempts),
    )  # fmt: skip


def _attempts(attempts: tuple[AttemptView, ...]) -> tuple[AttemptBody, ...]:
    return tuple(
        AttemptBody(
            number=one.number, outcome=one.outcome, started_at=one.started_at, ended_at=one.ended_at, error=one.error
        )
        for one in attempts
    )


def _past_task(task: TaskView) -> PastTaskBody:
    return PastTaskBody(
        path=task.path, step=task.step, status=task.status, reason=task.reason, attempts=task.attempts,
        output=task.output, output_bytes=task.output_bytes, error=task.error, errors=task.errors,
        reused_from=task.reused_from,
    )  # fmt: skip
