"""Use case of asking why: reads an instance with its open frames and says what keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.access.permission import require
from core.engine.fold import restore
from core.engine.node.terms import PlanSource
from core.engine.why import CHILD, Places, Predicate, Why, queued_why, why
from core.errors import FlowError, HistoryTooLong, InstanceNotFound, TaskNotFound
from core.ports.clock import Clock
from core.ports.instance_store import READ_ROWS_MAX, InstanceStore
from core.ports.instance_views import InstanceFilter, InstanceViews
from core.ports.scope import Scope

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
        places: Callable[[], Places],
    ) -> None:
        """Take the stores, and what tells of this node's attempt places."""
        self._views = views
        self._store = store
        self._plans = plans
        self._clock = clock
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
            told = why(plan, state, self._clock.now(), self._places(), path=path)
            told = await self._with_children(scope, instance_id, told)
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

        tasks = (msgspec.structs.replace(task, predicates=tuple(map(shown, task.predicates))) for task in told.tasks)
        return msgspec.structs.replace(told, tasks=tuple(tasks))

    async def predicates(self, scope: Scope, instance_id: str, path: str) -> list[dict[str, Any]] | None:
        """Say for an error document what keeps a task; None when it has ended, or cannot be read just now."""
        try:
            told = await self.why(scope, instance_id, path)
        except FlowError:
            return None
        found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(told.tasks[0].predicates))
        return found
