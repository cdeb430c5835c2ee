"""DAGs as calls find them: by id or title, in one business domain, in the version that is published now (S29)."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from core.dag.plan import Plan
from core.errors import DagInvalid, DagNotFound
from core.ports.definition_store import DagRow, DefinitionStore
from core.ports.scope import Principal, Scope

# Calls act for their instance, which has no principal of its own; the scope's business domain is what counts.
_ENGINE = Principal(id="engine", kind="system", name="engine")


class Callee(msgspec.Struct, frozen=True):
    """A DAG that a call found. `plan` None = `invalid`: this release cannot run it."""

    dag_id: str
    status: Literal["normal", "stopped", "invalid"]
    plan: Plan | None


class VersionPlans(Protocol):
    """Where compiled versions come from."""

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        """Give the plan of a version.

        Raises:
            DagNotFound: no such version. DagInvalid: this release cannot run it.
        """
        ...


class Callees:
    """Looks DAGs up for calls."""

    def __init__(self, store: DefinitionStore, plans: VersionPlans) -> None:
        """Take where definitions and plans come from."""
        self._store = store
        self._plans = plans

    async def find(self, domain_id: str, dag: str, version: str | None) -> Callee | None:
        """Find a DAG by its id, else by its title; None = not in this business domain, or not in that version.

        `version` None = the newest one.

        Raises:
            StoreUnavailable, StoreTimeout: it could not be looked up.
        """
        scope = Scope(domain_id, _ENGINE)
        row = await self._store.get(scope, dag) or await self._store.find_title(scope, dag)
        if row is None:
            return None
        digest, number = row.content_hash, row.version
        if version is not None:
            named = await self._store.version(scope, row.id, version)
            if named is None:
                return None
            digest, number = named.content_hash, named.version
        return await self._planned(domain_id, row, digest, number)

    async def _planned(self, domain_id: str, row: DagRow, digest: str, number: str) -> Callee | None:
        try:
            plan = await self._plans.get(domain_id, row.id, digest)
        except DagNotFound:
            return None  # it was taken away between the two reads
        except DagInvalid:
            return Callee(row.id, "invalid", None)
        if plan.version != number:  # a rollback: the same content under a later number
            plan = msgspec.structs.replace(plan, version=number)
        return Callee(row.id, "stopped" if row.status == "stopped" else "normal", plan)
