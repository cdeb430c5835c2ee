"""Spans by the OpenTelemetry SDK, sent by OTLP over HTTP from a thread of their own: nobody here waits for the network.

Spans wait in a bounded queue. When it is full the oldest are lost, and the counts show it: ended, but neither exported
nor failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
import requests
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from pkg.redaction import Redactor
from pkg.traceparent import Traceparent

SPANS_QUEUED_MAX = 4_096  # some 4 MB; at 1 000 spans a second, four seconds of a receiver that is away
BATCH_SPANS_MAX = 512
SEND_EVERY_S = 1.0
SEND_S_MAX = 5.0  # of one batch, its repeats included
CLOSE_S = 3.0  # what a stop waits for the last spans
LINKS_MAX = 128
ATTRIBUTES_MAX = 32
ATTRIBUTE_CHARS_MAX = 256
PATH = "/v1/traces"
SERVICE = "flow-automation"

Kind = Literal["server", "client", "internal"]
Attributes = Mapping[str, str | int | bool]
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}


class Exporting(msgspec.Struct, frozen=True, kw_only=True):
    """Where spans go: base address of an OTLP receiver, headers, and the share of new traces that is kept, 0..1."""

    endpoint: str
    headers: Mapping[str, str]
    share: float
    node_id: str


class ActiveSpan:
    """A span that has begun."""

    __slots__ = ("_redactor", "_span")

    def __init__(self, span: trace.Span, redactor: Redactor) -> None:
        """Wrap the library's."""
        self._span = span
        self._redactor = redactor

    @property
    def place(self) -> Traceparent:
        """Where in which trace it is: what goes along with whatever is called from here."""
        return _place_of(self._span.get_span_context())

    def set(self, name: str, value: str | int | bool) -> None:
        """Say something of it; secrets are masked."""
        self._span.set_attribute(name, _clean(value, self._redactor))

    def rename(self, name: str) -> None:
        """Give the name that was not known at the beginning."""
        self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark it as failed; `reason` is a kind or a class, never a text of an exception."""
        self._span.set_status(Status(StatusCode.ERROR))
        self._span.set_attribute("error.type", reason)


class Spans:
    """Makes spans and has them sent. One object serves the process."""

    def __init__(self, exporter: SpanExporter, redactor: Redactor, *, share: float, node_id: str) -> None:
        """Start the sending thread."""
        self.counts: dict[str, int] = {"ended": 0, "exported": 0, "failed": 0}
        self._redactor = redactor
        self._exporter = _CountedExporter(exporter, self.counts)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            resource=Resource({"service.name": SERVICE, "service.instance.id": node_id}),
            span_limits=SpanLimits(
                max_attributes=ATTRIBUTES_MAX,
                max_span_attributes=ATTRIBUTES_MAX,
                max_links=LINKS_MAX,
                max_attribute_length=ATTRIBUTE_CHARS_MAX,
                max_span_attribute_length=ATTRIBUTE_CHARS_MAX,
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(_CountedQueue(self._exporter, self.counts))
        self._tracer = self._provider.get_tracer(SERVICE)

    @contextlib.contextmanager
    def span(
        self, name: str, kind: Kind = "internal", *, parent: Traceparent | None = None,
        links: Sequence[Traceparent] = (), attributes: Attributes | None = None,
    ) -> Iterator[ActiveSpan]:  # fmt: skip
        """Have a span for the time of the block; those begun in it are its children.

        Args:
            parent: None = the span that is active here, or a new trace. links: at most LINKS_MAX count.
        """
        began = self._tracer.start_span(
            name,
            context=None if parent is None else trace.set_span_in_context(_remote(parent), Context()),
            kind=_KINDS[kind],
            attributes={key: _clean(value, self._redactor) for key, value in (attributes or {}).items()},
            links=[Link(_context_of(place)) for place in links[:LINKS_MAX]],
        )
        active = ActiveSpan(began, self._redactor)
        token = attach(trace.set_span_in_context(began))
        try:
            yield active
        except BaseException as fault:
            active.fail(type(fault).__name__)
            raise
        finally:
            detach(token)
            began.end()

    @property
    def is_in_span(self) -> bool:
        """Say whether a span is active here."""
        return trace.get_current_span().get_span_context().is_valid

    async def close(self) -> None:
        """Send what waits, for CLOSE_S at most; a receiver that is away holds up no stop."""
        ending = threading.Thread(target=self._provider.shutdown, name="spans-close", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, CLOSE_S)
        await asyncio.to_thread(self._exporter.shutdown)


def open_spans(settings: Exporting, redactor: Redactor) -> Spans:
    """Make spans that go to an OTLP receiver. Nothing is taken from the environment, proxies neither."""
    session = requests.Session()
    session.trust_env = False
    base = settings.endpoint.rstrip("/")
    exporter = OTLPSpanExporter(
        endpoint=base if base.endswith(PATH) else base + PATH,
        headers=dict(settings.headers),
        timeout=SEND_S_MAX,
        session=session,
    )
    return Spans(exporter, redactor, share=settings.share, node_id=settings.node_id)


class _CountedExporter(SpanExporter):
    """Counts what became of spans; runs on the sending thread."""

    def __init__(self, exporter: SpanExporter, counts: dict[str, int]) -> None:
        self._exporter = exporter
        self._counts = counts
        self._is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = self._exporter.export(spans)
        self._counts["exported" if result is SpanExportResult.SUCCESS else "failed"] += len(spans)
        return result

    def shutdown(self) -> None:
        """Give up what is being sent; the second call does nothing."""
        if not self._is_shut:
            self._is_shut = True
            self._exporter.shutdown()


class _CountedQueue(BatchSpanProcessor):
    """The library's bounded queue and sending thread, with a count of what was put in."""

    def __init__(self, exporter: SpanExporter, counts: dict[str, int]) -> None:
        super().__init__(
            exporter,
            max_queue_size=SPANS_QUEUED_MAX,
            schedule_delay_millis=SEND_EVERY_S * 1_000,
            max_export_batch_size=BATCH_SPANS_MAX,
            export_timeout_millis=SEND_S_MAX * 1_000,
        )
        self._counts = counts

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._counts["ended"] += 1
        super().on_end(span)


def _context_of(place: Traceparent) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if place.is_sampled else TraceFlags.DEFAULT)
    return SpanContext(place.trace_id, place.span_id, is_remote=True, trace_flags=flags)


def _remote(place: Traceparent) -> trace.Span:
    return NonRecordingSpan(_context_of(place))


def _place_of(context: SpanContext) -> Traceparent:
    return Traceparent(context.trace_id, context.span_id, context.trace_flags.sampled)


def _clean(value: str | int | bool, redactor: Redactor) -> str | int | bool:
    """Mask secrets, and write what a viewer could take for something else as an escape (S-18)."""
    if not isinstance(value, str):
        return value
    text = redactor.text(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
