"""Shapes of DAG routes: what their requests may hold, and what their answers hold."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from core.dag.diff import DagDiff
from core.dag.fault import Faults
from core.dag.graph import Graph
from core.dag.json_schema import check_value
from core.dag.label import LABEL_NAME_PATTERN, LABEL_VALUE_CHARACTERS_MAX, LABELS_COUNT_MAX
from core.engine.dry_run.answer import DryRun
from core.engine.values import stamp
from core.errors import RequestInvalid
from core.executor.error_kind import ERROR_KINDS
from core.ports.definition_store import DagRow, VersionHead
from driver_adapters.http.wire import FAULT_COUNT_MAX, DagBody, FaultBody, Priority, Reason, read_value

BATCH_COUNT_MAX = 200  # http-api.md: as many as a page of a list has
DAG_FIELDS = DagBody.__struct_fields__
ID_CHARACTERS_MAX = 64
T = TypeVar("T")

Ids = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=ID_CHARACTERS_MAX)], ...],
    msgspec.Meta(min_length=1, max_length=BATCH_COUNT_MAX),
]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Status = Literal["normal", "stopped"]
TriggerKind = Literal["manual", "cron", "interval", "event", "webhook", "dag", "file", "call"]
LabelValues = Annotated[
    dict[
        Annotated[str, msgspec.Meta(pattern=f"^{LABEL_NAME_PATTERN}$")],
        Annotated[str, msgspec.Meta(min_length=1, max_length=LABEL_VALUE_CHARACTERS_MAX)],
    ],
    msgspec.Meta(max_length=LABELS_COUNT_MAX),
]
FieldName = Literal[
    "id", "title", "description", "tags", "status", "type", "version", "content_hash", "created_at", "updated_at"
]


class VersionBody(msgspec.Struct, frozen=True, kw_only=True):
    """A published version as it is listed."""

    version: str
    content_hash: str
    change_log: str
    published_at: str
    published_by: str


class VersionDetail(VersionBody, frozen=True, kw_only=True):
    """A published version with its document, as it was published."""

    dag_id: str
    document: Any


class VersionPage(msgspec.Struct, frozen=True):
    """Versions, newest first; `next` is the cursor of the next page, null on the last."""

    items: tuple[VersionBody, ...]
    next: str | None = None


class DraftBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be edited; `is_saved` false = the newest version, since nothing was saved after its publication."""

    dag_id: str
    is_saved: bool
    document: Any
    saved_at: str | None
    saved_by: str | None


class SavedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that was saved, and every fault that keeps it from being published."""

    dag_id: str
    is_valid: bool
    errors: tuple[FaultBody, ...]
    saved_at: str
    saved_by: str


class PublishRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the published draft says of itself, in place of what stands in it."""

    version: Annotated[str, msgspec.Meta(pattern=r"^v[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$")] | None = None
    change_log: Annotated[str, msgspec.Meta(max_length=300)] | None = None


class GraphBody(Graph, frozen=True):
    """Nodes, edges and groups of a drawing."""


class DiffBody(DagDiff, frozen=True, kw_only=True):
    """What is different in the second version, seen from the first."""


class TitleBody(msgspec.Struct, frozen=True):
    """A title that was free a moment ago."""

    title: str


class CancelledBody(msgspec.Struct, frozen=True):
    """How many instances were told to end, or in a dry run would be; `has_more` = some are left, ask again."""

    count: int
    has_more: bool


class OperatorBody(msgspec.Struct, frozen=True, kw_only=True):
    """An operator: what a step may give it and what it answers. Unavailable ones are known and refused at saving."""

    name: str
    title: str
    version: str
    kind: str
    parameters: dict[str, Any]
    output: dict[str, Any]
    is_available: bool
    has_side_effects: bool
    dry_run: str
    retry: dict[str, Any]
    timeout: dict[str, Any]
    expression_fields: tuple[str, ...]
    secrets_in: tuple[str, ...]


class OperatorList(msgspec.Struct, frozen=True):
    """Every operator that the language knows, by name."""

    items: tuple[OperatorBody, ...]


class BatchFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which DAGs, as in the list."""

    text: Text | msgspec.UnsetType = msgspec.UNSET
    tag: Text | msgspec.UnsetType = msgspec.UNSET
    status: Status | msgspec.UnsetType = msgspec.UNSET


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with many DAGs: those with these ids, or the first 200 that the filter names; one of the two.

    `fields` are what `get` answers of each; empty = all.
    """

    action: Literal["get", "activate", "deactivate", "delete"]
    ids: Ids | msgspec.UnsetType = msgspec.UNSET
    filter: BatchFilter | msgspec.UnsetType = msgspec.UNSET
    fields: Annotated[tuple[FieldName, ...], msgspec.Meta(max_length=len(DAG_FIELDS))] = ()


class BatchFault(msgspec.Struct, frozen=True):
    """Why nothing happened to one DAG; `code` as in a problem document."""

    code: str
    detail: str


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one DAG: `dag` as it is now (null when it is gone), or `error`."""

    id: str
    dag: dict[str, Any] | None
    error: BatchFault | None


class BatchBody(msgspec.Struct, frozen=True):
    """One item per DAG, in the order asked; `has_more` = the filter names more, ask again."""

    items: tuple[BatchItem, ...]
    has_more: bool


class CancelFilterRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of the open instances, as in the list: `created_from` and after, before `created_to`."""

    status: Literal["queued", "running"] | msgspec.UnsetType = msgspec.UNSET
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | msgspec.UnsetType = msgspec.UNSET
    trigger: TriggerKind | msgspec.UnsetType = msgspec.UNSET
    labels: LabelValues = {}
    created_from: Annotated[datetime, msgspec.Meta(tz=True)] | msgspec.UnsetType = msgspec.UNSET
    created_to: Annotated[datetime, msgspec.Meta(tz=True)] | msgspec.UnsetType = msgspec.UNSET


class CancelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the instances are ended, and which; `dry_run` counts them and ends none."""

    reason: Reason = ""
    filter: CancelFilterRequest = CancelFilterRequest()
    dry_run: bool = False


class PlanError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How every attempt fails: a kind of a task's error, and a sentence."""

    kind: Annotated[str, msgspec.Meta(max_length=32, extra_json_schema={"enum": sorted(ERROR_KINDS)})]
    message: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class PlanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Inputs and priority as of a start, and how attempts are to end, by step id or task path.

    Outcomes that nobody gives are unknown.
    """

    inputs: Any = {}
    outputs: dict[str, Any] = {}
    errors: dict[str, PlanError] = {}
    priority: Priority | None = None


class PlanBody(DryRun, frozen=True, kw_only=True):
    """What would run, which limits bind, and what history says of it."""


def read_body(data: bytes, shape: type[T]) -> T:
    """Decode a JSON body.

    Raises:
        BodyUndecodable: not JSON. RequestInvalid: it does not fit; `faults` lists all.
    """
    value = read_value(data)
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise RequestInvalid("the body does not fit", faults=_faults(value, shape, str(error))) from None


def _faults(value: Any, shape: type[Any], first: str) -> list[dict[str, Any]]:
    """List every fault, where msgspec stops at the first one."""
    (reference,), components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    schema = {**reference, "$defs": {name: _closed(one) for name, one in components.items()}}
    found = Faults()
    check_value(schema, value, "", "request.schema", found)
    shown = [{"code": one.code, "pointer": one.pointer, "message": one.message} for one in found.found]
    return shown[:FAULT_COUNT_MAX] or [{"code": "request.schema", "pointer": "", "message": first}]


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if schema.get("type") == "object" else schema


def dag_body(row: DagRow) -> DagBody:
    """Show a DAG."""
    return DagBody(
        id=row.id,
        title=row.title,
        description=row.description,
        tags=row.tags,
        status=row.status,
        type=row.type,
        version=row.version,
        content_hash=row.content_hash,
        created_at=stamp(row.created_at),
        updated_at=stamp(row.updated_at),
    )


def version_body(row: VersionHead) -> VersionBody:
    """Show a version."""
    return VersionBody(
        version=row.version,
        content_hash=row.content_hash,
        change_log=row.change_log,
        published_at=stamp(row.published_at),
        published_by=row.published_by,
    )
