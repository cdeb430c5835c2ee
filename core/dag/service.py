"""Use cases of definitions: validate, create, publish, read; plans of versions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from core.dag.call_cycle import find_cycle
from core.dag.catalog import Catalog
from core.dag.compile import Computations, compile_dag
from core.dag.document import Document, Format, read_document
from core.dag.fault import Fault, as_document
from core.dag.model import Dag
from core.dag.parse import parse_document
from core.dag.plan import Plan
from core.dag.version import FIRST, canonical_document, content_hash, next_patch, version_numbers
from core.errors import DagChanged, DagInvalid, DagNotFound, DagUndecodable, DagVersionTaken
from core.ports.clock import Clock, IdSource
from core.ports.definition_store import EVERY_DAG, DagFilter, DagPlace, DagRow, DefinitionStore, VersionRow
from core.ports.key_store import KeptAnswer, NewAnswer
from core.ports.scope import Scope

# http-api.md, "Lists".
LIST_COUNT_MAX = 200
# A plan of a large DAG takes some MB; the versions that run at one time are few.
PLANS_COUNT_MAX = 256

# A change reads, decides and writes upon what it read; each loss means that another change was made meanwhile.
CHANGE_TRIES_MAX = 8

Change = Callable[[DagRow], tuple[DagRow, VersionRow | None]]
"""What a row becomes, the same row when nothing changes, and its new version when there is one."""
AnswerOf = Callable[[DagRow], NewAnswer]
"""What a request with an idempotency key will be answered when it comes to this row."""


class Draft(msgspec.Struct, frozen=True):
    """A document that was read and has no fault: what `DagService` stores."""

    document: Document
    dag: Dag


class Upon(msgspec.Struct, frozen=True, kw_only=True):
    """The state that a change is made upon: revisions of the DAG and of the draft; None = any, no draft is taken."""

    revision: int | None = None
    draft_revision: int | None = None


ANY_STATE = Upon()


class DagService:
    """Definitions of one installation; every call acts within the scope's business domain."""

    def __init__(self, store: DefinitionStore, clock: Clock, ids: IdSource, catalog: Catalog) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._catalog = catalog

    def validate(self, data: bytes, format: Format | None = None) -> Sequence[Mapping[str, Any]]:  # noqa: A002 - the API's
        """Give every fault of a document as a problem shows it; an empty list means that it can be saved."""
        try:
            self.read(data, format)
        except (DagInvalid, DagUndecodable) as error:
            return error.faults
        return ()

    def read(self, data: bytes, format: Format | None = None) -> Draft:  # noqa: A002 - the API's word
        """Read and check a document; touches no store, and takes up to a second of processor time for the worst ones.

        Raises:
            DagUndecodable, DagInvalid: as `parse_dag`.
        """
        document = read_document(data, format)
        return Draft(document, parse_document(document, catalog=self._catalog))

    async def create(self, scope: Scope, draft: Draft) -> DagRow:
        """Store a new DAG and publish its first version, `v1.0.0` or the one that it names.

        Raises:
            DagTitleTaken: the title exists in the domain; nothing was stored. DagInvalid: `dag.call.cycle`.
        """
        await self._check_calls(scope, draft, None)
        row = self._first(scope, draft)
        await self._store.create(scope, row, self._version(scope, row, draft))
        return row

    async def create_once(self, scope: Scope, draft: Draft, answer_of: AnswerOf) -> DagRow | KeptAnswer:
        """Do what `create` does and keep the request's answer with it, or give the answer that its key has already.

        Raises:
            DagTitleTaken: as `create`.
        """
        await self._check_calls(scope, draft, None)
        row = self._first(scope, draft)
        kept = await self._store.create(scope, row, self._version(scope, row, draft), answer=answer_of(row))
        return row if kept is None else kept

    async def publish(self, scope: Scope, dag_id: str, draft: Draft, upon: Upon = ANY_STATE) -> DagRow:
        """Publish a document as the next version of a DAG.

        Equal content makes no version: title, description, tags and status are taken over beside the version that
        stands (S45). A version that the document names must be higher than it.

        Raises:
            DagNotFound: no such DAG in the domain. DagInvalid: `dag.version`; nothing was stored.
            DagTitleTaken: the new title is another DAG's. DagChanged: another state than `upon`; nothing was stored.
            DagVersionTaken: another process publishes again and again, faster each time.
        """
        await self._check_calls(scope, draft, dag_id)
        made = await self._change(scope, dag_id, lambda row: self._next(scope, row, draft), upon, None)
        return cast("DagRow", made)  # without an answer to keep there is none to be found

    async def publish_once(
        self, scope: Scope, dag_id: str, draft: Draft, answer_of: AnswerOf, upon: Upon = ANY_STATE
    ) -> DagRow | KeptAnswer:
        """Do what `publish` does and keep the request's answer with it, or give the answer that its key has already.

        Raises:
            DagNotFound, DagInvalid, DagTitleTaken, DagChanged, DagVersionTaken: as `publish`.
        """
        await self._check_calls(scope, draft, dag_id)
        return await self._change(scope, dag_id, lambda row: self._next(scope, row, draft), upon, answer_of)

    async def set_status(self, scope: Scope, dag_id: str, status: Literal["normal", "stopped"]) -> DagRow:
        """Let a DAG start instances or not; makes no version, and accepted instances go on (S45).

        Raises:
            DagNotFound: no such DAG in the domain. DagChanged: others change it again and again, faster each time.
        """

        def change(row: DagRow) -> tuple[DagRow, VersionRow | None]:
            if row.status == status:
                return row, None
            now = self._clock.now()
            return msgspec.structs.replace(row, status=status, updated_at=now, revision=row.revision + 1), None

        return cast("DagRow", await self._change(scope, dag_id, change, ANY_STATE, None))

    async def apply(self, scope: Scope, draft: Draft) -> DagRow:
        """Create the DAG, or publish it when its title exists: the same call again changes nothing.

        Raises:
            DagInvalid, DagTitleTaken: as `create` and `publish`.
        """
        current = await self._store.find_title(scope, draft.dag.title)
        if current is None:
            return await self.create(scope, draft)
        return await self.publish(scope, current.id, draft)

    async def apply_once(self, scope: Scope, draft: Draft, answer_of: AnswerOf) -> DagRow | KeptAnswer:
        """Do what `apply` does and keep the request's answer with it, or give the answer that its key has already.

        Raises:
            DagInvalid, DagTitleTaken, DagVersionTaken: as `apply`.
        """
        current = await self._store.find_title(scope, draft.dag.title)
        if current is None:
            return await self.create_once(scope, draft, answer_of)
        await self._check_calls(scope, draft, current.id)
        row, version = self._next(scope, current, draft)
        kept = await self._store.publish(scope, row, version, answer=answer_of(row))
        return row if kept is None else kept

    async def get(self, scope: Scope, dag_id: str) -> DagRow:
        """Read a DAG.

        Raises:
            DagNotFound: no such DAG in the domain.
        """
        row = await self._store.get(scope, dag_id)
        if row is None:
            raise DagNotFound(f"no DAG {dag_id}")
        return row

    async def find(self, scope: Scope, title: str) -> DagRow | None:
        """Read a DAG by its title."""
        return await self._store.find_title(scope, title)

    async def list(
        self,
        scope: Scope,
        *,
        after: DagPlace | None = None,
        limit: int = LIST_COUNT_MAX,
        chosen: DagFilter = EVERY_DAG,
        offset: int = 0,
    ) -> Sequence[DagRow]:
        """Page DAGs in the order of `chosen`; `limit` 1..`LIST_COUNT_MAX`, more is cut."""
        limit = max(1, min(limit, LIST_COUNT_MAX))
        return await self._store.list(scope, after=after, limit=limit, chosen=chosen, offset=offset)

    async def document(self, scope: Scope, dag_id: str, version: str | None = None) -> VersionRow:
        """Read one published version, the newest when None.

        Raises:
            DagNotFound: no such DAG or version in the domain.
        """
        row = await self._store.version(scope, dag_id, version)
        if row is None:
            raise DagNotFound(f"no DAG {dag_id}" + (f" in version {version}" if version else ""))
        return row

    async def _check_calls(self, scope: Scope, draft: Draft, dag_id: str | None) -> None:
        """Refuse a document whose calls are known to come back to it; free for one that calls nothing.

        Raises:
            DagInvalid: `dag.call.cycle`.
        """
        fault = await find_cycle(self._store, scope, draft.dag, dag_id)
        if fault is not None:
            raise DagInvalid(fault.message, faults=as_document(draft.document.placed([fault])))

    async def _change(
        self, scope: Scope, dag_id: str, change: Change, upon: Upon, answer_of: AnswerOf | None
    ) -> DagRow | KeptAnswer:
        """Read, decide, write upon what was read; again when somebody was faster and `upon` allows any state."""
        tries_left = CHANGE_TRIES_MAX
        while True:
            tries_left -= 1
            current = await self.get(scope, dag_id)
            if upon.revision not in (None, current.revision):
                raise DagChanged(f"the DAG {dag_id} was changed meanwhile")
            row, version = change(current)
            if row is current and answer_of is None and upon.draft_revision is None:
                return current
            try:
                kept = await self._store.publish(
                    scope,
                    row,
                    version,
                    answer=None if answer_of is None else answer_of(row),
                    expected_revision=current.revision,
                    draft_revision=upon.draft_revision,
                )
            except (DagChanged, DagVersionTaken):
                if not tries_left:
                    raise
            else:
                return row if kept is None else kept

    def _first(self, scope: Scope, draft: Draft) -> DagRow:
        version = draft.dag.version or FIRST
        return self._row(scope, self._ids.new_id(), draft.dag, version, content_hash(draft.document.value), None)

    def _next(self, scope: Scope, current: DagRow, draft: Draft) -> tuple[DagRow, VersionRow | None]:
        """Give the row after a publication, `current` when nothing changes, and its version, None for equal content."""
        document, dag = draft.document, draft.dag
        digest = content_hash(document.value)
        is_same = digest == current.content_hash
        version = current.version if is_same else dag.version or next_patch(current.version)
        if not is_same and version_numbers(version) <= version_numbers(current.version):
            message = f"the version must be higher than {current.version}"
            fault = Fault(code="dag.version", pointer="/version", message=message)
            raise DagInvalid(message, faults=as_document(document.placed([fault])))
        row = self._row(scope, current.id, dag, version, digest, current)
        if msgspec.structs.replace(row, updated_at=current.updated_at, revision=current.revision) == current:
            return current, None
        return row, None if is_same else self._version(scope, row, draft)

    def _row(self, scope: Scope, dag_id: str, dag: Dag, version: str, digest: str, current: DagRow | None) -> DagRow:
        now = self._clock.now()
        return DagRow(
            id=dag_id,
            domain_id=scope.domain_id,
            title=dag.title,
            description=dag.description,
            tags=dag.tags,
            status=dag.status,
            type=dag.type,
            version=version,
            content_hash=digest,
            created_at=current.created_at if current else now,
            updated_at=now,
            revision=current.revision + 1 if current else 1,
        )

    def _version(self, scope: Scope, row: DagRow, draft: Draft) -> VersionRow:
        return VersionRow(
            dag_id=row.id,
            domain_id=row.domain_id,
            version=row.version,
            content_hash=row.content_hash,
            document=canonical_document(draft.document.value),
            change_log=draft.dag.change_log,
            published_at=row.updated_at,
            published_by=scope.principal.id,
        )


class PlanCache:
    """Plans of published versions, compiled once; the least recently asked for is dropped at `PLANS_COUNT_MAX`."""

    def __init__(
        self,
        store: DefinitionStore,
        catalog: Catalog,
        computations: Computations,
        *,
        compiled: Callable[..., Plan] = compile_dag,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._computations = computations
        self._compile = compiled
        self._plans: OrderedDict[tuple[str, str, str], Plan] = OrderedDict()

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        """Give the plan of the version that an instance is pinned to.

        Raises:
            DagNotFound: no such version.
            DagInvalid: this release cannot run it (a version that another release published).
        """
        key = (domain_id, dag_id, content_hash)
        plan = self._plans.get(key)
        if plan is None:
            row = await self._store.by_hash(domain_id, dag_id, content_hash)
            if row is None:
                raise DagNotFound(f"no version {content_hash} of the DAG {dag_id}")
            dag = parse_document(read_document(row.document, "json"), catalog=self._catalog)
            plan = self._compile(
                dag,
                dag_id=dag_id,
                version=row.version,
                content_hash=content_hash,
                catalog=self._catalog,
                computations=self._computations,
            )
            self._plans[key] = plan
            if len(self._plans) > PLANS_COUNT_MAX:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return plan
