"""`@python/run` hands its parameters to the task runner, its lines to the log, and maps every end to a kind of S13."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import msgspec
import pytest

from core.executor.error_kind import ERROR_KINDS
from core.executor.no_runner import NoRunner
from core.executor.operator import Call, Failed, Succeeded
from core.executor.run_outcome import KIND_OF_REASON, outcome_of_run
from core.ports.task_log import TaskLogLine
from core.ports.task_runner import CODE_BYTES_MAX, Ran, Reason, RunFailed, RunLimits, RunRequest
from driven_adapters.operators.python_run import PythonRunOperator
from tests.contract.operators.echo_runner import EchoRunner


def call(parameters: dict[str, Any], beats: list[int] | None = None) -> Call:
    return Call(
        instance_id="i",
        domain_id="d",
        task_path="a",
        idempotency_key="k",
        attempt=2,
        parameters=parameters,
        deadline_at=None,
        heartbeat=lambda: (beats if beats is not None else []).append(1),
    )


def execute(runner: EchoRunner, parameters: dict[str, Any], lines: list[TaskLogLine] | None = None) -> Any:
    operator = PythonRunOperator(runner, (lines if lines is not None else []).append)
    return asyncio.run(operator.execute(call(parameters)))


def test_parameters_become_the_request() -> None:
    runner = EchoRunner()
    given = {
        "code": "c",
        "entry": "f",
        "inputs": {"a": 1},
        "mode": "isolated",
        "limits": {"wall_s": 2, "memory_mib": 64},
    }
    outcome = execute(runner, given)
    assert isinstance(outcome, Succeeded)
    assert b'{"a":1}' == bytes(outcome.output)
    limits = RunLimits(wall_s=2, memory_mib=64)
    expected = RunRequest(domain_id="d", mode="isolated", code="c", entry="f", inputs={"a": 1}, limits=limits)
    assert [expected] == runner.requests


def test_what_is_left_out_is_pure_and_bounded() -> None:
    runner = EchoRunner()
    execute(runner, {"code": "c"})
    assert [RunRequest(domain_id="d", mode="pure", code="c", inputs={})] == runner.requests


def test_lines_go_into_the_tasks_log_and_are_signs_of_life() -> None:
    lines: list[TaskLogLine] = []
    beats: list[int] = []
    operator = PythonRunOperator(EchoRunner(), lines.append)
    asyncio.run(operator.execute(call({"code": "c"}, beats)))
    assert [("stdout", "info", "out", 2), ("stderr", "warning", "err", 2)] == [
        (line.stream, line.level, line.message, line.attempt) for line in lines
    ]
    assert 2 == len(beats)


def test_code_of_wide_characters_is_bounded_by_bytes() -> None:
    runner = EchoRunner()
    outcome = execute(runner, {"code": "é" * (CODE_BYTES_MAX // 2 + 1)})
    assert isinstance(outcome, Failed)
    assert ("invalid", False) == (outcome.error_kind, outcome.called)
    assert [] == runner.requests


def test_inputs_beyond_their_bound_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driven_adapters.operators.python_run.INPUT_BYTES_MAX", 10)
    runner = EchoRunner()
    outcome = execute(runner, {"code": "c", "inputs": {"a": "12345678"}})
    assert isinstance(outcome, Failed)
    assert ("limit", False) == (outcome.error_kind, outcome.called)
    assert [] == runner.requests


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_has_a_kind_and_tells_its_bound(reason: Reason) -> None:
    outcome = outcome_of_run(RunFailed(reason=reason, message="m", limit=3, tier=2))
    assert isinstance(outcome, Failed)
    assert outcome.error_kind in ERROR_KINDS
    assert {"reason": reason, "limit": 3, "tier": 2} == outcome.data
    assert (reason != "unavailable") == outcome.called


def test_the_kinds_are_those_of_the_table() -> None:
    kinds = {"wall": "timeout", "cpu": "resource", "memory": "resource", "output": "limit", "log": "limit"}
    assert kinds == {reason: kind for reason, kind in KIND_OF_REASON.items() if reason in kinds}
    assert Succeeded(msgspec.Raw(b"1")) == outcome_of_run(Ran(output=msgspec.Raw(b"1"), tier=1, wall_s=0.1))


def test_modes_that_the_machine_does_not_offer_are_declared_with_their_reason() -> None:
    spec = PythonRunOperator(EchoRunner(refused={"isolated": "tier 3 is missing"}), lambda _: None).spec
    assert (("mode", "isolated", "tier 3 is missing"),) == spec.unavailable_values
    assert () == PythonRunOperator(NoRunner(), lambda _: None).spec.unavailable_values


def test_a_process_without_runner_refuses_nothing_and_runs_nothing() -> None:
    runner = NoRunner()
    assert () == runner.offers
    request = RunRequest(domain_id="d", mode="pure", code="c", inputs={})
    result = asyncio.run(runner.run(request, lambda _: None))
    assert isinstance(result, RunFailed)
    assert "unavailable" == result.reason
