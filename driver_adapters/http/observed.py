"""What is noted of every request around the application: counts, and where the log lines of its work come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from driver_adapters.http.exchange import SCOPE_KEY, TRACE_KEY
from pkg.log import enter_place

AsgiApp = Callable[[Any, Any, Any], Any]


class RequestObserver(Protocol):
    """Who is told of requests."""

    def request_began(self) -> None:
        """Hear of a request that arrived."""
        ...

    def request_answered(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Hear of a request whose answer begins; `route` is the route's path, empty when no route was found."""
        ...

    def request_ended(self) -> None:
        """Hear of a request that is over."""
        ...


class ObservedApp:
    """An ASGI application that tells of its requests. It costs some microseconds per request and nothing per task."""

    def __init__(self, app: AsgiApp, observer: RequestObserver, monotonic: Callable[[], float]) -> None:
        """Take the application, who is told, and the clock of durations."""
        self._app = app
        self._observer = observer
        self._monotonic = monotonic

    async def __call__(self, asgi: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if asgi["type"] != "http":
            await self._app(asgi, receive, send)
            return
        enter_place(request_fields, asgi)  # not left again: the server gives each request a task, and so a context
        began_at = self._monotonic()

        def noting(message: Any) -> Any:  # no coroutine of its own: it is called twice for each request
            if message["type"] == "http.response.start":
                route = asgi.get("path_template") or ""
                self._observer.request_answered(route, asgi["method"], message["status"], self._monotonic() - began_at)
            return send(message)

        self._observer.request_began()
        try:
            await self._app(asgi, receive, noting)
        finally:
            self._observer.request_ended()


def request_fields(asgi: Any) -> Mapping[str, str]:
    """Give what a log line says of the request that it was written for; asked only when one is written."""
    fields = {"method": asgi["method"], "route": asgi.get("path_template") or ""}
    trace_id = asgi.get(TRACE_KEY)
    if trace_id is not None:
        fields["trace_id"] = trace_id
    scope = asgi.get(SCOPE_KEY)
    if scope is not None:
        fields |= {"domain": scope.domain_id, "principal": scope.principal.id}
    return fields
