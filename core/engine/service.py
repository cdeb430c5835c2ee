"""Use cases of instances for people: start, wait, read, act on. Each asks for the permission first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from core.access.dag_access import DagAccess
from core.access.permission import require
from core.engine.effects import Answer
from core.engine.explaining import Explainer
from core.engine.inputs import completed
from core.engine.instance_search import InstanceQuery, filter_of, search
from core.engine.journal_view import JournalPage, read_journal
from core.engine.node.terms import Ended, PlanSource, Started, StartRequest
from core.engine.origin import MANUAL_TRIGGER, labels_of_start
from core.engine.shown_value import ValueReader
from core.engine.state import InstanceStatus
from core.engine.stimuli import Act, Cancel, Command, Pause, Resume, Terminate
from core.engine.values import encode_json
from core.engine.views import (
    InstanceView,
    InstanceViewPage,
    TaskPage,
    TaskPlace,
    read_instance,
    read_tasks,
    row_view,
    shown_instance,
)
from core.errors import (
    ConcurrencyReached,
    DagStopped,
    InstanceEnded,
    InstanceNotFound,
    InstanceNotOpen,
    RequestInvalid,
    TaskNotFound,
    TaskNotOpen,
)
from core.ports.clock import Clock, IdSource
from core.ports.instance_store import StartKey
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope
from core.predicate import Predicate

WAIT_S_MAX = 60.0  # http-api.md, `?wait=`
REASON_CHARACTERS_MAX = 1_000  # a sentence of a person
# S2: a step's id, and before it the containers that number what is in them.
_TASK_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(?:\.[0-9]{1,6}\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,16}", re.ASCII)
PAGE_ROWS_MAX = 200  # http-api.md, lists
NO_LABELS: Mapping[str, str] = {}
Told = Literal["cancel", "terminate", "pause", "resume"]
_TOLD: dict[Told, type[Cancel | Terminate | Pause | Resume]] = {
    "cancel": Cancel,
    "terminate": Terminate,
    "pause": Pause,
    "resume": Resume,
}
_canonical = msgspec.json.Encoder(order="deterministic").encode


class TaskAct(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants of a task, and why (S43).

    Attributes:
        output: any JSON value; of skip and complete. error_kind, message: of fail.
    """

    act: Literal["skip", "complete", "fail", "retry"]
    path: str
    reason: str
    output: Any = msgspec.UNSET
    error_kind: str = "failed"
    message: str = ""


class Engine(Protocol):
    """The engine node, as far as it is used here."""

    async def submit(self, request: StartRequest) -> Started:
        """Start durably; answered after the commit."""
        ...

    async def command(self, domain_id: str, instance_id: str, stimulus: Command) -> Answer:
        """Tell an instance to end."""
        ...

    async def wait_ended(self, domain_id: str, instance_id: str, timeout_s: float) -> Ended | None:
        """Wait until an instance of this business domain ended, or not longer."""
        ...

    def end_waits(self) -> None:
        """Answer all who wait now, and later ones at once."""
        ...


