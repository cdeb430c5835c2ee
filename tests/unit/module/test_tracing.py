"""Spans at ports, put there by the composition; off, nothing is there at all."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core.access.permission import ADMINISTRATOR
from core.access.service import DEFAULT_DOMAIN_ID
from core.engine.events import InstanceStarted
from core.engine.journal import JOURNAL_VERSION, encode_event, join_events
from core.engine.origin import MANUAL_TRIGGER
from core.errors import StoreUnavailable
from core.executor.operator import Failed, Outcome
from core.executor.pipeline import AttemptRequest
from core.ports.definition_store import DefinitionStore
from core.ports.http_client import EgressTimeout, HttpAnswer, HttpRequest, HttpResponse
from core.ports.instance_store import InstanceStore, JournalRow
from core.ports.instance_views import StampedRow
from core.ports.scope import Principal, Scope
from driven_adapters.telemetry import spans as spans_module
from driven_adapters.telemetry.spans import Exporting, Spans
from driver_adapters.http.exchange import TRACE_KEY
from module import tracing
from module.observed import ObservedAttempts
from module.process import run_process
from module.settings import Settings
from module.tracing import InstanceTraces, TracedApp, TracedAttempts, TracedHttpClient
from pkg.redaction import Redactor
from pkg.traceparent import Traceparent, parse_traceparent

PROJECT = Path(__file__).parents[3]
PLACE = Traceparent(7, 9, is_sampled=True)
SCOPE = Scope(DEFAULT_DOMAIN_ID, Principal("system:test", "system", "test", (ADMINISTRATOR,)))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = b'{"title": "One", "steps": [{"id": "a", "operator": "@debug/noop"}]}'


class Kept:
    """Spans that stay in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.spans = Spans(self._exporter, Redactor(), share=1.0, node_id="n")

    def close(self) -> list[ReadableSpan]:
        asyncio.run(self.spans.close())
        return self.all()

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    span_id: int = span.context.span_id
    return span_id


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(http_port=0, http_private_port=0, data_dir=folder, shard_count=4, grace_s=1.0, **more)


async def run_one(folder: Path, **more: Any) -> Any:
    """Start a process, run one instance in it, and give what stood around the engine."""
    async with run_process(settings(folder, **more), asyncio.Event()) as running:
        dags, service = running.box.dag_access(), running.box.instance_service()
        created = await dags.create(SCOPE, dags.read(SCOPE, ONE, "json"), if_exists="refuse")
        started = await service.start(SCOPE, created.id, {})
        shown = await service.wait(SCOPE, started.instance_id, 30.0)
        assert shown is not None
        assert "succeeded" == shown.status
        around: dict[str, Any] = {
            "id": started.instance_id,
            "attempts": running.box.attempts(),
            "engine_is_node": running.box.engine() is running.box.engine_node(),
            "store": running.box.instance_store(),
            "definitions": running.box.definition_store(),
        }
        return around


