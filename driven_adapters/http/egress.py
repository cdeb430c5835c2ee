"""The one HTTP client of the program: every hop is checked before a byte leaves (security.md 4)."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import httpcore2
import httpx2
import msgspec

from core.ports.http_client import (
    REDIRECT_COUNT_MAX,
    TOTAL_S_MAX,
    BodyTooLarge,
    EgressForbidden,
    EgressTimeout,
    EgressUnavailable,
    HttpAnswer,
    HttpRequest,
    HttpResponse,
    RequestMalformed,
)
from driven_adapters.http.addresses import EgressPolicy
from driven_adapters.http.backend import Connect, ForbiddenAddress, GuardedBackend, Resolver, SystemResolver
from driven_adapters.http.body import ACCEPT_ENCODING, read_body
from driven_adapters.http.headers import checked_headers, headers_for_other_origin
from driven_adapters.http.pool import ConnectionPool
from driven_adapters.http.stream import connect
from driven_adapters.http.target import Target, parse_target

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TO_GET = {301: frozenset(("POST",)), 302: frozenset(("POST",))}  # RFC 9110 15.4: what clients do since ever
_BODY_HEADERS = frozenset(("content-type", "content-encoding", "content-language"))


class EgressClient:
    """Sends requests through one pool of connections. Open with `async with`; one object serves the whole process."""

    def __init__(
        self,
        policy: EgressPolicy | None = None,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connect: Connect = connect,
    ) -> None:
        """Make the pool; opens nothing. Proxy variables of the environment are never read.

        Args:
            policy: default: nothing internal, nothing allowed beside.
            resolver: default: the host's.
            ssl_context: default: the usual authorities, names verified; given only to add an authority.
            connect: opens a connection to an address that was checked.
        """
        self._policy = policy or EgressPolicy()
        self._ssl_context = ssl_context
        self._backend = GuardedBackend(self._policy, resolver or SystemResolver(), connect)
        self._pool: ConnectionPool | None = None

    async def __aenter__(self) -> Self:
        """Open the pool; connections are made by requests."""
        # Built by hand and not by default, since the default reads files that environment variables name.
        context = self._ssl_context or httpx2.create_ssl_context(trust_env=False)
        self._pool = ConnectionPool(self._backend, context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    @property
    def idle_count(self) -> int:
        """Count the connections that wait for a next request."""
        return 0 if self._pool is None else self._pool.idle_count

    async def request(self, request: HttpRequest) -> HttpAnswer:
        """Send one request and follow its redirects, each checked like the first; see `HttpClient.request`."""
        target = parse_target(request.url)
        if not isinstance(target, Target):
            return target
        headers = checked_headers(request.headers)
        if isinstance(headers, RequestMalformed):
            return headers
        timeout_s = min(request.timeout_s, TOTAL_S_MAX)
        if timeout_s <= 0:
            return EgressTimeout("no time was left to send it")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(msgspec.structs.replace(request, headers=headers), target)
        except TimeoutError:
            return EgressTimeout(f"no whole answer within {timeout_s:g} s")

    async def _follow(self, request: HttpRequest, target: Target) -> HttpAnswer:
        hops_max = min(request.redirects_max, REDIRECT_COUNT_MAX)
        for _ in range(hops_max + 1):
            answer = await self._send(request, target)
            if not isinstance(answer, HttpResponse) or answer.status not in _REDIRECTS or hops_max == 0:
                return answer
            location = answer.header("location")
            if location is None:
                return answer
            hop = _redirected(request, target, answer.status, location)
            if not isinstance(hop, tuple):
                return hop
            request, target = hop
        return EgressForbidden(f"more than {hops_max} redirects")

    async def _send(self, request: HttpRequest, target: Target) -> HttpAnswer:
        if (fault := self._policy.port_fault(target.host, target.port)) is not None:
            return EgressForbidden(fault)
        try:
            return await self._exchange(request, target)
        except ForbiddenAddress as forbidden:
            return EgressForbidden(str(forbidden))
        except (httpcore2.TimeoutException, httpcore2.NetworkError) as error:
            # A connection that could not be made in time is an absent target; the answer's own time is asyncio's.
            return EgressUnavailable(f"no connection to {target.host}:{target.port} ({type(error).__name__})")
        except httpcore2.ProtocolError as error:
            return EgressUnavailable(f"{target.host}:{target.port} does not speak HTTP ({type(error).__name__})")

    async def _exchange(self, request: HttpRequest, target: Target) -> HttpAnswer:
        if self._pool is None:
            raise RuntimeError("the client is not open")
        async with self._pool.send(_wire_request(request, target)) as response:
            names = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers)
            head = HttpResponse(status=response.status, headers=names, body=b"")
            if (length := head.header("content-length")) and length.isdigit() and int(length) > request.body_bytes_max:
                return BodyTooLarge(f"the answer's body has {length} bytes, more than {request.body_bytes_max}")
            encoding = head.header("content-encoding") or ""
            body = await read_body(response.aiter_stream(), encoding, request.body_bytes_max)
        return msgspec.structs.replace(head, body=body) if isinstance(body, bytes) else body


def _wire_request(request: HttpRequest, target: Target) -> httpcore2.Request:
    default_port = {"http": 80, "https": 443}[target.scheme]
    host = f"[{target.host}]" if ":" in target.host else target.host
    host = host if target.port == default_port else f"{host}:{target.port}"
    headers = [("Host", host), ("Accept-Encoding", ACCEPT_ENCODING), *request.headers]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers.append(("Content-Length", str(len(request.body))))
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
        headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers],
        content=request.body,
    )


def _redirected(
    request: HttpRequest, origin: Target, status: int, location: str
) -> tuple[HttpRequest, Target] | EgressForbidden:
    """Give the request for the next hop, without what belongs to the first origin."""
    try:
        url = urljoin(origin.url, _text_of(location))
    except ValueError:
        return EgressForbidden("redirected to what is no URL")
    target = parse_target(url)
    if not isinstance(target, Target):
        return EgressForbidden(f"redirected to where no request goes: {target.message}")
    if origin.scheme == "https" and target.scheme == "http":
        return EgressForbidden("redirected from https to http")
    headers = request.headers if target.origin == origin.origin else headers_for_other_origin(request.headers)
    is_get = (status == 303 and request.method != "HEAD") or request.method in _TO_GET.get(status, ())
    if not is_get:
        return msgspec.structs.replace(request, headers=headers), target
    headers = tuple((name, value) for name, value in headers if name.lower() not in _BODY_HEADERS)
    return msgspec.structs.replace(request, method="GET", body=b"", headers=headers), target


def _text_of(location: str) -> str:
    """Read a header as UTF-8, which servers write into `Location` although it should be ASCII."""
    try:
        return location.encode("latin-1").decode()
    except UnicodeError:
        return location
