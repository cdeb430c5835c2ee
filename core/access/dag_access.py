"""Use cases of DAGs for people: each asks for the permission first, then lets the DAG domain do it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from core.access.kept_answers import KeptAnswers, KeyedRequest
from core.access.permission import Operation, require
from core.dag.document import Format
from core.dag.plan import Plan
from core.dag.service import ANY_STATE, AnswerOf, DagService, Draft, PlanCache, Upon
from core.dag.version import described
from core.errors import CommitUnknown, DagChanged, DagInvalid, DagTitleTaken, DagVersionTaken, OutcomeUnknown
from core.ports.clock import Clock
from core.ports.definition_store import EVERY_DAG, DagFilter, DagPlace, DagRow, VersionRow
from core.ports.key_store import KeptAnswer
from core.ports.scope import Scope
from pkg.single_flight import SingleFlight

RUNNABLE_S = 1.0  # how long another process's publication may go unnoticed here; this process's own is seen at once
RUNNABLES_COUNT_MAX = 1_024  # DAGs started by this process within a second
PAGE_ROWS_MAX = 200  # http-api.md, lists
TRIES_MAX = 4  # of a keyed request whose commit is unknown or whose title was taken meanwhile: its key does it once

RunnableKey = tuple[str, str, str | None]
"""Business domain, DAG, and the version that was asked for, None = the newest."""
Shown = Callable[[DagRow], tuple[int, bytes]]
"""How the driver answers with a row: status and bytes, which are kept as they are."""


class Runnable(msgspec.Struct, frozen=True):
    """A version that can be started: `status` is the DAG's, `version` and `plan` are pinned by what starts now."""

    dag_id: str
    status: str
    version: str
    plan: Plan


