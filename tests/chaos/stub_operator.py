"""A service that behaves as badly as told by the path: hangs, answers late, flaps, answers twice. Every call is kept."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

HANG_S_MAX = 60.0  # of a call that is never answered; the end of the stub ends it sooner
STALE = b'{"stale":true}'


class StubCall(msgspec.Struct, frozen=True):
    """One request: its path, its idempotency key and the number of its attempt."""

    path: str
    key: str
    attempt: str


class StubOperator:
    """The service, on a free port of the loopback address."""

    def __init__(self) -> None:
        self.calls: list[StubCall] = []
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stub.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def calls_of(self, path: str) -> list[StubCall]:
        """Give the calls of a path, in order."""
        with self._lock:
            return [call for call in self.calls if call.path == path]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, as its path says."""
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        call = StubCall(request.path, request.headers["Idempotency-Key"], request.headers["X-Flow-Attempt"])
        with self._lock:
            self.calls.append(call)
            seen = sum(each.path == call.path and each.key == call.key for each in self.calls)
            flap = sum(each.path == call.path for each in self.calls)
        what, _, more = request.path.strip("/").partition("/")
        try:
            match what:
                case "hang":
                    self._is_over.wait(HANG_S_MAX)
                case "late":
                    # The first attempt is answered when its caller has long given up; the next ones at once.
                    self._is_over.wait(int(more) / 1000 if seen == 1 else 0)
                    _reply(request, 200, json.dumps({"attempt": call.attempt}).encode())
                case "flap":
                    _reply(request, 503 if flap % 2 else 200, b"{}")
                case "twice":
                    # In one piece, so that it is there when the connection waits for its next request.
                    request.wfile.write(_answer(b"{}") + _answer(STALE))
                case _:
                    _reply(request, 200, json.dumps({"path": request.path}).encode())
        except OSError:
            request.close_connection = True  # the caller has gone

    def close(self) -> None:
        """End the service and every call that hangs."""
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _reply(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _answer(body: bytes) -> bytes:
    """Give a whole answer as it goes over the wire."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
