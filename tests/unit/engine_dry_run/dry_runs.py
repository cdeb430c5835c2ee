"""Dry runs of documents written in the tests: no loop but their own, a clock that stands still or runs as told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from core.engine.dry_run.answer import StepForecast
from core.engine.dry_run.past_runs import NO_SERVER, Past
from core.engine.dry_run.rehearsal import Given, GivenError
from core.engine.dry_run.service import Rehearsing
from core.executor.operator import Outcome
from core.executor.pipeline import AttemptRequest
from tests.unit.engine.plans import plan_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Lines = dict[str, dict[str, Any]]


class TickingClock:
    """Each look at the monotonic clock takes `tick_s`."""

    def __init__(self, tick_s: float = 0.0) -> None:
        self.tick_s = tick_s
        self._monotonic = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        self._monotonic += self.tick_s
        return self._monotonic

    async def sleep_until(self, monotonic_at: float) -> None:
        raise AssertionError(f"a dry run waits for nothing, and this one for {monotonic_at}")


class ScriptedAttempts:
    """Gives one outcome after another; None = none ever comes."""

    def __init__(self, *outcomes: Outcome | None) -> None:
        self.requests: list[AttemptRequest] = []
        self._outcomes = list(outcomes)

    async def run(self, request: AttemptRequest) -> Outcome:
        self.requests.append(request)
        outcome = self._outcomes.pop(0)
        if outcome is None:
            await asyncio.Event().wait()
        assert outcome is not None
        return outcome


def dry_run(
    text: str,
    inputs: Any = None,
    *,
    outputs: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    attempts: ScriptedAttempts | None = None,
    clock: TickingClock | None = None,
    attempts_max: int | None = None,
    steps: Mapping[str, StepForecast] | None = None,
) -> Any:
    """Plan a document; gives the answer as JSON, its steps by id."""
    given = Given(outputs or {}, {name: GivenError(kind) for name, kind in (errors or {}).items()})
    rehearsing = Rehearsing(clock or TickingClock(), attempts=attempts, attempts_max=attempts_max)
    past = Past(None, steps or {}, NO_SERVER)
    answer = asyncio.run(rehearsing.run(plan_of(text), {} if inputs is None else inputs, given, past))
    told: Any = msgspec.json.decode(msgspec.json.encode(answer))
    return {**told, "steps": {line["step"]: line for line in told["steps"]}}


def fates(answer: Any) -> dict[str, str]:
    """Status by step, with what explains it."""
    return {step: line["status"] + (f"/{line['why']}" if line["why"] else "") for step, line in answer["steps"].items()}
