"""Spans: what they say, how many wait, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from driven_adapters.telemetry import spans as spans_module
from driven_adapters.telemetry.spans import LINKS_MAX, SPANS_QUEUED_MAX, Exporting, Spans, open_spans
from pkg.redaction import Redactor
from pkg.traceparent import Traceparent

CANARY = "correct-horse"
PLACE = Traceparent(7, 9, is_sampled=True)


def made(exporter: SpanExporter, share: float = 1.0) -> Spans:
    return Spans(exporter, Redactor([CANARY]), share=share, node_id="n")


def finished(spans: Spans, kept: InMemorySpanExporter) -> list[ReadableSpan]:
    asyncio.run(spans.close())
    return list(kept.get_finished_spans())


def test_spans_nest_and_a_given_parent_wins() -> None:
    kept = InMemorySpanExporter()
    spans = made(kept)
    assert not spans.is_in_span
    with spans.span("outer") as outer:
        assert spans.is_in_span
        with spans.span("inner"):
            pass
        with spans.span("far", "client", parent=PLACE, links=[outer.place] * (LINKS_MAX + 5)) as far:
            far.rename("farther")
    inner, farther, outermost = finished(spans, kept)
    assert outermost.context is not None
    assert inner.parent is not None
    assert farther.parent is not None
    assert (outer.place.trace_id, outer.place.span_id) == (inner.parent.trace_id, inner.parent.span_id)
    assert (7, 9, "farther", LINKS_MAX) == (
        farther.parent.trace_id, farther.parent.span_id, farther.name, len(farther.links)
    )  # fmt: skip
    assert outermost.parent is None
    assert {"service.name": "flow-automation", "service.instance.id": "n"} == dict(outermost.resource.attributes)


def test_secrets_and_control_characters_do_not_leave() -> None:
    kept = InMemorySpanExporter()
    spans = made(kept)

    def fail() -> None:
        with spans.span("x", attributes={"a": f"<{CANARY}>", "n": 3}) as span:
            span.set("b", "one\r\ntwo\u202e")
            span.set("long", "y" * 10_000)
            raise ValueError(CANARY)

    with pytest.raises(ValueError, match=CANARY):
        fail()
    (one,) = finished(spans, kept)
    assert CANARY not in one.to_json()
    assert one.attributes is not None
    assert ("<***>", 3, "one\\r\\ntwo\\u202e", "ValueError") == (
        one.attributes["a"], one.attributes["n"], one.attributes["b"], one.attributes["error.type"]
    )  # fmt: skip
    assert 256 == len(str(one.attributes["long"]))
    assert not one.status.is_ok


def test_caller_that_keeps_no_trace_decides_for_its_children() -> None:
    kept = InMemorySpanExporter()
    spans = made(kept)
    with spans.span("x", parent=Traceparent(7, 9, is_sampled=False)) as span:
        assert (7, False) == (span.place.trace_id, span.place.is_sampled)
    assert [] == finished(spans, kept)
    assert {"ended": 0, "exported": 0, "failed": 0} == spans.counts


def test_share_of_zero_keeps_only_what_callers_keep() -> None:
    kept = InMemorySpanExporter()
    spans = made(kept, share=0.0)
    with spans.span("own"):
        pass
    with spans.span("asked for", parent=PLACE):
        pass
    assert ["asked for"] == [span.name for span in finished(spans, kept)]


class Hanging(SpanExporter):
    """Sends nothing until it is shut down."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.released = threading.Event()
        self.span_count = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.span_count += len(spans)
        self.called.set()
        self.released.wait(30)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.released.set()


@pytest.mark.timed
def test_receiver_that_hangs_costs_neither_time_nor_memory_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "CLOSE_S", 0.2)
    hanging = Hanging()
    spans = made(hanging)
    ended_count = 4 * SPANS_QUEUED_MAX
    began_at = time.process_time()
    for _ in range(ended_count):
        with spans.span("x"):
            pass
    assert 5.0 > time.process_time() - began_at  # some 50 us each
    assert hanging.called.wait(30)
    began = time.perf_counter()
    asyncio.run(spans.close())
    assert 10.0 > time.perf_counter() - began
    assert ended_count == spans.counts["ended"]
    # What was being sent when the rest came, and what waited: the oldest beyond it are lost.
    assert SPANS_QUEUED_MAX + spans_module.BATCH_SPANS_MAX >= hanging.span_count


def test_exports_are_counted_by_what_became_of_them() -> None:
    kept = InMemorySpanExporter()
    spans = made(kept)
    for _ in range(3):
        with spans.span("x"):
            pass
    finished(spans, kept)
    asyncio.run(spans.close())  # the second time does nothing
    assert {"ended": 3, "exported": 3, "failed": 0} == spans.counts


def test_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setattr(spans_module, "CLOSE_S", 30.0)  # until the exporter has given up
    exporting = Exporting(endpoint="http://127.0.0.1:9/", headers={"x": "y"}, share=1.0, node_id="n")
    spans = open_spans(exporting, Redactor())
    with spans.span("x", attributes={"a": 1, "b": 2}) as span:
        assert span.place.is_sampled
    asyncio.run(spans.close())
    assert {"ended": 1, "exported": 0, "failed": 1} == spans.counts
