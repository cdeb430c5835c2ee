"""Pure operators over many items: computed outside of decisions in slices, so that other work goes on (engine.md 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import datetime
from typing import Any

from core.dag.plan import Node
from core.executor.operator import ComputeFailed, Failed, Outcome, Succeeded
from core.executor.pure.transform import transform_slices
from core.expression import Fuel

FUEL_PER_THOUSAND = 100_000  # per 1 000 items, as a decision gives for up to 1 000 (engine.md 2)
TRANSFORM = "@data/transform"  # the pure operator whose work grows with its items
OUTPUT_FAULTS_MAX = 5  # told of an output that misses its schema


async def compute(node: Node, parameters: Any, now: datetime) -> Outcome:
    """Compute a pure step; gives the loop back between slices, and ends at once when it is cancelled."""
    items = parameters.get("items") if isinstance(parameters, dict) else None
    count = len(items) if isinstance(items, list) else 0
    fuel = Fuel(FUEL_PER_THOUSAND * max(1, -(-count // 1_000)))
    try:
        output = await _sliced(_slices(node, parameters, now, fuel))
    except ComputeFailed as failure:
        return Failed(error_kind=failure.error_kind, message=failure.message, called=False)
    faults = [] if node.output_faults is None else node.output_faults(output)
    if faults:
        message = "output: " + "; ".join(faults[:OUTPUT_FAULTS_MAX])
        return Failed(error_kind="invalid", message=message, called=False)
    return Succeeded(output)


def _slices(node: Node, parameters: Any, now: datetime, fuel: Fuel) -> Generator[None, None, Any]:
    if node.operator.name == TRANSFORM:
        return transform_slices(parameters, now, fuel)
    return _whole(node, parameters, now, fuel)


def _whole(node: Node, parameters: Any, now: datetime, fuel: Fuel) -> Generator[None, None, Any]:
    if node.compute is None:
        raise ComputeFailed("unavailable", f"{node.operator.name} is not installed here")
    yield
    return node.compute(parameters, now, fuel)


async def _sliced(slices: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value
        await asyncio.sleep(0)
