"""Use cases of people who decide: which decisions wait for them, and taking one (semantics.md S28)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from core.access.permission import require
from core.dag.plan import ApprovalPlan
from core.engine.answering import Engine, bounded_data
from core.engine.node.terms import PlanSource
from core.engine.state import InstanceStatus
from core.engine.stimuli import Verdict
from core.engine.sure import sure
from core.engine.values import encode_json, stamp
from core.errors import ApprovalNotFound, InstanceNotFound, RequestInvalid
from core.ports.instance_store import READ_ROWS_MAX, ApprovalRow
from core.ports.instance_views import InstanceViews
from core.ports.scope import Principal, Scope

PAGE_BYTES_MAX = 1_048_576  # of forms, up to 64 KiB each; a page ends early above this
FAULTS_SHOWN_MAX = 20
Decision = Literal["approved", "rejected"]
COMMENT_CHARACTERS_MAX = 1_000  # a sentence of a person; it is the message of what was rejected


class ApprovalView(msgspec.Struct, frozen=True):
    """A decision that is asked for. `form` is the JSON Schema of its data, null = any; times are RFC 3339 UTC."""

    id: str
    title: str
    instance_id: str
    dag_id: str
    version: str
    task: str
    form: Any
    approvers: tuple[str, ...] | None
    since: str
    due_at: str | None


class ApprovalPage(msgspec.Struct, frozen=True):
    """Open decisions, oldest first. `next` is where the page that follows begins; a page may be short and have one."""

    approvals: tuple[ApprovalView, ...]
    next: str | None


class Approving:
    """What approvers may do."""

    def __init__(self, *, engine: Engine, views: InstanceViews, plans: PlanSource) -> None:
        """Take the engine and what is read beside it."""
        self._engine = engine
        self._views = views
        self._plans = plans

    async def list(self, scope: Scope, *, from_id: str = "", limit: int) -> ApprovalPage:
        """Page the open decisions that the caller may take; looks at READ_ROWS_MAX at most.

        Raises:
            NotAllowed: `approval:list` is missing.
        """
        require(scope, "approval", "list")
        rows = await self._views.approvals(scope, from_id=from_id, limit=READ_ROWS_MAX)
        found: list[ApprovalView] = []
        size = 0
        for row in rows:
            if not is_approver(row, scope.principal):
                continue
            view = _view(row, await self._plan(scope, row))
            size += len(encode_json(view.form))
            if len(found) == limit or (found and size > PAGE_BYTES_MAX):
                return ApprovalPage(tuple(found), row.id)
            found.append(view)
        return ApprovalPage(tuple(found), rows[-1].id + "0" if len(rows) == READ_ROWS_MAX else None)

    async def decide(
        self, scope: Scope, approval_id: str, decision: Decision, *, data: Any, comment: str | None
    ) -> tuple[str, InstanceStatus]:
        """Take a decision; the first one counts. Gives the id and the status of its instance.

        Raises:
            NotAllowed: `approval:modify` is missing. ApprovalNotFound: not open, or the caller is no approver of it.
            RequestInvalid: the data do not fit the form, and somebody is still asked; or they are too long.
            OutcomeUnknown: it may have been taken; look.
        """
        row = await self._find(scope, approval_id)
        plan = await self._plan(scope, row)
        if plan.form_faults is not None and (decision == "approved" or data is not None):
            faults = plan.form_faults(data)
            if faults:
                listed = [{"code": "request.schema", "pointer": "/data", "message": one} for one in faults]
                raise RequestInvalid("the data do not fit the form", faults=listed[:FAULTS_SHOWN_MAX])
        verdict = Verdict(
            path=row.task_path, id=row.id, decision=decision, by=scope.principal.id, comment=comment,
            data=bounded_data(data),
        )  # fmt: skip
        try:
            answer = await self._engine.command(scope.domain_id, row.instance_id, verdict)
        except InstanceNotFound:
            raise _not_found(approval_id) from None
        if answer.result != "accepted":
            raise _not_found(approval_id)
        return row.instance_id, answer.status

    async def _find(self, scope: Scope, approval_id: str) -> ApprovalRow:
        require(scope, "approval", "modify")
        for row in await self._views.approvals(scope, from_id=approval_id, limit=1):
            if row.id == approval_id and is_approver(row, scope.principal):
                return row
        raise _not_found(approval_id)

    async def _plan(self, scope: Scope, row: ApprovalRow) -> ApprovalPlan:
        plan = await self._plans.get(scope.domain_id, row.dag_id, row.dag_hash)
        return sure(plan.nodes[plan.by_id[row.task_path.rpartition(".")[2]]].approval)


def is_approver(row: ApprovalRow, principal: Principal) -> bool:
    """Say whether somebody is named: by id, by name, or by a role as `role:<role>`; without names whoever may."""
    if row.approvers is None:
        return True
    names = {principal.id, principal.name, *(f"role:{role}" for role in principal.roles)}
    return not names.isdisjoint(row.approvers)


def _view(row: ApprovalRow, plan: ApprovalPlan) -> ApprovalView:
    return ApprovalView(
        id=row.id,
        title=row.title,
        instance_id=row.instance_id,
        dag_id=row.dag_id,
        version=row.dag_version,
        task=row.task_path,
        form=plan.form,
        approvers=row.approvers,
        since=stamp(row.since),
        due_at=None if row.due_at is None else stamp(row.due_at),
    )


def _not_found(approval_id: str) -> ApprovalNotFound:
    return ApprovalNotFound(f"nobody asks you for the decision {approval_id}")
