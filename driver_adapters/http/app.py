"""The two applications: Litestar routes requests, handlers answer them, errors become problem documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Send
from litestar.types import Scope as AsgiScope

from core.access.dag_access import DagAccess
from core.access.request_rates import RequestRates
from core.access.service import AccessService
from core.engine.answering import Answering
from core.engine.approving import Approving
from core.engine.audit_reading import Audit
from core.engine.instance_batch import InstanceBatches
from core.engine.reading import InstanceReader
from core.engine.rerun import InstanceReruns
from core.engine.service import InstanceService
from core.errors import FlowError
from core.file.service import FileService
from core.ports.clock import Dice
from driver_adapters.http.answer_routes import answer_operations
from driver_adapters.http.approval_routes import approval_operations
from driver_adapters.http.audit_routes import audit_operations
from driver_adapters.http.dag_operations import DagServices, every_dag_operation
from driver_adapters.http.exchange import SCOPE_KEY, Call, Reply, Tracer, rate_headers
from driver_adapters.http.explain_operations import Explained, explain_operations
from driver_adapters.http.faults import HttpFault, MethodNotAllowed, RequestMalformed, RouteNotFound
from driver_adapters.http.file_routes import file_operations
from driver_adapters.http.guard import KeyGuard, check_guards
from driver_adapters.http.health_routes import Health, Metrics, health_operations, metrics_operations
from driver_adapters.http.instance_act_routes import instance_act_operations
from driver_adapters.http.instance_batch_routes import instance_batch_operations
from driver_adapters.http.instance_reading_routes import reading_operations
from driver_adapters.http.instance_routes import instance_operations
from driver_adapters.http.openapi import describe
from driver_adapters.http.operation import Operation
from driver_adapters.http.problem import internal_reply, problem_reply
from driver_adapters.http.rates import RateGate
from driver_adapters.http.rerun_routes import rerun_operations
from driver_adapters.http.schema_routes import schema_operations
from driver_adapters.http.streaming import send_chunks
from driver_adapters.http.task_act_routes import task_act_operations

_logger = structlog.get_logger(__name__)
_LAST_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
# Whoever adds to these opens a route to everybody. A route whose operation is not named here gets the guard.
PUBLIC_OPERATIONS = frozenset({"isAlive", "isReady", "readDagSchema", "readOpenApi", "readApiPage", "callBack"})
PUBLIC_ON_PRIVATE_SERVER = frozenset({"isAlive", "isReady", "readMetrics"})
_PATH_NAME = re.compile(r"\{(\w+)\}")
_BODILESS = frozenset({204, 304})


def public_operations(
    dags: DagAccess,
    instances: InstanceService,
    health: Health,
    *,
    prefix: str,
    dag_schema: bytes,
    dag_services: DagServices,
    files: FileService,
    reader: InstanceReader,
    explained: Explained,
    answering: Answering,
    approving: Approving,
    rates: RequestRates,
    reruns: InstanceReruns,
    batches: InstanceBatches,
    audit: Audit,
) -> list[Operation]:
    """Declare every operation of the public server, paths without the prefix."""
    api = [
        *every_dag_operation(dags, dag_services, instances),
        *instance_operations(instances),
        *instance_act_operations(instances),
        *instance_batch_operations(batches),
        *audit_operations(audit),
        *task_act_operations(instances),
        *answer_operations(instances, answering, rates),
        *rerun_operations(reruns),
        *approval_operations(approving),
        *reading_operations(reader),
        *explain_operations(explained),
        *file_operations(files),
        *health_operations(health),
    ]
    return [*api, *schema_operations(openapi_document(prefix), dag_schema, prefix)]


def private_operations(health: Health, metrics: Metrics) -> list[Operation]:
    """Declare every operation of the private server."""
    return [*health_operations(health), *metrics_operations(metrics)]


def openapi_document(prefix: str) -> bytes:
    """Give the public server's OpenAPI document; it depends on the declarations alone."""
    nothing: Any = None  # declaring an operation uses no service
    api = [
        *every_dag_operation(nothing, DagServices(nothing, nothing, nothing, nothing), nothing),
        *instance_operations(nothing),
        *instance_act_operations(nothing),
        *instance_batch_operations(nothing),
        *audit_operations(nothing),
        *task_act_operations(nothing),
        *answer_operations(nothing, nothing, nothing),
        *rerun_operations(nothing),
        *approval_operations(nothing),
        *reading_operations(nothing),
        *explain_operations(Explained(nothing, nothing, nothing)),
        *file_operations(nothing),
        *health_operations(nothing),
    ]
    return describe([*api, *schema_operations(b"", b"", prefix)], prefix)


def private_openapi_document(prefix: str) -> bytes:
    """Give the private server's OpenAPI document, which that server does not publish."""
    nothing: Any = None  # declaring an operation uses no service
    return describe(private_operations(nothing, nothing), prefix)


def build_public_app(
    operations: Sequence[Operation], access: AccessService, rates: RequestRates, dice: Dice, *, prefix: str
) -> Litestar:
    """Make the public application.

    Raises:
        Unguarded: a route would be open that is not meant to be.
    """
    gate = RateGate(rates)
    return _build(operations, PUBLIC_OPERATIONS, KeyGuard(access, gate), gate, Tracer(dice), prefix)


