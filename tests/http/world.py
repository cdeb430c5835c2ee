"""A whole process in memory: both applications over the real engine and the memory store, called without a socket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import msgspec
from litestar import Litestar

from core.access.permission import ADMINISTRATOR
from core.access.request_rates import RequestLimits
from core.engine.node.terms import NodeSettings
from core.executor.no_runner import NoRunner
from core.ports.clock import Clock, Dice, IdSource
from core.ports.http_client import HttpAnswer, HttpClient, HttpRequest, RequestMalformed
from core.ports.instance_views import LIST_WALK_ROWS_MAX
from core.ports.scope import Scope
from driven_adapters.memory import (
    MemoryAccessStore,
    MemoryAuditLog,
    MemoryBatchStore,
    MemoryDefinitionHistory,
    MemoryDefinitionStore,
    MemoryFileStore,
    MemoryInstanceStore,
    MemoryInstanceViews,
    MemoryKeyStore,
    MemoryObjectNotes,
    MemoryOutputCache,
    MemoryPermitStore,
    MemoryRateLimiter,
    MemoryShardStore,
    MemoryStore,
    MemoryStoreAudit,
    MemoryTaskLog,
)
from driven_adapters.object_store import MemoryObjectStore
from driven_adapters.system import SystemClock, SystemDice, UlidSource
from driven_adapters.telemetry import EngineMetrics
from driver_adapters.http.app import build_private_app, build_public_app, public_operations
from driver_adapters.http.operation import Operation
from module.container import Container, build_container
from module.observed import ObservedRateLimiter
from module.resources import Resources

PREFIX = "/api/automation/v1"
DAG_SCHEMA = b'{"title": "DAG"}'
ONE_STEP = {
    "title": "One step",
    "inputs": {
        "type": "object",
        "properties": {"name": {"type": "string", "default": "world"}, "count": {"type": "integer"}},
        "additionalProperties": False,
    },
    "steps": [{"id": "greet", "operator": "@debug/noop", "parameters": {"text": "Hello {{ inputs.name }}"}}],
    "outputs": {"text": "{{ steps.greet.output.text }}"},
}
HANGING = {
    "title": "Hanging",
    "steps": [{"id": "call", "operator": "@http/request", "parameters": {"url": "http://h/"}}],
}
MAPPING = {
    "title": "Mapping",
    "inputs": {"type": "object", "properties": {"items": {"type": "array", "default": []}}},
    "steps": [
        {
            "id": "fan",
            "operator": "@control/map",
            "parameters": {
                "items": "{{ inputs.items }}",
                "steps": [{"id": "work", "operator": "@debug/noop", "parameters": {"value": "{{ item }}"}}],
            },
        }
    ],
    "outputs": {"all": "{{ steps.fan.output }}"},
}


class SilentTarget:
    """An HTTP client whose target never answers, until it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.called = asyncio.Event()

    async def request(self, request: HttpRequest) -> HttpAnswer:
        del request
        self.called.set()
        await self.released.wait()
        return RequestMalformed("released")


class Answer(msgspec.Struct):
    """What the application sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class World:
    """Two tenants, `one` and `two`, each with an administrator's key."""

    target: SilentTarget

    def __init__(
        self, box: Container, store: MemoryStore, operations: list[Operation], public: Litestar, private: Litestar
    ) -> None:
        self.box = box
        self.store = store
        self.operations = operations
        self.public = public
        self.private = private
        self.keys: dict[str, str] = {}
        self.health: dict[str, str] = {"store": "ok"}

    async def ask(
        self, method: str, path: str, body: Any = None, *, tenant: str | None = "one", app: Litestar | None = None,
        headers: Mapping[str, str] | None = None, prefix: str = PREFIX,
    ) -> Answer:  # fmt: skip
        """Send one request; a body that is no bytes is sent as JSON; `tenant` None sends no key."""
        sent = [] if tenant is None else [("authorization", f"Bearer {self.keys[tenant]}")]
        sent += list((headers or {}).items())
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        if body is not None and not any(name == "content-type" for name, _ in sent):
            sent.append(("content-type", "application/json"))
        return await call(app or self.public, method, prefix + path, sent, data)

    async def create(self, document: Any = ONE_STEP, tenant: str = "one") -> str:
        answer = await self.ask("POST", "/dags", document, tenant=tenant)
        assert 201 == answer.status, answer.body
        created: str = answer.json["id"]
        return created

    async def run(self, document: Any = ONE_STEP, inputs: Any = None, tenant: str = "one") -> str:
        """Create a DAG and run it to its end; gives the instance."""
        dag_id = await self.create(document, tenant)
        answer = await self.ask("POST", f"/dags/{dag_id}/run?wait=60", inputs or {}, tenant=tenant)
        assert 200 == answer.status, answer.body
        instance_id: str = answer.json["id"]
        return instance_id


async def caller(world: World, tenant: str = "one") -> Scope:
    """Give who a tenant's key speaks for."""
    return await world.box.access_service().authenticate(world.keys[tenant])