def test_process_without_a_receiver_has_no_wrapper_and_loads_nothing(tmp_path: Path) -> None:
    found = asyncio.run(run_one(tmp_path))
    assert found["engine_is_node"]
    assert "SqliteInstanceStore" == type(found["store"]).__name__
    assert isinstance(found["attempts"], ObservedAttempts)
    assert "AttemptPipeline" == type(found["attempts"]._attempts).__name__
    program = (
        "import sys, module.main, module.process; print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "[]" == loaded.stdout.strip()


def test_process_with_a_receiver_traces_a_start_its_commits_and_its_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, given = Kept(), []

    def opened(exporting: Exporting, redactor: Redactor) -> Spans:
        given.append((exporting.endpoint, exporting.headers, redactor.text("abcdefgh")))
        return kept.spans

    monkeypatch.setattr(spans_module, "open_spans", opened)
    found = asyncio.run(run_one(tmp_path, otlp_endpoint="http://h:4318", otlp_headers="X-Key=abcdefgh, b=c"))
    assert [("http://h:4318", {"x-key": "abcdefgh", "b": "c"}, "***")] == given
    assert isinstance(found["store"], InstanceStore)
    assert isinstance(found["definitions"], DefinitionStore)
    assert "SqliteDefinitionStore" == type(vars(found["definitions"])["_adapter"]).__name__

    spans = kept.all()
    (start,) = (span for span in spans if span.name == "start instance")
    (attempt,) = (span for span in spans if span.name == "attempt @debug/noop")
    commits = [span for span in spans if span.name == "commit"]
    assert {id_of(start)} == {parent_of(span) for span in (attempt, *commits)}
    assert (found["id"], "a", 1, "succeeded") == tuple(
        said(attempt)[name] for name in ("flow.instance", "flow.task", "flow.attempt", "flow.outcome")
    )
    assert {1} == {said(span)["flow.commit.items"] for span in commits}
    (waited,) = (span for span in spans if span.name == "wait for the end")
    assert parent_of(waited) is None
    # Loops that ask the store by themselves make no spans.
    assert {"commit", "start instance", "attempt @debug/noop", "wait for the end"} == {
        span.name for span in spans if parent_of(span) in (None, id_of(start))
    }


class Views:
    """Journal rows by instance; counts how often it is asked."""

    def __init__(self) -> None:
        self.rows: dict[str, Sequence[StampedRow]] = {}
        self.asked_count = 0
        self.is_away = False

    async def journal(self, scope: Scope, instance_id: str, *, after_seq: int, limit: int) -> Sequence[StampedRow]:
        self.asked_count += 1
        assert ("d", 0, 1) == (scope.domain_id, after_seq, limit)
        if self.is_away:
            raise StoreUnavailable("away")
        return self.rows.get(instance_id, ())


def started(trigger: bytes, version: int = JOURNAL_VERSION) -> list[StampedRow]:
    event = InstanceStarted(NOW, "i", "d", "dag", "h", "v1.0.0", NOW, b"{}", trigger, None)
    return [StampedRow(JournalRow("i", 1, version, join_events([encode_event(event)])), NOW)]


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        (started(msgspec.json.encode({"kind": "manual", "traceparent": PLACE.text})), PLACE),
        (started(MANUAL_TRIGGER), None),
        (started(b'{"traceparent": 5}'), None),
        (started(b'{"traceparent": "x"}'), None),
        (started(MANUAL_TRIGGER, version=99), None),
        ([], None),
    ],
    ids=["kept", "started while off", "no text", "no header", "later release", "no journal"],
)
def test_place_of_an_instance_is_read_from_its_journal_once(
    rows: Sequence[StampedRow], place: Traceparent | None
) -> None:
    views: Any = Views()
    views.rows["i"] = rows
    traces = InstanceTraces(views)
    assert [place, place] == [asyncio.run(traces.find("d", "i")) for _ in range(2)]
    assert place == traces.known("i")
    assert 1 == views.asked_count


def test_store_that_is_away_costs_the_trace_and_not_the_attempt() -> None:
    views: Any = Views()
    views.is_away = True
    assert asyncio.run(InstanceTraces(views).find("d", "i")) is None


def test_places_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "INSTANCES_MAX", 2)
    views: Any = Views()
    traces = InstanceTraces(views)
    for name in "abc":
        traces.note(name, PLACE)
    assert [None, PLACE, PLACE] == [traces.known(name) for name in "abc"]


