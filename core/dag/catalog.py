"""What the language needs to know of an operator: its declaration, not its code (that is `core.executor`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

JsonSchema = dict[str, Any]

RETRIED_KINDS_DEFAULT = ("failed", "timeout", "unavailable", "exhausted")  # semantics.md S13


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """When a failed attempt is followed by another (semantics.md S14). `on` = exactly these error kinds."""

    max_attempts: int = 3
    delay_s: float = 1.0
    backoff: float = 2.0
    max_delay_s: float = 300.0
    jitter: Literal["none", "full"] = "full"
    on: tuple[str, ...] = RETRIED_KINDS_DEFAULT


class Timeout(msgspec.Struct, frozen=True, kw_only=True):
    """The four timeouts in seconds; None = none (semantics.md S15)."""

    attempt_s: float | None = None
    total_s: float | None = None
    queue_s: float | None = None
    heartbeat_s: float | None = None


NO_RETRY = Retry(max_attempts=1)
NO_TIMEOUT = Timeout()


class OperatorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The declaration of one operator.

    Attributes:
        name: as a step names it, `@http/request`.
        version: of its behaviour; part of a cache key.
        kind: `control` is the engine's own; `pure` is computed inside a decision (0 attempts, no commit of its own);
            `attempt` is called through the attempt pipeline, at least once.
        parameters: JSON Schema of the rendered parameters.
        output: JSON Schema of the output.
        expression_fields: JSON pointers into the parameters, `*` for any element, whose text is bare CEL on `item` and
            `index`, not a template (`/map`, `/filter`).
        literal_fields: JSON pointers of texts that are never rendered, whatever braces are in them: programs, into
            which no value of a run may be written.
        unavailable_values: parameter, value of it that this process cannot run, and why; refused when a DAG is saved.
        is_available: False for operators that the language knows and this release cannot run.
        secrets_in: JSON pointers of parameters in which `secrets.` and `connections.` may be read.
        dry_run: `runs` = may be called in a dry run, since nobody would notice; `skips` = its outcome is unknown there.
    """

    name: str
    title: str = ""
    version: str = "1"
    kind: Literal["control", "pure", "attempt"]
    parameters: JsonSchema
    output: JsonSchema
    retry: Retry = NO_RETRY
    timeout: Timeout = NO_TIMEOUT
    has_side_effects: bool = True
    is_available: bool = True
    expression_fields: tuple[str, ...] = ()
    literal_fields: tuple[str, ...] = ()
    unavailable_values: tuple[tuple[str, str, str], ...] = ()
    secrets_in: tuple[str, ...] = ()
    dry_run: Literal["runs", "skips"] = "skips"

    @property
    def verbatim_fields(self) -> tuple[str, ...]:
        """Give the pointers of texts that are no templates."""
        return self.expression_fields + self.literal_fields


Catalog = Mapping[str, OperatorSpec]
