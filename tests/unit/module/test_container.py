"""The composition resolves as a whole, refuses what does not fit, and crash points count."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from dependency_injector import errors
from structlog.testing import capture_logs

from core.engine.node import EngineNode, NodeSettings
from core.engine.retention import Retention
from core.engine.service import InstanceService
from core.executor.no_runner import NoRunner
from core.executor.operator import Failed
from core.executor.pipeline import AttemptRequest
from core.ports.http_client import HttpAnswer, HttpRequest
from core.ports.scope import Principal, Scope
from core.ports.task_log import TaskLogLine
from driven_adapters.http import EgressClient
from driven_adapters.memory import (
    MemoryAccessStore,
    MemoryAuditLog,
    MemoryBatchStore,
    MemoryDefinitionHistory,
    MemoryDefinitionStore,
    MemoryFileStore,
    MemoryInstanceStore,
    MemoryInstanceViews,
    MemoryKeyStore,
    MemoryObjectNotes,
    MemoryOutputCache,
    MemoryPermitStore,
    MemoryRateLimiter,
    MemoryShardStore,
    MemoryStore,
    MemoryStoreAudit,
    MemoryTaskLog,
)
from driven_adapters.object_store import MemoryObjectStore
from driven_adapters.system import SystemClock, SystemDice, UlidSource
from driven_adapters.telemetry import EngineMetrics
from module.container import Container, _keeping_log, build_container, write_task_log
from module.crash_points import crash_point, engine_metrics
from module.resources import Resources
from pkg.redaction import Redactor


def _resources(**changed: Any) -> Resources:
    clock = SystemClock()
    store = MemoryStore(clock)
    given: dict[str, Any] = {
        "clock": clock,
        "ids": UlidSource(),
        "dice": SystemDice(),
        "rate_limiter": MemoryRateLimiter(clock),
        "http_client": EgressClient(),
        "shard_store": MemoryShardStore(store),
        "instance_store": MemoryInstanceStore(store),
        "instance_views": MemoryInstanceViews(store),
        "store_audit": MemoryStoreAudit(store),
        "definition_store": MemoryDefinitionStore(store),
        "definition_history": MemoryDefinitionHistory(store),
        "access_store": MemoryAccessStore(store),
        "key_store": MemoryKeyStore(store),
        "batch_store": MemoryBatchStore(store),
        "audit_log": MemoryAuditLog(store),
        "file_store": MemoryFileStore(store),
        "object_notes": MemoryObjectNotes(store),
        "object_store": MemoryObjectStore(clock),
        "output_cache": MemoryOutputCache(store),
        "permits": MemoryPermitStore(store),
        "task_log": MemoryTaskLog(store),
        "task_runner": NoRunner(),
    }
    return Resources(**(given | changed))


class Broken:
    """An HTTP client with a bug."""

    def __init__(self) -> None:
        self.fault = LookupError("a bug")

    async def request(self, request: HttpRequest) -> HttpAnswer:
        del request
        raise self.fault


def _built(resources: Resources) -> Container:
    return build_container(
        resources, node_settings=NodeSettings(node_id="n"), observer=EngineMetrics(), on_fatal=lambda _fault: None
    )


def test_every_provider_resolves() -> None:
    box = _built(_resources())
    assert isinstance(box.engine_node(), EngineNode)
    assert isinstance(box.instance_service(), InstanceService)
    assert isinstance(box.retention(), Retention)
    assert "@http/request" in box.catalog()
    assert box.engine_node() is box.engine_node()


@pytest.mark.parametrize("name", Resources.__struct_fields__)
def test_adapter_that_does_not_fit_its_port_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(errors.Error):
        _built(_resources(**{name: object()}))


def test_missing_input_is_refused() -> None:
    with pytest.raises(errors.Error, match="clock"):
        Container().check_dependencies()


def test_task_lines_go_to_the_log_with_where_they_came_from() -> None:
    line = TaskLogLine(
        instance_id="i", domain_id="d", task_path="t", attempt=1, level="warning", message="careful"
    )  # fmt: skip
    with capture_logs() as lines:
        write_task_log(line)
    expected = {"event": "careful", "log_level": "warning", "instance": "i", "domain": "d", "task": "t", "attempt": 1}
    assert [expected] == lines


def test_exception_of_an_operator_goes_to_the_log_and_only_its_class_to_the_task() -> None:
    broken = Broken()
    box = _built(_resources(http_client=broken))
    request = AttemptRequest(
        instance_id="i", domain_id="d", task_path="t", idempotency_key="k", attempt=2, operator="@http/request",
        parameters={"url": "http://h/"},
    )  # fmt: skip
    with capture_logs() as lines:
        outcome = asyncio.run(box.pipeline().run(request))
    assert Failed(error_kind="failed", message="@http/request raised LookupError") == outcome
    expected = {
        "event": "operator raised", "log_level": "error", "instance": "i", "domain": "d", "task": "t", "attempt": 2,
        "exc_info": broken.fault,
    }  # fmt: skip
    assert [expected] == lines


def test_crash_point_ends_the_process_at_its_nth_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    point = crash_point("after_each_statement:2")
    assert point is not None
    for name in ("before_begin", "after_each_statement:1", "after_commit", "after_each_statement:7"):
        assert [] == ended
        point(name)
    assert [137] == ended
    point("after_each_statement:8")
    assert [137] == ended
    assert crash_point("") is None


def test_points_of_the_node_end_the_process_under_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    observer = engine_metrics("node_before_commit:2")
    for name in ("before_commit", "after_commit"):
        observer.point(name)
    assert [] == ended
    observer.point("before_commit")

    assert [137] == ended
    assert EngineMetrics is type(engine_metrics(""))


async def _lines_of(resources: Resources) -> list[str]:
    scope = Scope("d", Principal("p", "key", "n"))
    lines = await resources.task_log.read(scope, "i", task_path=None, attempt=None, after=0, limit=10)
    return [stored.line.message for stored in lines]


def test_lines_of_attempts_are_kept_without_known_secrets() -> None:
    redactor = Redactor(["correct horse"])
    resources = _resources()
    write = _keeping_log(resources.task_log, redactor.text)
    for message in ("the word is correct horse", "plain"):
        write(TaskLogLine(instance_id="i", domain_id="d", task_path="a", attempt=1, level="info", message=message))

    assert ["the word is ***", "plain"] == asyncio.run(_lines_of(resources))
