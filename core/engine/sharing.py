"""Which tasks a rerun takes over, and which run anew (semantics.md S44); a pure choice by both plans and the old tasks.

Taken over is what ended well: succeeded, was skipped for a reason of its own, or failed and was handled. All else runs,
and with a step all that is downstream of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from core.dag.plan import Node, Plan
from core.engine import events as e
from core.engine.advance import is_handled
from core.engine.lending import Lent, Reused
from core.engine.rerun_events import TaskReused
from core.engine.state import Task, TaskStatus, Value
from core.engine.sure import sure
from core.errors import RequestInvalid

FAILED = "@failed"  # every failed or cancelled task
# Skips that were decided by the step itself or its upstream; the others say that the instance ended before the step.
_OWN_SKIPS = frozenset({"when", "join", "hand"})


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """An ended instance, as far as a rerun looks at it.

    Attributes:
        plan: of its version. tasks: of its top list, by index.
        assigned: by index of a task, the run variables of the top list that lists inside the task assigned last.
    """

    instance_id: str
    plan: Plan
    tasks: Sequence[Task | None]
    assigned: Mapping[int, Mapping[str, Value]]


class Assignments:
    """Which variables of the top list were assigned inside which of its tasks; give it every journal row, ascending."""

    def __init__(self) -> None:
        """Begin before the first row."""
        self._above: dict[str, tuple[str, int]] = {}
        self._found: dict[int, dict[str, Value]] = {}
        self._last: dict[str, Value] = {}  # what a task assigns stands just before its end

    def read(self, events: Iterable[e.Event]) -> None:
        """Take the events of one row."""
        for event in events:
            if isinstance(event, e.FrameOpened) and event.parent is not None:
                self._above[event.frame] = (event.parent, event.parent_index)
            elif isinstance(event, e.VariableSet) and event.frame == "":
                self._last[event.name] = event.value
            elif isinstance(event, e.TaskSucceeded | TaskReused) and self._last:
                self._found.setdefault(self._on_top(event.frame, event.index), {}).update(self._last)
                self._last = {}

    def by_task(self, plan: Plan) -> Mapping[int, Mapping[str, Value]]:
        """Give them by the index of the task; what a task of the top list assigns is its output, and not told."""
        return {index: values for index, values in self._found.items() if plan.nodes[index].variable is None}

    def _on_top(self, frame: str, index: int) -> int:
        while frame != "":
            frame, index = self._above[frame]
        return index


def assigns_upward(plan: Plan) -> bool:
    """Say whether a list inside some task may assign a variable of the top list."""
    inside = (node for node in plan.nodes if node.kind == "assign" and node.list != 0)
    return any(_defines_on_top(plan, sure(node.variable)) for node in inside)


def shared(plan: Plan, past: Past, from_step: str | None) -> tuple[tuple[int, Lent], ...]:
    """Choose what a rerun on `plan` takes over, by index in its top frame.

    Args:
        plan: of the version that runs now. past: the instance that is rerun.
        from_step: a step id of the top list, FAILED, or None = nothing is taken over.

    Raises:
        RequestInvalid: the version has no such step in its top list.
    """
    if from_step is None:
        return ()
    top = [plan.nodes[number] for number in plan.lists[0].nodes]
    lent = {node.index: found for node in top if (found := _lent(plan, node, past)) is not None}
    anew = [node.index for node in top if node.index not in lent]
    if from_step == FAILED:
        anew += [number for number in lent if lent[number].status == "failed"]
    else:
        anew.append(_step(plan, from_step))
    for number in _downstream(plan, anew):
        lent.pop(number, None)
    return tuple((plan.nodes[number].slot, found) for number, found in lent.items())


def _step(plan: Plan, from_step: str) -> int:
    number = plan.by_id.get(from_step)
    if number is None or plan.nodes[number].list != 0:
        message = f"version {plan.version} has no step {from_step!r} in its top list"
        raise RequestInvalid(message, faults=[{"code": "request.value", "pointer": "/from_step", "message": message}])
    return number


def _downstream(plan: Plan, numbers: Iterable[int]) -> set[int]:
    """Give these nodes and all that follow them."""
    found: set[int] = set()
    waiting = list(numbers)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += plan.nodes[number].downstream
    return found


def _lent(plan: Plan, node: Node, past: Past) -> Lent | None:
    """Say how the step ended before; None when it must run."""
    number = past.plan.by_id.get(node.id)
    before = None if number is None else past.plan.nodes[number]
    if before is None or before.list != 0 or before.operator.name != node.operator.name or node.kind == "return":
        return None
    task = past.tasks[before.slot]
    if task is None or not _ended_well(node, before, task):
        return None
    assigned = past.assigned.get(before.slot, {})
    return Lent(
        status=_STATUS[task.status],
        reused_from=task.detail.of if isinstance(task.detail, Reused) else past.instance_id,
        lender=past.instance_id,
        output=task.output,
        error=task.error,
        reason=task.reason,
        variables=tuple((name, value) for name, value in assigned.items() if _defines_on_top(plan, name)),
    )


_STATUS: Mapping[TaskStatus, Literal["succeeded", "skipped", "failed"]] = {
    TaskStatus.SUCCEEDED: "succeeded",
    TaskStatus.SKIPPED: "skipped",
    TaskStatus.FAILED: "failed",
}


def _ended_well(node: Node, before: Node, task: Task) -> bool:
    if task.status is TaskStatus.SKIPPED:
        return task.reason in _OWN_SKIPS
    if task.status is TaskStatus.FAILED:
        return is_handled(before, task) and node.on_error != "fail"
    return task.status is TaskStatus.SUCCEEDED


def _defines_on_top(plan: Plan, name: str) -> bool:
    return name in plan.variables and plan.nodes[plan.variables[name]].list == 0
