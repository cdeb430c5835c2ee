"""Metrics: one catalogue, Prometheus' text form."""

from driven_adapters.telemetry.metrics import EngineMetrics, StoreCounts

__all__ = ["EngineMetrics", "StoreCounts"]
