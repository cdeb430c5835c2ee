"""The catalogue of metrics: names, labels and bounds of all of them. Labels are few and never ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.registry import Collector

from core.engine.node.terms import NodeStats
from core.engine.state import InstanceStatus
from driven_adapters.telemetry.attempt_histogram import AttemptHistogram

_logger = structlog.get_logger(__name__)
# A commit takes from 0.1 ms (memory) to the seconds of a disk that is in trouble.
_COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class StoreCounts(Protocol):
    """What a store counts since it was opened; `bytes` are those of its log, checkpoints left out."""

    commits: int
    statements: int
    rows: int
    bytes: int
    checkpoints: int


class EngineMetrics:
    """Hears what the engine node did (`NodeObserver`) and counts it; surprises go to the log, too."""

    def __init__(self) -> None:
        """Make the catalogue in a registry of its own: nothing is global."""
        self._registry = registry = CollectorRegistry()
        self._batch = Histogram("flow_commit_items", "Instances per commit", registry=registry, buckets=_BATCH_BUCKETS)
        self._commit = Histogram(
            "flow_commit_seconds", "Duration of a commit", registry=registry, buckets=_COMMIT_BUCKETS_S
        )
        self._refused = Counter(
            "flow_commit_refusals", "Instances that the store took out of a batch", ["reason"], registry=registry
        )
        self._fenced = Counter("flow_shards_fenced", "Shards lost or given up", registry=registry)
        self._quarantined = Counter("flow_instances_quarantined", "Instances that cannot go on", registry=registry)
        self._failed = Counter("flow_inputs_failed", "Inputs dropped since deciding them raised", registry=registry)
        self._ended = Counter("flow_instances_ended", "Instances by outcome", ["outcome"], registry=registry)
        self._attempts = AttemptHistogram()
        registry.register(self._attempts)
        self._lost = Counter("flow_attempts_lost", "Attempts of older epochs, outcome unknown", registry=registry)
        self._late = Counter("flow_results_late", "Outcomes that no longer counted", registry=registry)
        self._loop_lag = Gauge("flow_event_loop_lag_seconds", "How late the event loop last was", registry=registry)

    def watch(self, stats: Callable[[], NodeStats]) -> None:
        """Show the node's numbers of the moment, asked for at each scrape."""
        self._registry.register(_NodeGauges(stats))

    def watch_store(self, counts: StoreCounts) -> None:
        """Show what the store has written, asked for at each scrape."""
        self._registry.register(_StoreCounters(counts))

    def render(self) -> tuple[bytes, str]:
        """Give all metrics and their media type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_1_0_0

    def loop_lagged(self, lag_s: float) -> None:
        """Note how late a wake-up of the event loop came."""
        self._loop_lag.set(lag_s)

    def committed(self, item_count: int, duration_s: float) -> None:
        """Hear of a group commit that landed."""
        self._batch.observe(item_count)
        self._commit.observe(duration_s)

    def refused(self, instance_id: str, reason: str, detail: str) -> None:
        """Hear of an item that the store took out of its batch."""
        self._refused.labels(reason).inc()
        if reason not in ("duplicate", "seen"):
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
        self._attempts.observe(operator, result, duration_s)

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


class _NodeGauges(Collector):
    """The node's numbers, read when somebody asks."""

    def __init__(self, stats: Callable[[], NodeStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """Give one gauge per field, a counter for those that only grow."""
        stats = self._stats()
        for field in stats.__struct_fields__:
            value = float(getattr(stats, field))
            if field.endswith("_count"):
                yield CounterMetricFamily(f"flow_node_{field.removesuffix('_count')}", _words(field), value=value)
            else:
                yield GaugeMetricFamily(f"flow_node_{field}", _words(field), value=value)


class _StoreCounters(Collector):
    """The store's counts, read when somebody asks."""

    def __init__(self, counts: StoreCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Give one counter each."""
        counts = self._counts
        yield CounterMetricFamily("flow_store_commits", "Transactions that landed", value=counts.commits)
        yield CounterMetricFamily("flow_store_statements", "Statements run", value=counts.statements)
        yield CounterMetricFamily("flow_store_rows", "Rows changed", value=counts.rows)
        yield CounterMetricFamily("flow_store_written_bytes", "Bytes written to the log", value=counts.bytes)
        yield CounterMetricFamily("flow_store_checkpoints", "Copies of the log into the file", value=counts.checkpoints)


def _words(field: str) -> str:
    return f"Engine node: {field.removesuffix('_count').replace('_', ' ')}"
