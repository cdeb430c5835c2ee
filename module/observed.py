"""What is noted around attempts, programs and limits: places of log lines, retries, how programs ended, refusals."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from core.engine.node.terms import AttemptRunner
from core.executor.operator import Outcome
from core.executor.pipeline import AttemptRequest
from core.ports.rate_limiter import RateLimit, RateLimiter, RateScope, RateStanding
from core.ports.task_runner import Mode, RunFailed, RunLine, RunRequest, RunResult, TaskRunner, TierOffer
from pkg.log import enter_place


class ObservedAttempts:
    """Makes attempts by another runner; some 0.3 us more for each."""

    def __init__(self, attempts: AttemptRunner, on_retry: Callable[[str], None]) -> None:
        """Take who makes them, and who is told the operator of each that is not its task's first."""
        self._attempts = attempts
        self._on_retry = on_retry

    def run(self, request: AttemptRequest) -> Coroutine[Any, Any, Outcome]:
        """Make one attempt."""
        if request.attempt > 1:
            self._on_retry(request.operator)
        # Not left again: a worker makes one attempt after the other, and what it writes between is of the last one.
        enter_place(attempt_fields, request)
        return self._attempts.run(request)


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


class ObservedRateLimiter:
    """Counts by another limiter and tells of refusals; 0.1 us more for each request."""

    def __init__(self, limiter: RateLimiter, on_refusal: Callable[[RateScope], None]) -> None:
        """Take who counts, and who is told whose limit refused a request."""
        self._limiter = limiter
        self._on_refusal = on_refusal

    async def hit(self, limits: Sequence[RateLimit]) -> RateStanding:
        """Count one request."""
        standing = await self._limiter.hit(limits)
        if standing.is_refused:
            self._on_refusal(standing.scope)
        return standing

    async def look(self, limit: RateLimit) -> RateStanding:
        """Look at one limit; whoever asks refuses when it is spent."""
        standing = await self._limiter.look(limit)
        if standing.is_refused:
            self._on_refusal(standing.scope)
        return standing


def attempt_fields(request: AttemptRequest) -> Mapping[str, Any]:
    """Give what a log line says of the attempt that it was written in; asked only when one is written."""
    return {
        "domain": request.domain_id,
        "instance": request.instance_id,
        "task": request.task_path,
        "attempt": request.attempt,
        "operator": request.operator,
    }
