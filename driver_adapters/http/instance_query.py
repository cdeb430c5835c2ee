"""Query parameters of lists of instances and of starts, and what the core is asked with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from core.dag.grammar import PRIORITY_MAX, PRIORITY_MIN
from core.dag.label import (
    LABEL_NAME_CHARACTERS_MAX,
    LABEL_NAME_PATTERN,
    LABEL_VALUE_CHARACTERS_MAX,
    LABELS_COUNT_MAX,
)
from core.dag.trigger import CALL_KIND, KINDS
from core.engine.instance_search import InstanceQuery
from core.engine.state import InstanceStatus
from driver_adapters.http.faults import QueryInvalid
from driver_adapters.http.query import Parameter

_FORM = "`name:value`"


def _label(description: str) -> Parameter:
    return Parameter(
        name="label",
        kind=str,
        length_max=LABEL_NAME_CHARACTERS_MAX + 1 + LABEL_VALUE_CHARACTERS_MAX,
        pattern=rf"{LABEL_NAME_PATTERN}:[^\x00]{{1,{LABEL_VALUE_CHARACTERS_MAX}}}",
        count_max=LABELS_COUNT_MAX,
        description=description,
    )


LABEL_OF_START = _label(
    f"A label of the instance, {_FORM}; may be repeated, each name once, and goes before the DAG's own."
)
PRIORITY_OF_START = Parameter(
    name="priority",
    kind=int,
    minimum=PRIORITY_MIN,
    maximum=PRIORITY_MAX,
    description="The instance's place among those that wait, 1 lowest .. 5 highest; absent = the DAG's.",
)
STATUS = Parameter(
    name="status",
    kind=str,
    choices=tuple(status.value for status in InstanceStatus),
    description="Only with this status.",
)
DAG_ID = Parameter(name="dag_id", kind=str, length_max=26, description="Only of this DAG.")
TEXT = Parameter(
    name="text", kind=str, length_max=128, description="The beginning of an id, or a part of the DAG's title."
)
# What a list of all instances and one of a DAG's have in common.
CONDITIONS = (
    STATUS,
    Parameter(
        name="trigger", kind=str, choices=(*KINDS, CALL_KIND), description="Only started by this kind of trigger."
    ),
    Parameter(name="parent", kind=str, length_max=26, description="Only children of this instance."),
    _label(f"Only with this label, {_FORM}; may be repeated, each name once, and all must hold."),
    Parameter(
        name="created_from", kind=str, length_max=40, description="Only created at or after this time (RFC 3339)."
    ),
    Parameter(name="created_to", kind=str, length_max=40, description="Only created before this time (RFC 3339)."),
)


def version_of(dag: str) -> Parameter:
    """Declare the condition on the version of `dag`, as the list calls it."""
    return Parameter(name="version", kind=str, length_max=32, description=f"Only of this version of {dag}.")


def instance_query(chosen: Mapping[str, Any], *, dag_id: str | None) -> InstanceQuery:
    """Give what is asked; `chosen` is what `read_query` gave for CONDITIONS, `version` and, where there is one, `text`.

    Raises:
        QueryInvalid: a version without a DAG, a time that is none, or a label's name twice.
    """
    if chosen["version"] is not None and dag_id is None:
        raise _refused("version", "needs `dag_id`")
    return InstanceQuery(
        dag_id=dag_id,
        version=chosen["version"],
        status=chosen["status"],
        trigger=chosen["trigger"],
        parent=chosen["parent"],
        labels=labels_of(chosen["label"]),
        created_from=_time(chosen, "created_from"),
        created_to=_time(chosen, "created_to"),
        text=chosen.get("text"),
    )


def labels_of(texts: Iterable[str]) -> Mapping[str, str]:
    """Give labels by name.

    Raises:
        QueryInvalid: a name stands twice; two values of one label never hold together.
    """
    labels: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition(":")
        if name in labels:
            raise _refused("label", f"names `{name}` twice")
        labels[name] = value
    return labels


def _time(chosen: Mapping[str, Any], name: str) -> datetime | None:
    """Give a time of the query.

    Raises:
        QueryInvalid: it is none, or has no offset.
    """
    text = chosen[name]
    if text is None:
        return None
    try:
        at: datetime = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise _refused(name, "must be a time such as 2026-01-31T08:30:00Z") from None
    if at.tzinfo is None:
        raise _refused(name, "must have an offset, such as Z")
    return at


def _refused(name: str, message: str) -> QueryInvalid:
    fault = {"code": "request.query", "pointer": f"?{name}", "message": message}
    return QueryInvalid(f"{name} {message}", faults=[fault])
