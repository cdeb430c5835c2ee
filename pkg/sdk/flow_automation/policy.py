"""Policies of steps and DAGs (dag-language.md 1 and 2), typed as the documents write them; units are in the names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

ErrorKind = Literal[
    "failed",
    "timeout",
    "unavailable",
    "exhausted",
    "invalid",
    "not_found",
    "unauthenticated",
    "forbidden",
    "conflict",
    "resource",
]
"""Kinds that may be tried again (semantics.md S13)."""
Join = Literal["all_succeeded", "none_failed", "any_succeeded", "all_done"]
DagType = Literal["workflow", "data-flow", "operator", "security-policy"]
JsonSchema = dict[str, Any]


class Retry(TypedDict, total=False):
    """When a failed attempt is followed by another; `max_attempts` counts the first."""

    max_attempts: int
    delay_s: float
    backoff: float
    max_delay_s: float
    jitter: Literal["none", "full"]
    on: list[ErrorKind]


class Timeout(TypedDict, total=False):
    """The four timeouts in seconds (semantics.md S15)."""

    attempt_s: float
    total_s: float
    queue_s: float
    heartbeat_s: float


class Cache(TypedDict):
    """Reuse of a succeeded output; without `key` the parameters are the key."""

    ttl_s: float
    key: NotRequired[object]


class StepConcurrency(TypedDict):
    """At most `max` tasks at once with this key's text, across instances."""

    max: int
    key: NotRequired[object]


class Concurrency(TypedDict):
    """How many instances of the DAG run at once per key (semantics.md S46)."""

    max: int
    key: NotRequired[object]
    on_limit: NotRequired[Literal["queue", "skip", "cancel_running", "reject"]]


class Settings(TypedDict, total=False):
    """Settings of all instances; hooks are `Dag.on_failure` and `Dag.on_finish`.

    `labels` are what an instance is found by: texts, or expressions over inputs, constants and the trigger.
    """

    timeout_s: float
    priority: int
    concurrency: Concurrency
    retention_days: int
    labels: Mapping[str, object]


class Trigger(TypedDict):
    """One rule that starts instances."""

    id: str
    operator: str
    parameters: NotRequired[dict[str, Any]]
