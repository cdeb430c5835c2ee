"""Clients of the kill loop: each start has a key and is asked again until it is acknowledged; every answer is kept."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any

PREFIX = "/api/automation/v1"
REQUEST_S_MAX = 10.0
AGAIN_S = 0.03  # between two tries of a start while the engine is down
CLIENT_COUNT = 4


class Refused(Exception):
    """The engine answered with something that trying again does not change."""


class Api:
    """A few calls of the public API over one kept connection; headers of the last answer are kept."""

    def __init__(self, port: int, api_key: str) -> None:
        self.content_type: str | None = None
        self.retry_after: str | None = None
        self._port = port
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """Ask once.

        Raises:
            OSError, http.client.HTTPException: no answer; whether anything happened is not known.
        """
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_S_MAX)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, PREFIX + path, body, self._headers | named)
            answer = self._connection.getresponse()
            data = answer.read()
            self.content_type, self.retry_after = answer.getheader("Content-Type"), answer.getheader("Retry-After")
        except BaseException:
            self.close()
            raise
        return answer.status, json.loads(data) if data else None

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def publish(self, document: dict[str, Any]) -> str:
        """Create a DAG and give its id."""
        status, made = self.call("POST", "/dags", json.dumps(document).encode(), Content_Type="application/json")
        if status not in {200, 201}:
            raise Refused(f"{status}: {made}")
        return str(made["id"])


class Load:
    """Starts `count` instances of one DAG over time; `acked` maps each key to the id it was answered with."""

    def __init__(self, port: int, api_key: str, dag_id: str, count: int, *, pace_s: float) -> None:
        self.acked: dict[str, str] = {}
        self.faults: list[str] = []
        self.asked_count = 0
        self._port, self._key, self._dag_id, self._count = port, api_key, dag_id, count
        self._pace_s = pace_s
        self._lock = threading.Lock()
        self._next = 0
        self._stop = threading.Event()
        self._heard = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENT_COUNT)]

    @property
    def is_done(self) -> bool:
        """Say whether every start was acknowledged, or a client gave up."""
        return not any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Let the clients begin."""
        for thread in self._threads:
            thread.start()

    def wait_acknowledgement(self, within_s: float) -> bool:
        """Return at the very next acknowledgement: what was just promised is what a kill could take away."""
        self._heard.clear()
        return self._heard.wait(within_s)

    def stop(self) -> None:
        """Let the clients end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        api = Api(self._port, self._key)
        try:
            while (number := self._draw()) is not None:
                self._start_one(api, number)
                self._stop.wait(self._pace_s)
        except Exception as fault:  # noqa: BLE001 - a thread's end must not go unseen
            self.faults.append(f"{type(fault).__name__}: {fault}")
        finally:
            api.close()

    def _draw(self) -> int | None:
        with self._lock:
            if self._next >= self._count or self._stop.is_set():
                return None
            self._next += 1
            return self._next

    def _start_one(self, api: Api, number: int) -> None:
        key = f"start-{number:06d}"
        body = json.dumps({"number": number}).encode()
        while not self._stop.is_set():
            self.asked_count += 1
            try:
                status, answer = api.call(
                    "POST",
                    f"/dags/{self._dag_id}/run",
                    body,
                    Idempotency_Key=key,
                    Content_Type="application/json",
                )
            except (OSError, http.client.HTTPException):
                self._stop.wait(AGAIN_S)
                continue
            if status in {200, 202}:
                self._take(key, str(answer["id"]))
                return
            if status not in {429, 503, 504, 507}:
                raise Refused(f"{key}: {status} {answer}")
            self._stop.wait(AGAIN_S)

    def _take(self, key: str, instance_id: str) -> None:
        self._heard.set()
        with self._lock:
            first = self.acked.setdefault(key, instance_id)
            if first != instance_id:
                self.faults.append(f"{key} is acknowledged as {first}, then as {instance_id}")
