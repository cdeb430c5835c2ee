"""Use case of asking why: reads an instance with its open frames and says what keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.access.permission import require
from core.dag.plan import Plan
from core.engine.fold import restore
from core.engine.lines import Line, line_of
from core.engine.node.terms import PlanSource
from core.engine.passages import gate_of
from core.engine.permit import Permit
from core.engine.state import State
from core.engine.why import (
    APPROVAL,
    CHILD,
    NO_LINES,
    Places,
    Why,
    permit_predicate,
    queued_why,
    waited_permits,
    why,
)
from core.errors import ConcurrencyReached, FlowError, HistoryTooLong, InstanceNotFound, TaskNotFound
from core.ports.clock import Clock
from core.ports.instance_store import READ_ROWS_MAX, ApprovalRow, InstanceStore
from core.ports.instance_views import InstanceFilter, InstanceViews
from core.ports.permits import LINE_ROWS_MAX, Gate, PermitRow, PermitStore
from core.ports.scope import Scope
from core.predicate import Predicate

GATES_MAX = 20  # whose lines are read for one answer
APPROVALS_MAX = 20  # of which is read who may decide, for one answer
FRAMES_MAX = 1_000  # open ones of an instance, which are read at once as when its node loads it


class Explainer:
    """Says why instances stand where they stand; nothing here changes one."""

    def __init__(
        self,
        *,
        views: InstanceViews,
        store: InstanceStore,
        plans: PlanSource,
        clock: Clock,
        permits: PermitStore,
        places: Callable[[], Places],
    ) -> None:
        """Take the stores, and what tells of this node's attempt places."""
        self._views = views
        self._store = store
        self._plans = plans
        self._clock = clock
        self._permits = permits
        self._places = places

    async def why(self, scope: Scope, instance_id: str, path: str | None = None) -> Why:
        """Say what keeps an instance, or one task of it that is open.

        Raises:
            NotAllowed: `instance:view` is missing. InstanceNotFound: not in this business domain.
            TaskNotFound: no open task has this path. HistoryTooLong: more than FRAMES_MAX frames are open.
        """
        require(scope, "instance", "view")
        seen = await self._views.get(scope, instance_id)
        if seen is None:
            raise InstanceNotFound(f"no instance {instance_id}")
        if seen.row.open_frames > FRAMES_MAX:
            raise HistoryTooLong(
                f"instance {instance_id} has {seen.row.open_frames} open frames; read its tasks instead"
            )
        # Every open frame and the tail at one moment; the domain was looked at above and never changes.
        loaded = await self._store.load(instance_id)
        if loaded is None:
            raise InstanceNotFound(f"no instance {instance_id}")
        if not loaded.row.seq:
            told = queued_why(0)
        else:
            plan = await self._plans.get(scope.domain_id, loaded.row.dag_id, loaded.row.dag_hash)
            state = restore(plan, loaded, epoch=loaded.row.epoch)
            lines = await self._lines(plan, state, path) if plan.has_limits else NO_LINES
            told = why(plan, state, self._clock.now(), self._places(), path=path, lines=lines)
            told = await self._with_children(scope, instance_id, told)
            told = await self._with_approvers(scope, told)
        if path is not None and not told.tasks:
            raise TaskNotFound(f"instance {instance_id} has no open task of that path")
        return told

    async def _with_children(self, scope: Scope, instance_id: str, told: Why) -> Why:
        """Add how the children stand that its calls wait for; null for one that is not among the newest."""
        if all(one.name != CHILD for task in told.tasks for one in task.predicates):
            return told
        page = await self._views.list(scope, InstanceFilter(parent=instance_id), limit=READ_ROWS_MAX)
        statuses = {row.id: row.status for row in page.rows}

        def shown(one: Predicate) -> Predicate:
            if one.name != CHILD:
                return one
            return msgspec.structs.replace(one, value={**one.value, "status": statuses.get(one.holder or "")})

        return _retold(told, shown)

    async def _with_approvers(self, scope: Scope, told: Why) -> Why:
        """Add what the approvals ask that it waits for, and whom; no holder: whoever may decide approvals."""
        asked = [one.value["id"] for task in told.tasks for one in task.predicates if one.name == APPROVAL]
        rows: dict[str, ApprovalRow] = {}
        for id_ in asked[:APPROVALS_MAX]:
            rows |= {row.id: row for row in await self._views.approvals(scope, from_id=id_, limit=1)}

        def shown(one: Predicate) -> Predicate:
            row = rows.get(one.value["id"]) if one.name == APPROVAL else None
            if row is None:
                return one
            holder = None if row.approvers is None else ", ".join(row.approvers)
            return msgspec.structs.replace(one, value={"id": row.id, "title": row.title}, holder=holder)

        return _retold(told, shown) if rows else told

    async def _lines(self, plan: Plan, state: State, path: str | None) -> dict[str, Line]:
        """Read the lines at which an instance and its tasks stand, of some of them when they are many."""
        header, lines = state.header, dict[str, Line]()
        gates: dict[Gate, list[PermitRow]] = {}
        for task_path, permit in waited_permits(plan, state).items():
            gate = gate_of(header.domain_id, permit)
            if path not in (None, task_path) or (gate not in gates and len(gates) >= GATES_MAX):
                continue
            if gate not in gates:
                gates[gate] = await self._permits.line(gate, limit=LINE_ROWS_MAX)
            lines[task_path] = line_of(gates[gate], header.id, task_path)
        return lines

    async def refused(self, scope: Scope, error: ConcurrencyReached) -> ConcurrencyReached:
        """Give the refusal of a start with who runs, as far as that can be read just now."""
        fields: Any = error.fields
        gate = Gate(scope.domain_id, fields["limit"], fields["key"])
        try:
            line = line_of(await self._permits.line(gate, limit=LINE_ROWS_MAX), "", "")
        except FlowError:
            return error
        told = permit_predicate(Permit(gate.limit, gate.key, fields["most"], is_held=False), line)
        return ConcurrencyReached(error.detail, **fields, why=(told,))

    async def predicates(self, scope: Scope, instance_id: str, path: str) -> tuple[Predicate, ...]:
        """Say for an error document what keeps a task; nothing when it has ended, or cannot be read just now."""
        try:
            told = await self.why(scope, instance_id, path)
        except FlowError:
            return ()
        return told.tasks[0].predicates


def _retold(told: Why, shown: Callable[[Predicate], Predicate]) -> Why:
    """Tell the predicates of tasks in another way."""
    tasks = (msgspec.structs.replace(task, predicates=tuple(map(shown, task.predicates))) for task in told.tasks)
    return msgspec.structs.replace(told, tasks=tuple(tasks))
