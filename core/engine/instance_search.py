"""Which instances somebody looks for, and the pages of them; a text is an id's beginning or a part of a DAG's title."""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from core.access.dag_access import DagAccess
from core.engine.instance_time import first_id_at
from core.errors import RequestInvalid
from core.ports.definition_store import DagFilter
from core.ports.instance_store import InstanceRow
from core.ports.instance_views import InstanceFilter, InstanceList, InstanceViews
from core.ports.scope import Scope

DAGS_MATCHED_MAX = 20  # a page then takes 21 reads by index at most; a text that fits more names nothing
_ID_START = re.compile(r"[0-9A-HJKMNP-TV-Z]{4,26}")
_AFTER_ID = "~"  # sorts behind every character of an id


class InstanceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a list of instances; None = any, and all that is said must hold.

    `version` only with `dag_id`. `trigger` is a kind of trigger, `parent` the instance that called. `created_from` and
    `created_to` are aware, by the millisecond in the id, the end excluded. `text` is the beginning of an id, or a part
    of the DAG's title.
    """

    dag_id: str | None = None
    version: str | None = None
    status: str | None = None
    trigger: str | None = None
    parent: str | None = None
    labels: Mapping[str, str] = {}
    created_from: datetime | None = None
    created_to: datetime | None = None
    text: str | None = None


def filter_of(query: InstanceQuery, before: str | None) -> InstanceFilter:
    """Give what a store is asked for a page that begins below the id `before`, None = with the newest."""
    if query.created_to is not None:
        before = min(first_id_at(query.created_to), before or first_id_at(query.created_to))
    return InstanceFilter(
        dag_id=query.dag_id,
        version=query.version,
        status=query.status,
        trigger=query.trigger,
        parent=query.parent,
        labels=query.labels,
        before=before,
        since=None if query.created_from is None else first_id_at(query.created_from),
    )


async def search(
    views: InstanceViews, dags: DagAccess, scope: Scope, chosen: InstanceFilter, text: str, *, limit: int
) -> InstanceList:
    """Page the chosen instances that `text` names, newest first.

    `text` in capitals, 4 characters or more, is the beginning of an id; any text may stand in a title.

    Raises:
        NotAllowed: `dag:list` is missing. RequestInvalid: the titles of more than DAGS_MATCHED_MAX DAGs hold the text.
    """
    matching = await dags.list(scope, after=None, limit=DAGS_MATCHED_MAX + 1, chosen=DagFilter(text=text))
    if len(matching) > DAGS_MATCHED_MAX:
        message = f"stands in the titles of more than {DAGS_MATCHED_MAX} DAGs; say more of the title"
        fault = {"code": "request.query", "pointer": "?text", "message": message}
        raise RequestInvalid(f"{text!r} {message}", faults=[fault])
    filters = [msgspec.structs.replace(chosen, dag_id=row.id) for row in matching if chosen.dag_id in (None, row.id)]
    if _ID_START.fullmatch(text):
        since = max(text, chosen.since or "")
        filters.append(msgspec.structs.replace(chosen, since=since, before=min(text + _AFTER_ID, chosen.before or "~")))
    return _merged([await views.list(scope, one, limit=limit) for one in filters], limit)


def _merged(lists: list[InstanceList], limit: int) -> InstanceList:
    """Make one page of several: down to the highest id at which one of them ended, what follows is not known whole."""
    floor = max((one.next for one in lists if one.next is not None), default="")
    found: dict[str, InstanceRow] = {row.id: row for one in lists for row in one.rows if row.id >= floor}
    rows = heapq.nlargest(limit, found.values(), key=lambda row: row.id)
    return InstanceList(tuple(rows), rows[-1].id if len(rows) < len(found) else floor or None)
