"""JSON Schemas of `@http/request`."""

from __future__ import annotations

from typing import Any

from core.ports.http_client import BODY_BYTES_MAX_DEFAULT

BODY_BYTES_MAX = 64 * 1024 * 1024  # no step's output is larger
URL_CHARS_MAX = 8192  # as the client's own bound
STATUS_RANGE = "([1-5][0-9]{2})-([1-5][0-9]{2})"

_SCALAR = {"type": ["string", "number", "boolean"]}
_FIELDS = {"type": "object", "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}}
_STATUS = {"type": "integer", "minimum": 100, "maximum": 599}
_RANGE = {"type": "string", "pattern": f"^{STATUS_RANGE}$"}

HTTP_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "method": {"enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], "default": "GET"},
        "url": {"type": "string", "minLength": 1, "maxLength": URL_CHARS_MAX},
        "query": _FIELDS,
        "headers": {
            "type": "object",
            "propertyNames": {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "maxLength": 256},
            "additionalProperties": {"type": "string", "maxLength": 8192},
            "maxProperties": 64,
        },
        "json": {},
        "form": _FIELDS,
        "text": {"type": "string"},
        "success": {
            "anyOf": [_STATUS, _RANGE, {"type": "array", "items": {"anyOf": [_STATUS, _RANGE]}, "minItems": 1}],
            "default": "200-299",
        },
        "body_bytes_max": {
            "type": "integer",
            "minimum": 0,
            "maximum": BODY_BYTES_MAX,
            "default": BODY_BYTES_MAX_DEFAULT,
        },
    },
    "required": ["url"],
    "additionalProperties": False,
    "allOf": [
        {"not": {"required": ["json", "form"]}},
        {"not": {"required": ["json", "text"]}},
        {"not": {"required": ["form", "text"]}},
    ],
}

HTTP_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {},
    },
    "required": ["status", "headers", "body"],
    "additionalProperties": False,
}