def build_private_app(
    health: Health, metrics: Metrics, access: AccessService, rates: RequestRates, dice: Dice, *, prefix: str
) -> Litestar:
    """Make the private application: health and metrics.

    Raises:
        Unguarded: a route would be open that is not meant to be.
    """
    operations = private_operations(health, metrics)
    # What calls here is part of the installation: its requests are no tenant's.
    guard = KeyGuard(access, RateGate(rates))
    return _build(operations, PUBLIC_ON_PRIVATE_SERVER, guard, None, Tracer(dice), prefix)


def full_path(operation: Operation, prefix: str) -> str:
    """Give the path of an operation: health and metrics stand outside of the prefix, where probes look for them."""
    return operation.path if operation.tag == "Operations" else prefix + operation.path


def _build(
    operations: Sequence[Operation],
    open_ids: frozenset[str],
    guard: KeyGuard,
    gate: RateGate | None,
    tracer: Tracer,
    prefix: str,
) -> Litestar:
    handlers = []
    public = set()
    for path, group in _by_path(operations, prefix).items():
        is_public = all(operation.id in open_ids for operation in group)
        endpoint = _endpoint(group, tracer, None if is_public else gate)
        if is_public:
            public.add(endpoint)
        # One raw handler per path: Litestar routes, guards and turns errors into answers; what it would do beside that
        # for each request (signature models, dependencies, response objects) costs more than the whole start.
        handlers.append(
            _Handler(_PATH_NAME.sub(r"{\1:str}", path), guards=[] if is_public else [guard], copy_scope=False)(endpoint)
        )
    app = Litestar(
        route_handlers=handlers,
        exception_handlers=_exception_handlers(tracer),
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    _open_to_every_method(app.asgi_router.root_route_map_node)
    check_guards(app, frozenset(public))
    return app


class _Handler(ASGIRouteHandler):
    """A path's handler, which its guards see as it is: Litestar gives each a copy, 4 us of every request."""

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Run the guards."""
        for guard in self.resolve_guards():
            await guard(connection, self)  # type: ignore[misc] # Litestar makes all of them asynchronous


class _EveryMethod(dict[str, Any]):
    """Path parameters by method, in which every method is the raw handler's."""

    def __missing__(self, method: str) -> Any:
        return self["asgi"]


def _open_to_every_method(node: Any) -> None:
    """Let raw handlers with path parameters be found: Litestar 2 looks these up by method, where it stored one for all.

    The handlers answer 405 themselves. tests/http calls every route with every method, so an update that changes the
    route table's form is noticed.
    """
    if node.is_asgi:
        node.path_parameters = _EveryMethod(node.path_parameters)
    for child in node.children.values():
        _open_to_every_method(child)


def _by_path(operations: Iterable[Operation], prefix: str) -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for operation in operations:
        group = groups.setdefault(full_path(operation, prefix), [])
        group.append(operation)
    return groups


def _endpoint(operations: Sequence[Operation], tracer: Tracer, gate: RateGate | None) -> Any:
    by_method = {operation.method: operation.handle for operation in operations}
    allowed = tuple(sorted(by_method))

    async def endpoint(scope: AsgiScope, receive: Receive, send: Send) -> None:
        asgi: Any = scope
        if gate is not None:
            await gate.admit(asgi, asgi[SCOPE_KEY])
        handle = by_method.get(asgi.get("method"))
        if handle is None:
            raise MethodNotAllowed(allowed)
        reply = await handle(Call(asgi, receive))
        length = str(len(reply.body) if reply.chunks is None else reply.chunks_bytes).encode()
        headers = [
            (b"content-type", reply.media_type),
            (b"content-length", length),
            (b"x-request-id", tracer.request_id(asgi)),
            *_LAST_HEADERS,
            *rate_headers(asgi),
            *reply.headers,
        ]
        if reply.status in _BODILESS:
            del headers[:2]  # they would describe the body that is not sent
        elif reply.chunks is not None and reply.chunks_bytes is None:
            del headers[1]  # nobody knows it yet
        message: Any = {"type": "http.response.start", "status": reply.status, "headers": headers}
        await send(message)
        if reply.chunks is not None:
            await send_chunks(reply.chunks, receive, send)
            return
        body: Any = {"type": "http.response.body", "body": reply.body}
        await send(body)

    return endpoint


def _exception_handlers(tracer: Tracer) -> Any:
    def expected(request: Request[Any, Any, Any], error: FlowError) -> Response[bytes]:
        return _response(request, problem_reply(error, tracer.trace_id(request.scope)), tracer)

    def framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        return expected(request, _translated(error))

    def unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        trace_id = tracer.trace_id(request.scope)
        _logger.error("request failed", path=request.scope["path"], trace_id=trace_id, exc_info=error)
        return _response(request, internal_reply(trace_id), tracer)

    return {FlowError: expected, HTTPException: framework, ValidationException: framework, Exception: unexpected}


def _translated(error: HTTPException) -> FlowError:
    """The framework's own refusals; its texts are not shown, they quote what was sent."""
    if error.status_code == RouteNotFound.status:
        return RouteNotFound("no route has this path")
    fault: HttpFault = RequestMalformed("the request is not one that this service reads")
    return fault


def _response(request: Request[Any, Any, Any], reply: Reply, tracer: Tracer) -> Response[bytes]:
    sent = (*_LAST_HEADERS, *rate_headers(request.scope), *reply.headers)
    headers = {name.decode(): value.decode("latin-1") for name, value in sent}
    headers["x-request-id"] = tracer.request_id(request.scope).decode()
    return Response(content=reply.body, status_code=reply.status, media_type=reply.media_type.decode(), headers=headers)
