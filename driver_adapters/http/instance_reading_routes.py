"""Routes that read one instance: its state at a row, its timeline, a task, its lines; and both as streams."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from core.engine.reading import InstanceReader
from core.engine.views import TaskPlace
from core.errors import (
    FlowError,
    HistoryTooLong,
    InstanceNotFound,
    PayloadMissing,
    StreamsExhausted,
    TaskNotFound,
)
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import HeaderInvalid, QueryInvalid
from driver_adapters.http.instance_wire import (
    LinePageBody,
    StateBody,
    TaskDetailBody,
    TimelinePageBody,
    span_body,
    state_body,
    task_body,
)
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply, path_id
from driver_adapters.http.query import Parameter, read_query
from driver_adapters.http.stream import EVENT_STREAM, stream_reply
from pkg.cursor import write_cursor

TASK_PATH_CHARACTERS_MAX = 1_024  # sixteen nested maps of long names and large numbers
_SEQ_MAX = 2**53 - 1  # what JSON numbers carry exactly everywhere
_SEQ = Parameter(name="seq", kind=int, minimum=0, maximum=_SEQ_MAX, description="Journal row; absent = the newest.")
_TASK = Parameter(
    name="task", kind=str, length_max=TASK_PATH_CHARACTERS_MAX, description="Only of the task with this path."
)
_ATTEMPT = Parameter(
    name="attempt", kind=int, minimum=1, maximum=1_000_000, description="Only of this attempt of `task`."
)
_TRANSITION_ID = re.compile(rb"([0-9]{1,15})\.([0-9]{1,9})")
_LINE_ID = re.compile(rb"[0-9]{1,15}")

_EXAMPLE_ATTEMPT: dict[str, Any] = {
    "number": 1,
    "outcome": "succeeded",
    "started_at": "2026-01-31T08:30:01.002Z",
    "ended_at": "2026-01-31T08:30:01.006Z",
    "error": None,
}
_EXAMPLE_SPAN: dict[str, Any] = {
    "path": "greet",
    "step": "greet",
    "status": "succeeded",
    "ready_at": "2026-01-31T08:30:01.002Z",
    "started_at": "2026-01-31T08:30:01.002Z",
    "ended_at": "2026-01-31T08:30:01.006Z",
    "waited_s": 0.0,
    "attempts": [_EXAMPLE_ATTEMPT],
}
_EXAMPLE_STATE: dict[str, Any] = {
    "seq": 1,
    "at": "2026-01-31T08:30:01.002Z",
    "status": "running",
    "reason": None,
    "started_at": "2026-01-31T08:30:01.002Z",
    "ended_at": None,
    "items": [],
    "next": None,
}
_EXAMPLE_TASK: dict[str, Any] = {
    **_EXAMPLE_SPAN,
    "reason": None,
    "inputs": {"url": "https://shop.example/orders", "headers": {"authorization": "***"}},
    "inputs_bytes": None,
    "output": {"text": "Hello world"},
    "output_bytes": None,
    "error": None,
    "errors": None,
    "reused_from": None,
}
_EXAMPLE_LINE: dict[str, Any] = {
    "n": 7,
    "at": "2026-01-31T08:30:01.004Z",
    "task": "greet",
    "attempt": 1,
    "level": "info",
    "stream": "log",
    "message": "Hello world",
}
_EXAMPLE_EVENTS = (
    'id: 2.0\nevent: task_succeeded\ndata: {"seq":2,"at":"2026-01-31T08:30:01.006Z",'
    '"event":{"event":"task_succeeded","frame":"","index":0,"output":{"text":"Hi"},"errors":null}}\n\n'
)
_ONE: tuple[type[FlowError], ...] = (InstanceNotFound, PayloadMissing, HistoryTooLong)
_STREAMED: tuple[type[FlowError], ...] = (InstanceNotFound, StreamsExhausted, HeaderInvalid)


def reading_operations(reader: InstanceReader) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _ReadingRoutes(reader)
    return [_state(routes), _timeline(routes), _task(routes), _logs(routes), _events(routes)]


def _state(routes: _ReadingRoutes) -> Operation:
    return Operation(
        id="readState",
        method="GET",
        path="/instances/{instance_id}/state",
        summary="Read the instance and its tasks as they were after a journal row",
        tag="Instances",
        handle=routes.state,
        permission="instance:view",
        query=(_SEQ, LIMIT, CURSOR),
        answers=(Answer(status=200, description="The state.", shape=StateBody, example=_EXAMPLE_STATE),),
        problems=_ONE,
    )


def _timeline(routes: _ReadingRoutes) -> Operation:
    return Operation(
        id="readTimeline",
        method="GET",
        path="/instances/{instance_id}/timeline",
        summary="Read when each task was ready, ran and ended",
        tag="Instances",
        handle=routes.timeline,
        permission="instance:view",
        query=(LIMIT, CURSOR),
        answers=(
            Answer(status=200, description="A page.", shape=TimelinePageBody, example={"items": [_EXAMPLE_SPAN]}),
        ),
        problems=_ONE,
    )


def _task(routes: _ReadingRoutes) -> Operation:
    return Operation(
        id="getTask",
        method="GET",
        path="/instances/{instance_id}/tasks/{task}",
        summary="Read one task: inputs, output, every attempt",
        tag="Instances",
        handle=routes.task,
        permission="instance:view",
        answers=(Answer(status=200, description="The task.", shape=TaskDetailBody, example=_EXAMPLE_TASK),),
        problems=(*_ONE, TaskNotFound),
    )


def _logs(routes: _ReadingRoutes) -> Operation:
    return Operation(
        id="readLogs",
        method="GET",
        path="/instances/{instance_id}/logs",
        summary="Read the lines that attempts wrote; with `Accept: text/event-stream` on and on as they come",
        tag="Instances",
        handle=routes.logs,
        permission="instance:view",
        query=(_TASK, _ATTEMPT, LIMIT, CURSOR),
        answers=(
            Answer(status=200, description="A page.", shape=LinePageBody, example={"items": [_EXAMPLE_LINE]}),
            Answer(
                status=200,
                description="Server-sent events.",
                media_type=EVENT_STREAM.decode(),
                example=f"id: 7\nevent: line\ndata: {msgspec.json.encode(_EXAMPLE_LINE).decode()}\n\n",
            ),
        ),
        problems=_STREAMED,
        takes_event_id=True,
    )


def _events(routes: _ReadingRoutes) -> Operation:
    return Operation(
        id="streamEvents",
        method="GET",
        path="/instances/{instance_id}/events",
        summary="Follow the instance's transitions, from its start or behind `Last-Event-ID`, to its end",
        tag="Instances",
        handle=routes.events,
        permission="instance:view",
        answers=(
            Answer(
                status=200,
                description="Server-sent events; a comment every 15 s while nothing happens.",
                media_type=EVENT_STREAM.decode(),
                example=_EXAMPLE_EVENTS,
            ),
        ),
        problems=_STREAMED,
        takes_event_id=True,
    )


class _ReadingRoutes:
    def __init__(self, reader: InstanceReader) -> None:
        self._reader = reader

    async def state(self, call: Call) -> Reply:
        chosen = read_query(call.query, (_SEQ, LIMIT, CURSOR))
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        seq, place = cursor_place("state", chosen["cursor"], tuple[int, TaskPlace], (-1, TaskPlace()))
        # The rows of one state belong together: the pages after the first one are of the row that it was of.
        asked = seq if seq >= 0 else chosen["seq"]
        state = await self._reader.state(call.scope, instance_id, seq=asked, place=place, limit=chosen["limit"])
        cursor = None if state.page.next is None else write_cursor("state", (state.seq, state.page.next))
        return Reply(200, msgspec.json.encode(state_body(state, cursor)))

    async def timeline(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR))
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        skip = cursor_place("timeline", chosen["cursor"], int, 0)
        page = await self._reader.timeline(call.scope, instance_id, skip=skip, limit=chosen["limit"])
        cursor = None if page.next is None else write_cursor("timeline", page.next)
        return page_reply(call, [span_body(span) for span in page.spans], cursor)

    async def task(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        path = call.path_values["task"][:TASK_PATH_CHARACTERS_MAX]
        detail = await self._reader.task(call.scope, instance_id, path)
        return Reply(200, msgspec.json.encode(task_body(detail)))

    async def logs(self, call: Call) -> Reply:
        chosen = read_query(call.query, (_TASK, _ATTEMPT, LIMIT, CURSOR))
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        task, attempt, limit = chosen["task"], chosen["attempt"], chosen["limit"]
        if attempt is not None and task is None:
            fault = {"code": "request.query", "pointer": "?attempt", "message": "needs `task`"}
            raise QueryInvalid("an attempt is one of a task", faults=[fault])
        after = cursor_place("logs", chosen["cursor"], int, 0)
        if _wants_stream(call):
            seen = _last_event_id(call, _LINE_ID)
            feed = await self._reader.follow_lines(
                call.scope, instance_id, task_path=task, attempt=attempt, after=int(seen[0]) if seen else after
            )
            return stream_reply(feed, call.abort)
        lines = await self._reader.lines(
            call.scope, instance_id, task_path=task, attempt=attempt, after=after, limit=limit
        )
        cursor = write_cursor("logs", lines[-1].n) if len(lines) == limit else None
        return page_reply(call, lines, cursor)

    async def events(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        seen = _last_event_id(call, _TRANSITION_ID)
        seq, index = (int(seen[1]), int(seen[2])) if seen else (0, -1)
        feed = await self._reader.follow_transitions(call.scope, instance_id, seq=seq, index=index)
        return stream_reply(feed, call.abort)


def _wants_stream(call: Call) -> bool:
    accepted = call.header(b"accept")
    return accepted is not None and EVENT_STREAM in accepted


def _last_event_id(call: Call, form: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """Give the id of the event that the caller saw last; None = it saw none.

    Raises:
        HeaderInvalid: it is none that this stream gave.
    """
    given = call.header(b"last-event-id")
    if not given:
        return None
    found = form.fullmatch(given)
    if found is None:
        raise HeaderInvalid("Last-Event-ID is none of this stream")
    return found
