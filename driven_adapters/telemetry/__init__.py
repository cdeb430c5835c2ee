"""Metrics: one catalogue, Prometheus' text form. Traces: spans, sent by OTLP."""

from driven_adapters.telemetry.collectors import StoreCounts
from driven_adapters.telemetry.metrics import EngineMetrics

__all__ = ["EngineMetrics", "StoreCounts"]
