"""The lines of a dry run's answer, one per step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from core.dag.plan import Node
from core.engine.dry_run.answer import StepForecast, StepLine, TaskCounts
from core.engine.dry_run.fates import REFERENCES_MAX, Fates, Held
from core.engine.dry_run.limits import step_limits
from core.engine.dry_run.rehearsal import Rehearsal
from core.engine.masking import masked
from core.engine.shown_value import value_bytes
from core.engine.state import TaskStatus, Value
from core.engine.values import encode_json
from core.expression import ExpressionFailed

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
        fates = self._fates.tell(node)
        held = self._fates.held(node)
        counts = Counter(fate.status for fate in fates)
        position = next(at for status in _SHOWN_FIRST for at, fate in enumerate(fates) if fate.status == status)
        fate, task = fates[position], held[position] if position < len(held) else None
        is_in_map = self._rehearsal.plan.regions[self._rehearsal.plan.lists[node.list].region].map_node is not None
        parameters, parameters_bytes, waits_for = self._parameters(node, task)
        value, size = self.stored(None if task is None else task.task.output)
        error, _ = self.stored(_error(task))
        counted = TaskCounts(counts["runs"], counts["may run"], counts["evaluated"], counts["skipped"])
        return StepLine(
            step=node.id,
            operator=node.operator.name,
            depth=depth,
            status=fate.status,
            outcome=fate.outcome,
            why=fate.why,
            waits_for=fate.waits_for,
            path=None if task is None else self._rehearsal.view().task_path(task.frame, task.index),
            tasks=counted if is_in_map and held else None,
            items=self._items(node, task),
            attempts=0 if task is None else task.task.attempts,
            parameters=parameters,
            parameters_bytes=parameters_bytes,
            parameters_wait_for=waits_for,
            value=value,
            value_bytes=size,
            error=error,
            limits=step_limits(node),
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

    def _items(self, node: Node, task: Held | None) -> int | None:
        """Give the count of a map's items, as soon as they are known."""
        begun = self._rehearsal.items.get(node.index)
        if node.map is None or begun is not None or not self._fates.is_evaluating:
            return begun
        try:
            items, unknown = self._fates.facts(node, task).render(node.map.items)
        except ExpressionFailed:
            return None
        if unknown or not isinstance(items, list):
            return None
        return -(-len(items) // (node.map.batch_size or 1))


_SHOWN_FIRST = ("runs", "may run", "evaluated", "skipped")


def _error(task: Held | None) -> Value | None:
    """Give a failed task's error; a map's list of failed items is none."""
    return None if task is None or task.task.status is TaskStatus.SUCCEEDED else task.task.error
