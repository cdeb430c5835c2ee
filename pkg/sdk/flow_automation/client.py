"""A small client of a server's public API for programs: publish, start, wait."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec

API_PREFIX = "/api/automation/v1"
ANSWER_BYTES_MAX = 67_108_864  # four times the largest outcome that a server shows
TIMEOUT_S = 75.0  # the longest `?wait=` and some time for the way
WAIT_S = 30  # one long poll; the next follows until the instance ended


class Publisher(Protocol):
    """What `Dag.publish` needs: a request with a body, answered with JSON."""

    def post(self, path: str, body: bytes, media_type: str) -> Any:
        """Send a body to a path below the API's prefix."""
        ...


class ServerUnreachable(Exception):
    """No answer of the service came; what was sent may have arrived."""


class RequestRefused(Exception):
    """The server answered with a problem document.

    Attributes:
        status: of HTTP. problem: the document (RFC 9457), `errors` lists every fault; {} when it was none.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', 'refused')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = problem


class Client:
    """Speaks to one server with one key; one connection per request, no state."""

    def __init__(self, url: str, api_key: str, *, prefix: str = API_PREFIX) -> None:
        """Take the address; nothing is sent yet.

        Raises:
            ValueError: the address is no http(s) URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http(s) address")
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/") + prefix
        self._api_key = api_key

    def __repr__(self) -> str:
        return f"Client({self._host!r})"

    def get(self, path: str) -> Any:
        """Read a JSON answer.

        Raises:
            RequestRefused, ServerUnreachable.
        """
        return self._send("GET", path, None, {})

    def post(self, path: str, body: bytes, media_type: str) -> Any:
        """Send a body and read a JSON answer.

        Raises:
            RequestRefused, ServerUnreachable.
        """
        return self._send("POST", path, body, {"Content-Type": media_type})

    def start(
        self,
        dag_id: str,
        inputs: object = None,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int | None = None,
    ) -> str:
        """Start an instance and give its id; with a `key` a repeat gives the first one's.

        `labels` are what it is found by beside the DAG's own, which they replace by name. `priority` is its place among
        those that wait, 1 lowest .. 5 highest; None = the DAG's.

        Raises:
            RequestRefused: no such DAG, inputs that miss its schema, no such priority. ServerUnreachable: with a key,
                repeat it.
            ValueError: a label's name holds a colon; nothing was sent.
        """
        headers = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
        body = msgspec.json.encode({} if inputs is None else inputs)
        if any(":" in name for name in labels or {}):
            raise ValueError("a label's name has no colon")
        given = [("label", f"{name}:{value}") for name, value in (labels or {}).items()]
        query = urlencode(given if priority is None else [*given, ("priority", str(priority))])
        path = f"/dags/{dag_id}/run" + (f"?{query}" if query else "")
        return str(self._send("POST", path, body, headers)["id"])

    def plan(
        self,
        dag_id: str,
        inputs: object = None,
        *,
        outputs: Mapping[str, object] | None = None,
        errors: Mapping[str, str] | None = None,
        priority: int | None = None,
    ) -> dict[str, Any]:
        """Ask what a start would run; starts nothing.

        Args:
            dag_id: of a stored DAG.
            inputs: as of a start.
            outputs: what attempts of a step give, by step id or task path; what nobody gives is unknown.
            errors: kinds of error with which attempts of a step fail.
            priority: as of a start.

        Raises:
            RequestRefused: no such DAG or step, inputs that miss its schema. ServerUnreachable: ask again.
        """
        asked: dict[str, Any] = {
            "inputs": {} if inputs is None else inputs,
            "outputs": dict(outputs or {}),
            "errors": {name: {"kind": kind} for name, kind in (errors or {}).items()},
        }
        if priority is not None:
            asked["priority"] = priority
        answer: dict[str, Any] = self.post(f"/dags/{dag_id}/plan", msgspec.json.encode(asked), "application/json")
        return answer

    def wait(self, instance_id: str) -> dict[str, Any]:
        """Wait until an instance has ended, however long that takes, and give it with its outputs or error.

        Raises:
            RequestRefused: no such instance. ServerUnreachable: ask again.
        """
        while True:
            shown: dict[str, Any] = self.get(f"/instances/{instance_id}?wait={WAIT_S}")
            if shown.get("ended_at") is not None:
                return shown

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        connection = self._connection()
        sent = {"Authorization": f"Bearer {self._api_key}", "Connection": "close", **headers}
        try:
            connection.request(method, self._prefix + path, body=body, headers=sent)
            response = connection.getresponse()
            data = response.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as fault:
            raise ServerUnreachable(f"{self._host} does not answer: {type(fault).__name__}") from fault
        finally:
            connection.close()
        if len(data) > ANSWER_BYTES_MAX:
            raise ServerUnreachable(f"the answer of {self._host} passes {ANSWER_BYTES_MAX} bytes")
        return _value(response.status, data, self._host)

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)


def _value(status: int, data: bytes, host: str) -> Any:
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError as fault:
        raise ServerUnreachable(f"{host} answered {status} without JSON; is it this service?") from fault
    if status >= http.client.BAD_REQUEST:
        raise RequestRefused(status, value if isinstance(value, dict) else {})
    return value
