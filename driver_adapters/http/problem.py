"""Errors as RFC 9457 problem documents: the one place that knows which kind has which status."""

from __future__ import annotations

from typing import Any

import msgspec

from core.errors import ErrorKind, FlowError
from driver_adapters.http.exchange import PROBLEM_JSON, Reply
from driver_adapters.http.faults import HttpFault, InternalError, MethodNotAllowed, RangeUnsatisfiable
from driver_adapters.http.predicate_wire import predicate_body

# A URN, not a URL, while the pages have no home of their own; docs/problems/<slug>.md explains each.
TYPE_PREFIX = "urn:flow:problem:"
RETRY_AFTER_S_DEFAULT = 1.0  # for kinds that must say when to come again and errors that do not know

STATUSES: dict[ErrorKind, int] = {
    ErrorKind.UNDECODABLE: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.PRECONDITION: 412,
    ErrorKind.INVALID: 422,
    ErrorKind.EXHAUSTED: 429,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.TIMEOUT: 504,
    ErrorKind.STORAGE_FULL: 507,
}
_MUST_SAY_WHEN = frozenset({429, 503, 507})
_OWN_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code", "errors", "why", "trace_id"})


def status_of(error: type[FlowError]) -> int:
    """Give the HTTP status of a class of errors."""
    return error.status if issubclass(error, HttpFault) else STATUSES[error.kind]


def problem_document(error: FlowError, trace_id: str) -> dict[str, Any]:
    """Make the document; typed fields of the error become members but never replace one of ours."""
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": status_of(type(error)),
        "detail": error.detail or error.title,
        "instance": f"urn:flow:request:{trace_id}",
        "code": error.slug,
        "trace_id": trace_id,
    }
    if error.faults:
        document["errors"] = list(error.faults)
    if error.why:
        document["why"] = [predicate_body(one) for one in error.why]
    return document | {name: value for name, value in error.fields.items() if name not in _OWN_MEMBERS}


def problem_reply(error: FlowError, trace_id: str) -> Reply:
    """Make the answer for an expected error."""
    status = status_of(type(error))
    headers: list[tuple[bytes, bytes]] = []
    if status in _MUST_SAY_WHEN or error.retry_after_s is not None:
        # Whole seconds, rounded up: the header knows no others, and coming too early is useless.
        seconds = -int(-(error.retry_after_s or RETRY_AFTER_S_DEFAULT) // 1)
        headers.append((b"retry-after", str(max(1, seconds)).encode()))
    if error.kind is ErrorKind.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b'Bearer realm="flow"'))
    if isinstance(error, RangeUnsatisfiable):
        headers.append((b"content-range", f"bytes */{error.fields.get('bytes_count', '*')}".encode()))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    return Reply(status, msgspec.json.encode(problem_document(error, trace_id)), PROBLEM_JSON, tuple(headers))


def internal_reply(trace_id: str) -> Reply:
    """Make the answer for a bug: nothing of the exception is in it."""
    return problem_reply(InternalError("this is a fault of the service; its log has more under the trace id"), trace_id)
