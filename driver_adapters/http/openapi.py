"""OpenAPI 3.1, generated from the declared operations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from core.errors import (
    CredentialMissing,
    Exhausted,
    FlowError,
    NotAllowed,
    RateLimited,
    StoreTimeout,
    StoreUnavailable,
)
from driver_adapters.http.faults import HeaderInvalid, InternalError, MethodNotAllowed, QueryInvalid
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.problem import STATUSES, TYPE_PREFIX, status_of
from driver_adapters.http.problem_shapes import BOUND_EXAMPLES, ExhaustedProblem, Problem

API_VERSION = "0.1.0"
_EXAMPLE_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_ALWAYS: tuple[type[FlowError], ...] = (QueryInvalid, MethodNotAllowed, InternalError)
_WHEN_GUARDED: tuple[type[FlowError], ...] = (
    CredentialMissing, NotAllowed, HeaderInvalid, RateLimited, StoreUnavailable, StoreTimeout,
)  # fmt: skip
_PATH_NAME = re.compile(r"\{(\w+)\}")
_ULID = ("A ULID.", "^[0-9A-HJKMNP-TV-Z]{26}$")
_VERSION = ("A published version.", r"^v[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$")
_TOKEN = ("What stands behind `/callbacks/` in the URL.", r"^[A-Za-z0-9_.~-]{1,1200}$")
_SIGNAL = ("A signal's name.", r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$")
_TASK_PATH = ("A task's path.", r"^[A-Za-z0-9_.]{1,1024}$")
# Description and pattern of path parameters that are no ids.
_PATH_SHAPES = {"version": _VERSION, "other_version": _VERSION, "task": _TASK_PATH, "name": _SIGNAL, "token": _TOKEN}
_TAG = r'(W/)?"[!#-~]{0,64}"'
_TAGS = {"type": "string", "pattern": rf"^(\*|{_TAG}(, ?{_TAG}){{0,3}})$"}
# A tag that is none matches nothing: of a read that is no fault, of a change it is.
_CONDITION_SHAPES = {"If-Match": _TAGS, "If-None-Match": {"type": "string"}}
_HEADER_DOCS = {
    "Location": "Path of what was made.",
    "Retry-After": "Seconds after which another look is worth it.",
    "ETag": "Names this state; send it as If-Match with a change, as If-None-Match with the next read.",
}
_OPEN_SHAPES = frozenset({Problem.__name__, ExhaustedProblem.__name__})
_INTEGER = {"type": "integer", "minimum": 0}
_POLICY = {"type": "string", "pattern": "^[0-9]+;w=[0-9]+$"}
# Of the tighter limit of several; of the address where no valid key came. Not there when no limit is set.
_RATE_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "RateLimit-Limit": ("Requests that the caller may send within a minute.", _INTEGER),
    "RateLimit-Remaining": ("Of them, those that are left now.", _INTEGER),
    "RateLimit-Reset": ("Seconds until some that were sent count no longer.", _INTEGER),
    "RateLimit-Policy": ("The limit and its window in seconds.", _POLICY),
}
_RATE_REFERENCES = {name: {"$ref": f"#/components/headers/{name}"} for name in _RATE_HEADERS}


def describe(operations: Sequence[Operation], prefix: str) -> bytes:
    """Give the document as indented JSON; the same operations give the same bytes."""
    shapes = _shapes(operations)
    _, components = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = operation.path if operation.tag == "Operations" else prefix + operation.path
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Flow Automation",
            "version": API_VERSION,
            "description": "DAGs that run durably: start them, watch them, end them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "headers": {
                name: {"description": text, "schema": schema} for name, (text, schema) in _RATE_HEADERS.items()
            },
            "schemas": {name: _closed(name, components[name]) for name in sorted(components)},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _shapes(operations: Sequence[Operation]) -> list[Any]:
    shapes: dict[Any, None] = {Problem: None, ExhaustedProblem: None}
    for operation in operations:
        if operation.body is not None and operation.body.shape is not None:
            shapes[operation.body.shape] = None
        shapes |= {answer.shape: None for answer in operation.answers if answer.shape is not None}
    return list(shapes)


def _closed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Say that objects hold no other fields; problems may have members of their own class."""
    if schema.get("type") == "object" and "properties" in schema:
        return {**schema, "additionalProperties": name in _OPEN_SHAPES}
    return schema


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": [{"key": []}] if operation.permission else [],
    }
    if operation.permission:
        described["description"] = f"Needs the permission `{operation.permission}`."
    parameters = _parameters(operation)
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    described["responses"] = _responses(operation)
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_SHAPES.get(name, _ULID)[0],
            "schema": {"type": "string", "pattern": _PATH_SHAPES.get(name, _ULID)[1]},
        }
        for name in _PATH_NAME.findall(operation.path)
    ]
    shown += [
        {
            "name": parameter.name,
            "in": "query",
            "required": False,
            "description": parameter.description,
            "schema": parameter.schema(),
        }
        for parameter in operation.query
    ]
    if operation.takes_key:
        shown.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "A repeat with the same body answers the first result; with another body 422.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }
        )
    return [*shown, *_conditions(operation)]


