"""The attempt pipeline: what happens around one call of an operator, as a row of named steps.

load operator -> check parameters -> deadline -> execute -> normalise output -> limit. Each step either hands on or
gives the outcome. Timeouts are kept on the event loop's monotonic clock (engine.md 5): they end with this process, as
the attempt does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import isfinite
from typing import Any

import msgspec

from core.dag.catalog import NO_TIMEOUT, Timeout
from core.executor.error_kind import ERROR_KINDS
from core.executor.operator import Call, Cancelled, Failed, Operator, Outcome, Succeeded
from core.executor.registry import OperatorRegistry
from core.ports.clock import Clock
from pkg.json_value import json_fault

OUTPUT_BYTES_MAX = 64 * 1024 * 1024  # engine.md 1: what the store keeps as one value
ERROR_DATA_BYTES_MAX = 64 * 1024  # an error stands in journal rows, which hold at most 128 KiB
MESSAGE_CHARS_MAX = 2000  # an error is read by a person
FAULT_COUNT_MAX = 10  # so many schema faults help; more would only push the first ones out of sight
CANCEL_GRACE_S = 5.0  # a cancelled operator has so long to close its connections before it is abandoned
RETRY_AFTER_S_MAX = 86_400.0  # a target's wish beyond a day is a mistake; the step's `max_delay_s` caps it anyway

Faults = Callable[[Any], list[str]]


class AttemptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to make.

    Attributes:
        operator: its name. parameters: rendered.
        attempt: number from 1. idempotency_key: constant over the task's attempts (R22).
        parameter_faults: checks the parameters; None = they were checked when they were rendered.
        output_faults: checks the output; None = any output is fine.
    """

    instance_id: str
    domain_id: str
    task_path: str
    idempotency_key: str
    attempt: int
    operator: str
    parameters: Any
    timeout: Timeout = NO_TIMEOUT
    parameter_faults: Faults | None = None
    output_faults: Faults | None = None


class AttemptPipeline:
    """Makes attempts. One object serves any number of attempts at once."""

    def __init__(
        self,
        registry: OperatorRegistry,
        clock: Clock,
        on_surprise: Callable[[Call, BaseException], None] | None = None,
    ) -> None:
        """Take operators and time.

        Args:
            registry: where operators are found.
            clock: its monotonic time is the running event loop's.
            on_surprise: told of every exception that left an operator, for the log; an outcome never holds its text,
                since nobody knows what is in it.
        """
        self._registry = registry
        self._clock = clock
        self._on_surprise = on_surprise
        self._encoder = msgspec.json.Encoder(order="deterministic")
        self._abandoned: set[asyncio.Task[Outcome]] = set()

    @property
    def abandoned_count(self) -> int:
        """Count operators that were cancelled and still run."""
        return len(self._abandoned)

    async def run(self, request: AttemptRequest) -> Outcome:
        """Make one attempt and give its outcome; no exception leaves.

        Must be the outermost coroutine of a task of its own: cancelling that task cancels the attempt, and the outcome
        is then `Cancelled` unless the operator had ended before.

        Returns:
            `Succeeded` with `msgspec.Raw`: the output as canonical JSON of at most OUTPUT_BYTES_MAX, its schema met.
            `Failed` with a kind of S13; `called` False when the operator was never reached. `Cancelled`.
        """
        operator = self._registry.operator(request.operator)
        if operator is None:
            return Failed(error_kind="unavailable", message=f"{request.operator} is not installed here", called=False)
        if request.parameter_faults is not None and (faults := request.parameter_faults(request.parameters)):
            return Failed(error_kind="invalid", message=_sentence("parameters", faults), called=False)
        try:
            outcome = await self._within_time(operator, request)
        except asyncio.CancelledError:
            return _cancelled_by_whom(request.operator)
        if isinstance(outcome, Succeeded):
            return self._normalised(outcome, request)
        return outcome if isinstance(outcome, Cancelled) else self._bounded(outcome)

    async def _within_time(self, operator: Operator, request: AttemptRequest) -> Outcome:
        timeout = request.timeout
        if timeout.attempt_s is None and timeout.heartbeat_s is None:
            return await self._execute(operator, _call_of(request, None, _silent))
        watch = _Watch(timeout, asyncio.get_running_loop().time())
        deadline_at = None if timeout.attempt_s is None else self._clock.monotonic() + timeout.attempt_s
        # A task of its own, so that an operator which keeps its cancellation cannot keep the attempt.
        task = asyncio.create_task(self._execute(operator, _call_of(request, deadline_at, watch.heartbeat)))
        try:
            return await self._watched(task, watch, request.operator)
        except asyncio.CancelledError:
            await self._stop(task)
            if task.done() and not task.cancelled():
                return task.result()
            raise

    async def _watched(self, task: asyncio.Task[Outcome], watch: _Watch, operator: str) -> Outcome:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.wait((task,), timeout=max(0.0, watch.due_at - loop.time()))
            if task.done():
                return _cancelled_itself(operator) if task.cancelled() else task.result()
            if loop.time() >= watch.due_at:
                await self._stop(task)
                return Failed(error_kind="timeout", message=watch.sentence)

    async def _stop(self, task: asyncio.Task[Outcome]) -> None:
        # Held first: this wait can itself be cancelled, and the loop keeps only weak references to tasks.
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        task.cancel()
        await asyncio.wait((task,), timeout=CANCEL_GRACE_S)

    async def _execute(self, operator: Operator, call: Call) -> Outcome:
        try:
            outcome = await operator.execute(call)
        except (Exception, SystemExit) as surprise:  # noqa: BLE001 - foreign code may raise anything: the one place for it
            if self._on_surprise is not None:
                self._on_surprise(call, surprise)
            return Failed(error_kind="failed", message=f"{operator.spec.name} raised {type(surprise).__name__}")
        if isinstance(outcome, Succeeded | Failed | Cancelled):
            return outcome
        message = f"{operator.spec.name} gave {type(outcome).__name__}, which is no outcome"
        return Failed(error_kind="failed", message=message)

    def _normalised(self, outcome: Succeeded, request: AttemptRequest) -> Outcome:
        output = outcome.output
        try:
            if isinstance(output, msgspec.Raw):  # decoded again: broken bytes must not get into the journal
                output = msgspec.json.decode(output)
            if (fault := json_fault(output)) is not None:
                return Failed(error_kind="invalid", message=f"the output is no JSON value: {fault}")
            if request.output_faults is not None and (faults := request.output_faults(output)):
                return Failed(error_kind="invalid", message=_sentence("output", faults))
            return _limited(self._encoder.encode(output))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:  # RecursionError: a deep `Raw`
            return Failed(error_kind="invalid", message=f"the output is no JSON value: {type(error).__name__}")

    def _bounded(self, failed: Failed) -> Failed:
        if failed.error_kind not in ERROR_KINDS:
            return Failed(error_kind="failed", message=f"failed with the unknown kind {failed.error_kind[:64]!r}")
        wish_s = failed.retry_after_s
        return msgspec.structs.replace(
            failed,
            message=failed.message[:MESSAGE_CHARS_MAX],
            data=failed.data if self._is_small(failed.data) else None,
            retry_after_s=min(wish_s, RETRY_AFTER_S_MAX) if wish_s is not None and isfinite(wish_s) else None,
        )

    def _is_small(self, data: Any) -> bool:
        if data is None:
            return True
        if json_fault(data) is not None:
            return False
        try:
            return len(self._encoder.encode(data)) <= ERROR_DATA_BYTES_MAX
        except UnicodeEncodeError:
            return False


