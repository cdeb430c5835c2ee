"""Engines under load: `flow serve` as users start it, with the operators of the load installed beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bench.dags import Document
from bench.engine import SERVE, WAIT_S, Engine, send_load
from bench.load import LoadResult
from bench.program import DATA

INSTALLED = DATA / "load-operators"
ENTRY_POINTS = "[flow_automation.operators]\nload = tests.load.operators:operators\n"
METADATA = "Metadata-Version: 2.1\nName: load-operators\nVersion: 1.0\n"
UNTIL_S_MAX = 300.0  # the longest that any state below takes to come, on a machine that is busy
LOOK_S = 0.05
IN_FLIGHT = 64


class NeverCame(Exception):
    """A state of the engine that the load waits for has not come in UNTIL_S_MAX seconds."""


def open_engine(name: str, settings: Mapping[str, str] | None = None, serve: tuple[str, ...] = SERVE) -> Engine:
    """Give an engine that finds the operators of the load where an installer would put them; entering starts it."""
    folder = INSTALLED / "load_operators-1.0.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text(METADATA, "utf-8")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS, "utf-8")
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH", ""), str(INSTALLED))))
    return Engine(name, environment={"PYTHONPATH": path, **(settings or {})}, serve=serve)


def one_step(title: str, operator: str, priority: int = 3, **parameters: Any) -> Document:
    """Describe a DAG of one step; an input of the same name stands in for each parameter that is None."""
    given = {name: f"{{{{ inputs.{name} }}}}" if value is None else value for name, value in parameters.items()}
    return {
        "title": title,
        "settings": {"priority": priority},
        "inputs": {"type": "object"},
        "steps": [{"id": "only", "operator": operator, "parameters": given}],
        "outputs": {"only": "{{ steps.only.output }}"},
    }


def run(engine: Engine, dag_id: str) -> dict[str, Any]:
    """Run an instance of one step to its end, and give what the step gave; a wait is shorter than the longest step."""
    last = time.perf_counter() + UNTIL_S_MAX
    answer = msgspec.json.decode(engine.ask(f"/dags/{dag_id}/run?wait={WAIT_S}", b"{}"))
    while answer["status"] == "running" and time.perf_counter() < last:
        answer = msgspec.json.decode(engine.ask(f"/instances/{answer['id']}?wait={WAIT_S}", None))
    assert "succeeded" == answer["status"], answer
    given: dict[str, Any] = answer["outputs"]["only"]
    return given


def start(engine: Engine, dag_id: str, count: int, inputs: str = "{}") -> LoadResult:
    """Start so many instances, and wait for the end of none."""
    return send_load(engine.make_start_load(dag_id, count=count, in_flight=IN_FLIGHT, inputs=inputs))


def wait_until(engine: Engine, is_reached: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Read the engine's metrics until they say that something is reached.

    Raises:
        NeverCame: it was not.
    """
    last = time.perf_counter() + UNTIL_S_MAX
    while time.perf_counter() < last:
        metrics = engine.read_metrics()
        if is_reached(metrics):
            return metrics
        time.sleep(LOOK_S)
    raise NeverCame(f"{metrics}")
