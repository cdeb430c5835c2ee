"""Use case: run an ended instance again, anew or from one of its steps on (semantics.md S44)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.access.dag_access import DagAccess, Runnable
from core.access.permission import require
from core.dag.plan import Plan
from core.engine.explaining import Explainer
from core.engine.fold import restore
from core.engine.former import Assignments, Past, assigns_upward, hindrance, shared
from core.engine.inputs import completed
from core.engine.lending import Rerun
from core.engine.node.terms import PlanSource, Started, StartRequest
from core.engine.origin import labels_of_start
from core.engine.reread import reread
from core.engine.service import Engine, submitted
from core.engine.sharing import FAILED
from core.engine.shown_value import ValueReader
from core.engine.state import VALUE_BYTES_MAX, Header, InstanceStatus, Value
from core.errors import DagStopped, InstanceNotEnded, InstanceNotFound, RequestInvalid
from core.ports.clock import Clock, IdSource
from core.ports.instance_store import InstanceRow, Loaded, StartKey
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope

_canonical = msgspec.json.Encoder(order="deterministic").encode


class RerunAsked(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance is to be run again.

    Attributes:
        from_step: a task path, or `@failed`: this and all downstream run anew, the rest is taken over; None = all anew.
        version: None = that of the instance. inputs: any JSON value; UNSET = those of the instance.
        reason: in the caller's words; kept in the journal. priority: of the rerun; None = the one that the instance was
            started with, if any.
    """

    from_step: str | None = None
    version: str | None = None
    inputs: Any = msgspec.UNSET
    reason: str = ""
    priority: int | None = None


