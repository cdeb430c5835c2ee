"""Health on both servers, metrics on the private one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import NotReady
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.query import read_query
from driver_adapters.http.wire import HealthBody

Health = Callable[[], Awaitable[Mapping[str, str]]]
"""Asks every part of the process, each with a deadline: `ok` or what is wrong, by the part's name."""

Metrics = Callable[[], tuple[bytes, str]]
"""Gives the metrics and their media type."""

OK = "ok"
_ALIVE = Reply(200, msgspec.json.encode(HealthBody("alive")))


def health_operations(health: Health) -> list[Operation]:
    """Declare the routes of health; `alive` touches nothing."""

    async def alive(call: Call) -> Reply:
        read_query(call.query, ())
        return _ALIVE

    async def ready(call: Call) -> Reply:
        read_query(call.query, ())
        parts = await health()
        if any(said != OK for said in parts.values()):
            raise NotReady("; ".join(f"{name}: {said}" for name, said in parts.items() if said != OK))
        return Reply(200, msgspec.json.encode(HealthBody("ready", parts)))

    return [
        Operation(
            id="isAlive",
            method="GET",
            path="/health/alive",
            summary="The process answers",
            tag="Operations",
            handle=alive,
            answers=(Answer(status=200, description="Alive.", shape=HealthBody, example={"status": "alive"}),),
        ),
        Operation(
            id="isReady",
            method="GET",
            path="/health/ready",
            summary="Every part that a request needs answers",
            tag="Operations",
            handle=ready,
            answers=(
                Answer(
                    status=200,
                    description="Ready.",
                    shape=HealthBody,
                    example={"status": "ready", "parts": {"store": OK, "journal": OK, "objects": OK, "engine": OK}},
                ),
            ),
            problems=(NotReady,),
        ),
    ]


def metrics_operations(metrics: Metrics) -> list[Operation]:
    """Declare the route of metrics."""

    async def read_metrics(call: Call) -> Reply:
        read_query(call.query, ())
        body, media_type = metrics()
        return Reply(200, body, media_type.encode())

    return [
        Operation(
            id="readMetrics",
            method="GET",
            path="/metrics",
            summary="Metrics of this process in Prometheus' text form",
            tag="Operations",
            handle=read_metrics,
            answers=(Answer(status=200, description="Metrics.", media_type="text/plain"),),
        )
    ]
