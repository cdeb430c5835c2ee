"""What a dry run answers. Every text and value in it is bounded; secrets are masked as in views of instances."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

StepStatus = Literal["runs", "may run", "evaluated", "skipped"]
Outcome = Literal["succeeded", "failed", "cancelled", "unknown"]


class TaskCounts(msgspec.Struct, frozen=True):
    """How many tasks of a step in a map or loop come to what; items and iterations that were not begun may run.

    How many iterations a `while` would go on for is not known: those not begun are not in it.
    """

    runs: int
    may_run: int
    evaluated: int
    skipped: int


class StepLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bounds of one step; seconds. `retry_wait_s` = all waits between attempts, at most, unless a target asks for more.

    `worst_s` = as long as the step can take, waiting for a place not counted; absent when nothing bounds an attempt.
    `concurrency` = how many tasks run at once, across instances.
    `wait_s`, `wait_until`: how long a wait is, and when it ends (RFC 3339), as far as they are known.
    """

    max_attempts: int | None = None
    attempt_s: float | None = None
    total_s: float | None = None
    queue_s: float | None = None
    heartbeat_s: float | None = None
    retry_wait_s: float | None = None
    worst_s: float | None = None
    concurrency: int | None = None
    max_concurrency: int | None = None
    batch_size: int | None = None
    on_item_error: str | None = None
    max_iterations: int | None = None
    wait_s: float | None = None
    wait_until: str | None = None


class Spread(msgspec.Struct, frozen=True):
    """Half of the samples are at most `p50`, 95 of 100 at most `p95`."""

    p50: float
    p95: float


class StepForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What tasks of a step came to: `tasks_count` of them ended; `duration_s` null when none was called."""

    tasks_count: int
    duration_s: Spread | None
    attempts: Spread
    failure_share: float


class StepLine(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one step.

    Attributes:
        depth: how many steps it stands in. list: the name of its list: empty of the top list, `on_failure` and
            `on_finish` of hooks, a branch's id, `else`, `on_error`, `steps`, `catch`, `finally`.
        status: `runs` = its operator is called, or its lists are entered; `may run` = not decided; `evaluated` =
            decided in the engine without a call; `skipped`.
        outcome: of the task that is shown; unknown = called, and nobody said how that ends. null = none.
        why: of skipped: `when`, `join`, `failing`, `returned`, `branch` (another was taken), `no_failure` (nothing to
            handle), `no_items`, `container` (what it stands in is skipped). waits_for: what decides, of `may run`;
            `instance.outcome` of hooks.
        path: of the task whose parameters, value and error are shown; the first one, in a map.
        tasks: in a map or loop only. items: how many a map has, or iterations of a loop (of one that ended: that ran),
            when they are known.
        attempts: made in the dry run. parameters: as far as they are known; an expression that is not stands there as
            it was written, and what it waits for in `parameters_wait_for`. A value beyond 4 KiB is told by its size.
    """

    step: str
    operator: str
    depth: int
    list: str
    status: StepStatus
    outcome: Outcome | None = None
    why: str | None = None
    waits_for: tuple[str, ...] = ()
    path: str | None = None
    tasks: TaskCounts | None = None
    items: int | None = None
    attempts: int = 0
    parameters: Any = None
    parameters_bytes: int | None = None
    parameters_wait_for: tuple[str, ...] = ()
    value: Any = None
    value_bytes: int | None = None
    error: Any = None
    limits: StepLimits = StepLimits()
    forecast: StepForecast | None = None


class Binding(msgspec.Struct, frozen=True):
    """A bound that this run would meet; `step` null = the instance's."""

    limit: str
    step: str | None
    message: str


class RunLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the instance, and which of all bounds bind. `attempts_max` = of the node, null when it is not known.

    `concurrency` = how many instances of the DAG run at once with this key, null = as many as there are; `on_limit` =
    what one more comes to. Nobody else is at a gate in a dry run.
    """

    timeout_s: float | None
    priority: int
    concurrency: int | None
    on_limit: str | None
    attempts_max: int | None
    binding: tuple[Binding, ...]


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """From the newest instances that succeeded or failed: which ones, how long from acceptance to end.

    `steps_of` of them were read for the steps' forecasts: long journals are not.
    """

    version: str
    instances: tuple[str, ...]
    steps_of: int
    duration_s: Spread
    failure_share: float


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What would run.

    Attributes:
        outcome: of the instance, `unknown` when it hangs on what is not known; `outputs` and `error` with it.
        is_complete: False when a bound of dry runs ended this one early: `may run` then also means not looked at.
        left_out: steps that found no place in an answer of 1 MiB.
        forecast: null with `no_forecast` saying why.
    """

    dag_id: str
    version: str
    dag_status: str
    outcome: Outcome
    outputs: Any
    outputs_bytes: int | None
    error: Any
    is_complete: bool
    steps: tuple[StepLine, ...]
    left_out: int
    limits: RunLimits
    forecast: Forecast | None
    no_forecast: str | None
