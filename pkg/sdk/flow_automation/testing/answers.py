"""What people and programs outside tell a simulated instance, by the product's own use cases."""

from __future__ import annotations

from typing import Any

from core.access.permission import ADMINISTRATOR
from core.engine.answering import Answering, CallbackBody, CallbackError
from core.engine.approving import Approving, Decision
from core.engine.callback_token import token_of
from core.engine.fold import header_of_rows
from core.engine.node.terms import PlanSource
from core.errors import ApprovalNotFound, CallbackNotFound
from core.ports.instance_store import READ_ROWS_MAX
from core.ports.instance_views import InstanceViews
from core.ports.scope import Principal, Scope
from flow_automation.testing.reading import DOMAIN_ID
from flow_automation.testing.repeating_client import RepeatingClient

TESTER = "tester"  # who acts when a test does not say


class Answers:
    """Signals, calls of callbacks and decisions, checked as the API checks them."""

    def __init__(self, client: RepeatingClient, views: InstanceViews, plans: PlanSource) -> None:
        """Take who tells it, and what is read beside."""
        self._views = views
        self._answering = Answering(engine=client, ids=client)
        self._approving = Approving(engine=client, views=views, plans=plans)

    async def signal(self, instance_id: str, name: str, data: Any) -> None:
        """Give an instance a signal.

        Raises:
            InstanceNotFound, InstanceEnded, SignalsFull, RequestInvalid: as the API.
        """
        await self._answering.signal(_scope(TESTER), instance_id, name, data)

    async def call_back(self, instance_id: str, path: str, data: Any, error: CallbackError | None) -> None:
        """Call the callback of the wait at a task path.

        Raises:
            CallbackNotFound: it has none. CallbackOver: it takes no call any more.
        """
        loaded = await self._views.get(_scope(TESTER), instance_id)
        header = None if loaded is None else header_of_rows(loaded)
        if header is None:
            raise CallbackNotFound(f"no instance {instance_id} has begun")
        body = CallbackBody(data=data) if error is None else CallbackBody(status="failed", error=error)
        await self._answering.call_back(token_of(instance_id, header.callback_secret, path), body)

    async def decide(
        self, instance_id: str, path: str, decision: Decision, *, data: Any, comment: str | None, by: str
    ) -> None:  # fmt: skip
        """Decide what the approval at a task path asks.

        Raises:
            ApprovalNotFound: it does not ask, or not `by`. RequestInvalid: the data do not fit its form.
        """
        rows = await self._views.approvals(_scope(by), from_id="", limit=READ_ROWS_MAX)
        asked = [row.id for row in rows if (row.instance_id, row.task_path) == (instance_id, path)]
        if not asked:
            raise ApprovalNotFound(f"nobody is asked for a decision at {path!r} of {instance_id}")
        await self._approving.decide(_scope(by), asked[0], decision, data=data, comment=comment)


def _scope(name: str) -> Scope:
    return Scope(DOMAIN_ID, Principal(name, "key", name, (ADMINISTRATOR,)))
