"""Collectors: numbers that are kept elsewhere, or without locks, and read when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.engine.node.terms import NodeStats
from driven_adapters.telemetry.catalog import (
    ATTEMPT_BUCKETS_S,
    ATTEMPT_SECONDS,
    ATTEMPTS_RETRIED,
    OPERATORS_MAX,
    OTHER,
    REQUEST_BUCKETS_S,
    REQUEST_LABELS_MAX,
    REQUEST_SECONDS,
    REQUESTS,
    REQUESTS_OPEN,
    RUN_BUCKETS_S,
    RUN_LABELS_MAX,
    RUN_SECONDS,
    RUNS,
    SPANS,
    STORE_SPECS,
    MetricSpec,
    node_spec,
)
from driven_adapters.telemetry.durations import DurationsByLabels

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class StoreCounts(Protocol):
    """What a store counts since it was opened; `bytes` are those of its log, checkpoints left out."""

    commits: int
    statements: int
    rows: int
    bytes: int
    checkpoints: int


class Attempts(Collector):
    """Attempts and retries by operator."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self._durations = DurationsByLabels(ATTEMPT_BUCKETS_S, OPERATORS_MAX)
        self._retried: dict[str, int] = {}

    def ended(self, operator: str, result: str, duration_s: float) -> None:
        """Count one attempt."""
        self._durations.observe((operator, result), duration_s)

    def retried(self, operator: str) -> None:
        """Count one retry."""
        known = operator if operator in self._retried or len(self._retried) < OPERATORS_MAX else OTHER
        self._retried[known] = self._retried.get(known, 0) + 1

    def collect(self) -> Iterable[Metric]:
        """Give the histogram and the counter."""
        yield self._durations.family(ATTEMPT_SECONDS)
        yield _labelled(ATTEMPTS_RETRIED, {(name,): count for name, count in tuple(self._retried.items())})


class Requests(Collector):
    """Requests by route, method and status."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self._durations = DurationsByLabels(REQUEST_BUCKETS_S, REQUEST_LABELS_MAX)
        self.open_count = 0

    def answered(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count one request whose answer begins."""
        self._durations.observe((route, method if method in METHODS else OTHER, str(status)), duration_s)

    def collect(self) -> Iterable[Metric]:
        """Give counter, histogram and gauge."""
        yield _labelled(REQUESTS, {labels: durations.count for labels, durations in self._durations.snapshot()})
        yield self._durations.family(REQUEST_SECONDS)
        yield GaugeMetricFamily(REQUESTS_OPEN.name, REQUESTS_OPEN.meaning, value=self.open_count)


class ProgramRuns(Collector):
    """Runs of programs beside the engine."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self._durations = DurationsByLabels(RUN_BUCKETS_S, RUN_LABELS_MAX)

    def ended(self, program: str, mode: str, result: str, duration_s: float) -> None:
        """Count one run."""
        self._durations.observe((program, mode, result), duration_s)

    def collect(self) -> Iterable[Metric]:
        """Give counter and histogram."""
        yield _labelled(RUNS, {labels: durations.count for labels, durations in self._durations.snapshot()})
        yield self._durations.family(RUN_SECONDS)


class NodeGauges(Collector):
    """The node's numbers, read when somebody asks."""

    def __init__(self, stats: Callable[[], NodeStats]) -> None:
        """Take who knows the numbers."""
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """Give one gauge per field, a counter for those that only grow."""
        stats = self._stats()
        for field in stats.__struct_fields__:
            yield _single(node_spec(field), float(getattr(stats, field)))


class StoreCounters(Collector):
    """The store's counts, read when somebody asks."""

    def __init__(self, counts: StoreCounts) -> None:
        """Take the object that the store counts in."""
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Give one counter each."""
        for field, spec in STORE_SPECS.items():
            yield _single(spec, float(getattr(self._counts, field)))


class SpanCounters(Collector):
    """What became of spans: exported or failed."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        """Take the counts by result; another thread raises them."""
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Give the counter."""
        yield _labelled(SPANS, {(result,): count for result, count in tuple(self._counts.items())})


class Age(Collector):
    """How old the oldest of something is, read when somebody asks."""

    def __init__(self, spec: MetricSpec, age_s: Callable[[], float]) -> None:
        """Take what it is called and who knows it."""
        self._spec = spec
        self._age_s = age_s

    def collect(self) -> Iterable[Metric]:
        """Give the gauge."""
        yield _single(self._spec, self._age_s())


class WithoutCreation(Collector):
    """Another one's metrics without the time at which each counter was made: a series per series, and nobody asks."""

    def __init__(self, metrics: Collector) -> None:
        """Take whose metrics are shown."""
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Give what is left."""
        for family in self._metrics.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


def _single(spec: MetricSpec, value: float) -> Metric:
    family = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    return family(spec.name, spec.meaning, value=value)


def _labelled(spec: MetricSpec, values: Mapping[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(spec.name, spec.meaning, labels=spec.label_names)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
