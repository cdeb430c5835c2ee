"""One request and its answer, as handlers see them: small and without the framework."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from core.ports.clock import Dice
from core.ports.scope import Scope
from driver_adapters.http.faults import BodyTooLarge, HeaderInvalid, MediaTypeUnsupported, RequestMalformed

BODY_BYTES_MAX = 1_048_576  # http-api.md, bodies
KEY_CHARACTERS_MAX = 255  # of an Idempotency-Key: what a database index and a log line take without a thought
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NO_TRACE = b"0" * 32
SCOPE_KEY = "flow.scope"
ABORT_KEY = "flow.abort"  # what ends the connection, put there by the server
TRACE_KEY = "flow.trace"
RATE_KEY = "flow.rate"  # headers that say how the caller stands with its limits

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"


class Reply(msgspec.Struct, frozen=True):
    """What a handler answers; `headers` beside type and length.

    With `chunks` these are the body instead, sent as they come and closed when the caller is gone; `chunks_bytes` is
    their length together, None = not known before.
    """

    status: int
    body: bytes = b""
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    chunks: AsyncGenerator[bytes, None] | None = None
    chunks_bytes: int | None = None


class Call:
    """One request. Nothing is read of it before a handler asks."""

    __slots__ = ("_asgi", "_receive", "path_values")

    def __init__(self, asgi: Any, receive: Any) -> None:
        """Wrap the ASGI scope and its receive channel."""
        self._asgi = asgi
        self._receive = receive
        self.path_values: dict[str, str] = asgi["path_params"]

    @property
    def scope(self) -> Scope:
        """Tenant and principal, set by the guard."""
        scope: Scope = self._asgi[SCOPE_KEY]
        return scope

    @property
    def client(self) -> Any:
        """Host and port that the request came from, as the server tells; None = a Unix socket."""
        return self._asgi.get("client")

    @property
    def path(self) -> str:
        """The path that was routed, without empty parts: `//host/...` in an answer would name another server."""
        return "/" + "/".join(part for part in self._asgi["path"].split("/") if part)

    @property
    def query(self) -> bytes:
        """The query string, undecoded."""
        query: bytes = self._asgi["query_string"]
        return query

    def abort(self) -> None:
        """End the connection at once, unsent bytes included; nothing where the server cannot."""
        abort = self._asgi.get(ABORT_KEY)
        if abort is not None:
            abort()

    def header(self, name: bytes) -> bytes | None:
        """Give the value of a header (lower-case name) that may stand once.

        Raises:
            HeaderInvalid: it stands twice.
        """
        return single_header(self._asgi, name)

    def idempotency_key(self) -> str | None:
        """Give the Idempotency-Key.

        Raises:
            HeaderInvalid: empty, longer than KEY_CHARACTERS_MAX, or not printable ASCII.
        """
        key = self.header(b"idempotency-key")
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            raise HeaderInvalid(f"Idempotency-Key is 1..{KEY_CHARACTERS_MAX} printable ASCII characters without blanks")
        return key.decode("ascii")

    async def body(self, *, allowed: frozenset[bytes]) -> tuple[bytes, bytes]:
        """Read the body; gives (media type, bytes). The media type may be absent when the body is empty.

        Raises:
            BodyTooLarge: more than BODY_BYTES_MAX. MediaTypeUnsupported: none of `allowed`, or compressed.
            RequestMalformed: it ended too early.
        """
        media_type = self._media_type()
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length) > BODY_BYTES_MAX:
            raise _too_large()
        message = await self._receive()
        data: bytes = message.get("body", b"")
        if message.get("more_body"):
            data = await self._rest(data)
        if len(data) > BODY_BYTES_MAX:
            raise _too_large()
        if message["type"] == "http.disconnect":
            raise RequestMalformed("the body ended too early")
        if (data or media_type) and media_type not in allowed:
            names = ", ".join(sorted(kind.decode() for kind in allowed))
            raise MediaTypeUnsupported(f"Content-Type must be one of {names}")
        return media_type, data

    def content_type(self) -> bytes:
        """Give the Content-Type with its parameters, b"" without one.

        Raises:
            MediaTypeUnsupported: the body is compressed. HeaderInvalid: the header stands twice.
        """
        self._media_type()
        return self.header(b"content-type") or b""

    async def chunks(self, bytes_max: int) -> AsyncGenerator[bytes, None]:
        """Read the body as it comes; nothing of it is kept here.

        Raises:
            BodyTooLarge: more than `bytes_max`, said before the first chunk when the length was announced.
            RequestMalformed: it ended too early.
        """
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length) > bytes_max:
            raise _too_large(bytes_max)
        size, is_open = 0, True
        while is_open:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise RequestMalformed("the body ended too early")
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > bytes_max:
                raise _too_large(bytes_max)
            is_open = bool(message.get("more_body"))
            yield part

    async def _rest(self, data: bytes) -> bytes:
        parts, size = [data], len(data)
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise RequestMalformed("the body ended too early")
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > BODY_BYTES_MAX:
                raise _too_large()
            if not message.get("more_body"):
                return b"".join(parts)

    def _media_type(self) -> bytes:
        encoding = self.header(b"content-encoding")
        if encoding not in (None, b"identity"):
            raise MediaTypeUnsupported("a compressed body is not read; send it as it is")
        given = self.header(b"content-type")
        return b"" if given is None else given.split(b";", 1)[0].strip().lower()


class Tracer:
    """Gives each request its id: that of `traceparent`, else a new one; and the request id to answer with."""

    def __init__(self, dice: Dice) -> None:
        """Take where new ids come from."""
        self._dice = dice

    def trace_id(self, asgi: Any) -> str:
        """Give 32 hex digits, the same for the whole request."""
        known: str | None = asgi.get(TRACE_KEY)
        if known is None:
            given = _TRACEPARENT.fullmatch(_first(asgi, b"traceparent"))
            is_valid = given is not None and given.group(1) != _NO_TRACE
            known = given.group(1).decode() if given is not None and is_valid else self._dice.seed().hex()
            asgi[TRACE_KEY] = known
        return known

    def request_id(self, asgi: Any) -> bytes:
        """Give the caller's X-Request-Id when it is harmless in a header and a log line, else the trace id."""
        given = _first(asgi, b"x-request-id")
        return given if given and _REQUEST_ID.fullmatch(given) else self.trace_id(asgi).encode()


def rate_headers(asgi: Any) -> tuple[tuple[bytes, bytes], ...]:
    """Give what the answer says of the caller's limits; nothing when none was looked at."""
    headers: tuple[tuple[bytes, bytes], ...] = asgi.get(RATE_KEY, ())
    return headers


def single_header(asgi: Any, name: bytes) -> bytes | None:
    """Give the value of a header that may stand once.

    Raises:
        HeaderInvalid: it stands twice; two readers could take different ones.
    """
    found: bytes | None = None
    for key, value in asgi["headers"]:
        if key == name:
            if found is not None:
                raise HeaderInvalid(f"{name.decode()} stands twice")
            found = value
    return found


def _first(asgi: Any, name: bytes) -> bytes:
    for key, value in asgi["headers"]:
        if key == name:
            first: bytes = value
            return first
    return b""


def _too_large(bytes_max: int = BODY_BYTES_MAX) -> BodyTooLarge:
    return BodyTooLarge(f"the body passes {bytes_max} bytes", limit_bytes=bytes_max)
