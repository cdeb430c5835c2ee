"""Durations of attempts by operator and result, counted without locks.

The client library's histogram takes 2 us for one observation, mostly its lock per bucket; an attempt is counted on the
event loop alone and costs a quarter of that here. What is shown to Prometheus is the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# An attempt takes up to an hour; beyond is one bucket.
BUCKETS_S = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0, 3600.0)
# Operators of third parties name themselves: beyond this many names the rest is counted together.
LABELS_MAX = 600
_OTHER = "other"


class _Durations:
    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0


class AttemptHistogram(Collector):
    """Counts attempts. Not for more than one thread but for `collect`, which may miss the newest."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self._by_label: dict[tuple[str, str], _Durations] = {}

    def observe(self, operator: str, result: str, duration_s: float) -> None:
        """Count one attempt."""
        durations = self._by_label.get((operator, result)) or self._new(operator, result)
        durations.counts[bisect_left(BUCKETS_S, duration_s)] += 1
        durations.total_s += duration_s

    def _new(self, operator: str, result: str) -> _Durations:
        key = (operator if len(self._by_label) < LABELS_MAX else _OTHER, result)
        return self._by_label.setdefault(key, _Durations())

    def collect(self) -> Iterable[Metric]:
        """Give the histogram."""
        family = HistogramMetricFamily(
            "flow_attempt_seconds", "Duration of attempts by operator and result", labels=("operator", "result")
        )
        names = [*map(floatToGoString, BUCKETS_S), "+Inf"]
        for labels, durations in tuple(self._by_label.items()):
            buckets = list(zip(names, map(float, accumulate(durations.counts)), strict=True))
            family.add_metric(labels, buckets, durations.total_s)
        yield family