class Runner:
    """Gives one outcome."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    async def run(self, request: AttemptRequest) -> Outcome:
        del request
        return self._outcome


def test_failed_attempt_says_its_kind_and_never_its_message() -> None:
    kept, views = Kept(), Views()
    traces = InstanceTraces(views)  # type: ignore[arg-type] # has what is asked of it
    traces.note("i", PLACE)
    runner = TracedAttempts(Runner(Failed(error_kind="conflict", message="text of a target")), kept.spans, traces)
    request = AttemptRequest(
        instance_id="i", domain_id="d", task_path="t", idempotency_key="k", attempt=3, operator="@o/p", parameters=None
    )
    asyncio.run(runner.run(request))
    (span,) = kept.close()
    assert (9, "conflict", False) == (parent_of(span), said(span)["error.type"], span.status.is_ok)
    assert "text of a target" not in span.to_json()


class Answering:
    """A client that gives one answer and remembers what it was asked."""

    def __init__(self, answer: HttpAnswer) -> None:
        self._answer = answer
        self.requests: list[HttpRequest] = []

    async def request(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return self._answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (HttpResponse(status=200, headers=(), body=b""), {"http.response.status_code": 200}),
        (HttpResponse(status=503, headers=(), body=b""), {"http.response.status_code": 503, "error.type": "503"}),
        (EgressTimeout("late"), {"error.type": "EgressTimeout"}),
    ],
    ids=["well", "refused", "late"],
)
def test_outgoing_call_carries_its_place_and_says_no_path(answer: HttpAnswer, expected: dict[str, Any]) -> None:
    kept, inner = Kept(), Answering(answer)
    client = TracedHttpClient(inner, kept.spans)
    url = "https://user:pass@api.example:8443/tokens/abc?key=def"
    assert answer == asyncio.run(client.request(HttpRequest(method="PUT", url=url, headers=(("a", "b"),))))
    (span,) = kept.close()
    (sent,) = inner.requests
    place = parse_traceparent(dict(sent.headers)["traceparent"])
    assert place is not None
    assert ("b", id_of(span), "PUT") == (dict(sent.headers)["a"], place.span_id, span.name)
    target = {
        "http.request.method": "PUT", "url.scheme": "https", "server.address": "api.example", "server.port": 8443,
    }  # fmt: skip
    assert target | expected == said(span)


@pytest.mark.parametrize("url", ["http://[", "http://h:99999999/", ""])
def test_traceparent_of_a_step_stays_and_a_wrong_address_is_the_client_s(url: str) -> None:
    kept, inner = Kept(), Answering(EgressTimeout(""))
    request = HttpRequest(method="GET", url=url, headers=(("Traceparent", "mine"),))
    asyncio.run(TracedHttpClient(inner, kept.spans).request(request))
    assert [request] == inner.requests
    assert 1 == len(kept.close())


async def ask(app: Any, path: str, headers: Sequence[tuple[bytes, bytes]] = (), kind: str = "http") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": kind, "method": "GET", "path": path, "scheme": "http", "headers": headers}, None, send)
    return sent


class Application:
    """Answers with one status and remembers the trace that it was told."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.trace_ids: list[str | None] = []

    async def __call__(self, asgi: Any, receive: Any, send: Any) -> None:
        del receive
        self.trace_ids.append(asgi.get(TRACE_KEY))
        if asgi["path"] != "/nowhere":
            asgi["path_template"] = "/things/{thing_id}"
        await send({"type": "http.response.start", "status": self._status, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})


def test_request_continues_its_caller_s_trace_and_answers_where_it_was() -> None:
    kept, inner = Kept(), Application(503)
    sent = asyncio.run(ask(TracedApp(inner, kept.spans), "/things/1", [(b"traceparent", PLACE.text.encode())]))
    (span,) = kept.close()
    assert [f"{7:032x}"] == inner.trace_ids
    assert (9, "GET /things/{thing_id}", "503") == (parent_of(span), span.name, said(span)["error.type"])
    headers = dict(sent[0]["headers"])
    assert (b"b", f"00-{7:032x}-{id_of(span):016x}-01".encode()) == (headers[b"a"], headers[b"traceparent"])


def test_request_with_a_header_that_is_none_begins_a_trace() -> None:
    kept, inner = Kept(), Application(404)
    asyncio.run(ask(TracedApp(inner, kept.spans), "/nowhere", [(b"traceparent", b"\xff")]))
    (span,) = kept.close()
    assert (None, "GET", "", 404) == (
        parent_of(span), span.name, said(span)["http.route"], said(span)["http.response.status_code"]
    )  # fmt: skip
    assert "error.type" not in said(span)


@pytest.mark.parametrize(("path", "kind"), [("/health/ready", "http"), ("/metrics", "http"), ("/x", "lifespan")])
def test_probes_and_what_is_no_request_make_no_spans(path: str, kind: str) -> None:
    kept, inner = Kept(), Application(200)
    asyncio.run(ask(TracedApp(inner, kept.spans), path, kind=kind))
    assert [] == kept.close()
    assert [None] == inner.trace_ids
