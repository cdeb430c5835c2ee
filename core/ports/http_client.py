"""Outgoing HTTP: one request, followed through its redirects, under the egress guard (security.md 4)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

REDIRECT_COUNT_MAX = 5  # browsers allow 20; five hops cover every honest service and bound the guard's work
BODY_BYTES_MAX_DEFAULT = 16 * 1024 * 1024  # semantics.md S54, `body_bytes_max`
TOTAL_S_MAX = 3600.0  # a request without any deadline still ends within the hour


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        url: absolute, `http` or `https`, without user information.
        headers: names and values in order; `Host`, framing and connection headers are the client's own.
        body_bytes_max: bound of the answer's body after decompression.
        timeout_s: from the call to the last byte of the body, redirects included; at most TOTAL_S_MAX.
        redirects_max: 0 gives a redirect's own answer back; at most REDIRECT_COUNT_MAX.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    body_bytes_max: int = BODY_BYTES_MAX_DEFAULT
    timeout_s: float = TOTAL_S_MAX
    redirects_max: int = REDIRECT_COUNT_MAX


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The last answer. Header names are lower case, in the order received; `body` is decompressed."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Give the first value of this lower-case header name."""
        return next((value for key, value in self.headers if key == name), None)


class RequestMalformed(msgspec.Struct, frozen=True):
    """The URL or a header is not one; nothing was sent."""

    message: str


class EgressForbidden(msgspec.Struct, frozen=True):
    """The guard refused the target, or a redirect's target; nothing was sent to that one."""

    message: str


class EgressUnavailable(msgspec.Struct, frozen=True):
    """No address, no connection, or the connection broke before a whole answer; the target may have got the request."""

    message: str


class EgressTimeout(msgspec.Struct, frozen=True):
    """No whole answer in time; the target may have got the request."""

    message: str


class BodyTooLarge(msgspec.Struct, frozen=True):
    """The answer's body passes `body_bytes_max`; reading stopped there."""

    message: str


HttpAnswer = HttpResponse | RequestMalformed | EgressForbidden | EgressUnavailable | EgressTimeout | BodyTooLarge


@runtime_checkable
class HttpClient(Protocol):
    """Sends requests to the outside."""

    async def request(self, request: HttpRequest) -> HttpAnswer:
        """Send one request and follow its redirects.

        Every failure that a target or a network can cause is a value. Sent at most once per hop: there are no retries
        inside.

        Raises:
            asyncio.CancelledError: the caller was cancelled; the connection is closed.
        """
        ...
