"""One running process: resources, engine node, both servers, and one clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import structlog

from core.access.api_key import NewKey
from core.access.request_rates import RequestLimits
from core.engine.node.terms import NodeSettings
from core.executor.registry import ENTRY_POINT_GROUP
from core.ports.clock import Clock
from driven_adapters.telemetry import EngineMetrics
from driver_adapters.http.app import build_private_app, build_public_app, public_operations
from driver_adapters.http.health_routes import Health
from driver_adapters.http.observed import AsgiApp
from driver_adapters.http.server import bind, serve_until
from module.container import Container, build_container
from module.crash_points import engine_metrics
from module.health import OK, Readiness
from module.measuring import Measured, open_measuring
from module.resources import SCRATCH_FOLDER, open_resources
from module.settings import Settings, secrets_of
from pkg.redaction import Redactor

DAG_SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "dag.json"
LAG_EVERY_S = 0.5  # how often the event loop's lag is measured
EXIT_FATAL = 70  # the store is broken: the process must not go on (R12)
EXIT_SECOND_SIGNAL = 130  # told twice to stop: at once, the next start recovers (R30)

_logger = structlog.get_logger(__name__)


class Running(msgspec.Struct, frozen=True):
    """A process that serves: its services, its real ports, and the key of an empty store, which is shown once."""

    box: Container
    public_port: int
    private_port: int
    first_key: NewKey | None


@contextlib.asynccontextmanager
async def run_process(
    settings: Settings, stop: asyncio.Event, redactor: Redactor | None = None
) -> AsyncIterator[Running]:
    """Open everything, start the engine, serve; at the end of the block everything stops in order (R30).

    Readiness off, engine drained (at most `grace_s`), servers closed, resources closed.

    Raises:
        PortTaken, DataFolderUnusable, StoreUnavailable: says what to do about it.
    """
    redactor = redactor or Redactor(secrets_of(settings))
    public = bind(settings.bind_host, settings.http_port, "API_SERVER_PORT")
    private = bind(settings.bind_host, settings.http_private_port, "API_SERVER_PRIVATE_PORT")
    listeners = (public, private)
    metrics = engine_metrics(settings.crash_at)
    async with (
        open_resources(settings, watch_store=metrics.watch_store) as opened,
        open_measuring(settings, opened, metrics, redactor) as measured,
    ):
        box = _compose(settings, measured, metrics)
        node = box.engine_node()
        metrics.watch(node.stats)
        metrics.watch_verifier(box.verifier().age_s)
        metrics.watch_sealer(box.audit_sealer().age_s)
        first_key = await box.access_service().create_first_key()
        if first_key is not None:
            redactor.register(first_key.text)
        await node.start()
        apps = [
            (measured.app(app), listener)
            for app, listener in zip(
                _apps(settings, box, _health(box, measured, stop), metrics), listeners, strict=True
            )
        ]
        servers_stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(serve_until(servers_stop, apps))
            works = (
                _watch_lag(box.clock(), metrics),
                box.retention().run(),
                box.files().run_sweeps(),
                box.verifier().run(),
                box.instance_batches().run(),
                box.audit_sealer().run(),
            )
            watches = [group.create_task(work) for work in works]
            try:
                yield Running(box, public.port, private.port, first_key)
            finally:
                stop.set()
                box.instance_service().end_waits()
                box.instance_reader().end_streams()
                await node.stop()
                servers_stop.set()
                _cancel(watches)


def _compose(settings: Settings, measured: Measured, metrics: EngineMetrics) -> Container:
    return build_container(
        measured.resources,
        node_settings=NodeSettings(
            node_id=measured.node_id,
            attempts_max=settings.attempts_max,
            grace_s=settings.grace_s,
            retry_reserve_per_s=settings.retry_reserve_per_s,
            retry_share=settings.retry_share,
        ),
        observer=metrics,
        instruments=measured.instruments,
        on_fatal=end_at_once,
        entry_points=entry_points(group=ENTRY_POINT_GROUP),
        file_bytes_max=settings.file_bytes_max,
        request_limits=RequestLimits(
            key_per_minute=settings.rate_key_per_minute,
            domain_per_minute=settings.rate_domain_per_minute,
            denied_per_minute=settings.rate_denied_per_minute,
        ),
        callback_url=settings.callback_url,
        scratch=settings.data_dir / SCRATCH_FOLDER,
    )


def _health(box: Container, measured: Measured, stop: asyncio.Event) -> Health:
    readiness = Readiness(measured.resources.checks(), measured.resources.clock)
    node = box.engine_node()

    async def health() -> Mapping[str, str]:
        if stop.is_set():
            return {"process": "stopping"}
        parts = await readiness.ask()
        return {**parts, "engine": OK if node.stats().owned_shards else "owns no shard"}

    return health


def _apps(settings: Settings, box: Container, health: Health, metrics: EngineMetrics) -> tuple[AsgiApp, AsgiApp]:
    """Make the public and the private application."""
    operations = public_operations(
        box.dag_access(),
        box.instance_service(),
        health,
        prefix=settings.http_prefix,
        dag_schema=DAG_SCHEMA_FILE.read_bytes(),
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
    access, rates, dice = box.access_service(), box.request_rates(), box.dice()
    return (
        build_public_app(operations, access, rates, dice, prefix=settings.http_prefix),
        build_private_app(health, metrics.render, access, rates, dice, prefix=settings.http_prefix),
    )


async def serve(settings: Settings, *, announce: Callable[[Running], None], redactor: Redactor | None = None) -> None:
    """Serve until a signal asks to stop; a second signal ends the process at once."""
    stop = asyncio.Event()
    handle_signals(stop)
    async with run_process(settings, stop, redactor) as running:
        announce(running)
        await stop.wait()
        _logger.info("stopping", grace_s=settings.grace_s)


def handle_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM or SIGINT; the second one ends the process at once."""

    def on_signal() -> None:
        if stop.is_set():
            os._exit(EXIT_SECOND_SIGNAL)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)


def end_at_once(fault: BaseException) -> None:
    """End the process without any further write: recovery decides what landed (R12)."""
    _logger.critical("the store is broken, this process ends", exc_info=fault)
    os._exit(EXIT_FATAL)


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def _watch_lag(clock: Clock, metrics: EngineMetrics) -> None:
    while True:
        due_at = clock.monotonic() + LAG_EVERY_S
        await clock.sleep_until(due_at)
        metrics.loop_lagged(clock.monotonic() - due_at)
