"""The lines of a dry run's answer, one per step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from core.dag.plan import Node
from core.engine.dry_run.answer import StepForecast, StepLimits, StepLine, TaskCounts
from core.engine.dry_run.facts import is_turn
from core.engine.dry_run.fates import REFERENCES_MAX, Fates, Held
from core.engine.dry_run.limits import step_limits
from core.engine.dry_run.rehearsal import Rehearsal
from core.engine.masking import masked
from core.engine.shown_value import value_bytes
from core.engine.state import Value
from core.engine.statuses import TASK_SUCCEEDED
from core.engine.values import encode_json, stamp
from core.expression import ExpressionFailed, Rendering
from core.expression.moment import parse_timestamp

VALUE_SHOWN_BYTES_MAX = 4_096  # of one parameter set, value or error
VALUES_BYTES_MAX = 393_216  # of all of them: with 1 000 lines beside them the answer stays within 1 MiB


class Lines:
    """Makes lines in the order of the document; remembers how many bytes of values it showed."""

    def __init__(self, rehearsal: Rehearsal, fates: Fates, forecasts: Mapping[str, StepForecast]) -> None:
        """Take what was rehearsed, and what history says of each step."""
        self._rehearsal = rehearsal
        self._fates = fates
        self._forecasts = forecasts
        self._bytes_left = VALUES_BYTES_MAX

    def line(self, node: Node, depth: int) -> StepLine:
        """Tell of one step; containers first."""
        fates, more = self._fates.tell(node)
        held = self._fates.held(node)
        counts = Counter(fate.status for fate in fates)
        position = next(at for status in _SHOWN_FIRST for at, fate in enumerate(fates) if fate.status == status)
        fate, task = fates[position], held[position] if position < len(held) else None
        parameters, parameters_bytes, waits_for = self._parameters(node, task)
        value, size = self.stored(None if task is None else task.task.output)
        error, _ = self.stored(_error(task))
        counted = TaskCounts(counts["runs"], counts["may run"] + more, counts["evaluated"], counts["skipped"])
        return StepLine(
            step=node.id,
            operator=node.operator.name,
            depth=depth,
            list=self._rehearsal.plan.lists[node.list].name,
            status=fate.status,
            outcome=fate.outcome,
            why=fate.why,
            waits_for=fate.waits_for,
            path=None if task is None else self._rehearsal.view().task_path(task.frame, task.index),
            tasks=counted if held and self._is_repeated(node) else None,
            items=self._items(node, task),
            attempts=0 if task is None else task.task.attempts,
            parameters=parameters,
            parameters_bytes=parameters_bytes,
            parameters_wait_for=waits_for,
            value=value,
            value_bytes=size,
            error=error,
            limits=self._limits(node, task),
            forecast=self._forecasts.get(node.id),
        )

    def stored(self, value: Value | None, *, is_masked: bool = False) -> tuple[Any, int | None]:
        """Give (JSON, None), or (None, size) when it is too large or the answer holds enough already.

        (None, None) when there is no value. A large one is not even loaded.
        """
        if value is None:
            return None, None
        size = value_bytes(value)
        return (None, size) if size > self._room else self._shown(self._rehearsal.load(value), is_masked=is_masked)

    @property
    def _room(self) -> int:
        return min(VALUE_SHOWN_BYTES_MAX, self._bytes_left)

    def _shown(self, value: Any, *, is_masked: bool) -> tuple[Any, int | None]:
        data = encode_json(value)
        if len(data) > self._room:
            return None, len(data)
        if is_masked:  # names are looked for in what is shown only: that walk is slow
            data = encode_json(masked(value))
        self._bytes_left -= len(data)
        return msgspec.Raw(data), None

    def _parameters(self, node: Node, task: Held | None) -> tuple[Any, int | None, tuple[str, ...]]:
        kept = None if task is None else self._kept(node, task)
        if kept is not None:
            return *self.stored(kept, is_masked=True), ()
        if node.parameters is None or not self._fates.is_evaluating:
            return None, None, ()
        try:
            value, unknown = self._fates.facts(node, task).render(node.parameters)
        except ExpressionFailed:
            return None, None, ()
        return *self._shown(value, is_masked=True), tuple(unknown[:REFERENCES_MAX])

    def _kept(self, node: Node, task: Held) -> Value | None:
        """Give the parameters of a task that was called."""
        path = self._rehearsal.view().task_path(task.frame, task.index)
        first, parameters = self._rehearsal.parameters.get(node.index, ("", None))
        return parameters if first == path else getattr(task.task.detail, "parameters", None)

    def _is_repeated(self, node: Node) -> bool:
        """Say whether a step stands in a map or a loop, however deep."""
        lists, nodes = self._rehearsal.plan.lists, self._rehearsal.plan.nodes
        one = lists[node.list]
        while one.owner is not None:
            if is_turn(self._rehearsal.plan, one):
                return True
            one = lists[nodes[one.owner].list]
        return False

    def _limits(self, node: Node, task: Held | None) -> StepLimits:
        """Give the bounds of a step, and of a wait how long it is: as it was decided, or as it is known already."""
        if node.wait is None or (node.wait.seconds is None and node.wait.until is None):
            return step_limits(node)
        begun = None if task is None else self._rehearsal.hindsight.waits.get((task.frame.path, task.index))
        if begun is not None:
            due_at = next(timer.due_at for timer in begun.timers if timer.kind == "wait")
            return step_limits(node, wait_s=(due_at - begun.detail.since).total_seconds(), wait_until=stamp(due_at))
        seconds = self._known(node, task, node.wait.seconds)
        until = self._known(node, task, node.wait.until)
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        return step_limits(node, wait_s=float(seconds) if is_number else None, wait_until=_time(until))

    def _known(self, node: Node, task: Held | None, rendering: Rendering | None) -> Any:
        """Give what a template of a step comes to; None when that is not known, or nothing."""
        if rendering is None or not self._fates.is_evaluating:
            return None
        try:
            value, unknown = self._fates.facts(node, task).render(rendering)
        except ExpressionFailed:
            return None
        return None if unknown else value

    def _items(self, node: Node, task: Held | None) -> int | None:
        """Give the count of a map's items or a loop's iterations, as soon as it is known; of an ended loop what ran."""
        begun = None if task is None else self._rehearsal.hindsight.iterations.get((task.frame.path, task.index))
        if begun is not None and task is not None and task.task.status.is_terminal:
            return begun
        known = self._rehearsal.items.get(node.index)
        if known is not None:
            return known
        if node.map is not None:
            items = self._known(node, task, node.map.items)
            return -(-len(items) // (node.map.batch_size or 1)) if isinstance(items, list) else None
        if node.loop is None:
            return None
        items = self._known(node, task, node.loop.items)
        limit = self._known(node, task, node.loop.limit)
        return len(items) if isinstance(items, list) else limit if type(limit) is int else None


def _time(until: Any) -> str | None:
    """Give a time as it is shown; None when it is none, which fails the wait."""
    try:
        return stamp(parse_timestamp(until)) if isinstance(until, str) else None
    except ExpressionFailed:
        return None


_SHOWN_FIRST = ("runs", "may run", "evaluated", "skipped")


def _error(task: Held | None) -> Value | None:
    """Give a failed task's error; a map's list of failed items is none."""
    return None if task is None or task.task.status is TASK_SUCCEEDED else task.task.error
