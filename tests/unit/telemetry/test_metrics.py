"""The catalogue of metrics: names, labels, bounds."""

from __future__ import annotations

import re

from structlog.testing import capture_logs

from core.engine.node import NodeStats
from core.engine.state import InstanceStatus
from driven_adapters.telemetry import EngineMetrics
from driven_adapters.telemetry.attempt_histogram import LABELS_MAX


def _text(metrics: EngineMetrics) -> str:
    body, media_type = metrics.render()
    assert media_type.startswith("text/plain")
    return body.decode()


def test_attempts_fall_into_the_first_bucket_that_holds_them() -> None:
    metrics = EngineMetrics()
    for duration_s in (0.001, 0.0011, 0.5, 7_200.0):
        metrics.attempt_ended("@http/request", "failed", duration_s)

    lines = _text(metrics).splitlines()
    labels = 'operator="@http/request",result="failed"'
    buckets = [line for line in lines if line.startswith("flow_attempt_seconds_bucket{") and labels in line]
    assert [1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 4.0] == [float(line.split()[-1]) for line in buckets]
    assert 'le="0.001"' in buckets[0]
    assert 'le="+Inf"' in buckets[-1]
    assert f"flow_attempt_seconds_sum{{{labels}}} 7200.5021" in lines


def test_everything_heard_is_counted() -> None:
    metrics = EngineMetrics()
    metrics.committed(3, 0.002)
    metrics.refused("i", "duplicate", "")
    metrics.refused("i", "seq", "another seq")
    with capture_logs() as lines:
        metrics.fenced((1, 2))
    assert [{"event": "shards lost or given up", "count": 2, "log_level": "warning"}] == lines
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
