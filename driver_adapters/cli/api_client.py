"""A small client of the public HTTP API: one connection per request, every answer read within bounds."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from driver_adapters.cli.exits import DENIED, UNREACHABLE, USAGE, CommandFailed, exit_of
from driver_adapters.cli.predicates import predicate_line

ANSWER_BYTES_MAX = 67_108_864  # four times the largest outcome that the server shows
TIMEOUT_S = 75.0  # the longest `?wait=` and some time for the way; streams send a heartbeat more often
PAGE_ROWS = 200  # what the server gives at once
ROWS_MAX = 10_000  # of one list command: more is for the API
PIECE_BYTES = 262_144  # of a file on its way; what is in memory at once
LINE_BYTES_MAX = 1_048_576  # of a stream of events
_JSON = "application/json"


class Source(Protocol):
    """A file that is read in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Give at most `size` bytes, none at the end."""


class Answer(msgspec.Struct, frozen=True):
    """A JSON answer; `headers` by lower-case name. `value` None = no content."""

    status: int
    headers: Mapping[str, str]
    value: Any


class ServerEvent(msgspec.Struct, frozen=True):
    """One event of a stream: its id for `Last-Event-ID`, its name, its data as JSON."""

    id: str
    name: str
    value: Any


class ApiClient:
    """Speaks to one server with one key."""

    def __init__(self, url: str, prefix: str, api_key: str) -> None:
        """Take the server's address; nothing is sent yet.

        Raises:
            CommandFailed: the address is no http(s) URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandFailed(USAGE, f"FLOW_URL {url!r} is no http(s) address")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/") + prefix
        self._api_key = api_key
        self._url = url

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Read a JSON answer. `query` may hold None for what is not asked, and a list for what is repeated.

        Raises:
            CommandFailed: not reachable, denied, or another problem, which is shown.
        """
        return self.send("GET", path, query=query).value

    def post(
        self,
        path: str,
        body: bytes,
        media_type: str,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a body and read a JSON answer.

        Raises:
            CommandFailed: not reachable, denied, or another problem, which is shown.
        """
        sent = {"Content-Type": media_type, **(headers or {})}
        return self.send("POST", path, query=query, body=body, headers=sent).value

    def post_value(
        self, path: str, value: Any, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send a JSON value and read a JSON answer.

        Raises:
            CommandFailed: not reachable, denied, or another problem, which is shown.
        """
        return self.post(path, msgspec.json.encode(value), _JSON, query, headers)

    def rows(self, path: str, query: Mapping[str, Any], limit: int) -> list[Any]:
        """Read a list from its first page on, until it ends or `limit` rows (at most ROWS_MAX) are there.

        Raises:
            CommandFailed: not reachable, denied, or another problem, which is shown.
        """
        rows: list[Any] = []
        cursor = None
        limit = min(limit, ROWS_MAX)
        while len(rows) < limit:
            wanted = min(PAGE_ROWS, limit - len(rows))
            page = self.get(path, {**query, "limit": wanted, "cursor": cursor})
            rows += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        return rows

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | Source | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send any request and read its JSON answer; a body that is a file needs its `Content-Length`.

        Raises:
            CommandFailed: not reachable, denied, or another problem, which is shown.
        """
        with self._opened(method, path, query, body, headers) as response, self._reachable():
            data = response.read(ANSWER_BYTES_MAX + 1)
            got = {name.lower(): value for name, value in response.getheaders()}
            status = response.status
        if len(data) > ANSWER_BYTES_MAX:
            raise CommandFailed(UNREACHABLE, f"the answer passes {ANSWER_BYTES_MAX} bytes")
        return Answer(status, got, _value(status, data))

    @contextlib.contextmanager
    def pieces(self, path: str) -> Iterator[tuple[int | None, Iterator[bytes]]]:
        """Read an answer of any length in pieces of PIECE_BYTES; gives its length, None when unknown, and the pieces.

        Raises:
            CommandFailed: not reachable, denied, another problem, or, from the pieces, cut off before the end.
        """
        with self._opened("GET", path, None, None, None) as response:
            if response.status >= http.client.BAD_REQUEST:
                with self._reachable():
                    data = response.read(ANSWER_BYTES_MAX)
                _value(response.status, data)
            yield response.length, self._read_pieces(response)

    def events(self, path: str, query: Mapping[str, Any], last_id: str = "") -> Iterator[ServerEvent]:
        """Read a stream of server-sent events until the server ends it.

        Raises:
            CommandFailed: not reachable, denied, another problem, cut off, or a line that passes LINE_BYTES_MAX.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        with self._opened("GET", path, query, None, headers) as response:
            if response.status >= http.client.BAD_REQUEST:
                with self._reachable():
                    data = response.read(ANSWER_BYTES_MAX)
                _value(response.status, data)
            yield from _parse_events(self._lines(response))

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[str]:
        while True:
            with self._reachable():
                line = response.readline(LINE_BYTES_MAX + 1)
            if not line:
                return
            if len(line) > LINE_BYTES_MAX:
                raise CommandFailed(UNREACHABLE, f"a line of the stream passes {LINE_BYTES_MAX} bytes")
            yield line.decode("utf-8", "replace").rstrip("\r\n")

    def _read_pieces(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        while True:
            with self._reachable():
                piece = response.read(PIECE_BYTES)
            if not piece:
                if response.length:
                    raise CommandFailed(UNREACHABLE, f"cut off with {response.length} bytes to come")
                return
            yield piece

    @contextlib.contextmanager
    def _opened(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: bytes | Source | None,
        headers: Mapping[str, str] | None,
    ) -> Iterator[http.client.HTTPResponse]:
        sent = {"Authorization": f"Bearer {self._api_key}", "Connection": "close", **(headers or {})}
        connection = self._connection()
        try:
            with self._reachable():
                # A server may refuse a body before it has all of it: its answer then says more than the broken pipe.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.request(method, self._prefix + path + _asked(query), body=body, headers=sent)
                response = connection.getresponse()
            with response:  # it has taken the socket over from the connection
                yield response
        finally:
            connection.close()

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise CommandFailed(
                UNREACHABLE,
                f"{self._url} does not answer ({said})",
                "start a server with `flow serve`, or set FLOW_URL",
            ) from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT_S, context=context, blocksize=PIECE_BYTES
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S, blocksize=PIECE_BYTES)


def part(text: str) -> str:
    """Write a text as one part of a path."""
    return quote(text, safe="")


def _asked(query: Mapping[str, Any] | None) -> str:
    asked = {name: value for name, value in (query or {}).items() if value is not None}
    return f"?{urlencode(asked, doseq=True)}" if asked else ""


def _parse_events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """Put lines together to events, as the HTML standard has it; a comment is a heartbeat and says nothing."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield ServerEvent(fields.get("id", ""), fields.get("event", ""), _event_value(fields["data"]))
            fields = {}
            continue
        name, _, text = line.partition(":")
        text = text.removeprefix(" ")
        fields[name] = f"{fields[name]}\n{text}" if name == "data" and name in fields else text


def _event_value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _value(status: int, data: bytes) -> Any:
    if not data and status < http.client.BAD_REQUEST:
        return None
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise CommandFailed(UNREACHABLE, f"the server answered {status} without JSON; is it this service?") from error
    if status < http.client.BAD_REQUEST:
        return value
    lines = problem_lines(value)
    if status == http.client.UNAUTHORIZED:
        raise CommandFailed(DENIED, *lines, "set FLOW_API_KEY to a key of this server")
    raise CommandFailed(exit_of(status), *lines)


def problem_lines(problem: Any) -> list[str]:
    """Tell a problem document in lines: title and detail, then every fault, then what stands in the way."""
    if not isinstance(problem, dict):
        return ["the server answered with an error that it did not explain"]
    lines = [f"{problem.get('title', 'error')}: {problem.get('detail', '')}"]
    lines += [f"  {fault_line('', fault)}" for fault in problem.get("errors", []) if isinstance(fault, dict)]
    lines += [f"  why: {predicate_line(one)}" for one in problem.get("why", []) if isinstance(one, dict)]
    return lines


def fault_line(name: str, fault: Any) -> str:
    """Tell one fault as a compiler would: `file:line:column: message [code] at pointer (hint)`."""
    parts = [name, *((str(fault["line"]), str(fault["column"])) if fault.get("line") else ())]
    place = "".join(f"{part}:" for part in parts if part)
    hint = f" ({fault['hint']})" if fault.get("hint") else ""
    said = f"{fault.get('message', '')} [{fault.get('code', '')}] at {fault.get('pointer') or '/'}{hint}"
    return f"{place} {said}" if place else said