class InstanceService:
    """What callers may do with instances."""

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
        """Take the engine and what is read beside it; `explainer` says in refusals what keeps a task."""
        self._engine = engine
        self._views = views
        self._objects = objects
        self._dags = dags
        self._plans = plans
        self._clock = clock
        self._ids = ids
        self._explainer = explainer

    async def start(
        self,
        scope: Scope,
        dag_id: str,
        inputs: Any,
        *,
        version: str | None = None,
        key: str | None = None,
        labels: Mapping[str, str] = NO_LABELS,
        priority: int | None = None,
    ) -> Started:
        """Start an instance; when this returns it is durable and will be run to its end.

        `inputs` is a JSON value; defaults of the schema are filled in (S45). `version` None = the newest, pinned now.
        `key` is an Idempotency-Key: a repeat of the same request answers the first instance (R16).
        `labels` are by name, their form is checked; they go before the DAG's own (ADR 0022). `priority` is 1 lowest ..
        5 highest, checked; None = the DAG's (ADR 0044).

        Raises:
            NotAllowed: `dag:run` is missing. DagNotFound: no such DAG or version. DagStopped: it starts nothing.
            ConcurrencyReached: as many run as may; `why` says who.
            InputInvalid: the inputs miss the schema, or a label of the DAG gives none; `faults` lists all.
            IdempotencyKeyReused: same key, other request.
            QueueFull, NodeStopping, StoreUnavailable, StoreFull: nothing was started.
            OutcomeUnknown: it may have been started; only without a key.
        """
        runnable = await self._dags.runnable(scope, dag_id, version)
        if runnable.status == "stopped":
            raise DagStopped(f"DAG {dag_id} is stopped and starts nothing", dag_id=dag_id)
        complete = completed(runnable.plan, inputs)
        now = self._clock.now()
        # Before anything is stored: a label that cannot be is a fault of the request.
        all_labels = labels_of_start(runnable.plan, labels, inputs=complete, trigger=MANUAL_TRIGGER, now=now)
        instance_id = self._ids.new_id()
        start_key = None
        if key is not None:
            # The request as it was given, not with defaults filled in: those may change with the newest version.
            # What is not given leaves no trace, so that a repeat of a key of an older release is still one.
            given = [labels, priority] if priority is not None else [labels] if labels else []
            body = _canonical([version, inputs, *given])
            req_hash = hashlib.sha256(body).hexdigest()
            trigger = f"run:{dag_id}:{scope.principal.id}"
            start_key = StartKey(scope.domain_id, trigger, key, instance_id, req_hash)
        request = StartRequest(
            plan=runnable.plan,
            id=instance_id,
            domain_id=scope.domain_id,
            start_key=start_key,
            inputs=complete,
            trigger=MANUAL_TRIGGER,
            created_at=now,
            labels=all_labels,
            priority=priority,
        )
        return await submitted(self._engine, self._explainer, scope, request)

    async def wait(self, scope: Scope, instance_id: str, timeout_s: float) -> InstanceView | None:
        """Give the instance with its outcome once it ended.

        Returns:
            None when `timeout_s` passed (at most WAIT_S_MAX), or at once after `end_waits`.

        Raises:
            NotAllowed: `instance:view` is missing. InstanceNotFound: not in this business domain; said at once.
            QueueFull: too many wait already.
        """
        require(scope, "instance", "view")
        ended = await self._engine.wait_ended(scope.domain_id, instance_id, min(timeout_s, WAIT_S_MAX))
        if ended is None:
            return None
        if ended.row is None or ended.header is None:
            return await self.get(scope, instance_id)
        # The node has it in its hands: nothing is read but values that are too large for it.
        return await shown_instance(
            ValueReader(self._views, self._objects, scope, instance_id), ended.row, ended.header
        )

    def end_waits(self) -> None:
        """Answer everybody who waits now, and later ones at once: the process is stopping, and they may ask another."""
        self._engine.end_waits()

    async def get(self, scope: Scope, instance_id: str) -> InstanceView:
        """Read an instance with its outcome.

        Raises:
            NotAllowed: `instance:view` is missing. InstanceNotFound: not in this business domain.
            PayloadMissing: its outcome cannot be read.
        """
        require(scope, "instance", "view")
        loaded = await self._views.get(scope, instance_id)
        if loaded is None:
            raise _not_found(instance_id)
        plan = await self._plans.get(scope.domain_id, loaded.row.dag_id, loaded.row.dag_hash)
        return await read_instance(self._views, self._objects, scope, plan, loaded)

    async def list(
        self, scope: Scope, query: InstanceQuery, *, before: str | None = None, limit: int
    ) -> InstanceViewPage:
        """Page instances, newest first, without their outcomes.

        Args:
            scope: who asks. query: which ones. before: `next` of the page before. limit: of the page, which may have
                fewer instances although others follow: it looks at LIST_WALK_ROWS_MAX at most.

        Raises:
            NotAllowed: `instance:list` is missing, or `dag:list` with a text. RequestInvalid: the text fits too much.
        """
        require(scope, "instance", "list")
        chosen = filter_of(query, before)
        if query.text is None:
            page = await self._views.list(scope, chosen, limit=limit)
        else:
            page = await search(self._views, self._dags, scope, chosen, query.text, limit=limit)
        return InstanceViewPage(tuple(row_view(row) for row in page.rows), page.next)

    async def tasks(self, scope: Scope, instance_id: str, *, place: TaskPlace, limit: int) -> TaskPage:
        """Page the tasks that were entered, ordered by (frame, place in it).

        Raises:
            NotAllowed: `instance:view` is missing. InstanceNotFound: not in this business domain.
            PayloadMissing: a value cannot be read.
        """
        require(scope, "instance", "view")
        loaded = await self._views.get(scope, instance_id)
        if loaded is None:
            raise _not_found(instance_id)
        plan = await self._plans.get(scope.domain_id, loaded.row.dag_id, loaded.row.dag_hash)
        return await read_tasks(self._views, self._objects, scope, plan, loaded, place=place, limit=limit)

    async def journal(self, scope: Scope, instance_id: str, *, after_seq: int, limit: int) -> JournalPage:
        """Page the journal, ascending.

        Raises:
            NotAllowed: `instance:view` is missing. InstanceNotFound: not in this business domain.
        """
        require(scope, "instance", "view")
        if await self._views.get(scope, instance_id) is None:
            raise _not_found(instance_id)
        return await read_journal(self._views, scope, instance_id, after_seq=after_seq, limit=limit)

    async def tell(self, scope: Scope, instance_id: str, what: Told, reason: str) -> InstanceStatus:
        """Cancel with grace or terminate at once (S41), pause or resume (S42); the same answer when it was so already.

        Who did it and why stands in the journal.

        Raises:
            NotAllowed: `instance:modify` is missing. InstanceNotFound: not in this business domain.
            InstanceEnded: it has another outcome. InstanceNotOpen: it is ending, and cannot be paused or resumed.
        """
        require(scope, "instance", "modify")
        stimulus = _TOLD[what](reason, scope.principal.id)
        answer = await self._engine.command(scope.domain_id, instance_id, stimulus)
        if answer.result == "ended":
            raise _ended(instance_id, answer.status)
        if answer.result == "refused":
            status = answer.status.value
            raise InstanceNotOpen(f"instance {instance_id} is {status}: it takes no {what}", instance_status=status)
        return answer.status

    async def check(self, scope: Scope, instance_id: str) -> None:
        """Pass when the caller may change this instance and it is there.

        Raises:
            NotAllowed: `instance:modify` is missing. InstanceNotFound: not in this business domain.
        """
        require(scope, "instance", "modify")
        if await self._views.get(scope, instance_id) is None:
            raise _not_found(instance_id)

    async def act(self, scope: Scope, instance_id: str, act: TaskAct) -> InstanceStatus:
        """Skip, complete, fail or retry a task by hand (S43); who did it and why stands in the journal.

        Raises:
            NotAllowed: `instance:modify` is missing. InstanceNotFound: not in this business domain.
            TaskNotFound: no such task, or it was not entered. TaskNotOpen: it runs or has ended. InstanceEnded.
            RequestInvalid: the output misses the step's schema.
        """
        require(scope, "instance", "modify")
        if not _TASK_PATH.fullmatch(act.path):
            raise _no_task(instance_id)
        stimulus = Act(
            act=act.act,
            path=act.path,
            by=scope.principal.id,
            reason=act.reason,
            output=None if act.output is msgspec.UNSET else encode_json(act.output),
            error_kind=act.error_kind,
            message=act.message,
        )
        answer = await self._engine.command(scope.domain_id, instance_id, stimulus)
        predicates: tuple[Predicate, ...] = ()
        if answer.result == "refused" and self._explainer is not None:
            predicates = await self._explainer.predicates(scope, instance_id, act.path)
        _require_accepted(answer, instance_id, act, predicates)
        return answer.status


