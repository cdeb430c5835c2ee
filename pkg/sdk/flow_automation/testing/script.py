"""Operators as a test scripts them: `when("@http/request").at("fetch").fails("unavailable").returns({...})`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

import msgspec

from core.dag.catalog import OperatorSpec
from core.executor.operator import Call, Failed, Operator, Outcome, Succeeded
from flow_automation.expression import rendered
from flow_automation.policy import ErrorKind
from flow_automation.testing.call_book import CallBook, CallRecord

ANSWERS_COUNT_MAX = 10_000  # of one script; more is `returns_from` with a function


class ScriptError(Exception):
    """A script that cannot be meant: too many answers, or an output that is no JSON value."""


class _Answer(msgspec.Struct):
    delay_s: float = 0.0
    outcome: Callable[[CallRecord], Outcome] | None = None


class Script:
    """What an operator answers, call by call of one task; the last answer goes on for ever.

    Without answers it gives `{}`. Of several scripts that fit a call the newest counts.
    """

    def __init__(self, operator: str) -> None:
        self._operator = operator
        self._place: str | None = None
        self._answers: list[_Answer] = []

    def at(self, step: str) -> Self:
        """Answer only this step's calls: its id, or the whole path of one task (`regions.2.book`)."""
        self._place = step
        return self

    def returns(self, output: Any) -> Self:
        """Succeed with an output.

        Raises:
            ScriptError: it is no JSON value.
        """
        try:
            value = rendered(output)
        except TypeError as fault:
            raise ScriptError(str(fault)) from fault
        return self._add(lambda _call: Succeeded(value))

    def returns_from(self, compute: Callable[[CallRecord], Any]) -> Self:
        """Succeed with what a function of the call gives, for outputs that depend on parameters or attempt."""
        return self._add(lambda call: Succeeded(compute(call)))

    def fails(
        self,
        kind: ErrorKind = "failed",
        message: str = "as scripted",
        *,
        times: int = 1,
        retry_after_s: float | None = None,
    ) -> Self:
        """Fail so many times in a row; only when nothing follows for ever."""
        for _ in range(times):
            self._add(lambda _call: Failed(error_kind=kind, message=message, retry_after_s=retry_after_s))
        return self

    def delays(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> Self:
        """Let virtual time pass before the answer that follows."""
        delay_s = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        self._append(_Answer(delay_s=delay_s))
        return self

    def fits(self, call: CallRecord) -> bool:
        """Say whether this script is for a call."""
        return self._operator == call.operator and self._place in (None, call.step, call.path)

    async def answer(self, call: CallRecord, calls_before: int) -> Outcome:
        """Give the answer of the task's next call, after its delay."""
        if not self._answers:
            return Succeeded({})
        answer = self._answers[min(calls_before, len(self._answers) - 1)]
        if answer.delay_s > 0:
            await asyncio.sleep(answer.delay_s)
        return Succeeded({}) if answer.outcome is None else answer.outcome(call)

    def _add(self, outcome: Callable[[CallRecord], Outcome]) -> Self:
        if self._answers and self._answers[-1].outcome is None:
            self._answers[-1].outcome = outcome
        else:
            self._append(_Answer(outcome=outcome))
        return self

    def _append(self, answer: _Answer) -> None:
        if len(self._answers) >= ANSWERS_COUNT_MAX:
            raise ScriptError(f"a script has at most {ANSWERS_COUNT_MAX} answers; use returns_from")
        self._answers.append(answer)


class ScriptedOperator:
    """An operator whose calls go to the scripts; what nobody scripted goes to `real`, if there is one."""

    def __init__(
        self, spec: OperatorSpec, scripts: list[Script], book: CallBook, record: Callable[[Call, str], CallRecord],
        real: Operator | None,
    ) -> None:  # fmt: skip
        self.spec = spec
        self._scripts = scripts
        self._book = book
        self._record = record
        self._real = real

    async def execute(self, call: Call) -> Outcome:
        """Do one attempt."""
        record = self._record(call, self.spec.name)
        calls_before = self._book.record(record)
        for script in reversed(self._scripts):
            if script.fits(record):
                return await script.answer(record, calls_before)
        if self._real is not None:
            return await self._real.execute(call)
        place = f'when("{record.operator}").at("{record.step}")'
        return Failed(error_kind="invalid", message=f"nothing is scripted for this call: add {place}.returns(...)")
