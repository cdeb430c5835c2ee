"""DAG documents in requests, and the examples of DAG routes."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.document import Format
from core.ports.definition_store import DagRow
from driver_adapters.http.conditions import etag_header
from driver_adapters.http.dag_wire import dag_body
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.operation import RequestBody

_YAML_TYPES = (b"application/yaml", b"application/x-yaml", b"text/yaml", b"text/x-yaml")
_FORMATS: dict[bytes, Format] = {b"application/json": "json", **dict.fromkeys(_YAML_TYPES, "yaml")}
_DOCUMENT_TYPES = frozenset(_FORMATS)

EXAMPLE_DOCUMENT: dict[str, Any] = {
    "title": "Greet",
    "inputs": {"type": "object", "properties": {"name": {"type": "string", "default": "world"}}},
    "steps": [{"id": "greet", "operator": "@debug/noop", "parameters": {"text": "Hello {{ inputs.name }}"}}],
    "outputs": {"text": "{{ steps.greet.output.text }}"},
}
EXAMPLE_DAG: dict[str, Any] = {
    "id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
    "title": "Greet",
    "description": "",
    "tags": [],
    "status": "normal",
    "type": "workflow",
    "version": "v1.0.0",
    "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-01-31T08:30:00.000Z",
    "updated_at": "2026-01-31T08:30:00.000Z",
}
DOCUMENT = RequestBody(
    media_types=("application/json", "application/yaml"),
    description="A DAG document, at most 1 MiB as JSON or 256 KiB as YAML.",
    example=EXAMPLE_DOCUMENT,
)


async def read_document_body(call: Call) -> tuple[Format | None, bytes]:
    """Read the body of a request that sends a document.

    Raises:
        BodyTooLarge, MediaTypeUnsupported, RequestMalformed: as `Call.body`.
    """
    media_type, data = await call.body(allowed=_DOCUMENT_TYPES)
    return _FORMATS.get(media_type), data


def dag_tag(row: DagRow) -> str:
    """Name the state of a DAG: every change of it has another one."""
    return str(row.revision)


def dag_reply(row: DagRow) -> Reply:
    """Answer with a DAG as it is now."""
    return Reply(200, msgspec.json.encode(dag_body(row)), headers=(etag_header(dag_tag(row)),))
