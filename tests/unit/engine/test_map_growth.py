"""A long map costs per item what a short one costs, counted in steps of the interpreter; its rows stay within theirs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import msgspec
import pytest

from core.dag.plan import Plan
from core.engine.journal import encode_frame
from core.engine.state import MapState
from core.ports.instance_store import BODY_BYTES_MAX
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


@pytest.mark.parametrize(
    ("steps_count", "limit", "items_count"),
    [(5, '{max: 1, key: "{{ inputs.text }}"}', 42), (12, "{max: 1}", 97)],
    ids=["with the longest key", "of its own"],
)
def test_s16_chunk_of_items_that_all_wait_for_permits_fits_into_its_row(
    steps_count: int, limit: str, items_count: int
) -> None:
    ids = [f"s{number}".ljust(64, "x") for number in range(steps_count)]
    steps = ", ".join(f"{{id: {id_}, operator: '@test/anything', depends_on: [], concurrency: {limit}}}" for id_ in ids)
    text = f"""
inputs: {{type: object, properties: {{text: {{type: string}}}}}}
steps:
  - id: m
    operator: "@control/map"
    parameters: {{items: {list(range(items_count))}, steps: [{steps}]}}
"""
    run = InstanceRun(plan_of(text), is_crowded=True).start({"text": "\U0001f600" * 256})
    chunk = run.state.frames["m/#0"]
    assert (items_count, items_count * steps_count) == (chunk.cells, chunk.ready)
    assert len(encode_frame(None, chunk)) <= BODY_BYTES_MAX
