"""What measures a process, opened with it: counts and log places always, traces when a receiver is set."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from core.engine.node.terms import AttemptRunner
from driven_adapters.telemetry import EngineMetrics
from driver_adapters.http.observed import AsgiApp, ObservedApp
from module.instruments import Instruments
from module.observed import ObservedAttempts, ObservedRateLimiter, ObservedRunner
from module.resources import Resources
from module.settings import Settings, parse_headers
from pkg.redaction import Redactor


class Measured(msgspec.Struct, frozen=True):
    """The opened resources and what is put around the rest; `node_id` names this process in its lease and traces."""

    node_id: str
    resources: Resources
    instruments: Instruments
    app: Callable[[AsgiApp], AsgiApp]


@asynccontextmanager
async def open_measuring(
    settings: Settings, resources: Resources, metrics: EngineMetrics, redactor: Redactor
) -> AsyncIterator[Measured]:
    """Begin to measure. Without FLOW_OTLP_ENDPOINT nothing of traces is loaded and no port has a wrapper.

    Args:
        redactor: masks what spans say.
    """
    node_id = resources.ids.new_id()
    runner = ObservedRunner(resources.task_runner, metrics.program_ran, resources.clock.monotonic)
    limiter = ObservedRateLimiter(resources.rate_limiter, metrics.rate_refused)
    resources = msgspec.structs.replace(resources, task_runner=runner, rate_limiter=limiter)

    def observed_attempts(attempts: AttemptRunner) -> AttemptRunner:
        return ObservedAttempts(attempts, metrics.attempt_retried)

    def observed_app(app: AsgiApp) -> AsgiApp:
        return ObservedApp(app, metrics, resources.clock.monotonic)

    instruments = Instruments(attempts=observed_attempts, mask=redactor.text, on_violation=metrics.violated)
    if not settings.otlp_endpoint:
        yield Measured(node_id, resources, instruments, observed_app)
        return
    # Only here: loading the library takes 0.3 s and 20 MB, which nobody without a receiver should pay.
    from driven_adapters.telemetry.spans import Exporting, open_spans  # noqa: PLC0415 - see above
    from module import tracing  # noqa: PLC0415 - see above

    exporting = Exporting(
        endpoint=settings.otlp_endpoint,
        headers=parse_headers(settings.otlp_headers),
        share=settings.trace_share,
        node_id=node_id,
    )
    spans = open_spans(exporting, redactor)
    metrics.watch_spans(spans.counts)
    traces = tracing.InstanceTraces(resources.instance_views)
    try:
        yield Measured(
            node_id,
            tracing.traced_resources(resources, spans, traces),
            msgspec.structs.replace(
                instruments,
                attempts=lambda attempts: observed_attempts(tracing.TracedAttempts(attempts, spans, traces)),
                engine=lambda engine: tracing.TracedEngine(engine, spans, traces),
            ),
            lambda app: observed_app(tracing.TracedApp(app, spans)),
        )
    finally:
        await spans.close()
