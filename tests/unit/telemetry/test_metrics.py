"""The catalogue of metrics: names, labels, bounds."""

from __future__ import annotations

import re

from core.engine.node import NodeStats
from core.engine.state import InstanceStatus
from driven_adapters.telemetry import EngineMetrics
from driven_adapters.telemetry.metrics import LABELS_MAX


def _text(metrics: EngineMetrics) -> str:
    body, media_type = metrics.render()
    assert media_type.startswith("text/plain")
    return body.decode()


def test_everything_heard_is_counted() -> None:
    metrics = EngineMetrics()
    metrics.committed(3, 0.002)
    metrics.refused("i", "duplicate", "")
    metrics.refused("i", "seq", "another seq")
    metrics.fenced((1, 2))
    metrics.quarantined("i", None)
    metrics.failed_input("i", ValueError("x"))
    metrics.instance_ended("d", InstanceStatus.FAILED)
    metrics.attempt_ended("@debug/noop", "succeeded", 0.01)
    metrics.attempts_lost(0)
    metrics.attempts_lost(4)
    metrics.late_result()
    metrics.point("anything")
    metrics.loop_lagged(0.25)
    text = _text(metrics)
    for line in (
        'flow_commit_items_bucket{le="4.0"} 1.0',
        'flow_commit_refusals_total{reason="duplicate"} 1.0',
        'flow_commit_refusals_total{reason="seq"} 1.0',
        "flow_shards_fenced_total 2.0",
        "flow_instances_quarantined_total 1.0",
        "flow_inputs_failed_total 1.0",
        'flow_instances_ended_total{outcome="failed"} 1.0',
        'flow_attempt_seconds_count{operator="@debug/noop",result="succeeded"} 1.0',
        "flow_attempts_lost_total 4.0",
        "flow_results_late_total 1.0",
        "flow_event_loop_lag_seconds 0.25",
    ):
        assert line in text, line


def test_numbers_of_the_node_are_read_at_each_scrape() -> None:
    metrics, asked = EngineMetrics(), []

    def stats() -> NodeStats:
        asked.append(1)
        return NodeStats(**{field: len(asked) for field in NodeStats.__struct_fields__})

    metrics.watch(stats)
    before = len(asked)
    text = _text(metrics)
    assert before + 1 == len(asked)
    assert f"flow_node_open_attempts {float(len(asked))}" in text
    assert f"flow_node_commit_total {float(len(asked))}" in text


def test_labels_are_bounded_and_hold_no_ids() -> None:
    metrics = EngineMetrics()
    for number in range(LABELS_MAX + 50):
        metrics.attempt_ended(f"@third/op{number}", "failed", 0.1)
    text = _text(metrics)
    operators = set(re.findall(r'operator="([^"]+)"', text))
    assert LABELS_MAX + 1 == len(operators)
    assert 'flow_attempt_seconds_count{operator="other",result="failed"} 50.0' in text
    assert {"le", "operator", "result", "reason", "outcome"} >= set(re.findall(r'[{,](\w+)="', text))
