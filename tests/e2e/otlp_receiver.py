"""A real OTLP receiver over HTTP: takes export requests as the protocol says and keeps the spans."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DEADLINE_S = 30.0  # spans leave every second; two shared cores


class Span:
    """One received span, in plain types."""

    def __init__(self, span: Any) -> None:
        self.name: str = span.name
        self.trace_id: str = span.trace_id.hex()
        self.id: str = span.span_id.hex()
        self.parent_id: str = span.parent_span_id.hex()
        self.said = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}
        self.links = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
        self.is_failed = span.status.code == 2
        self.duration_ns = span.end_time_unix_nano - span.start_time_unix_nano


class OtlpReceiver:
    """What was received, and who waits for more."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.headers: list[dict[str, str]] = []
        self.raw = b""
        self._came = threading.Condition()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            self.raw += body
            self.headers.append(headers)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans += [Span(span) for span in scope.spans]
            self._came.notify_all()

    def wait_for(self, is_there: Callable[[list[Span]], bool]) -> list[Span]:
        """Wait until what came is enough; gives all spans so far."""
        with self._came:
            assert self._came.wait_for(lambda: is_there(self.spans), DEADLINE_S), [span.name for span in self.spans]
            return list(self.spans)


@contextlib.contextmanager
def otlp_receiver() -> Iterator[tuple[OtlpReceiver, str]]:
    """Receive on a free port; gives the receiver and its base address."""
    receiver = OtlpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            is_known = self.path == "/v1/traces"
            if is_known:
                receiver.take(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(200 if is_known else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library calls it by
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