class _Watch:
    """When an attempt's time is over: the earlier of its own end and the end of its silence, in loop time."""

    def __init__(self, timeout: Timeout, now: float) -> None:
        self._heartbeat_s = timeout.heartbeat_s
        self._attempt_s = timeout.attempt_s
        self._end_at = float("inf") if timeout.attempt_s is None else now + timeout.attempt_s
        self._silent_at = float("inf") if timeout.heartbeat_s is None else now + timeout.heartbeat_s

    @property
    def due_at(self) -> float:
        return min(self._end_at, self._silent_at)

    @property
    def sentence(self) -> str:
        if self._end_at <= self._silent_at:
            return f"no outcome within attempt_s = {self._attempt_s:g}"
        return f"no sign of life within heartbeat_s = {self._heartbeat_s:g}"

    def heartbeat(self) -> None:
        if self._heartbeat_s is not None:
            self._silent_at = asyncio.get_running_loop().time() + self._heartbeat_s


def _silent() -> None:
    """Take a heartbeat that nobody waits for."""


def _call_of(request: AttemptRequest, deadline_at: float | None, heartbeat: Callable[[], None]) -> Call:
    return Call(
        instance_id=request.instance_id,
        domain_id=request.domain_id,
        task_path=request.task_path,
        idempotency_key=request.idempotency_key,
        attempt=request.attempt,
        parameters=request.parameters,
        deadline_at=deadline_at,
        heartbeat=heartbeat,
    )


def _limited(encoded: bytes) -> Outcome:
    if len(encoded) > OUTPUT_BYTES_MAX:
        message = f"the output has {len(encoded)} bytes, more than {OUTPUT_BYTES_MAX}"
        return Failed(error_kind="limit", message=message)
    return Succeeded(msgspec.Raw(encoded))


def _cancelled_by_whom(operator: str) -> Outcome:
    task = asyncio.current_task()
    return Cancelled() if task is not None and task.cancelling() else _cancelled_itself(operator)


def _cancelled_itself(operator: str) -> Outcome:
    return Failed(error_kind="failed", message=f"{operator} ended as cancelled, which nobody had asked for")


def _sentence(subject: str, faults: list[str]) -> str:
    shown = "; ".join(faults[:FAULT_COUNT_MAX])
    return f"{subject} not as the schema says: {shown}"
