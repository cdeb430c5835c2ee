"""Instances by a text: the beginning of an id, or a part of their DAG's title."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence

import msgspec

from core.access.dag_access import DagAccess
from core.errors import RequestInvalid
from core.ports.definition_store import DagFilter
from core.ports.instance_store import InstanceRow
from core.ports.instance_views import InstanceFilter, InstanceViews
from core.ports.scope import Scope

DAGS_MATCHED_MAX = 20  # a page then takes 21 reads by index at most; a text that fits more names nothing
_ID_START = re.compile(r"[0-9A-HJKMNP-TV-Z]{4,26}")
_AFTER_ID = "~"  # sorts behind every character of an id


async def search(
    views: InstanceViews, dags: DagAccess, scope: Scope, chosen: InstanceFilter, text: str, *, limit: int
) -> Sequence[InstanceRow]:
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
    found: dict[str, InstanceRow] = {}
    for one in filters:
        found |= {row.id: row for row in await views.list(scope, one, limit=limit)}
    return heapq.nlargest(limit, found.values(), key=lambda row: row.id)
