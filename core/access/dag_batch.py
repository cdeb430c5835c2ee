"""One act on many DAGs, each with its own result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from core.access.dag_access import PAGE_ROWS_MAX, DagAccess
from core.access.permission import Operation, require
from core.access.version_access import VersionAccess
from core.errors import FlowError
from core.ports.definition_store import DagFilter, DagRow
from core.ports.scope import Scope

Action = Literal["get", "activate", "deactivate", "delete"]
_NEEDS: dict[Action, Operation] = {"get": "view", "activate": "modify", "deactivate": "modify", "delete": "delete"}


class BatchResult(msgspec.Struct, frozen=True):
    """What happened to one DAG: its row by now, None when it is gone or when `error` says why nothing happened."""

    id: str
    row: DagRow | None
    error: FlowError | None


class DagBatch:
    """What callers may do with many DAGs at once; nothing is undone when a later one fails."""

    def __init__(self, dags: DagAccess, versions: VersionAccess) -> None:
        """Take who does it with one."""
        self._dags = dags
        self._versions = versions

    async def act(self, scope: Scope, action: Action, ids: Sequence[str]) -> Sequence[BatchResult]:
        """Act on DAGs by their ids, in order; an id that stands twice is taken once.

        Raises:
            NotAllowed: `dag:view`, `dag:modify` or `dag:delete` is missing, as the action needs it; nothing happened.
        """
        require(scope, "dag", _NEEDS[action])
        return [await self._result(scope, action, dag_id) for dag_id in dict.fromkeys(ids)]

    async def named(self, scope: Scope, chosen: DagFilter) -> tuple[Sequence[str], bool]:
        """Give the ids of the first PAGE_ROWS_MAX DAGs that a filter names, and whether there may be more.

        Raises:
            NotAllowed: `dag:list` is missing.
        """
        rows = await self._dags.list(scope, after=None, limit=PAGE_ROWS_MAX, chosen=chosen)
        return [row.id for row in rows], len(rows) == PAGE_ROWS_MAX

    async def _result(self, scope: Scope, action: Action, dag_id: str) -> BatchResult:
        try:
            return BatchResult(dag_id, await self._done(scope, action, dag_id), None)
        except FlowError as error:
            return BatchResult(dag_id, None, error)

    async def _done(self, scope: Scope, action: Action, dag_id: str) -> DagRow | None:
        if action == "get":
            return await self._dags.find(scope, dag_id, "view")
        if action == "delete":
            await self._versions.remove(scope, dag_id, expected_revision=None)
            return None
        return await self._dags.set_status(scope, dag_id, "normal" if action == "activate" else "stopped")