async def submitted(engine: Engine, explainer: Explainer | None, scope: Scope, request: StartRequest) -> Started:
    """Start durably; a start that is refused since others run is told who they are.

    Raises:
        ConcurrencyReached, QueueFull, NodeStopping, StoreUnavailable, StoreFull: nothing was started.
        IdempotencyKeyReused, OutcomeUnknown: as `Engine.submit`.
    """
    try:
        return await engine.submit(request)
    except ConcurrencyReached as refused:
        raise refused if explainer is None else await explainer.refused(scope, refused) from None


def _require_accepted(answer: Answer, instance_id: str, act: TaskAct, why: Sequence[Predicate]) -> None:
    match answer.result:
        case "ended":
            raise _ended(instance_id, answer.status)
        case "no_task":
            raise _no_task(instance_id)
        case "refused":
            status = answer.task_status
            told = f"task {act.path} is {status}: it takes no {act.act}"
            raise TaskNotOpen(told, why=why, task=act.path, task_status=status)
        case "invalid":
            faults = [{"code": "request.schema", "pointer": "/output", "message": fault} for fault in answer.faults]
            raise RequestInvalid("the output misses the step's schema", faults=faults)


def _no_task(instance_id: str) -> TaskNotFound:
    return TaskNotFound(f"instance {instance_id} has not entered a task of that path")


def _ended(instance_id: str, status: InstanceStatus) -> InstanceEnded:
    return InstanceEnded(
        f"instance {instance_id} ended as {status.value}", instance_id=instance_id, instance_status=status.value
    )


def _not_found(instance_id: str) -> InstanceNotFound:
    return InstanceNotFound(f"no instance {instance_id}")
