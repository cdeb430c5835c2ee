"""The dry run of a DAG: what would run, which limits bind, what history says."""

from __future__ import annotations

import msgspec

from core.engine.dry_run.rehearsal import Given, GivenError
from core.engine.dry_run.service import DryRuns
from core.errors import BodyUndecodable, DagNotFound, InputInvalid, QueueFull, RequestInvalid
from driver_adapters.http.dag_wire import PlanBody, PlanRequest, read_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import BodyTooLarge, MediaTypeUnsupported
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import path_id
from driver_adapters.http.query import Parameter, read_query

_JSON_TYPE = frozenset({b"application/json"})
_VERSION = Parameter(name="version", kind=str, length_max=32, description="Which version; absent = the newest.")
_EXAMPLE = {
    "dag_id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
    "version": "v1.0.0",
    "dag_status": "normal",
    "outcome": "unknown",
    "outputs": None,
    "outputs_bytes": None,
    "error": None,
    "is_complete": True,
    "steps": [
        {
            "step": "fetch",
            "operator": "@http/request",
            "depth": 0,
            "list": "",
            "status": "runs",
            "outcome": "unknown",
            "why": None,
            "waits_for": [],
            "path": "fetch",
            "tasks": None,
            "items": None,
            "attempts": 1,
            "parameters": {"url": "https://api.example/orders?region=eu", "headers": {"authorization": "***"}},
            "parameters_bytes": None,
            "parameters_wait_for": [],
            "value": None,
            "value_bytes": None,
            "error": None,
            "limits": {"max_attempts": 3, "attempt_s": 60.0, "retry_wait_s": 3.0, "worst_s": 183.0},
            "forecast": {
                "tasks_count": 20,
                "duration_s": {"p50": 0.4, "p95": 2.1},
                "attempts": {"p50": 1.0, "p95": 2.0},
                "failure_share": 0.05,
            },
        },
        {
            "step": "store",
            "operator": "@http/request",
            "depth": 0,
            "list": "",
            "status": "may run",
            "outcome": None,
            "why": None,
            "waits_for": ["steps.fetch.status", "steps.fetch.output"],
            "path": "store",
            "tasks": None,
            "items": None,
            "attempts": 0,
            "parameters": {"url": "https://store.example/eu", "json": "{{ steps.fetch.output.body }}"},
            "parameters_bytes": None,
            "parameters_wait_for": ["steps.fetch.output"],
            "value": None,
            "value_bytes": None,
            "error": None,
            "limits": {"max_attempts": 3, "attempt_s": 60.0, "retry_wait_s": 3.0, "worst_s": 183.0},
            "forecast": None,
        },
    ],
    "left_out": 0,
    "limits": {
        "timeout_s": 120.0,
        "priority": 3,
        "attempts_max": 512,
        "binding": [
            {
                "limit": "timeout_s",
                "step": "fetch",
                "message": "the step may take 183 s, timeout_s is 120 s",
            }
        ],
    },
    "forecast": {
        "version": "v1.0.0",
        "instances": ["01JD3V6Q0R5M9T8W7X2Y4Z1A3C"],
        "steps_of": 1,
        "duration_s": {"p50": 0.9, "p95": 4.2},
        "failure_share": 0.05,
    },
    "no_forecast": None,
}


def dag_plan_operations(dry_runs: DryRuns) -> list[Operation]:
    """Declare the route over this service."""
    return [
        Operation(
            id="planDag",
            method="POST",
            path="/dags/{dag_id}/plan",
            summary="Dry run: what would run, which limits bind, a forecast from history; nothing is started",
            tag="DAGs",
            handle=_PlanRoutes(dry_runs).plan,
            permission="dag:run",
            query=(_VERSION,),
            body=RequestBody(
                media_types=("application/json",),
                shape=PlanRequest,
                description="Inputs, and how attempts end, by step id or task path. Outcomes that nobody gives are "
                "unknown, but for operators that declare `dry_run: runs`: those are called.",
                example={"inputs": {}},
                is_required=False,
            ),
            answers=(Answer(status=200, description="What would run.", shape=PlanBody, example=_EXAMPLE),),
            problems=(
                DagNotFound, InputInvalid, RequestInvalid, BodyUndecodable, QueueFull, BodyTooLarge,
                MediaTypeUnsupported,
            ),
        )
    ]  # fmt: skip


class _PlanRoutes:
    def __init__(self, dry_runs: DryRuns) -> None:
        self._dry_runs = dry_runs

    async def plan(self, call: Call) -> Reply:
        chosen = read_query(call.query, (_VERSION,))
        dag_id = path_id(call, "dag_id", DagNotFound)
        _, data = await call.body(allowed=_JSON_TYPE)
        asked = read_body(data, PlanRequest) if data else PlanRequest()
        errors = {name: GivenError(error.kind, error.message) for name, error in asked.errors.items()}
        answer = await self._dry_runs.run(
            call.scope, dag_id, asked.inputs, Given(asked.outputs, errors), version=chosen["version"],
            priority=asked.priority,
        )  # fmt: skip
        return Reply(200, msgspec.json.encode(answer))
