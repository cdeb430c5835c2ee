"""Declarations of the small operators (semantics.md S54) for tests of the language, which needs no code of them."""

from __future__ import annotations

from typing import Any

from core.dag.catalog import Catalog, OperatorSpec, Retry, Timeout
from core.dag.language import language_catalog

TEXT = {"type": "string"}
ANY: dict[str, Any] = {}


def fields(required: dict[str, Any] | None = None, **optional: Any) -> dict[str, Any]:
    """Declare an object with these fields and no others."""
    needed = required or {}
    schema: dict[str, Any] = {"type": "object", "properties": needed | optional, "additionalProperties": False}
    return schema | ({"required": list(needed)} if needed else {})


def pure(name: str, parameters: dict[str, Any], output: dict[str, Any], **more: Any) -> OperatorSpec:
    return OperatorSpec(name=name, kind="pure", parameters=parameters, output=output, has_side_effects=False, **more)


HTTP_PARAMETERS = fields(
    {"url": TEXT},
    method={"enum": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]},
    query={"type": "object"},
    headers={"type": "object", "additionalProperties": TEXT},
    json=ANY,
    form={"type": "object"},
    text=TEXT,
    success={"type": "array", "items": {"type": "integer", "minimum": 100, "maximum": 599}},
    body_bytes_max={"type": "integer", "minimum": 1},
) | {"not": {"anyOf": [{"required": ["json", "form"]}, {"required": ["json", "text"]}, {"required": ["form", "text"]}]}}

SPECS = (
    OperatorSpec(
        name="@http/request",
        kind="attempt",
        parameters=HTTP_PARAMETERS,
        output={
            "type": "object",
            "properties": {"status": {"type": "integer"}, "headers": {"type": "object"}, "body": ANY},
            "required": ["status", "headers", "body"],
        },
        retry=Retry(),
        timeout=Timeout(attempt_s=60.0),
        secrets_in=("/headers", "/query", "/json"),
    ),
    OperatorSpec(name="@debug/noop", kind="attempt", parameters={"type": "object"}, output=ANY),
    OperatorSpec(
        name="@debug/log",
        kind="attempt",
        parameters=fields({"message": TEXT}, level={"enum": ["debug", "info", "warning", "error"]}),
        output={"type": "object"},
    ),
    OperatorSpec(
        name="@debug/fail",
        kind="attempt",
        parameters=fields(times={"type": "integer", "minimum": 0}, kind=TEXT, message=TEXT, output=ANY),
        output=ANY,
    ),
    pure(
        "@data/transform",
        fields(
            {"items": {"type": "array"}},
            filter=TEXT,
            map=TEXT,
            pick={"type": "array", "items": TEXT},
            group_by=TEXT,
        ),
        ANY,
        expression_fields=("/filter", "/map", "/group_by"),
    ),
    pure("@json/parse", fields({"text": TEXT}), ANY),
    pure("@json/get", fields({"value": ANY, "pointer": TEXT}, default=ANY), ANY),
    pure("@json/set", fields({"value": ANY, "pointer": TEXT, "to": ANY}), ANY),
    pure("@text/split", fields({"text": TEXT, "separator": TEXT}), {"type": "array", "items": TEXT}),
    pure("@text/join", fields({"items": {"type": "array", "items": TEXT}, "separator": TEXT}), TEXT),
    pure(
        "@text/match",
        fields({"text": TEXT, "pattern": TEXT}),
        {
            "type": "object",
            "properties": {"matched": {"type": "boolean"}, "groups": {"type": "array"}},
            "required": ["matched", "groups"],
        },
    ),
    pure("@text/template", fields({"template": TEXT, "values": {"type": "object"}}), TEXT),
    pure("@time/now", fields(), TEXT),
    pure(
        "@time/add",
        fields(
            {"at": TEXT},
            days={"type": "number"},
            hours={"type": "number"},
            minutes={"type": "number"},
            seconds={"type": "number"},
        ),
        TEXT,
    ),
    pure("@time/format", fields({"at": TEXT, "format": TEXT}, timezone={"type": ["string", "null"]}), TEXT),
)


def catalog() -> Catalog:
    """Give every operator name of the language."""
    return language_catalog(SPECS)
