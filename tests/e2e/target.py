"""A target that remembers what it was sent, and answers when it may."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Target:
    """Headers of every request; `released` unset holds answers back, `statuses` are answered first."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.released = threading.Event()
        self.released.set()
        self.called = threading.Event()
        self.port = 0


@contextlib.contextmanager
def open_target() -> Iterator[Target]:
    """Listen on a free port."""
    target = Target()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target.requests.append({name.lower(): value for name, value in self.headers.items()})
            target.called.set()
            target.released.wait(60)
            self.send_response(target.statuses.pop(0) if target.statuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library calls it by
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    target.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield target
    finally:
        target.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
