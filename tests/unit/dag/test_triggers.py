"""The form of triggers (triggers.md, S49 to S53): what is wrong is `dag.trigger` there, what is right is not run yet."""

from __future__ import annotations

from typing import Any

import pytest

from core.dag.cron import CRON_CHARACTERS_MAX, cron_fault
from tests.dags.check import dag, faults, noop

A = noop("a")
EVENT = {"source": "http", "name": "order.created"}


def triggered(operator: str, parameters: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    trigger: dict[str, Any] = {"id": "t", "operator": f"@trigger/{operator}"}
    return dag(A, triggers=[trigger if parameters is None else trigger | {"parameters": parameters}], **fields)


NEEDS = {"type": "object", "properties": {"r": {"type": "string"}, "d": {"default": 1}}, "required": ["r", "d"]}
RIGHT: list[Any] = [
    triggered("cron", {"cron": "*/5 0-6,22 1,15 JAN-MAR MON#2", "jitter_s": 0, "catch_up": "all", "max": 5, "overlap": "skip"}),
    triggered("cron", {"cron": "@hourly", "start_at": "2026-01-01T00:00:00Z", "end_at": "2027-01-01T00:00:00+01:00"}),
    triggered("cron", {"cron": "0 2 * * *", "inputs": {"r": "{{ trigger.kind }}"}}, inputs=NEEDS),
    triggered("cron", {"cron": "0 2 * * *", "for_each": {"operator": "@file/list", "parameters": {"path": "*"}}}),
    triggered("interval", {"seconds": 30, "timezone": "UTC"}),
    triggered("event", EVENT | {"filter": "event.data.total > 3", "map": {"r": "{{ event.id }}"}}, inputs=NEEDS),
    triggered("event", {"source": "kafka", "topic": "orders", "start": "earliest", "dedupe_key": "{{ event.id }}"}),
    triggered("event", EVENT | {"batch": {"max": 10, "window_s": 5}, "map": {"r": "{{ size(events) }}"}}),
    triggered("event", EVENT | {"debounce_s": 3, "throttle": {"limit": 1, "per_s": 1, "key": "{{ event.key }}"}}),
    triggered("event", {"name": ["a", "b"], "filter": {}}),
    triggered("webhook", {"scheme": "none", "methods": ["POST"], "respond": "result"}),
    triggered("webhook", {"secret": "github/app", "scheme": "github"}),
    triggered("dag", {"dag": "Other", "on": ["succeeded", "failed"], "filter": "event.x == 1"}),
    triggered("dag", {"dag": "Other", "on": "failed"}),
    triggered("file", {"path": "in/*.csv"}),
]  # fmt: skip


@pytest.mark.parametrize("document", RIGHT)
def test_right_trigger_is_valid_and_not_run_yet(document: Any) -> None:
    assert [("dag.operator.unavailable", "/triggers/0/operator")] == faults(document)


def test_manual_trigger_runs_without_giving_inputs() -> None:
    assert [] == faults(triggered("manual", inputs=NEEDS))
    assert [] == faults(triggered("manual", {"form": {"type": "object"}, "inputs": {"r": "x"}}, inputs=NEEDS))


def test_manual_trigger_with_a_data_source_is_not_run_yet() -> None:
    document = triggered("manual", {"for_each": {"operator": "@file/list"}})
    assert [("dag.operator.unavailable", "/triggers/0/parameters/for_each")] == faults(document)


WRONG: list[tuple[str, str, Any]] = [
    ("dag.schema", "/triggers", dag(A, triggers={})),
    ("dag.schema", "/triggers/0", dag(A, triggers=["x"])),
    ("dag.schema", "/triggers/0", dag(A, triggers=[{"id": "t"}])),
    ("dag.schema", "/triggers/0/when", dag(A, triggers=[{"id": "t", "operator": "@trigger/manual", "when": 1}])),
    ("dag.limit", "/triggers", dag(A, triggers=[{"id": f"t{n}", "operator": "@trigger/manual"} for n in range(51)])),
    ("dag.operator.unknown", "/triggers/0/operator", triggered("cronn")),
    ("dag.trigger", "/triggers/0", triggered("cron")),
    ("dag.trigger", "/triggers/0/parameters/schedule", triggered("cron", {"cron": "@daily", "schedule": 1})),
    ("dag.trigger", "/triggers/0/parameters/timezone", triggered("cron", {"cron": "@daily", "timezone": "Mars/Base"})),
    ("dag.trigger", "/triggers/0/parameters/timezone", triggered("cron", {"cron": "@daily", "timezone": "../etc/passwd"})),
    ("dag.trigger", "/triggers/0/parameters/start_at", triggered("cron", {"cron": "@daily", "start_at": "2026-01-01T00:00:00"})),
    ("dag.trigger", "/triggers/0/parameters/end_at", triggered("cron", {"cron": "@daily", "end_at": "tomorrow"})),
    ("dag.trigger", "/triggers/0/parameters/catch_up", triggered("cron", {"cron": "@daily", "catch_up": "first"})),
    ("dag.trigger", "/triggers/0/parameters/seconds", triggered("interval", {"seconds": 0})),
    ("dag.trigger", "/triggers/0/parameters", triggered("event", {"source": "kafka"})),
    ("dag.trigger", "/triggers/0/parameters/name", triggered("event", {"name": []})),
    ("dag.trigger", "/triggers/0/parameters/throttle", triggered("event", {"throttle": {"limit": 1}})),
    ("dag.trigger", "/triggers/0/parameters/throttle", triggered("event", {"throttle": 7})),
    ("dag.trigger", "/triggers/0", triggered("webhook")),
    ("dag.trigger", "/triggers/0/parameters/methods/0", triggered("webhook", {"scheme": "none", "methods": ["TRACE"]})),
    ("dag.trigger", "/triggers/0/parameters/on/0", triggered("dag", {"dag": "x", "on": ["done"]})),
    ("dag.trigger", "/triggers/0/parameters/inputs", triggered("interval", {"seconds": 1, "inputs": {"x": 1}}, inputs=NEEDS)),
    ("dag.trigger", "/triggers/0/parameters/inputs/r", triggered("interval", {"seconds": 1, "inputs": {"r": 7}}, inputs=NEEDS)),
    ("dag.trigger", "/triggers/0/parameters/inputs", triggered("interval", {"seconds": 1, "inputs": 7}, inputs=NEEDS)),
    ("dag.expression.type", "/triggers/0/parameters/map/r", triggered("event", {"map": {"r": "{{ 1 }}"}}, inputs=NEEDS)),
    ("dag.expression.syntax", "/triggers/0/parameters/filter", triggered("event", {"filter": "event >"})),
    ("dag.reference.not_upstream", "/triggers/0/parameters/dedupe_key", triggered("event", {"dedupe_key": "{{ steps.a.output }}"})),
    ("dag.trigger", "/triggers", triggered("manual", type="operator", inputs={}, outputs={})),
]  # fmt: skip


@pytest.mark.parametrize(("code", "pointer", "document"), WRONG)
def test_s49_wrong_trigger_gives_one_fault_there(code: str, pointer: str, document: Any) -> None:
    assert [(code, pointer)] == faults(document)


PATTERNS: list[tuple[str, Any]] = [
    ("", 7),
    ("", ["x"]),
    ("/region", {"region": "eu"}),
    ("/", {"": ["eu"]}),
    ("/$or", {"$or": [["eu"]]}),
    ("/region", {"region": ["eu", {"$exists": True}]}),
    ("/region/0", {"region": [["eu"]]}),
    ("/region/0/$startWith", {"region": [{"$startWith": "e"}]}),
    ("/region/0/$startsWith", {"region": [{"$startsWith": 7}]}),
    ("/region/0/$exists", {"region": [{"$exists": "yes"}]}),
    ("/total/0/$gt", {"total": [{"$gt": "many"}]}),
    ("/total/0/$gt", {"total": [{"$gt": True}]}),
    ("/total/0/$lte", {"total": [{"$lte": "2026-01-31T00:00:00"}]}),
    ("/total/0/$between", {"total": [{"$between": [1]}]}),
    ("/tags/0/$includes", {"tags": [{"$includes": {"x": 1}}]}),
    ("/tags/0/$anythingBut", {"tags": [{"$anythingBut": [["x"]]}]}),
    ("/tags/0/$or", {"tags": [{"$or": []}]}),
    ("/tags/0/$or/1/$endsWith", {"tags": [{"$or": [{"$startsWith": "a"}, {"$endsWith": 1}]}]}),
    ("/tags/0/$not/0/$isNull", {"tags": [{"$not": [{"$isNull": 1}]}]}),
    ("/data/order/region", {"data": {"order": {"region": "eu"}}}),
]


@pytest.mark.parametrize(("pointer", "pattern"), PATTERNS)
def test_wrong_pattern_points_at_what_is_wrong(pointer: str, pattern: Any) -> None:
    document = triggered("event", EVENT | {"filter": pattern})
    assert [("dag.trigger", f"/triggers/0/parameters/filter{pointer}")] == faults(document)


def test_pattern_of_every_operator_is_right() -> None:
    pattern = {
        "text": [{"$startsWith": "a", "$endsWith": "b"}, {"$ignoreCaseEquals": "c"}],
        "number": [1, 2.5],
        "time": [{"$gte": "2026-01-31T00:00:00Z", "$lt": "2027-01-31T00:00:00+01:00"}],
        "range": [{"$between": [1, 5]}],
        "any": [],
        "gone": [{"$exists": False}, {"$isNull": False}],
        "tags": [{"$includes": "a"}, {"$anythingBut": ["b", "c"]}, {"$not": "d"}, {"$not": [{"$gt": 3}]}],
        "either": [{"$or": [["a"], {"$startsWith": "b"}, 7], "$and": [[1], [2]]}],
        "nested": {"deep": [None, True]},
    }
    document = triggered("event", EVENT | {"filter": pattern})
    assert [("dag.operator.unavailable", "/triggers/0/operator")] == faults(document)


CRON: list[tuple[str, bool]] = [
    ("* * * * *", True), ("0 0 1 1 0", True), ("59 23 31 12 7", True), ("*/15 * * * *", True), ("0-30/5 * * * *", True),
    ("0 0 L * *", True), ("0 0 LW * *", True), ("0 0 * * FRI#5", True), ("0 0 * * 5L", True), ("0 0 * * sun-tue", True),
    ("30 0 0 1 * *", True), ("@midnight", True), ("0 0 29 2 *", True), ("0 0 31 1,2 *", True), ("0 0 30 2 1", True),
    ("", False), ("* * * *", False), ("* * * * * * *", False), ("60 * * * *", False), ("* 24 * * *", False),
    ("* * 0 * *", False), ("* * 32 * *", False), ("* * * 0 *", False), ("* * * FOO *", False), ("* * * * 8", False),
    ("*/0 * * * *", False), ("*/x * * * *", False), ("*/61 * * * *", False), ("5-1 * * * *", False), ("1, * * * *", False),
    ("-1 * * * *", False), ("* * * * MON#6", False), ("* * * * #1", False), ("* * L-3 * *", False), ("@reboot", False),
    ("0 0 30 2 *", False), ("0 0 31 4,6,SEP,11 *", False), ("\u0661 * * * *", False), ("* " * CRON_CHARACTERS_MAX, False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "is_right"), CRON)
def test_cron_expression_is_read_or_refused_with_a_reason(text: str, is_right: bool) -> None:
    assert is_right == (cron_fault(text) == "")
