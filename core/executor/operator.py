"""The operator contract. An operator returns its outcome; an exception that leaves it is a surprise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import msgspec

from core.dag.catalog import OperatorSpec
from core.expression import Fuel


class Succeeded(msgspec.Struct, frozen=True):
    """The attempt did its work. `output` is a JSON value, or `msgspec.Raw` with canonical JSON already encoded."""

    output: Any


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt failed. `error_kind` is one of semantics.md S13; `called` False = the operator was never reached.

    `retry_after_s` is the target's wish; it raises the delay, up to the step's `max_delay_s`.
    """

    error_kind: str
    message: str
    data: Any = None
    retry_after_s: float | None = None
    called: bool = True


class Cancelled(msgspec.Struct, frozen=True):
    """The attempt stopped since it was told to."""


Outcome = Succeeded | Failed | Cancelled


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as an operator sees it.

    Attributes:
        instance_id: empty in a dry run, which no store knows of.
        idempotency_key: constant over all attempts of a task (R22). attempt: number from 1.
        parameters: rendered and checked.
        deadline_at: monotonic seconds at which the attempt is ended, None = none.
        heartbeat: call it while working when the step has `heartbeat_s`.
    """

    instance_id: str
    domain_id: str
    task_path: str
    idempotency_key: str
    attempt: int
    parameters: Any
    deadline_at: float | None
    heartbeat: Callable[[], None]


@runtime_checkable
class Operator(Protocol):
    """One kind of work, called at least once per task, always with the same idempotency key."""

    spec: OperatorSpec

    async def execute(self, call: Call) -> Outcome:
        """Do the work of one attempt; must end soon after it is cancelled (`asyncio.CancelledError` is never kept)."""
        ...


class ComputeFailed(Exception):
    """A pure operator cannot give a value: `error_kind` of semantics.md S13 and a sentence."""

    def __init__(self, error_kind: str, message: str) -> None:
        """Keep kind and sentence."""
        super().__init__(message)
        self.error_kind = error_kind
        self.message = message


Compute = Callable[[Any, datetime, Fuel], Any]
"""A pure operator: (rendered parameters, time of the event, fuel) -> JSON value, or `ComputeFailed`."""


class PureOperator(msgspec.Struct, frozen=True):
    """An operator that is a function: evaluated inside a decision, deterministic, bounded by fuel."""

    spec: OperatorSpec
    compute: Compute