class DagAccess:
    """What callers may do with DAGs. Remembers what it started lately, so that a start costs no read of the store."""

    def __init__(self, definitions: DagService, plans: PlanCache, clock: Clock, answers: KeptAnswers) -> None:
        """Take the DAG domain, and the answers of requests with a key."""
        self._definitions = definitions
        self._plans = plans
        self._clock = clock
        self._answers = answers
        self._runnables: OrderedDict[RunnableKey, tuple[float, Runnable]] = OrderedDict()
        self._reads: SingleFlight[RunnableKey, Runnable] = SingleFlight()

    def validate(self, scope: Scope, data: bytes, form: Format | None) -> Sequence[Mapping[str, Any]]:
        """List every fault of a document; nothing is stored.

        Raises:
            NotAllowed: `dag:create` is missing.
        """
        require(scope, "dag", "create")
        return self._definitions.validate(data, form)

    def read(
        self, scope: Scope, data: bytes, form: Format | None, operation: Literal["create", "modify"] = "create"
    ) -> Draft:
        """Read and check a document for `create` or `publish`; touches no store, so it may run beside the event loop.

        Raises:
            NotAllowed: the permission for `operation` is missing. DagInvalid, DagUndecodable: `faults` lists all.
        """
        require(scope, "dag", operation)
        return self._definitions.read(data, form)

    async def create(self, scope: Scope, draft: Draft, *, if_exists: Literal["refuse", "publish"]) -> DagRow:
        """Create and publish a DAG; `publish` makes the next version when the title exists and the content changed.

        Raises:
            NotAllowed: `dag:create` is missing. DagInvalid: the version that it names is not higher.
            DagTitleTaken: with `refuse`, the title exists; nothing happened.
            OutcomeUnknown: it may have been created; look before trying again.
        """
        require(scope, "dag", "create")
        try:
            if if_exists == "refuse":
                return await self._definitions.create(scope, draft)
            try:
                row = await self._definitions.apply(scope, draft)
            except DagTitleTaken:
                # Another request created it between the look and the insert: now it is there to be published upon.
                row = await self._definitions.apply(scope, draft)
        except CommitUnknown as error:
            raise OutcomeUnknown("the DAG may have been stored: list the DAGs before trying again") from error
        self.forget(scope.domain_id, row.id)
        return row

    async def recall(
        self, scope: Scope, request: KeyedRequest, operation: Literal["create", "modify"] = "create"
    ) -> KeptAnswer | None:
        """Give what `create_once` or `publish_once` answered to this request; None when it is the first with its key.

        Asked before the document is read: a repeat costs no second reading, and is answered the same whatever was
        installed or published since.

        Raises:
            NotAllowed: the permission for `operation` is missing. IdempotencyKeyReused: the key is another request's.
        """
        require(scope, "dag", operation)
        return await self._answers.recall(scope, request)

    async def create_once(
        self,
        scope: Scope,
        draft: Draft,
        request: KeyedRequest,
        shown: Shown,
        *,
        if_exists: Literal["refuse", "publish"],
    ) -> KeptAnswer:
        """Do what `create` does, once for all requests with this key, and give the answer that stands under it.

        The answer is written with the DAG, so requests at the same time get the same one; none is told to wait.

        Raises:
            NotAllowed, DagInvalid, DagTitleTaken: as `create`. IdempotencyKeyReused: the key is another request's.
            OutcomeUnknown: it may have been created; repeat it with the key.
        """
        require(scope, "dag", "create")
        act = self._definitions.create_once if if_exists == "refuse" else self._definitions.apply_once
        repeated = (DagTitleTaken,) if if_exists == "publish" else ()
        return await self._once(scope, request, shown, lambda answer_of: act(scope, draft, answer_of), repeated)

    async def publish(self, scope: Scope, dag_id: str, draft: Draft, upon: Upon = ANY_STATE) -> DagRow:
        """Publish a document as the next version; none when only title, description, tags or status are new.

        Raises:
            NotAllowed: `dag:modify` is missing. DagNotFound: not in this business domain.
            DagInvalid: the version that it names is not higher. DagTitleTaken: the new title is another DAG's.
            DagChanged: another state than `upon`; nothing happened.
            OutcomeUnknown: it may have been published; look before trying again.
        """
        require(scope, "dag", "modify")
        return await self._change(scope, dag_id, self._definitions.publish(scope, dag_id, draft, upon))

    async def publish_once(
        self,
        scope: Scope,
        dag_id: str,
        draft: Draft,
        request: KeyedRequest,
        shown: Shown,
        upon: Upon = ANY_STATE,
    ) -> KeptAnswer:
        """Do what `publish` does, once for all requests with this key, and give the answer that stands under it.

        Raises:
            NotAllowed, DagNotFound, DagInvalid, DagTitleTaken, DagChanged: as `publish`.
            IdempotencyKeyReused: the key is another request's. OutcomeUnknown: repeat it with the key.
        """
        require(scope, "dag", "modify")

        def act(answer_of: AnswerOf) -> Awaitable[DagRow | KeptAnswer]:
            return self._definitions.publish_once(scope, dag_id, draft, answer_of, upon)

        return await self._once(scope, request, shown, act, ())

    async def set_status(self, scope: Scope, dag_id: str, status: Literal["normal", "stopped"]) -> DagRow:
        """Let a DAG start instances or not; the same again changes nothing.

        Raises:
            NotAllowed: `dag:modify` is missing. DagNotFound: not in this business domain.
            OutcomeUnknown: it may have happened; it may be asked again.
        """
        require(scope, "dag", "modify")
        return await self._change(scope, dag_id, self._definitions.set_status(scope, dag_id, status))

    async def find(self, scope: Scope, dag_id: str, operation: Operation) -> DagRow:
        """Read a DAG before something is done with it: what is not there is said before anything about the request.

        Raises:
            NotAllowed: the permission for `operation` is missing. DagNotFound: not in this business domain.
        """
        require(scope, "dag", operation)
        return await self._definitions.get(scope, dag_id)

    async def find_title(self, scope: Scope, title: str) -> DagRow | None:
        """Read a DAG by its title.

        Raises:
            NotAllowed: `dag:list` is missing.
        """
        require(scope, "dag", "list")
        return await self._definitions.find(scope, title)

    async def get(self, scope: Scope, dag_id: str) -> tuple[DagRow, VersionRow]:
        """Read a DAG and its newest version, whose document says title, description, tags and status of by now.

        Raises:
            NotAllowed: `dag:view` is missing. DagNotFound: not in this business domain.
        """
        require(scope, "dag", "view")
        row = await self._definitions.get(scope, dag_id)
        version = await self._definitions.document(scope, dag_id, row.version)
        return row, msgspec.structs.replace(version, document=described(version.document, row))

    async def list(
        self, scope: Scope, *, after: DagPlace | None, limit: int, chosen: DagFilter = EVERY_DAG, offset: int = 0
    ) -> Sequence[DagRow]:
        """Page DAGs in the order of `chosen`, at most PAGE_ROWS_MAX.

        Raises:
            NotAllowed: `dag:list` is missing.
        """
        require(scope, "dag", "list")
        return await self._definitions.list(scope, after=after, limit=limit, chosen=chosen, offset=offset)

    async def runnable(self, scope: Scope, dag_id: str, version: str | None) -> Runnable:
        """Give what a start of this DAG would run: the given version, or the newest at most RUNNABLE_S ago.

        Raises:
            NotAllowed: `dag:run` is missing. DagNotFound: no such DAG or version in this business domain.
        """
        require(scope, "dag", "run")
        key = (scope.domain_id, dag_id, version)
        held = self._runnables.get(key)
        if held is not None and self._clock.monotonic() < held[0]:
            return held[1]
        until = self._clock.monotonic() + RUNNABLE_S
        return await self._reads.call(
            key, lambda: self._read_runnable(scope, dag_id, version), lambda found: self._keep(key, until, found)
        )

    async def _read_runnable(self, scope: Scope, dag_id: str, version: str | None) -> Runnable:
        row = await self._definitions.get(scope, dag_id)
        published = await self._definitions.document(scope, dag_id, version or row.version)
        plan = await self._plans.get(scope.domain_id, dag_id, published.content_hash)
        if plan.version != published.version:  # a rollback: the same content under a later number
            plan = msgspec.structs.replace(plan, version=published.version)
        return Runnable(dag_id, row.status, published.version, plan)

    def _keep(self, key: RunnableKey, until: float, found: Runnable) -> None:
        self._runnables[key] = (until, found)
        self._runnables.move_to_end(key)
        if len(self._runnables) > RUNNABLES_COUNT_MAX:
            self._runnables.popitem(last=False)

    def forget(self, domain_id: str, dag_id: str) -> None:
        """Let the next start see what was changed."""
        for key in [key for key in self._runnables if key[:2] == (domain_id, dag_id)]:
            del self._runnables[key]
        self._reads.forget(lambda key: key[:2] == (domain_id, dag_id))

    async def _change(self, scope: Scope, dag_id: str, work: Awaitable[DagRow]) -> DagRow:
        try:
            row = await work
        except CommitUnknown as error:
            raise OutcomeUnknown("the change may have been stored: read the DAG before trying again") from error
        finally:
            self.forget(scope.domain_id, dag_id)
        return row

    async def _once(
        self,
        scope: Scope,
        request: KeyedRequest,
        shown: Shown,
        act: Callable[[AnswerOf], Awaitable[DagRow | KeptAnswer]],
        repeated: tuple[type[Exception], ...],
    ) -> KeptAnswer:
        """Act once for all requests with this key; `repeated` = what another request meanwhile may have caused."""
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                made = await act(lambda row: self._answers.new(request, *shown(row)))
            except CommitUnknown:
                continue  # given again: if it landed, its answer is found
            except (DagInvalid, DagTitleTaken, DagVersionTaken, DagChanged) as error:
                # A request with the same key may have been faster, and is what this one met.
                kept = await self._answers.recall(scope, request)
                if kept is not None:
                    return kept
                if isinstance(error, repeated) and tries_left:
                    continue
                raise
            if isinstance(made, KeptAnswer):
                return self._answers.same(request, made)
            self.forget(scope.domain_id, made.id)
            return KeptAnswer(request.req_hash, *shown(made))
        raise OutcomeUnknown("it may have been stored: send the request again with its Idempotency-Key")