class InstanceReruns:
    """Runs ended instances again."""

    def __init__(
        self,
        *,
        engine: Engine,
        views: InstanceViews,
        objects: ObjectStore,
        dags: DagAccess,
        plans: PlanSource,
        clock: Clock,
        ids: IdSource,
        explainer: Explainer | None = None,
    ) -> None:
        """Take the engine and what is read beside it."""
        self._engine = engine
        self._views = views
        self._objects = objects
        self._dags = dags
        self._plans = plans
        self._clock = clock
        self._ids = ids
        self._explainer = explainer

    async def check(self, scope: Scope, instance_id: str) -> None:
        """Pass when the caller may run DAGs and see this instance, and it is there.

        Raises:
            NotAllowed: `dag:run` or `instance:view` is missing. InstanceNotFound: not in this business domain.
        """
        await self._loaded(scope, instance_id)

    async def rerun(self, scope: Scope, instance_id: str, asked: RerunAsked, *, key: str | None = None) -> Started:
        """Start a new instance that is a rerun of this one; durable when this returns.

        `key` is an Idempotency-Key: a repeat with the same request answers the first rerun (R16).

        Raises:
            NotAllowed: `dag:run` or `instance:view` is missing. InstanceNotFound: not in this business domain.
            InstanceNotEnded: only an ended instance is run again. DagNotFound: no such version, or the DAG is deleted.
            DagStopped: it starts nothing. ConcurrencyReached: as many run as may.
            RequestInvalid: the version, or the instance, has no such task.
            InputInvalid: the inputs miss the version's schema. HistoryTooLong: as `reread`.
            IdempotencyKeyReused: same key, other request.
            QueueFull, NodeStopping, StoreUnavailable, StoreFull: nothing was started.
            OutcomeUnknown: it may have been started; only without a key.
        """
        loaded = await self._loaded(scope, instance_id)
        row = loaded.row
        if not InstanceStatus(row.status).is_terminal:
            message = f"instance {instance_id} is {row.status}: it is run again when it has ended"
            raise InstanceNotEnded(message, instance_id=instance_id, instance_status=row.status)
        runnable = await self._dags.runnable(scope, row.dag_id, asked.version or row.dag_version)
        if runnable.status == "stopped":
            raise DagStopped(f"DAG {row.dag_id} is stopped and starts nothing", dag_id=row.dag_id)
        old = await self._plans.get(scope.domain_id, row.dag_id, row.dag_hash)
        state = restore(old, loaded, epoch=0)
        inputs = await self._inputs(scope, state.header, runnable.plan, asked.inputs)
        past = Past(
            instance_id=row.id,
            plan=old,
            tasks=state.frames[""].tasks,
            assigned={} if asked.from_step is None else await self._assigned(scope, old, row),
        )
        lent = shared(runnable.plan, past, asked.from_step)
        await self._require_task(scope, past, asked.from_step)
        rerun = Rerun(row.id, asked.from_step, scope.principal.id, asked.reason, lent)
        request = self._request(scope, runnable, state.header, inputs, rerun, asked, key)
        return await submitted(self._engine, self._explainer, scope, request)

    async def _loaded(self, scope: Scope, instance_id: str) -> Loaded:
        require(scope, "dag", "run")
        require(scope, "instance", "view")
        loaded = await self._views.get(scope, instance_id)
        if loaded is None:
            raise InstanceNotFound(f"no instance {instance_id}")
        return loaded

    async def _inputs(self, scope: Scope, header: Header, plan: Plan, given: Any) -> Any:
        """Give the inputs, complete: new ones, or those that the instance had."""
        if given is msgspec.UNSET:
            reader = ValueReader(self._views, self._objects, scope, header.id)
            shown, _ = await reader.shown(header.inputs, VALUE_BYTES_MAX)
            given = msgspec.json.decode(shown)
        return completed(plan, given)

    async def _assigned(self, scope: Scope, plan: Plan, row: InstanceRow) -> Mapping[int, Mapping[str, Value]]:
        """Read which variables of the top list were assigned inside which of its tasks; only where a list may do so."""
        if not assigns_upward(plan):
            return {}
        found = Assignments()
        async for _, events in reread(self._views, scope, row.id, until_seq=row.seq):
            found.read(events)
        return found.by_task(plan)

    async def _require_task(self, scope: Scope, past: Past, from_step: str | None) -> None:
        """Refuse a task that the instance does not have, or before which it was cut off."""
        if from_step is None or from_step == FAILED:
            return

        async def load(instance_id: str, paths: Sequence[str]) -> Loaded | None:
            return await self._views.get(scope, instance_id, paths=paths)

        async def plan_of(row: InstanceRow) -> Plan:
            return await self._plans.get(scope.domain_id, row.dag_id, row.dag_hash)

        found = await hindrance(load, plan_of, scope.domain_id, past, from_step)
        if found is not None:
            message = f"instance {past.instance_id} {found.format(path=from_step)}"
            raise RequestInvalid(
                message, faults=[{"code": "request.value", "pointer": "/from_step", "message": message}]
            )

    def _request(
        self,
        scope: Scope,
        runnable: Runnable,
        header: Header,
        inputs: Any,
        rerun: Rerun,
        asked: RerunAsked,
        key: str | None,
    ) -> StartRequest:
        now, plan = self._clock.now(), runnable.plan
        # What was given with the start stays; what the DAG renders is rendered anew.
        kept = {name: value for name, value in (header.labels or {}).items() if name not in plan.labels}
        labels = labels_of_start(plan, kept, inputs=inputs, trigger=header.trigger, now=now)
        instance_id = self._ids.new_id()
        start_key = None
        if key is not None:
            given = [] if asked.inputs is msgspec.UNSET else [asked.inputs]
            priority = [] if asked.priority is None else [asked.priority]
            body = _canonical([asked.from_step, asked.version, given, asked.reason, *priority])
            trigger = f"rerun:{rerun.of}:{scope.principal.id}"
            start_key = StartKey(scope.domain_id, trigger, key, instance_id, hashlib.sha256(body).hexdigest())
        return StartRequest(
            plan=plan,
            id=instance_id,
            domain_id=scope.domain_id,
            start_key=start_key,
            inputs=inputs,
            trigger=header.trigger,
            created_at=now,
            labels=labels,
            rerun=rerun,
            priority=header.priority if asked.priority is None else asked.priority,
        )
