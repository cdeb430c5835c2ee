"""The use case of a dry run: inputs, decisions in slices beside other work, what history says, the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from core.access.dag_access import DagAccess
from core.dag.plan import Plan
from core.engine import effects as x
from core.engine import stimuli as s
from core.engine.dry_run.answer import DryRun, Outcome, StepForecast, StepLine
from core.engine.dry_run.fates import Fates, steps_in_order
from core.engine.dry_run.limits import run_limits
from core.engine.dry_run.lines import Lines
from core.engine.dry_run.past_runs import Past, PastRuns
from core.engine.dry_run.rehearsal import Given, Rehearsal, finished
from core.engine.inputs import completed
from core.engine.node.attempts import idempotency_key
from core.engine.node.computing import compute
from core.engine.node.terms import AttemptRunner
from core.engine.origin import priority_of
from core.engine.state import InstanceStatus
from core.engine.statuses import INSTANCE_CANCELLED, INSTANCE_FAILED, INSTANCE_SUCCEEDED
from core.errors import QueueFull, RequestInvalid
from core.executor.operator import Failed, Succeeded
from core.executor.pipeline import AttemptRequest
from core.ports.clock import Clock
from core.ports.scope import Scope
from core.predicate import full_node

RUN_S_MAX = 5.0  # of deciding and evaluating: a person waits for the answer
CALLS_MAX = 1_000  # of operators in one dry run: each has its share of RUN_S_MAX
AT_ONCE_MAX = 4  # dry runs of one node: each holds up to 64 MiB of values
ANSWER_BYTES_MAX = 1_048_576
HEAD_BYTES = 131_072  # of an answer beside its lines: outputs, bindings, the ids of 50 instances

_OUTCOMES: Mapping[InstanceStatus, Outcome] = {
    INSTANCE_SUCCEEDED: "succeeded",
    INSTANCE_FAILED: "failed",
    INSTANCE_CANCELLED: "cancelled",
}


class Rehearsing:
    """Rehearses plans. Without `attempts` no operator is called, whatever it declares."""

    def __init__(self, clock: Clock, *, attempts: AttemptRunner | None = None, attempts_max: int | None = None) -> None:
        """Take time, who makes attempts, and how many a node makes at once (None = not known)."""
        self._clock = clock
        self._attempts = attempts
        self._attempts_max = attempts_max

    async def run(
        self, plan: Plan, inputs: Any, given: Given, past: Past, *, domain_id: str = "", status: str = "normal",
        priority: int | None = None,
    ) -> DryRun:  # fmt: skip
        """Say what would run. Nothing is committed; called are operators that declare it safe (`dry_run: runs`).

        Raises:
            InputInvalid: the inputs miss the schema. RequestInvalid: `given` names no step; `faults` lists all.
        """
        complete = completed(plan, inputs)
        wrong = given.faults(plan)
        if wrong:
            raise RequestInvalid(f"faults in what is given to the dry run: {len(wrong)}", faults=wrong[:100])
        rehearsal = Rehearsal(
            plan, given, inputs=complete, now=self._clock.now(), domain_id=domain_id, priority=priority
        )
        until = self._clock.monotonic() + RUN_S_MAX
        await self._rehearse(rehearsal, until)
        lines, told = await self._lines(rehearsal, past.steps, until)
        return self._answer(rehearsal, lines, told, past, status)

    async def _rehearse(self, rehearsal: Rehearsal, until: float) -> None:
        calls_left = CALLS_MAX
        rehearsal.step()  # the start, before any clock is looked at: everything else stands on it
        while True:
            if self._clock.monotonic() >= until:
                rehearsal.is_cut = True
                return
            attempt = rehearsal.next_unanswered()
            if attempt is None:
                if not rehearsal.step():
                    return
            elif calls_left:
                result = await self._outcome(rehearsal, attempt, until)
                if result is not None:
                    calls_left -= 1
                    rehearsal.settle(attempt, result)
            await asyncio.sleep(0)  # others have their turn between two decisions

    async def _outcome(
        self, rehearsal: Rehearsal, attempt: x.StartAttempt, until: float
    ) -> s.Finished | Failed | None:  # fmt: skip
        """Give the outcome of an attempt that changes nothing anywhere; None = it is not known."""
        node = rehearsal.node_of(attempt)
        parameters = rehearsal.load(attempt.parameters)
        if node.kind == "pure":
            outcome = await compute(node, parameters, rehearsal.now)
            return outcome if isinstance(outcome, Failed) else finished(node, _output(outcome))
        spec = node.operator
        if self._attempts is None or spec.dry_run != "runs":
            return None
        request = AttemptRequest(
            instance_id="",
            domain_id=rehearsal.state.header.domain_id,
            task_path=attempt.task_path,
            idempotency_key=idempotency_key("", attempt.task_path),
            attempt=attempt.number,
            operator=spec.name,
            parameters=parameters,
            timeout=node.timeout,
            output_faults=node.output_faults,
        )
        # A task of its own, as the pipeline asks; what has not ended by then is not known.
        task = asyncio.create_task(self._attempts.run(request))
        await asyncio.wait((task,), timeout=max(0.0, until - self._clock.monotonic()))
        task.cancel()  # does nothing to one that has ended
        await asyncio.wait((task,))
        ended = None if task.cancelled() else task.result()
        if isinstance(ended, Succeeded):
            return finished(node, _output(ended))
        # One that was never reached says nothing of how a run ends.
        return ended if isinstance(ended, Failed) and ended.called else None

    async def _lines(
        self, rehearsal: Rehearsal, forecasts: Mapping[str, StepForecast], until: float
    ) -> tuple[list[StepLine], Lines]:
        fates = Fates(rehearsal)
        told = Lines(rehearsal, fates, forecasts)
        lines = []
        for node, depth in steps_in_order(rehearsal.plan):
            fates.is_evaluating = self._clock.monotonic() < until
            lines.append(told.line(node, depth))
            await asyncio.sleep(0)
        return lines, told

    def _answer(
        self, rehearsal: Rehearsal, lines: list[StepLine], told: Lines, past: Past, status: str
    ) -> DryRun:  # fmt: skip
        header, plan = rehearsal.state.header, rehearsal.plan
        outputs, outputs_bytes = told.stored(header.outputs)
        error, _ = told.stored(header.error)
        kept = within(lines, ANSWER_BYTES_MAX - HEAD_BYTES)
        return DryRun(
            dag_id=plan.dag_id,
            version=plan.version,
            dag_status=status,
            outcome=_OUTCOMES.get(header.status, "unknown"),
            outputs=outputs,
            outputs_bytes=outputs_bytes,
            error=error,
            is_complete=not rehearsal.is_cut,
            steps=tuple(kept),
            left_out=len(lines) - len(kept),
            limits=run_limits(
                plan,
                lines,
                priority=priority_of(plan, header.priority),
                open_attempts=rehearsal.open_attempts_count,
                attempts_max=self._attempts_max,
            ),
            forecast=past.forecast,
            no_forecast=past.reason,
        )


class DryRuns:
    """Dry runs of stored DAGs."""

    def __init__(self, dags: DagAccess, past: PastRuns, rehearsing: Rehearsing) -> None:
        """Take who knows the DAGs, their history, and who rehearses."""
        self._dags = dags
        self._past = past
        self._rehearsing = rehearsing
        self._count = 0

    async def run(
        self, scope: Scope, dag_id: str, inputs: Any, given: Given, *, version: str | None = None,
        priority: int | None = None,
    ) -> DryRun:  # fmt: skip
        """Say what a start with these inputs would run; of a stopped DAG, too.

        Raises:
            NotAllowed: `dag:run` is missing. DagNotFound: no such DAG or version in this business domain.
            InputInvalid: the inputs miss the schema. RequestInvalid: `given` names no step; `faults` lists all.
            QueueFull: AT_ONCE_MAX dry runs are going on.
        """
        runnable = await self._dags.runnable(scope, dag_id, version)
        if self._count >= AT_ONCE_MAX:
            bound = full_node("dry_runs", self._count, AT_ONCE_MAX, "one of them ends")
            raise QueueFull(f"{AT_ONCE_MAX} dry runs are going on", bound)
        self._count += 1
        try:
            past = await self._past.forecast(scope, dag_id, runnable.version)
            return await self._rehearsing.run(
                runnable.plan, inputs, given, past, domain_id=scope.domain_id, status=runnable.status,
                priority=priority,
            )  # fmt: skip
        finally:
            self._count -= 1


def within(lines: list[StepLine], bytes_max: int) -> list[StepLine]:
    """Give the first lines that fit into so many bytes."""
    left = bytes_max
    for position, line in enumerate(lines):
        left -= len(msgspec.json.encode(line))
        if left < 0:
            return lines[:position]
    return lines


def _output(outcome: Any) -> Any:
    return msgspec.json.decode(outcome.output) if isinstance(outcome.output, msgspec.Raw) else outcome.output
