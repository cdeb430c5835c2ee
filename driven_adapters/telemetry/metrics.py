"""What a process counts: the metrics of the catalogue, made, counted and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from core.engine.invariants import Violation
from core.engine.node.terms import NodeStats
from core.engine.state import InstanceStatus
from core.ports.rate_limiter import RateScope
from driven_adapters.telemetry import catalog
from driven_adapters.telemetry.catalog import UNSEALED, UNVERIFIED, MetricSpec
from driven_adapters.telemetry.collectors import (
    Age,
    Attempts,
    NodeGauges,
    ProgramRuns,
    Requests,
    SpanCounters,
    StoreCounters,
    StoreCounts,
    WithoutCreation,
)

_logger = structlog.get_logger(__name__)


class EngineMetrics:
    """Hears what the engine node did (`NodeObserver`) and counts it; surprises go to the log, too."""

    def __init__(self) -> None:
        """Make the catalogue in a registry of its own: nothing is global."""
        self._registry = CollectorRegistry()
        self._shown = WithoutCreation(self._registry)
        self._batch = self._histogram(catalog.COMMIT_ITEMS, catalog.COMMIT_BUCKETS_ITEMS)
        self._commit = self._histogram(catalog.COMMIT_SECONDS, catalog.COMMIT_BUCKETS_S)
        self._loop_lag = self._histogram(catalog.LOOP_LAG, catalog.LAG_BUCKETS_S)
        self._refused = self._counter(catalog.COMMIT_REFUSALS)
        self._fenced = self._counter(catalog.SHARDS_FENCED)
        self._quarantined = self._counter(catalog.QUARANTINED)
        self._failed = self._counter(catalog.INPUTS_FAILED)
        self._ended = self._counter(catalog.INSTANCES_ENDED)
        self._lost = self._counter(catalog.ATTEMPTS_LOST)
        self._rate_refused = self._counter(catalog.RATE_REFUSALS)
        self._late = self._counter(catalog.RESULTS_LATE)
        self._violations = self._counter(catalog.VIOLATIONS)
        self._attempts = Attempts()
        self._requests = Requests()
        self._runs = ProgramRuns()
        for collector in (self._attempts, self._requests, self._runs):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def _counter(self, spec: MetricSpec) -> Counter:
        return Counter(spec.name, spec.meaning, spec.label_names, registry=self._registry)

    def _histogram(self, spec: MetricSpec, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(spec.name, spec.meaning, spec.label_names, registry=self._registry, buckets=buckets)

    def watch(self, stats: Callable[[], NodeStats]) -> None:
        """Show the node's numbers of the moment, asked for at each scrape."""
        self._registry.register(NodeGauges(stats))

    def watch_store(self, counts: StoreCounts) -> None:
        """Show what the store has written, asked for at each scrape."""
        self._registry.register(StoreCounters(counts))

    def watch_spans(self, counts: Mapping[str, int]) -> None:
        """Show what became of spans, asked for at each scrape."""
        self._registry.register(SpanCounters(counts))

    def watch_verifier(self, age_s: Callable[[], float]) -> None:
        """Show how old the oldest commit is that was not proved yet, asked for at each scrape."""
        self._registry.register(Age(UNVERIFIED, age_s))

    def watch_sealer(self, age_s: Callable[[], float]) -> None:
        """Show for how long the oldest row of the audit waits for its seal, asked for at each scrape."""
        self._registry.register(Age(UNSEALED, age_s))

    def violated(self, violation: Violation) -> None:
        """Hear of an invariant that does not hold in the store."""
        self._violations.labels(violation.invariant).inc()
        _logger.error(
            "invariant broken",
            invariant=violation.invariant,
            instance=violation.instance_id,
            seq=violation.seq,
            sentence=violation.sentence,
        )

    def render(self) -> tuple[bytes, str]:
        """Give all metrics and their media type."""
        return generate_latest(self._shown), CONTENT_TYPE_PLAIN_1_0_0

    def loop_lagged(self, lag_s: float) -> None:
        """Note how late a wake-up of the event loop came."""
        self._loop_lag.observe(lag_s)

    def committed(self, item_count: int, duration_s: float) -> None:
        """Hear of a group commit that landed."""
        self._batch.observe(item_count)
        self._commit.observe(duration_s)

    def refused(self, instance_id: str, reason: str, detail: str) -> None:
        """Hear of an item that the store took out of its batch."""
        self._refused.labels(reason).inc()
        if reason not in ("duplicate", "seen", "gate"):
            _logger.warning("change refused by the store", instance=instance_id, reason=reason, detail=detail)

    def fenced(self, shards: tuple[int, ...]) -> None:
        """Hear of shards that were lost or given up."""
        self._fenced.inc(len(shards))
        _logger.warning("shards lost or given up", count=len(shards))

    def quarantined(self, instance_id: str, fault: BaseException | None) -> None:
        """Hear of an instance that cannot go on."""
        self._quarantined.inc()
        _logger.error("instance quarantined", instance=instance_id, exc_info=fault)

    def failed_input(self, instance_id: str, fault: BaseException) -> None:
        """Hear of an input that was dropped since deciding it raised."""
        self._failed.inc()
        _logger.error("input dropped", instance=instance_id, exc_info=fault)

    def instance_ended(self, dag_id: str, status: InstanceStatus) -> None:
        """Hear of an instance that ended; ids are no labels."""
        del dag_id
        self._ended.labels(status.value).inc()

    def attempt_ended(
        self, operator: str, result: Literal["succeeded", "failed", "cancelled"], duration_s: float
    ) -> None:
        """Hear of an attempt that ended in this process."""
        self._attempts.ended(operator, result, duration_s)

    def attempt_retried(self, operator: str) -> None:
        """Hear of an attempt that begins and is not its task's first."""
        self._attempts.retried(operator)

    def program_ran(self, program: str, mode: str, result: str, duration_s: float) -> None:
        """Hear of a program that ran beside the engine."""
        self._runs.ended(program, mode, result, duration_s)

    def request_began(self) -> None:
        """Hear of a request that arrived."""
        self._requests.open_count += 1

    def request_answered(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Hear of a request whose answer begins; `route` is the route's path, never the request's."""
        self._requests.answered(route, method, status, duration_s)

    def request_ended(self) -> None:
        """Hear of a request that is over."""
        self._requests.open_count -= 1

    def rate_refused(self, scope: RateScope) -> None:
        """Hear of a request that came too soon; no line of the log for each, there may be thousands a second."""
        self._rate_refused.labels(scope).inc()

    def attempts_lost(self, count: int) -> None:
        """Hear of attempts of older epochs."""
        self._lost.inc(count)
        if count:
            _logger.info("attempts of an earlier process are made again", count=count)

    def late_result(self) -> None:
        """Hear of an outcome that no longer counted."""
        self._late.inc()

    def point(self, name: str) -> None:
        """Pass a named point; only tests look at them."""
