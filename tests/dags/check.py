"""Short ways to check a document in a test."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.document import Format
from core.dag.model import Dag
from core.dag.parse import parse_dag
from core.errors import DagInvalid, DagUndecodable
from tests.dags.catalog import catalog

CATALOG = catalog()


def noop(step_id: str, **fields: Any) -> dict[str, Any]:
    """Give a step that takes any parameters."""
    return {"id": step_id, "operator": "@debug/noop", **fields}


def step(step_id: str, operator: str, **parameters: Any) -> dict[str, Any]:
    """Give a step of an operator with these parameters."""
    return {"id": step_id, "operator": operator, "parameters": parameters}


def dag(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a document of these steps."""
    return {"title": "T", "steps": list(steps), **fields}


def parsed(document: Any) -> Dag:
    """Parse a value as a JSON document."""
    return parse_dag(msgspec.json.encode(document), format="json", catalog=CATALOG)


def problem(data: bytes, format: Format | None = None) -> list[dict[str, Any]]:  # noqa: A002 - the API's word
    """Give the faults of a text, as a problem shows them; none when it is valid."""
    try:
        parse_dag(data, format=format, catalog=CATALOG)
    except (DagInvalid, DagUndecodable) as error:
        return [dict(fault) for fault in error.faults]
    return []


def faults(document: Any) -> list[tuple[str, str]]:
    """Give (code, pointer) of every fault of a value."""
    return [(one["code"], one["pointer"]) for one in problem(msgspec.json.encode(document), "json")]
