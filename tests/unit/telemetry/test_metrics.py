"""The catalogue of metrics: names, labels, bounds."""

from __future__ import annotations

import re
from pathlib import Path

from structlog.testing import capture_logs

from core.engine.invariants import Violation
from core.engine.node import NodeStats
from core.engine.state import InstanceStatus
from driven_adapters.telemetry import EngineMetrics
from driven_adapters.telemetry.catalog import CATALOG, OPERATORS_MAX, REQUEST_LABELS_MAX, SPANS
from driven_adapters.telemetry.page import metrics_page


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
    metrics.rate_refused("domain")
    metrics.point("anything")
    metrics.loop_lagged(0.25)
    metrics.attempt_retried("@http/request")
    metrics.attempt_retried("@http/request")
    text = _text(metrics)
    for line in (
        'flow_commit_items_bucket{le="4.0"} 1.0',
        'flow_commit_refusals_total{reason="duplicate"} 1.0',
        'flow_commit_refusals_total{reason="seq"} 1.0',
        'flow_rate_limit_refusals_total{scope="domain"} 1.0',
        "flow_shards_fenced_total 2.0",
        "flow_instances_quarantined_total 1.0",
        "flow_inputs_failed_total 1.0",
        'flow_instances_ended_total{outcome="failed"} 1.0',
        'flow_attempt_seconds_count{operator="@debug/noop",result="succeeded"} 1.0',
        "flow_attempts_lost_total 4.0",
        "flow_results_late_total 1.0",
        'flow_event_loop_lag_seconds_bucket{le="0.1"} 0.0',
        'flow_event_loop_lag_seconds_bucket{le="0.25"} 1.0',
        'flow_attempts_retried_total{operator="@http/request"} 2.0',
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


def test_requests_are_counted_by_route_method_and_status() -> None:
    metrics = EngineMetrics()
    metrics.request_began()
    metrics.request_began()
    metrics.request_answered("/dags/{dag_id}", "GET", 200, 0.002)
    metrics.request_answered("/dags/{dag_id}", "GET", 404, 0.03)
    metrics.request_answered("", "BREW", 405, 100.0)
    metrics.request_ended()
    text = _text(metrics)
    for line in (
        'flow_http_requests_total{method="GET",route="/dags/{dag_id}",status="200"} 1.0',
        'flow_http_requests_total{method="GET",route="/dags/{dag_id}",status="404"} 1.0',
        'flow_http_requests_total{method="other",route="",status="405"} 1.0',
        'flow_http_request_seconds_count{method="GET",route="/dags/{dag_id}"} 2.0',
        'flow_http_request_seconds_bucket{le="0.0025",method="GET",route="/dags/{dag_id}"} 1.0',
        'flow_http_request_seconds_bucket{le="+Inf",method="other",route=""} 1.0',
        "flow_http_requests_open 1.0",
    ):
        assert line in text, line


class Counts:
    """A store's counts."""

    commits, statements, rows, bytes, checkpoints = 1, 2, 3, 4, 5


def _everything() -> EngineMetrics:
    metrics = EngineMetrics()
    metrics.watch(lambda: NodeStats(**dict.fromkeys(NodeStats.__struct_fields__, 0)))
    metrics.watch_store(Counts())
    metrics.watch_spans({"ended": 3, "exported": 2, "failed": 0})
    metrics.watch_verifier(lambda: 1.5)
    metrics.watch_sealer(lambda: 0.5)
    return metrics


def test_catalogue_is_what_a_process_shows() -> None:
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", _text(_everything()), re.MULTILINE))
    assert {spec.shown_name: spec.kind for spec in CATALOG} == kinds


def test_every_metric_of_the_catalogue_says_what_it_means() -> None:
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", _text(_everything()), re.MULTILINE))
    ours = {spec.shown_name: spec.meaning for spec in CATALOG if spec.name.startswith("flow_")}
    assert ours == {name: text.rstrip(".") for name, text in helps.items() if name in ours}


def test_spans_are_shown_by_what_became_of_them() -> None:
    assert f'{SPANS.shown_name}{{result="exported"}} 2.0' in _text(_everything())


def test_committed_page_is_the_catalogue() -> None:
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert metrics_page() == page.read_text("utf-8"), "run `python -m module.metrics_page > docs/metrics.md`"


def test_age_of_the_oldest_unsealed_act_is_shown() -> None:
    assert "flow_oldest_unsealed_act_seconds 0.5" in _text(_everything())


def test_labels_are_bounded_and_hold_no_ids() -> None:
    metrics = EngineMetrics()
    for number in range(OPERATORS_MAX + 50):
        metrics.attempt_ended(f"@third/op{number}", "failed", 0.1)
        metrics.attempt_retried(f"@third/op{number}")
    for number in range(REQUEST_LABELS_MAX + 50):
        metrics.request_answered(f"/r{number}", "GET", 200, 0.1)
    text = _text(metrics)
    operators = set(re.findall(r'flow_attempt_seconds_count{operator="([^"]+)"', text))
    assert OPERATORS_MAX + 1 == len(operators)
    assert 'flow_attempt_seconds_count{operator="other",result="failed"} 50.0' in text
    assert 'flow_attempts_retried_total{operator="other"} 50.0' in text
    assert 'flow_http_requests_total{method="GET",route="other",status="200"} 50.0' in text
    allowed = {label.name for spec in CATALOG for label in spec.labels} | {"le"}
    assert allowed >= set(re.findall(r'[{,](\w+)="', text))


def test_violations_are_counted_by_invariant_and_the_age_is_asked_for_at_each_scrape() -> None:
    metrics, ages = EngineMetrics(), iter([1.5, 2.5])
    metrics.watch_verifier(lambda: next(ages))
    metrics.violated(Violation("I6", "01", 3, "a has 2 results"))
    metrics.violated(Violation("I6", "02", 3, "a has 2 results"))
    first, second = metrics.render()[0].decode(), metrics.render()[0].decode()

    assert 'flow_invariant_violations_total{invariant="I6"} 2.0' in first
    assert "flow_oldest_unverified_commit_seconds 1.5" in first
    assert "flow_oldest_unverified_commit_seconds 2.5" in second
