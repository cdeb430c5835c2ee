"""What is noted around every attempt and every program: places of log lines, retries, how programs ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.engine.node.terms import AttemptRunner
from core.executor.operator import Outcome
from core.executor.pipeline import AttemptRequest
from core.ports.task_runner import Mode, RunFailed, RunLine, RunRequest, RunResult, TaskRunner, TierOffer
from pkg.log import enter_place, leave_place


class ObservedAttempts:
    """Makes attempts by another runner; some 0.5 us more for each."""

    def __init__(self, attempts: AttemptRunner, on_retry: Callable[[str], None]) -> None:
        """Take who makes them, and who is told the operator of each that is not its task's first."""
        self._attempts = attempts
        self._on_retry = on_retry

    async def run(self, request: AttemptRequest) -> Outcome:
        """Make one attempt."""
        if request.attempt > 1:
            self._on_retry(request.operator)
        token = enter_place(attempt_fields, request)
        try:
            return await self._attempts.run(request)
        finally:
            leave_place(token)


class ObservedRunner:
    """Runs programs by another runner and tells how each ended."""

    def __init__(
        self, runner: TaskRunner, on_run: Callable[[str, str, str, float], None], monotonic: Callable[[], float]
    ) -> None:
        """Take who runs them, who is told (program, mode, result, seconds), and the clock of durations."""
        self._runner = runner
        self._on_run = on_run
        self._monotonic = monotonic

    @property
    def offers(self) -> Sequence[TierOffer]:
        """Tell every tier."""
        return self._runner.offers

    def refusal(self, mode: Mode) -> str | None:
        """Say why this machine does not offer a mode."""
        return self._runner.refusal(mode)

    async def run(self, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        """Run one program."""
        began_at = self._monotonic()
        result = "cancelled"
        try:
            ended = await self._runner.run(request, on_line)
            result = ended.reason if isinstance(ended, RunFailed) else "succeeded"
            return ended
        finally:
            self._on_run(request.program, request.mode, result, self._monotonic() - began_at)


def attempt_fields(request: AttemptRequest) -> Mapping[str, Any]:
    """Give what a log line says of the attempt that it was written in; asked only when one is written."""
    return {
        "domain": request.domain_id,
        "instance": request.instance_id,
        "task": request.task_path,
        "attempt": request.attempt,
        "operator": request.operator,
    }
