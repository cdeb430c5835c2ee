"""Faults of a request that only exist in HTTP; each has its own status."""

from __future__ import annotations

from typing import ClassVar

from core.errors import ErrorKind, FlowError


class HttpFault(FlowError):
    """A request that never reached a use case; `status` says why in HTTP's own words."""

    kind = ErrorKind.INVALID
    status: ClassVar[int]


class RouteNotFound(HttpFault):
    """No route has this path."""

    status, slug, title = 404, "route-not-found", "No such route"


class MethodNotAllowed(HttpFault):
    """The route exists, but not for this method; `Allow` lists those it has."""

    status, slug, title = 405, "method-not-allowed", "Method is not allowed here"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """Name the methods that the route has."""
        super().__init__(f"allowed are {', '.join(allowed)}")
        self.allowed = allowed


class QueryInvalid(HttpFault):
    """A query parameter is not known, stands twice, or has a value that is not allowed; `errors` lists every one."""

    status, slug, title = 400, "query-invalid", "Query is not valid"


class HeaderInvalid(HttpFault):
    """A request header has a value that is not allowed."""

    status, slug, title = 400, "header-invalid", "Header is not valid"


class PreconditionMissing(HttpFault):
    """The request changes what others may change too, and does not say upon which state: If-Match is missing."""

    status, slug, title = 428, "precondition-missing", "If-Match is missing"


class BodyTooLarge(HttpFault):
    """The request's body passes the limit of this route; nothing of it was looked at."""

    status, slug, title = 413, "body-too-large", "Body is too large"


class RangeUnsatisfiable(HttpFault):
    """The range that was asked for lies behind the end; `Content-Range` says how long the content is."""

    status, slug, title = 416, "range-unsatisfiable", "Range is behind the end"


class MediaTypeUnsupported(HttpFault):
    """The request's Content-Type or Content-Encoding is none that this route reads."""

    status, slug, title = 415, "media-type-unsupported", "Media type is not supported"


class RequestMalformed(HttpFault):
    """The request is not one that HTTP allows."""

    status, slug, title = 400, "request-malformed", "Request is malformed"


class InternalError(HttpFault):
    """A bug of this service; the log has more under the trace id. Nobody but us can help."""

    status, slug, title = 500, "internal-error", "Internal error"


class NotReady(HttpFault):
    """A part that this process needs does not answer, or the process is stopping."""

    status, slug, title = 503, "not-ready", "Not ready"
