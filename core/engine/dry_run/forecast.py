"""From what came before: how long steps took, how many attempts they needed, how often they failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.engine.dry_run.answer import Spread, StepForecast
from core.engine.timeline import TaskSpan


class StepSamples:
    """What the tasks of one step came to."""

    def __init__(self) -> None:
        """Begin without any."""
        self.durations_s: list[float] = []
        self.attempts: list[float] = []
        self.failures_count = 0

    def take(self, span: TaskSpan) -> None:
        """Count a task that succeeded or failed."""
        self.attempts.append(float(len(span.attempts)))
        self.failures_count += span.status == "failed"
        if span.started_at is not None and span.ended_at is not None:
            self.durations_s.append(max(0.0, (span.ended_at - span.started_at).total_seconds()))

    def forecast(self) -> StepForecast:
        """Give what they say."""
        return StepForecast(
            tasks_count=len(self.attempts),
            duration_s=spread(self.durations_s) if self.durations_s else None,
            attempts=spread(self.attempts),
            failure_share=round(self.failures_count / len(self.attempts), 4),
        )


def step_forecasts(spans: Iterable[TaskSpan]) -> Mapping[str, StepForecast]:
    """Give a forecast for each step of which a task succeeded or failed."""
    samples: dict[str, StepSamples] = {}
    for span in spans:
        if span.status in ("succeeded", "failed"):
            samples.setdefault(span.step, StepSamples()).take(span)
    return {step: found.forecast() for step, found in samples.items()}


def spread(samples: Sequence[float]) -> Spread:
    """Give the percentiles of at least one sample, each one of the samples (nearest rank)."""
    ordered = sorted(samples)
    count = len(ordered)
    return Spread(ordered[-(-count // 2) - 1], ordered[-(-count * 95 // 100) - 1])
