"""Routes that say why an instance, or a task of it, stands where it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from core.engine.explaining import Explainer
from core.engine.values import stamp
from core.engine.why import TaskWhy, Why
from core.errors import HistoryTooLong, InstanceNotFound, TaskNotFound
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.instance_reading_routes import TASK_PATH_CHARACTERS_MAX
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import path_id
from driver_adapters.http.predicate_wire import PredicateBody, predicate_body
from driver_adapters.http.query import read_query

_EXAMPLE_TASK: dict[str, Any] = {
    "path": "fetch",
    "step": "fetch",
    "status": "retrying",
    "predicates": [
        {
            "name": "retry_due",
            "value": None,
            "holder_kind": "time",
            "holder": None,
            "next": "the next attempt begins",
            "at": "2026-01-31T08:30:04.002Z",
        }
    ],
}


class TaskWhyBody(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps one open task."""

    path: str
    step: str
    status: str
    predicates: tuple[PredicateBody, ...]


class WhyBody(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps an instance: by itself, and task by task, those first that something is expected of.

    `left_out` more tasks are open. `next_at` is the earliest time at which something is due.
    """

    status: str
    seq: int
    predicates: tuple[PredicateBody, ...]
    tasks: tuple[TaskWhyBody, ...]
    left_out: int
    next_at: str | None


def why_operations(explainer: Explainer) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _WhyRoutes(explainer)
    example = {
        "status": "running",
        "seq": 2,
        "predicates": [],
        "tasks": [_EXAMPLE_TASK],
        "left_out": 0,
        "next_at": "2026-01-31T08:30:04.002Z",
    }
    return [
        Operation(
            id="whyInstance",
            method="GET",
            path="/instances/{instance_id}/why",
            summary="Say what keeps an instance: each predicate, its value, who holds it, what is expected next",
            tag="Instances",
            handle=routes.instance,
            permission="instance:view",
            answers=(Answer(status=200, description="What keeps it.", shape=WhyBody, example=example),),
            problems=(InstanceNotFound, HistoryTooLong),
        ),
        Operation(
            id="whyTask",
            method="GET",
            path="/instances/{instance_id}/tasks/{task}/why",
            summary="Say what keeps one open task",
            tag="Instances",
            handle=routes.task,
            permission="instance:view",
            answers=(Answer(status=200, description="What keeps it.", shape=TaskWhyBody, example=_EXAMPLE_TASK),),
            problems=(InstanceNotFound, TaskNotFound, HistoryTooLong),
        ),
    ]


class _WhyRoutes:
    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer

    async def instance(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        return Reply(200, msgspec.json.encode(why_body(await self._explainer.why(call.scope, instance_id))))

    async def task(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        path = call.path_values["task"][:TASK_PATH_CHARACTERS_MAX]
        told = await self._explainer.why(call.scope, instance_id, path)
        return Reply(200, msgspec.json.encode(_task(told.tasks[0])))


def why_body(told: Why) -> WhyBody:
    """Show what keeps an instance."""
    return WhyBody(
        status=told.status,
        seq=told.seq,
        predicates=tuple(map(predicate_body, told.predicates)),
        tasks=tuple(map(_task, told.tasks)),
        left_out=told.left_out,
        next_at=_stamp(told.next_at),
    )


def _task(task: TaskWhy) -> TaskWhyBody:
    predicates = tuple(map(predicate_body, task.predicates))
    return TaskWhyBody(path=task.path, step=task.step, status=task.status, predicates=predicates)


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
