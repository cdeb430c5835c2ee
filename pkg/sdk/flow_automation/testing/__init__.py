"""Tests of DAGs in virtual time: the production engine, scripted operators, crashes by seed. Needs no asyncio."""

from __future__ import annotations

from typing import Any

from flow_automation.testing.call_book import CallRecord
from flow_automation.testing.crash_points import survives_every_crash
from flow_automation.testing.faults import Faults
from flow_automation.testing.instance import SimulatedInstance
from flow_automation.testing.script import Script, ScriptError
from flow_automation.testing.seeds import Answers, SeedRun, run_seeds
from flow_automation.testing.simulation import NotEndedError, Simulation
from flow_automation.testing.trace_files import EngineBrokenError

__all__ = [
    "Answers",
    "CallRecord",
    "EngineBrokenError",
    "Faults",
    "NotEndedError",
    "Script",
    "ScriptError",
    "SeedRun",
    "SimulatedInstance",
    "Simulation",
    "http_answer",
    "run_seeds",
    "survives_every_crash",
]


def http_answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Give the output of `@http/request` for an answer of the other side."""
    return {"status": status, "headers": headers or {}, "body": body}
