"""What a run beside the engine means for its attempt: every reason has one kind of semantics.md S13."""

from __future__ import annotations

from core.executor.operator import Failed, Outcome, Succeeded
from core.ports.task_runner import Ran, Reason, RunResult

KIND_OF_REASON: dict[Reason, str] = {
    "raised": "failed",
    "invalid": "invalid",
    "wall": "timeout",
    "cpu": "resource",
    "memory": "resource",
    "output": "limit",
    "log": "limit",
    "died": "resource",
    "unavailable": "unavailable",
}


def outcome_of_run(result: RunResult) -> Outcome:
    """Map a result; `data` of a failure names reason, bound and tier: two limits of one kind can be told apart."""
    if isinstance(result, Ran):
        return Succeeded(result.output)
    return Failed(
        error_kind=KIND_OF_REASON[result.reason],
        message=result.message,
        data={"reason": result.reason, "limit": result.limit, "tier": result.tier},
        called=result.reason != "unavailable",
    )
