"""A DAG as its document says it: typed, checked, not yet compiled."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from core.dag.catalog import JsonSchema, Retry, Timeout

Join = Literal["all_succeeded", "none_failed", "any_succeeded", "all_done"]


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One branch of `@control/branch` (with `when`) or `@control/parallel` (without); `pointer` as in `Step`."""

    id: str
    steps: tuple[Step, ...]
    when: str | None = None
    pointer: str = ""


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """Reuse of a succeeded output with the same key; `key` None = hash of the parameters."""

    ttl_s: float
    key: str | None = None


class StepConcurrency(msgspec.Struct, frozen=True, kw_only=True):
    """At most `max` tasks at once with this key text, across instances."""

    max: int
    key: str | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `pointer` is its JSON pointer in the document.

    `parameters` holds what is not nested lists: for control operators the lists stand in `lists`, by name
    (`steps`, `catch`, `finally`, `else`), and `branches`. `depends_on` None = the step before it.
    """

    id: str
    operator: str
    pointer: str
    title: str = ""
    parameters: dict[str, Any] = {}
    depends_on: tuple[str, ...] | None = None
    when: str | None = None
    join: Join = "all_succeeded"
    retry: Retry | None = None
    timeout: Timeout | None = None
    on_error: Literal["fail", "continue"] | tuple[Step, ...] = "fail"
    at_most_once: bool = False
    cache: Cache | None = None
    concurrency: StepConcurrency | None = None
    output_schema: JsonSchema | None = None
    breakpoint: bool = False
    branches: tuple[Branch, ...] = ()
    lists: dict[str, tuple[Step, ...]] = {}


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """One stored trigger rule of the document; `pointer` as in `Step`."""

    id: str
    operator: str
    parameters: dict[str, Any] = {}
    pointer: str = ""


class Concurrency(msgspec.Struct, frozen=True, kw_only=True):
    """How many instances of this DAG run at once per key (semantics.md S46)."""

    max: int
    key: str | None = None
    on_limit: Literal["queue", "skip", "cancel_running", "reject"] = "queue"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of all instances of the DAG; `labels` are texts or templates by name."""

    timeout_s: float | None = None
    priority: int = 3
    concurrency: Concurrency | None = None
    retention_days: int | None = None
    labels: dict[str, str] = {}
    on_failure: tuple[Step, ...] = ()
    on_finish: tuple[Step, ...] = ()


class Dag(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed DAG document."""

    title: str
    steps: tuple[Step, ...]
    description: str = ""
    type: Literal["workflow", "data-flow", "operator", "security-policy"] = "workflow"
    status: Literal["normal", "stopped"] = "normal"
    tags: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    inputs: JsonSchema | None = None
    vars: dict[str, Any] = {}
    outputs: Any = None
    settings: Settings = Settings()
    version: str | None = None
    change_log: str = ""
