"""Shapes that travel: what requests may hold (unknown fields are refused) and what answers hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from core.dag.grammar import PRIORITY_MAX, PRIORITY_MIN
from core.dag.json_text import read_json
from core.dag.syntax import SyntaxFault
from core.errors import BodyUndecodable, RequestInvalid

REASON_CHARACTERS_MAX = 1_000  # a sentence of a person
FAULT_COUNT_MAX = 100  # a body of 1 MiB can hold many; nobody reads more

Reason = Annotated[str, msgspec.Meta(max_length=REASON_CHARACTERS_MAX, description="For people; kept in the journal.")]

Priority = Annotated[
    int, msgspec.Meta(ge=PRIORITY_MIN, le=PRIORITY_MAX, description="1 lowest .. 5 highest; absent = the DAG's.")
]


class EndRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why this is done to an instance."""

    reason: Reason = ""


class DagBody(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG as it is listed; `version` is the newest published one."""

    id: str
    title: str
    description: str
    tags: tuple[str, ...]
    status: str
    type: str
    version: str
    content_hash: str
    created_at: str
    updated_at: str


class DagDetail(DagBody, frozen=True, kw_only=True):
    """A DAG with the document of its newest version."""

    document: Any
    published_at: str
    published_by: str
    change_log: str


class DagListed(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG in a list: all of it, or the fields that were asked for."""

    id: str | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET
    version: str | msgspec.UnsetType = msgspec.UNSET
    content_hash: str | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET
    updated_at: str | msgspec.UnsetType = msgspec.UNSET


class DagPage(msgspec.Struct, frozen=True):
    """DAGs in the order asked for; `next` is the cursor of the next page, null on the last."""

    items: tuple[DagListed, ...]
    next: str | None = None


class FaultBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault of a document or request; `pointer` is a JSON pointer, line and column count from 1."""

    code: str
    pointer: str
    message: str
    hint: str = ""
    allowed: tuple[Any, ...] = ()
    line: int = 0
    column: int = 0


class Validity(msgspec.Struct, frozen=True):
    """Whether a document could be published, and every fault when not."""

    is_valid: bool
    errors: tuple[FaultBody, ...] = ()


class StartedBody(msgspec.Struct, frozen=True):
    """An accepted start."""

    id: str
    status: str


class EndedBody(msgspec.Struct, frozen=True):
    """Where an instance stands after it was told to end."""

    id: str
    status: str


class ParentBody(msgspec.Struct, frozen=True):
    """What called an instance: an instance, and the path of its task."""

    instance_id: str
    task: str


class InstanceBody(msgspec.Struct, frozen=True, kw_only=True):
    """An instance; `trigger` is the kind of what started it. `outputs` and `error` are set once it ended.

    `priority` is that of its start, null = the DAG's.
    """

    id: str
    dag_id: str
    version: str
    status: str
    trigger: str
    labels: dict[str, str]
    priority: int | None
    reason: str | None
    outputs: Any
    outputs_bytes: int | None
    error: Any
    rerun_of: str | None
    parent: ParentBody | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    updated_at: str


class InstancePage(msgspec.Struct, frozen=True):
    """Instances, newest first, without their outcomes; `next` is the cursor of the next page, null on the last.

    A page with several conditions may have fewer instances than asked for, or none, and `next` all the same.
    """

    items: tuple[InstanceBody, ...]
    next: str | None = None


class TaskBody(msgspec.Struct, frozen=True, kw_only=True):
    """A task; `output_bytes` stands in for an output that is too large for a page.

    `reused_from` is the instance in which it ran, when this one is a rerun that took over what it had come to.
    """

    path: str
    step: str
    status: str
    reason: str | None
    attempts: int
    output: Any
    output_bytes: int | None
    error: Any
    errors: Any
    reused_from: str | None


class TaskPageBody(msgspec.Struct, frozen=True):
    """Tasks that were entered; `next` is the cursor of the next page."""

    items: tuple[TaskBody, ...]
    next: str | None = None


class JournalEntryBody(msgspec.Struct, frozen=True):
    """Events of one journal row, in order; `at` is when their commit was made."""

    seq: int
    at: str | None
    events: tuple[dict[str, Any], ...]


class JournalPageBody(msgspec.Struct, frozen=True):
    """Journal entries ascending by seq; `next` is the cursor of the next page."""

    items: tuple[JournalEntryBody, ...]
    next: str | None = None


class HealthBody(msgspec.Struct, frozen=True):
    """Health; `parts` says per resource `ok` or what is wrong."""

    status: str
    parts: Mapping[str, str] = {}


def read_value(data: bytes) -> Any:
    """Decode a JSON body strictly: 64-bit integers, finite numbers, depth 64, no key twice.

    Raises:
        BodyUndecodable: with the place of the fault.
    """
    try:
        return read_json(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BodyUndecodable("the body is not UTF-8") from error
    except SyntaxFault as fault:
        place = {"line": fault.line, "column": fault.column}
        shown = {"code": "request.syntax", "pointer": fault.pointer, "message": fault.message, **place}
        raise BodyUndecodable(fault.message, faults=[shown]) from fault


def read_end_request(data: bytes) -> EndRequest:
    """Decode the optional body of cancel, terminate, pause and resume.

    Raises:
        BodyUndecodable: not JSON. RequestInvalid: other fields or types; `faults` lists all.
    """
    if not data:
        return EndRequest()
    value = read_value(data)
    try:
        return msgspec.convert(value, EndRequest)
    except msgspec.ValidationError:
        raise RequestInvalid("the body does not fit", faults=_end_faults(value)) from None


def _end_faults(value: Any) -> list[dict[str, Any]]:
    """List every fault, where msgspec stops at the first one."""
    if not isinstance(value, dict):
        return [{"code": "request.schema", "pointer": "", "message": "must be an object"}]
    faults = [
        {
            "code": "request.schema",
            "pointer": "/" + name.replace("~", "~0").replace("/", "~1"),
            "message": "unknown field",
            "allowed": ["reason"],
        }
        for name in value
        if name != "reason"
    ]
    reason = value.get("reason", "")
    if not isinstance(reason, str):
        faults.append({"code": "request.schema", "pointer": "/reason", "message": "must be text"})
    elif len(reason) > REASON_CHARACTERS_MAX:
        message = f"must have at most {REASON_CHARACTERS_MAX} characters"
        faults.append({"code": "request.schema", "pointer": "/reason", "message": message})
    return faults[:FAULT_COUNT_MAX]
