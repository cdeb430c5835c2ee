"""Use cases of DAGs for people: each asks for the permission first, then lets the DAG domain do it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from core.access.permission import require
from core.dag.document import Format
from core.dag.plan import Plan
from core.dag.service import DagService, Draft, PlanCache
from core.errors import DagTitleTaken
from core.ports.clock import Clock
from core.ports.definition_store import DagRow, VersionRow
from core.ports.scope import Scope

RUNNABLE_S = 1.0  # how long another process's publication may go unnoticed here; this process's own is seen at once
RUNNABLES_COUNT_MAX = 1_024  # DAGs started by this process within a second
PAGE_ROWS_MAX = 200  # http-api.md, lists


class Runnable(msgspec.Struct, frozen=True):
    """A version that can be started: `status` is the DAG's, `version` and `plan` are pinned by what starts now."""

    dag_id: str
    status: str
    version: str
    plan: Plan


class DagAccess:
    """What callers may do with DAGs. Remembers what it started lately, so that a start costs no read of the store."""

    def __init__(self, definitions: DagService, plans: PlanCache, clock: Clock) -> None:
        """Take the DAG domain."""
        self._definitions = definitions
        self._plans = plans
        self._clock = clock
        self._runnables: OrderedDict[tuple[str, str, str | None], tuple[float, Runnable]] = OrderedDict()

    def validate(self, scope: Scope, data: bytes, form: Format | None) -> Sequence[Mapping[str, Any]]:
        """List every fault of a document; nothing is stored.

        Raises:
            NotAllowed: `dag:create` is missing.
        """
        require(scope, "dag", "create")
        return self._definitions.validate(data, form)

    def read(self, scope: Scope, data: bytes, form: Format | None) -> Draft:
        """Read and check a document for `create`; touches no store, so that it may run beside the event loop.

        Raises:
            NotAllowed: `dag:create` is missing. DagInvalid, DagUndecodable: `faults` lists all.
        """
        require(scope, "dag", "create")
        return self._definitions.read(data, form)

    async def create(self, scope: Scope, draft: Draft, *, if_exists: Literal["refuse", "publish"]) -> DagRow:
        """Create and publish a DAG; `publish` makes the next version when the title exists and the content changed.

        Raises:
            NotAllowed: `dag:create` is missing. DagInvalid: the version that it names is not higher.
            DagTitleTaken: with `refuse`, the title exists; nothing happened.
        """
        require(scope, "dag", "create")
        if if_exists == "refuse":
            return await self._definitions.create(scope, draft)
        try:
            row = await self._definitions.apply(scope, draft)
        except DagTitleTaken:
            # Another request created it between the look and the insert: now it is there to be published upon.
            row = await self._definitions.apply(scope, draft)
        self._forget(scope.domain_id, row.id)
        return row

    async def get(self, scope: Scope, dag_id: str) -> tuple[DagRow, VersionRow]:
        """Read a DAG and the document of its newest version.

        Raises:
            NotAllowed: `dag:view` is missing. DagNotFound: not in this business domain.
        """
        require(scope, "dag", "view")
        row = await self._definitions.get(scope, dag_id)
        return row, await self._definitions.document(scope, dag_id, row.version)

    async def list(self, scope: Scope, *, after: str, limit: int) -> Sequence[DagRow]:
        """Page DAGs, ascending by id, at most PAGE_ROWS_MAX.

        Raises:
            NotAllowed: `dag:list` is missing.
        """
        require(scope, "dag", "list")
        return await self._definitions.list(scope, after=after, limit=limit)

    async def runnable(self, scope: Scope, dag_id: str, version: str | None) -> Runnable:
        """Give what a start of this DAG would run: the given version, or the newest at most RUNNABLE_S ago.

        Raises:
            NotAllowed: `dag:run` is missing. DagNotFound: no such DAG or version in this business domain.
        """
        require(scope, "dag", "run")
        key = (scope.domain_id, dag_id, version)
        held = self._runnables.get(key)
        now = self._clock.monotonic()
        if held is not None and now < held[0]:
            return held[1]
        row = await self._definitions.get(scope, dag_id)
        published = await self._definitions.document(scope, dag_id, version or row.version)
        plan = await self._plans.get(scope.domain_id, dag_id, published.content_hash)
        found = Runnable(dag_id, row.status, published.version, plan)
        self._runnables[key] = (now + RUNNABLE_S, found)
        self._runnables.move_to_end(key)
        if len(self._runnables) > RUNNABLES_COUNT_MAX:
            self._runnables.popitem(last=False)
        return found

    def _forget(self, domain_id: str, dag_id: str) -> None:
        for key in [key for key in self._runnables if key[:2] == (domain_id, dag_id)]:
            del self._runnables[key]
