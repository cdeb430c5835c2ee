"""A long map costs per item what a short one costs: work is counted in steps of the interpreter, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import msgspec
import pytest

from core.dag.plan import Plan
from core.engine.state import MapState
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import plan_of

MAP = """
    inputs: {type: object, properties: {items: {type: array}}, required: [items]}
    steps:
      - id: m
        operator: "@control/map"
        parameters:
          items: "{{ inputs.items }}"
          max_concurrency: 4
          steps: [{id: w, operator: "@debug/noop"}]
    """
CHUNKS = 400  # as many as a map of a hundred thousand items has
EARLY, LATE = 20, CHUNKS - 20


def steps_of(work: Callable[[], object]) -> int:
    """Count the instructions that the interpreter carries out in the engine meanwhile."""
    count = 0

    def step(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return step

    def call(frame: FrameType, _event: str, _argument: Any) -> Any:
        if "/core/engine/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        return step

    before = sys.gettrace()
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def in_chunks_of_one(plan: Plan) -> Plan:
    """Give the plan with an item per chunk: then few items have many chunks."""
    nodes = tuple(
        msgspec.structs.replace(node, map=msgspec.structs.replace(node.map, chunk_items=1)) if node.map else node
        for node in plan.nodes
    )
    return msgspec.structs.replace(plan, nodes=nodes)


@pytest.fixture(scope="module")
def steps() -> list[int]:
    """Run a map of many chunks; gives the steps for each item's end."""
    run = InstanceRun(in_chunks_of_one(plan_of(MAP))).start({"items": list(range(CHUNKS))})
    held = run.all_tasks()["m"].detail
    assert isinstance(held, MapState)
    assert CHUNKS == len(held.items)
    counted = [steps_of(partial(run.succeed, f"m.{number}.w", number)) for number in range(CHUNKS)]
    assert "succeeded" == run.status
    assert list(range(CHUNKS)) == run.value(run.all_tasks()["m"].output)
    return counted


def test_s19_end_of_an_item_takes_as_many_steps_late_as_early_in_a_long_map(steps: list[int]) -> None:
    assert 0 < steps[EARLY] == steps[LATE]
