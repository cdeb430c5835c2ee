"""Attempts in virtual time: the clock, the calls and small operators for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from core.dag.catalog import OperatorSpec, Timeout
from core.executor.operator import Call, Outcome
from core.executor.pipeline import AttemptPipeline, AttemptRequest
from core.executor.registry import OperatorRegistry
from tests.sim.loop import running

T = TypeVar("T")
START_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class LoopClock:
    """The virtual loop's time, for records and durations alike."""

    def now(self) -> datetime:
        return START_AT + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep_until(self, monotonic_at: float) -> None:
        await asyncio.sleep(monotonic_at - self.monotonic())


class Doing:
    """An operator that does what the test says."""

    def __init__(self, execute: Callable[[Call], Awaitable[Outcome]], name: str = "@test/doing") -> None:
        self.spec = OperatorSpec(name=name, kind="attempt", parameters={}, output={})
        self._execute = execute

    async def execute(self, call: Call) -> Outcome:
        return await self._execute(call)


def in_virtual_time(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the simulated loop; its seconds cost nothing."""
    with running(seed=1) as loop:
        return loop.run_until_complete(scenario)


def request(
    parameters: Any = None, *, operator: str = "@test/doing", attempt: int = 1, **fields: Any
) -> AttemptRequest:
    return AttemptRequest(
        instance_id="01J0000000000000000000INST",
        domain_id="default",
        task_path="fan.2.work",
        idempotency_key="key-of-the-task",
        attempt=attempt,
        operator=operator,
        parameters={} if parameters is None else parameters,
        **fields,
    )


def pipeline_of(execute: Callable[[Call], Awaitable[Outcome]], **fields: Any) -> AttemptPipeline:
    return AttemptPipeline(OperatorRegistry([Doing(execute)]), LoopClock(), **fields)


def call_of(parameters: Any, *, attempt: int = 1, deadline_at: float | None = None) -> Call:
    return Call(
        instance_id="01J0000000000000000000INST",
        domain_id="default",
        task_path="fan.2.work",
        idempotency_key="key-of-the-task",
        attempt=attempt,
        parameters=parameters,
        deadline_at=deadline_at,
        heartbeat=lambda: None,
    )


def timeout(attempt_s: float | None = None, heartbeat_s: float | None = None) -> Timeout:
    return Timeout(attempt_s=attempt_s, heartbeat_s=heartbeat_s)
