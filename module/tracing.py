"""Traces, put around the ports at composition: from the request over commit and attempt to the outgoing call.

A request's start of an instance keeps its place in the trace with the instance (`traceparent` in the trigger), so that
every attempt, after a crash too, belongs to the same trace. Off, nothing of this module is loaded (ADR 0018).
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import msgspec

from core.engine.effects import Answer
from core.engine.events import InstanceStarted
from core.engine.journal import JournalUnreadable, decode_events
from core.engine.node.terms import AttemptRunner, Ended, Started, StartRequest
from core.engine.service import Engine
from core.engine.stimuli import Command
from core.errors import FlowError
from core.executor.operator import Failed, Outcome
from core.executor.pipeline import AttemptRequest
from core.ports.http_client import HttpAnswer, HttpClient, HttpRequest, HttpResponse
from core.ports.instance_store import InstanceChange, InstanceStore, Refusal
from core.ports.instance_views import InstanceViews
from core.ports.scope import Principal, Scope
from core.ports.shard_store import Fence
from driven_adapters.telemetry.spans import LINKS_MAX, Spans
from driver_adapters.http.exchange import TRACE_KEY
from driver_adapters.http.observed import AsgiApp
from module.observed import attempt_fields
from module.resources import Resources
from pkg.log import enter_place, leave_place
from pkg.traceparent import Traceparent, parse_traceparent

HEADER = "traceparent"
# As many as the engine keeps in memory (`hot_instances_max`); one that left is read again with its next attempt.
INSTANCES_MAX = 10_000
_UNTRACED = ("/health/", "/metrics")  # asked all day long by programs
_SYSTEM = Principal("system:traces", "system", "traces")

# Time, ids, chance and counting in this process are no calls to anything; the other two have spans of their own.
_NOT_GENERIC = frozenset({"clock", "ids", "dice", "rate_limiter", "http_client", "instance_store"})


class InstanceTraces:
    """Where in which trace instances were started. Bounded; what left is read from the journal again."""

    def __init__(self, views: InstanceViews) -> None:
        """Take who reads the journal."""
        self._views = views
        self._known: OrderedDict[str, Traceparent | None] = OrderedDict()

    def note(self, instance_id: str, place: Traceparent | None) -> None:
        """Remember an instance; the one that was not asked for the longest leaves."""
        self._known[instance_id] = place
        self._known.move_to_end(instance_id)
        if len(self._known) > INSTANCES_MAX:
            self._known.popitem(last=False)

    def known(self, instance_id: str) -> Traceparent | None:
        """Give what is in memory."""
        return self._known.get(instance_id)

    async def find(self, domain_id: str, instance_id: str) -> Traceparent | None:
        """Give where an instance was started, from its first journal row when it is not in memory; None = no trace."""
        if instance_id not in self._known:
            self.note(instance_id, await self._read(Scope(domain_id, _SYSTEM), instance_id))
        return self._known.get(instance_id)

    async def _read(self, scope: Scope, instance_id: str) -> Traceparent | None:
        try:
            rows = await self._views.journal(scope, instance_id, after_seq=0, limit=1)
            events = [event for row in rows for event in decode_events(row.row.version, row.row.body)]
        except (FlowError, JournalUnreadable):
            return None  # a trace is never worth an attempt
        started = next((event for event in events if isinstance(event, InstanceStarted)), None)
        return None if started is None else _place_in(started.trigger)


class TracedApp:
    """An ASGI application each of whose requests is a span; `traceparent` is read and answered."""

    def __init__(self, app: AsgiApp, spans: Spans) -> None:
        """Take the application and who makes spans."""
        self._app = app
        self._spans = spans

    async def __call__(self, asgi: Any, receive: Any, send: Any) -> None:
        """Serve one request; those of health and metrics are no spans."""
        if asgi["type"] != "http" or asgi["path"].startswith(_UNTRACED):
            await self._app(asgi, receive, send)
            return
        given = next((value for name, value in asgi["headers"] if name == HEADER.encode()), b"")
        parent = parse_traceparent(given.decode("latin-1"))
        said = {"http.request.method": asgi["method"], "url.scheme": asgi["scheme"]}
        with self._spans.span(asgi["method"], "server", parent=parent, attributes=said) as span:
            place = span.place
            asgi[TRACE_KEY] = f"{place.trace_id:032x}"

            async def noting(message: Any) -> None:
                if message["type"] == "http.response.start":
                    route, status = asgi.get("path_template") or "", message["status"]
                    span.rename(f"{asgi['method']} {route}".rstrip())
                    span.set("http.route", route)
                    span.set("http.response.status_code", status)
                    if status >= 500:
                        span.fail(str(status))
                    header = (HEADER.encode(), place.text.encode())
                    message = {**message, "headers": [*message["headers"], header]}
                await send(message)

            await self._app(asgi, receive, noting)


class TracedEngine:
    """The engine as use cases see it; a start keeps its place in the trace with the instance."""

    def __init__(self, engine: Engine, spans: Spans, traces: InstanceTraces) -> None:
        """Take the engine."""
        self._engine = engine
        self._spans = spans
        self._traces = traces

    async def submit(self, request: StartRequest) -> Started:
        """Start an instance."""
        said = {"flow.instance": request.id, "flow.dag": request.plan.dag_id, "flow.domain": request.domain_id}
        with self._spans.span("start instance", attributes=said) as span:
            self._traces.note(request.id, span.place)
            return await self._engine.submit(
                msgspec.structs.replace(request, trigger=_with_place(request.trigger, span.place))
            )

    async def command(self, domain_id: str, instance_id: str, stimulus: Command) -> Answer:
        """Tell an instance to end."""
        said = {"flow.instance": instance_id, "flow.domain": domain_id}
        with self._spans.span(f"{type(stimulus).__name__.lower()} instance", attributes=said):
            return await self._engine.command(domain_id, instance_id, stimulus)

    async def wait_ended(self, domain_id: str, instance_id: str, timeout_s: float) -> Ended | None:
        """Wait until an instance ended."""
        with self._spans.span("wait for the end", attributes={"flow.instance": instance_id}):
            return await self._engine.wait_ended(domain_id, instance_id, timeout_s)

    def end_waits(self) -> None:
        """Answer all who wait."""
        self._engine.end_waits()


class TracedAttempts:
    """Makes attempts, each a span in the trace that its instance was started in."""

    def __init__(self, attempts: AttemptRunner, spans: Spans, traces: InstanceTraces) -> None:
        """Take who makes them."""
        self._attempts = attempts
        self._spans = spans
        self._traces = traces

    async def run(self, request: AttemptRequest) -> Outcome:
        """Make one attempt."""
        said: dict[str, str | int | bool] = {
            "flow.instance": request.instance_id, "flow.domain": request.domain_id, "flow.task": request.task_path,
            "flow.attempt": request.attempt, "flow.operator": request.operator,
        }  # fmt: skip
        parent = await self._traces.find(request.domain_id, request.instance_id)
        with self._spans.span(f"attempt {request.operator}", parent=parent, attributes=said) as span:
            token = enter_place(_traced_fields, (request, span.place))
            try:
                outcome = await self._attempts.run(request)
            finally:
                leave_place(token)
            span.set("flow.outcome", type(outcome).__name__.lower())
            if isinstance(outcome, Failed):
                span.fail(outcome.error_kind)
            return outcome


class TracedHttpClient:
    """Sends requests, each a span; `traceparent` goes along unless the step gave its own."""

    def __init__(self, http: HttpClient, spans: Spans) -> None:
        """Take the guarded client."""
        self._http = http
        self._spans = spans

    async def request(self, request: HttpRequest) -> HttpAnswer:
        """Send one request. Path and query are not said: they are where tokens stand."""
        with self._spans.span(request.method, "client", attributes=_target(request)) as span:
            if not any(name.lower() == HEADER for name, _ in request.headers):
                headers = (*request.headers, (HEADER, span.place.text))
                request = msgspec.structs.replace(request, headers=headers)
            answer = await self._http.request(request)
            if isinstance(answer, HttpResponse):
                span.set("http.response.status_code", answer.status)
                if answer.status >= 400:
                    span.fail(str(answer.status))
            else:
                span.fail(type(answer).__name__)
            return answer


class _TracedPort:
    """Stands for an adapter: a span around each verb of its port, but only inside a span: idle loops make none."""

    def __init__(self, adapter: object, port: type, name: str, spans: Spans) -> None:
        self._adapter = adapter
        for member in (member for member in dir(port) if not member.startswith("_")):
            given = getattr(adapter, member)
            is_verb = inspect.iscoroutinefunction(getattr(port, member))
            setattr(self, member, _traced_verb(given, f"{name}.{member}", spans) if is_verb else given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


class _TracedInstanceStore(_TracedPort):
    """The journal store; a commit is a span in the trace of its first instance, with links to the others'."""

    def __init__(self, store: InstanceStore, spans: Spans, traces: InstanceTraces) -> None:
        super().__init__(store, InstanceStore, "instance_store", spans)
        self.commit_bounds = store.commit_bounds
        self.commit = self._commit
        self._store = store
        self._spans = spans
        self._traces = traces

    async def _commit(self, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        """Commit; a batch without any instance of a known trace is no span."""
        places = [place for change in changes if (place := self._traces.known(change.row.id)) is not None]
        if not places:
            return await self._store.commit(fences, changes)
        links = list(dict.fromkeys(places[1 : LINKS_MAX + 1]))
        said = {"flow.commit.items": len(changes)}
        with self._spans.span("commit", parent=places[0], links=links, attributes=said) as span:
            refusals = await self._store.commit(fences, changes)
            span.set("flow.commit.refused", sum(refusal is not None for refusal in refusals))
            return refusals


def _traced_verb(verb: Callable[..., Any], name: str, spans: Spans) -> Callable[..., Any]:
    async def call(*arguments: Any, **named: Any) -> Any:
        if not spans.is_in_span:
            return await verb(*arguments, **named)
        with spans.span(name):
            return await verb(*arguments, **named)

    return call


def traced_resources(resources: Resources, spans: Spans, traces: InstanceTraces) -> Resources:
    """Give the resources with spans around the verbs of their ports."""
    generic = {
        name: _TracedPort(getattr(resources, name), port, name, spans)
        for name, port in get_type_hints(Resources).items()
        if name not in _NOT_GENERIC
    }
    return msgspec.structs.replace(
        resources,
        **generic,
        http_client=TracedHttpClient(resources.http_client, spans),
        instance_store=_TracedInstanceStore(resources.instance_store, spans, traces),
    )


def _with_place(trigger: bytes, place: Traceparent) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(trigger), HEADER: place.text})


def _place_in(trigger: bytes) -> Traceparent | None:
    kept = msgspec.json.decode(trigger).get(HEADER)
    return parse_traceparent(kept) if isinstance(kept, str) else None


def _target(request: HttpRequest) -> dict[str, str | int | bool]:
    said: dict[str, str | int | bool] = {"http.request.method": request.method}
    try:
        parts = urlsplit(request.url)
        said |= {"url.scheme": parts.scheme, "server.address": parts.hostname or ""}
        if parts.port is not None:
            said["server.port"] = parts.port
    except ValueError:
        pass  # no address: the client says so in its answer
    return said


def _traced_fields(subject: tuple[AttemptRequest, Traceparent]) -> Mapping[str, Any]:
    request, place = subject
    return {**attempt_fields(request), "trace_id": f"{place.trace_id:032x}"}
