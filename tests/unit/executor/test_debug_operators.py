"""`@debug/*`: failures by the number of the attempt, and lines in the task's log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.executor.operator import Failed, Outcome, Succeeded
from core.ports.task_log import TaskLogLine
from driven_adapters.operators.debug import DebugFail, DebugLog
from tests.unit.executor.simulated import call_of


def outcome_of(attempt: int, **parameters: Any) -> Outcome:
    return asyncio.run(DebugFail().execute(call_of(parameters, attempt=attempt)))


@pytest.mark.parametrize(("times", "attempt", "fails"), [(2, 1, True), (2, 2, True), (2, 3, False), (0, 1, False)])
def test_fail_with_times_fails_in_exactly_these_attempts(times: int, attempt: int, fails: bool) -> None:
    expected = Failed(error_kind="exhausted", message="m") if fails else Succeeded([7])
    assert expected == outcome_of(attempt, times=times, kind="exhausted", message="m", output=[7])


@pytest.mark.parametrize("attempt", [1, 1000])
def test_fail_without_times_fails_always(attempt: int) -> None:
    assert Failed(error_kind="failed", message=f"attempt {attempt} fails as told") == outcome_of(attempt)


def test_log_writes_one_line_with_the_place_of_its_task() -> None:
    lines: list[TaskLogLine] = []
    outcome = asyncio.run(DebugLog(lines.append).execute(call_of({"message": "hi\n\x1b[31m"}, attempt=2)))
    line = TaskLogLine(
        instance_id="01J0000000000000000000INST",
        domain_id="default",
        task_path="fan.2.work",
        attempt=2,
        level="info",
        message="hi\n\x1b[31m",
    )
    assert (Succeeded({}), [line]) == (outcome, lines)
