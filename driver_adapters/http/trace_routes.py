"""Routes that explain an instance: its trace as a file, and what two instances do not have in common."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from core.engine.trace.facts import Divergence, Fact
from core.engine.trace.service import Traces
from core.errors import HistoryTooLong, InstanceNotFound, PayloadMissing, QueueFull
from driver_adapters.http.aside import Aside
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import read_query

GATHERED_AT_ONCE = 2  # traces in memory: some 100 MiB each at the most; others wait for their turn
TRACE_TYPE = "application/vnd.flow-automation.trace"
_PROBLEMS = (InstanceNotFound, HistoryTooLong, PayloadMissing, QueueFull)
_EXAMPLE_FACT: dict[str, Any] = {"seq": 3, "event": "succeeded", "said": {"output": {"rows": 2}, "errors": None}}


class FactBody(msgspec.Struct, frozen=True):
    """Something that happened in journal row `seq`: its name, and the values that belong to it, masked."""

    seq: int
    event: str
    said: dict[str, Any]


class DifferenceBody(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing in which two instances differ; `is_same` = there is none.

    `path` is of a task, "" = the instance itself; a side that is null had nothing more to say of it.
    """

    is_same: bool
    path: str | None = None
    cause: str | None = None
    left: FactBody | None = None
    right: FactBody | None = None


def trace_operations(traces: Traces) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _TraceRoutes(traces)
    return [
        Operation(
            id="exportTrace",
            method="GET",
            path="/instances/{instance_id}/trace",
            summary="Take the whole instance along as a trace file, secrets masked; `flow replay` plays it",
            tag="Instances",
            handle=routes.file,
            permission="instance:view",
            answers=(
                Answer(
                    status=200,
                    description="The file.",
                    media_type=TRACE_TYPE,
                    example="flowtrace\n",
                ),
            ),
            problems=_PROBLEMS,
        ),
        Operation(
            id="diffInstances",
            method="GET",
            path="/instances/{instance_id}/diff/{other_instance_id}",
            summary="Find the first thing in which two instances differ, and its cause",
            tag="Instances",
            handle=routes.difference,
            permission="instance:view",
            answers=(
                Answer(
                    status=200,
                    description="The first difference.",
                    shape=DifferenceBody,
                    example={
                        "is_same": False,
                        "path": "fetch",
                        "cause": "the operator answered otherwise to the same parameters",
                        "left": _EXAMPLE_FACT,
                        "right": {**_EXAMPLE_FACT, "said": {"output": {"rows": 5}, "errors": None}},
                    },
                ),
            ),
            problems=_PROBLEMS,
        ),
    ]


class _TraceRoutes:
    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._aside = Aside()
        self._turns = asyncio.Semaphore(GATHERED_AT_ONCE)

    async def file(self, call: Call) -> Reply:
        read_query(call.query, ())
        instance_id = path_id(call, "instance_id", InstanceNotFound)
        async with self._turns:
            data = await self._traces.file(call.scope, instance_id, self._aside.run)
        name = f'attachment; filename="{instance_id}.flowtrace"'.encode()
        return Reply(200, data, TRACE_TYPE.encode(), ((b"content-disposition", name),))

    async def difference(self, call: Call) -> Reply:
        read_query(call.query, ())
        left = path_id(call, "instance_id", InstanceNotFound)
        right = path_id(call, "other_instance_id", InstanceNotFound)
        async with self._turns:
            found = await self._traces.difference(call.scope, left, right, self._aside.run)
        return Reply(200, msgspec.json.encode(difference_body(found)))


def difference_body(found: Divergence | None) -> DifferenceBody:
    """Show a difference."""
    if found is None:
        return DifferenceBody(is_same=True)
    return DifferenceBody(
        is_same=False, path=found.path, cause=found.cause, left=_fact(found.left), right=_fact(found.right)
    )


def _fact(fact: Fact | None) -> FactBody | None:
    return None if fact is None else FactBody(fact.seq, fact.event, fact.said)
