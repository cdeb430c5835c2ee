"""Cancelling every instance of a DAG, in portions that are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from core.access.dag_access import DagAccess
from core.access.permission import require
from core.engine.instance_search import InstanceQuery
from core.engine.service import InstanceService
from core.engine.state import InstanceStatus
from core.engine.statuses import INSTANCE_CANCELLING
from core.errors import InstanceEnded, InstanceNotFound
from core.ports.scope import Scope

# What one request tells to end: some hundred milliseconds of the node's time. Whoever has more asks again.
CANCEL_COUNT_MAX = 1_000
_PAGE_ROWS = 200  # http-api.md, lists
# The oldest come last in a list; those that wait hold nothing yet and go first.
_OPEN = tuple(status for status in InstanceStatus if not status.is_terminal and status is not INSTANCE_CANCELLING)


class CancelFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a DAG's open instances, as in `InstanceQuery`; None = any."""

    status: InstanceStatus | None = None
    version: str | None = None
    trigger: str | None = None
    labels: Mapping[str, str] = {}
    created_from: datetime | None = None
    created_to: datetime | None = None


EVERY = CancelFilter()


class Cancelled(msgspec.Struct, frozen=True):
    """How many instances were told to end, or would be; `has_more` = some are left, ask again."""

    count: int
    has_more: bool


class DagInstances:
    """What callers may do with all instances of one DAG."""

    def __init__(self, dags: DagAccess, instances: InstanceService) -> None:
        """Take who knows the DAGs and who knows their instances."""
        self._dags = dags
        self._instances = instances

    async def check(self, scope: Scope, dag_id: str) -> None:
        """Pass when there is such a DAG.

        Raises:
            NotAllowed: `dag:view` is missing. DagNotFound: not in this business domain.
        """
        await self._dags.find(scope, dag_id, "view")

    async def cancel(
        self, scope: Scope, dag_id: str, reason: str, chosen: CancelFilter = EVERY, *, is_dry_run: bool = False
    ) -> Cancelled:
        """Cancel the DAG's open instances as S41 says, at most CANCEL_COUNT_MAX; those that end meanwhile are fine.

        Args:
            scope: who asks. dag_id: whose instances. reason: for people, kept in each journal.
            chosen: only these; a status that is no open one names none.
            is_dry_run: count what would be told and tell nobody.

        Raises:
            NotAllowed: `dag:view` or `instance:modify` is missing. DagNotFound: not in this business domain.
            QueueFull, NodeStopping: some may have been told; ask again.
        """
        require(scope, "instance", "modify")
        await self.check(scope, dag_id)
        count = 0
        for status in _OPEN:
            if chosen.status not in (None, status):
                continue
            query, before = _query(dag_id, status, chosen), None
            while True:
                page = await self._instances.list(scope, query, before=before, limit=_PAGE_ROWS)
                ids = [shown.id for shown in page.items]
                if count + len(ids) > CANCEL_COUNT_MAX:
                    return Cancelled(count, has_more=True)
                count += len(ids) if is_dry_run else await self._all_told(scope, ids, reason)
                before = page.next
                if before is None:
                    break
        return Cancelled(count, has_more=False)

    async def _all_told(self, scope: Scope, ids: Sequence[str], reason: str) -> int:
        """Tell a page of instances together, so that they share commits; gives how many there was something to tell."""
        told = await asyncio.gather(*(self._told(scope, one, reason) for one in ids), return_exceptions=True)
        # All have been waited for by now: nothing goes on behind an answer that says that it failed.
        for result in told:
            if isinstance(result, BaseException):
                raise result
        return sum(result is True for result in told)

    async def _told(self, scope: Scope, instance_id: str, reason: str) -> bool:
        try:
            await self._instances.tell(scope, instance_id, "cancel", reason)
        except (InstanceEnded, InstanceNotFound):
            return False
        return True


def _query(dag_id: str, status: InstanceStatus, chosen: CancelFilter) -> InstanceQuery:
    return InstanceQuery(
        dag_id=dag_id,
        status=status.value,
        version=chosen.version,
        trigger=chosen.trigger,
        labels=chosen.labels,
        created_from=chosen.created_from,
        created_to=chosen.created_to,
    )