def _conditions(operation: Operation) -> list[dict[str, Any]]:
    """Describe the headers that hold a request against the state that its sender knows (RFC 9110, 13.1)."""
    known = {
        "If-Match": (operation.needs_match, "The ETag that was read, or `*`; another state by now answers 412."),
        "Last-Event-ID": (operation.takes_event_id, "Of the event that was seen last; the stream goes on behind it."),
        "If-None-Match": (operation.takes_none_match, "The ETag that was read; the same state answers 304."),
        "Range": (operation.takes_range, "`bytes=first-last`, one range; the end is included."),
    }
    return [
        {
            "name": name,
            "in": "header",
            "required": operation.needs_match,
            "description": text,
            "schema": _CONDITION_SHAPES.get(name, {"type": "string", "maxLength": 512}),
        }
        for name, (is_read, text) in known.items()
        if is_read
    ]


def _body(body: RequestBody) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{body.shape.__name__}"} if body.shape is not None else {}
    content = {
        name: {"schema": body.schemas.get(name, schema), "example": body.examples.get(name, body.example)}
        for name in body.media_types
    }
    return {
        "required": body.is_required,
        "description": body.description,
        "content": content,
    }


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in operation.answers:
        described = _answer(answer)
        known = responses.setdefault(str(answer.status), described)
        if known is not described:  # the same in another media type
            known["content"] |= described["content"]
    errors = (*operation.problems, *_ALWAYS, *(_WHEN_GUARDED if operation.permission else ()))
    by_status: dict[int, list[type[FlowError]]] = {}
    for error in dict.fromkeys(errors):
        by_status.setdefault(status_of(error), []).append(error)
    for status in sorted(by_status):
        responses[str(status)] = _problems(status, by_status[status])
    if operation.permission:
        for response in responses.values():
            response["headers"] = response.get("headers", {}) | _RATE_REFERENCES
    return responses


def _answer(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answer.shape is not None:
        content["schema"] = {"$ref": f"#/components/schemas/{answer.shape.__name__}"}
    if answer.example is not None:
        content["example"] = answer.example
    described: dict[str, Any] = {"description": answer.description}
    if answer.media_type:
        described["content"] = {answer.media_type: content}
    if answer.headers:
        described["headers"] = {
            name: {"description": _HEADER_DOCS[name], "schema": {"type": "string"}} for name in answer.headers
        }
    return described


def _problems(status: int, errors: list[type[FlowError]]) -> dict[str, Any]:
    first = errors[0]
    shape = Problem if STATUSES[Exhausted.kind] != status else ExhaustedProblem
    example: dict[str, Any] = {
        "type": TYPE_PREFIX + first.slug,
        "title": first.title,
        "status": status,
        "detail": (first.__doc__ or first.title).split("\n", 1)[0],
        "instance": f"urn:flow:request:{_EXAMPLE_TRACE}",
        "code": first.slug,
        "trace_id": _EXAMPLE_TRACE,
    }
    if issubclass(first, Exhausted):
        example["why"] = [BOUND_EXAMPLES[first]]
    described: dict[str, Any] = {
        "description": "; ".join(f"`{error.slug}`: {error.title}" for error in errors),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": f"#/components/schemas/{shape.__name__}"},
                "example": example,
            }
        },
    }
    if shape is ExhaustedProblem:
        text = "Seconds after which the same request may be taken."
        described["headers"] = {"Retry-After": {"description": text, "schema": {"type": "integer", "minimum": 1}}}
    return described