async def call(
    app: Litestar, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"", rest: Iterable[bytes] = (),
    peer: str | None = "192.0.2.1",
) -> Answer:  # fmt: skip
    """Call an ASGI application once; `rest` = parts of the body that come after the first, read as they are asked for."""
    target, _, query = path.partition("?")
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode("utf-8", "surrogateescape"),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": None if peer is None else (peer, 4711),
        "server": ("127.0.0.1", 8082),
        "extensions": {},
    }
    messages: list[Any] = []
    parts = itertools.chain([body], rest)
    is_whole = rest == ()

    async def receive() -> Any:
        part = next(parts, None)
        if part is None and is_whole:
            await asyncio.Event().wait()  # the caller stays and listens
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": not is_whole}

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start = messages[0]
    sent = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(start["status"], sent, b"".join(message.get("body", b"") for message in messages[1:]))


# Tables of routes and callers ask with wrong keys all the time, and everybody here has the same address.
LIMITS = RequestLimits(denied_per_minute=1_000_000)


def build_box(
    store: MemoryStore,
    clock: Clock,
    ids: IdSource,
    dice: Dice,
    target: HttpClient,
    on_fatal: Callable[[BaseException], None],
    *,
    limits: RequestLimits = LIMITS,
    rate_clock: Clock | None = None,
    walk_rows_max: int = LIST_WALK_ROWS_MAX,
    over: Callable[[Resources], Resources] = lambda resources: resources,
) -> tuple[Container, EngineMetrics]:
    """Compose services of these ports; `over` may put others in the place of the memory adapter's. Nothing starts."""
    metrics = EngineMetrics()
    resources = Resources(
        clock=clock,
        ids=ids,
        dice=dice,
        rate_limiter=ObservedRateLimiter(MemoryRateLimiter(rate_clock or clock), metrics.rate_refused),
        http_client=target,
        shard_store=MemoryShardStore(store),
        instance_store=MemoryInstanceStore(store),
        instance_views=MemoryInstanceViews(store, walk_rows_max=walk_rows_max),
        store_audit=MemoryStoreAudit(store),
        definition_store=MemoryDefinitionStore(store),
        definition_history=MemoryDefinitionHistory(store),
        access_store=MemoryAccessStore(store),
        key_store=MemoryKeyStore(store),
        batch_store=MemoryBatchStore(store),
        audit_log=MemoryAuditLog(store),
        file_store=MemoryFileStore(store),
        object_notes=MemoryObjectNotes(store),
        output_cache=MemoryOutputCache(store),
        permits=MemoryPermitStore(store),
        object_store=MemoryObjectStore(clock),
        task_log=MemoryTaskLog(store),
        task_runner=NoRunner(),
    )
    box = build_container(
        over(resources),
        node_settings=NodeSettings(node_id=ids.new_id(), grace_s=0.0),
        observer=metrics,
        on_fatal=on_fatal,
        request_limits=limits,
    )
    node = box.engine_node()
    metrics.watch(node.stats)
    return box, metrics


def build_world(store: MemoryStore, box: Container, metrics: EngineMetrics, dice: Dice) -> World:
    """Put both applications over the services."""
    health: dict[str, str] = {"store": "ok"}

    async def ask_health() -> Mapping[str, str]:
        return health

    operations = public_operations(
        box.dag_access(),
        box.instance_service(),
        ask_health,
        prefix=PREFIX,
        dag_schema=DAG_SCHEMA,
        dag_services=box.dag_services(),
        files=box.file_service(),
        reader=box.instance_reader(),
        explained=box.explained(),
        answering=box.answering(),
        approving=box.approving(),
        rates=box.request_rates(),
        reruns=box.instance_reruns(),
        batches=box.instance_batches(),
        audit=box.audit(),
    )
    access, rates = box.access_service(), box.request_rates()
    world = World(
        box,
        store,
        operations,
        build_public_app(operations, access, rates, dice, prefix=PREFIX),
        build_private_app(ask_health, metrics.render, access, rates, dice, prefix=PREFIX),
    )
    world.health = health
    return world


@contextlib.asynccontextmanager
async def open_world(
    limits: RequestLimits = LIMITS, rate_clock: Clock | None = None, *, walk_rows_max: int = LIST_WALK_ROWS_MAX
) -> AsyncIterator[World]:
    """Start the engine, make both tenants; drains nothing at the end.

    `rate_clock` = that of the limits on requests; `walk_rows_max` is of lists of instances.
    """
    clock, dice, target = SystemClock(), SystemDice(), SilentTarget()
    store = MemoryStore(clock)
    faults: list[BaseException] = []
    box, metrics = build_box(
        store, clock, UlidSource(), dice, target, faults.append,
        limits=limits, rate_clock=rate_clock, walk_rows_max=walk_rows_max,
    )  # fmt: skip
    world = build_world(store, box, metrics, dice)
    world.target = target
    node, access = box.engine_node(), box.access_service()
    await node.start()
    batches = asyncio.create_task(box.instance_batches().run())
    try:
        for tenant in ("one", "two"):
            world.keys[tenant] = (await access.add_key(tenant, "administrator", [ADMINISTRATOR])).text
        yield world
    finally:
        batches.cancel()
        await node.stop()
    assert [] == faults
