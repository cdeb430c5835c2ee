"""Reading of simulated instances from their store, as people see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine.journal_view import read_journal
from core.engine.trace.export import gather, masked_trace
from core.engine.trace.file import write_trace
from core.engine.views import InstanceView, TaskPlace, TaskView, read_instance, read_tasks
from core.errors import InstanceNotFound
from core.ports.instance_store import Loaded
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Principal, Scope
from pkg.redaction import Redactor

DOMAIN_ID = "default"
PAGE_ROWS = 200
_SCOPE = Scope(DOMAIN_ID, Principal("test", "system", "test", ()))


class InstanceReader:
    """Reads whole what the API pages; `plan_of` gives the plan of a content hash."""

    def __init__(self, views: InstanceViews, objects: ObjectStore, plan_of: Callable[[str], Plan]) -> None:
        self._views = views
        self._objects = objects
        self._plan_of = plan_of

    async def instance(self, instance_id: str) -> InstanceView:
        """Read an instance with its outcome.

        Raises:
            InstanceNotFound: there is none of that id.
        """
        loaded = await self._loaded(instance_id)
        return await read_instance(self._views, self._objects, _SCOPE, self._plan_of(loaded.row.dag_hash), loaded)

    async def tasks(self, instance_id: str) -> list[TaskView]:
        """Read every task that was entered.

        Raises:
            InstanceNotFound: there is none of that id.
        """
        loaded = await self._loaded(instance_id)
        plan = self._plan_of(loaded.row.dag_hash)
        found: list[TaskView] = []
        place: TaskPlace | None = TaskPlace()
        while place is not None:
            page = await read_tasks(self._views, self._objects, _SCOPE, plan, loaded, place=place, limit=PAGE_ROWS)
            found += page.tasks
            place = page.next
        return found

    async def trace(self, instance_id: str, document: bytes | None, notes: Mapping[str, str]) -> bytes:
        """Give the trace file of an instance, masked as those of a server are.

        Raises:
            InstanceNotFound: there is none of that id. HistoryTooLong: its journal passes what one file holds.
        """
        loaded = await self._loaded(instance_id)
        plan = self._plan_of(loaded.row.dag_hash)
        gathered = await gather(self._views, self._objects, _SCOPE, plan, document, loaded)
        return write_trace(masked_trace(gathered, Redactor().text, notes))

    async def events(self, instance_id: str) -> list[dict[str, Any]]:
        """Read the whole journal; of an unknown instance it is empty."""
        events: list[dict[str, Any]] = []
        after_seq: int | None = 0
        while after_seq is not None:
            page = await read_journal(self._views, _SCOPE, instance_id, after_seq=after_seq, limit=PAGE_ROWS)
            events += [_plain(event) for entry in page.entries for event in entry.events]
            after_seq = page.next
        return events

    async def _loaded(self, instance_id: str) -> Loaded:
        loaded = await self._views.get(_SCOPE, instance_id)
        if loaded is None:
            raise InstanceNotFound(f"no instance {instance_id}", instance_id=instance_id)
        return loaded


def _plain(event: Mapping[str, Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    return decoded
