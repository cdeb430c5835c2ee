"""`flow plan`: what a document would do, told without running anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from core.dag.lists import lists_of, order_of, top_lists
from core.dag.model import Dag, Step
from core.dag.plan import Node, Plan

_ENGINE = "in the engine"


def plan_value(dag: Dag, plan: Plan) -> dict[str, Any]:
    """Describe a DAG and its compiled plan.

    Returns:
        `steps` in the order in which they may start. Steps of one list with the same `stage` wait for nothing of each
        other; a step inside another has that one's stage before its own, as `2.steps.1`. Those of hooks come last, as
        `on_finish.1`.
    """
    return {
        "title": dag.title,
        "type": dag.type,
        "inputs": list(_inputs(dag.inputs or {})),
        "outputs": sorted(dag.outputs) if isinstance(dag.outputs, Mapping) else [],
        "settings": _without_defaults(dag.settings),
        "steps": [step for at, top in top_lists(dag) for step in _steps(top, plan, _before(at), 0)],
    }


def _before(pointer: str) -> str:
    """Give what stands before the stages of a list that no step holds: nothing of the top list's."""
    return "" if pointer == "/steps" else pointer.rpartition("/")[2] + "."


def _inputs(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    for name in dict.fromkeys([*properties, *required]):
        inner = properties.get(name, {})
        given = {"default": inner["default"]} if isinstance(inner, Mapping) and "default" in inner else {}
        yield {"name": name, "is_required": name in required and not given, **given}


def _steps(steps: tuple[Step, ...], plan: Plan, stage_before: str, depth: int) -> Iterator[dict[str, Any]]:
    stages = _stages(steps)
    for place in sorted(range(len(steps)), key=lambda place: (stages[place], place)):
        step = steps[place]
        stage = f"{stage_before}{stages[place]}"
        node = plan.nodes[plan.by_id[step.id]]
        yield {
            "stage": stage,
            "depth": depth,
            "step": step.id,
            "operator": step.operator,
            "after": [plan.nodes[index].id for index in node.upstream],
            "join": step.join,
            "when": _when(step),
            "runs": _runs(step, node),
            "limits": _limits(step, node),
        }
        for name, inner in lists_of(step):
            yield from _steps(inner, plan, f"{stage}.{name}.", depth + 1)


def _stages(steps: tuple[Step, ...]) -> list[int]:
    """Give for each step how many steps of its list must have ended before it at least, and one."""
    upstream = order_of(steps).upstream
    stages = [0] * len(steps)
    # Each round settles at least the steps of one stage.
    for _ in steps:
        for place, waited in enumerate(upstream):
            if not stages[place] and all(stages[one] for one in waited):
                stages[place] = 1 + max((stages[one] for one in waited), default=0)
    return stages


def _runs(step: Step, node: Node) -> str:
    """Say how often the operator is called: per item, when the step stands in a map."""
    if node.kind == "attempt":
        count = node.retry.max_attempts
        return "1 attempt" if count == 1 else f"up to {count} attempts"
    if node.kind == "map":
        return f"each of {_source(step.parameters['items'])}"
    if node.kind == "branch":
        return "every branch that matches" if node.takes_all else "first branch that matches"
    if node.kind == "parallel":
        return "all branches"
    told = _TOLD.get(node.kind)
    return _ENGINE if told is None else told(step)


def _loop_runs(step: Step) -> str:
    """Say how often the body of a loop runs."""
    given = step.parameters
    if given["mode"] == "each":
        told = f"each of {_source(given['items'])}, in turn"
    elif given["mode"] == "while":
        told = f"while {given['condition']}"
    else:
        told = f"{_text(given['limit'])} times"
    return f"{told}, until {given['break_when']}" if "break_when" in given else told


def _try_runs(step: Step) -> str:
    told = {"steps": "steps", "catch": "catch on failure", "finally": "finally in every case"}
    return ", ".join(told[name] for name in told if name in step.lists)


def _wait_runs(step: Step) -> str:
    given = step.parameters
    return f"waits {_text(given['seconds'])} s" if "seconds" in given else f"waits until {_text(given['until'])}"


_TOLD: Mapping[str, Callable[[Step], str]] = {"loop": _loop_runs, "try": _try_runs, "wait": _wait_runs}


def _text(value: Any) -> str:
    return _source(value) if isinstance(value, str) else f"{value:g}"


def _source(items: Any) -> str:
    """Name the items of a map or loop: the expression that gives them, or how many a literal list has."""
    if isinstance(items, str):
        return items.strip().removeprefix("{{").removesuffix("}}").strip()
    return f"{len(items)} items"


def _when(step: Step) -> str | None:
    """Give the step's condition, or those of its branches."""
    conditions = [f"{branch.id}: {branch.when}" for branch in step.branches if branch.when is not None]
    return "; ".join([*([step.when] if step.when else []), *conditions]) or None


def _limits(step: Step, node: Node) -> dict[str, Any]:
    limits: dict[str, Any] = {
        name: value for name, value in msgspec.structs.asdict(node.timeout).items() if value is not None
    }
    if node.map is not None:
        limits |= {
            "max_concurrency": node.map.max_concurrency,
            "batch_size": node.map.batch_size,
            "on_item_error": node.map.on_item_error,
            "items_per_chunk": node.map.chunk_items,
        }
    if node.loop is not None:
        limits["max_iterations"] = node.loop.max_iterations
    if step.on_error != "fail":
        limits["on_error"] = "continue" if step.on_error == "continue" else "list"
    return {name: value for name, value in limits.items() if value is not None}


def _without_defaults(settings: msgspec.Struct) -> dict[str, Any]:
    blank = type(settings)()
    return {
        name: len(value) if isinstance(value, tuple) else msgspec.to_builtins(value)
        for name, value in msgspec.structs.asdict(settings).items()
        if value != getattr(blank, name)
    }
