"""Operators of a third party: one that is computed, one that calls a service of its own through the guarded client."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from core.dag.catalog import OperatorSpec, Retry, Timeout
from core.executor.operator import Call, Failed, Operator, Outcome, PureOperator, Succeeded
from core.executor.registry import OperatorPorts
from core.expression import Fuel
from core.ports.http_client import HttpRequest, HttpResponse

_SIDE = {"type": "number", "minimum": 0, "maximum": 1_000_000}
_SIZES = {
    "type": "object",
    "properties": {"width": _SIDE, "height": _SIDE},
    "required": ["width", "height"],
    "additionalProperties": False,
}


def area(parameters: Any, now: datetime, fuel: Fuel) -> float:
    """Multiply the sides."""
    del now
    fuel.burn(1)
    return float(parameters["width"] * parameters["height"])


class Survey:
    """Asks the land register for a plot's sides."""

    spec = OperatorSpec(
        name="@acme/survey",
        title="Survey a plot",
        version="3",
        kind="attempt",
        parameters={
            "type": "object",
            "properties": {"register": {"type": "string"}, "plot": {"type": "integer", "minimum": 1}},
            "required": ["register", "plot"],
            "additionalProperties": False,
        },
        output=_SIZES,
        retry=Retry(max_attempts=5),
        timeout=Timeout(attempt_s=10.0),
        has_side_effects=True,
    )

    def __init__(self, ports: OperatorPorts) -> None:
        """Take the ports."""
        self._http = ports.http

    async def execute(self, call: Call) -> Outcome:
        """Ask, with the key by which the register knows a repeated question."""
        answer = await self._http.request(
            HttpRequest(
                method="POST",
                url=f"{call.parameters['register']}/plots/{call.parameters['plot']}/surveys",
                headers=(("Idempotency-Key", call.idempotency_key), ("X-Flow-Attempt", str(call.attempt))),
            )
        )
        if isinstance(answer, HttpResponse) and answer.status == 200:
            return Succeeded(msgspec.json.decode(answer.body))
        return Failed(error_kind="unavailable", message="the register gives no survey")


def operators(ports: OperatorPorts) -> Iterable[Operator | PureOperator]:
    """Give this package's operators."""
    spec = OperatorSpec(
        name="@acme/area",
        title="Area of a rectangle",
        kind="pure",
        parameters=_SIZES,
        output={"type": "number"},
        has_side_effects=False,
        dry_run="runs",
    )
    return [PureOperator(spec, area), Survey(ports)]
