"""A small client of the public HTTP API: one connection per request, every answer read whole within bounds."""

from __future__ import annotations

import http.client
import ssl
from typing import Any
from urllib.parse import urlsplit

import msgspec

from driver_adapters.cli.exits import DENIED, UNREACHABLE, USAGE, CommandFailed

ANSWER_BYTES_MAX = 67_108_864  # four times the largest outcome that the server shows
TIMEOUT_S = 75.0  # the longest `?wait=` and some time for the way
_DENIED = frozenset({401, 403})
_UNAVAILABLE = frozenset({502, 503, 504})


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

    def get(self, path: str) -> Any:
        """Read a JSON answer.

        Raises:
            CommandFailed: not reachable, denied, or another problem, which is shown.
        """
        return self._send("GET", path, None, "")

    def post(self, path: str, body: bytes, media_type: str) -> Any:
        """Send a body and read a JSON answer.

        Raises:
            CommandFailed: not reachable, denied, or another problem, which is shown.
        """
        return self._send("POST", path, body, media_type)

    def _send(self, method: str, path: str, body: bytes | None, media_type: str) -> Any:
        headers = {"Authorization": f"Bearer {self._api_key}", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = media_type
        connection = self._connection()
        try:
            connection.request(method, self._prefix + path, body=body, headers=headers)
            response = connection.getresponse()
            data = response.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise CommandFailed(
                UNREACHABLE,
                f"{self._url} does not answer ({said})",
                "start a server with `flow serve`, or set FLOW_URL",
            ) from error
        finally:
            connection.close()
        if len(data) > ANSWER_BYTES_MAX:
            raise CommandFailed(UNREACHABLE, f"the answer passes {ANSWER_BYTES_MAX} bytes")
        return _value(response.status, data)

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)


def _value(status: int, data: bytes) -> Any:
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise CommandFailed(UNREACHABLE, f"the server answered {status} without JSON; is it this service?") from error
    if status < http.client.BAD_REQUEST:
        return value
    lines = problem_lines(value)
    if status in _DENIED:
        raise CommandFailed(DENIED, *lines, "set FLOW_API_KEY to a key of this server")
    raise CommandFailed(UNREACHABLE if status in _UNAVAILABLE else USAGE, *lines)


def problem_lines(problem: Any) -> list[str]:
    """Tell a problem document in lines: title and detail, then every fault."""
    if not isinstance(problem, dict):
        return ["the server answered with an error that it did not explain"]
    lines = [f"{problem.get('title', 'error')}: {problem.get('detail', '')}"]
    lines += [f"  {fault_line('', fault)}" for fault in problem.get("errors", []) if isinstance(fault, dict)]
    return lines


def fault_line(name: str, fault: Any) -> str:
    """Tell one fault as a compiler would: `file:line:column: message [code] at pointer (hint)`."""
    parts = [name, *((str(fault["line"]), str(fault["column"])) if fault.get("line") else ())]
    place = "".join(f"{part}:" for part in parts if part)
    hint = f" ({fault['hint']})" if fault.get("hint") else ""
    said = f"{fault.get('message', '')} [{fault.get('code', '')}] at {fault.get('pointer') or '/'}{hint}"
    return f"{place} {said}" if place else said
