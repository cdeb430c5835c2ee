"""The shapes of problem documents, and an example of each bound that a 429 may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from core.errors import Exhausted, QueueFull, RateLimited, SignalsFull, StreamsExhausted
from driver_adapters.http.predicate_wire import PredicateBody
from driver_adapters.http.wire import FaultBody


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What every problem document has (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str


class Problem(_Problem, frozen=True, kw_only=True):
    """A problem document (RFC 9457). `code` is stable; docs/problems explains each. Some have members of their own.

    `why` says what stands in the way, as `/instances/{instance_id}/why` does, where that is known.
    """

    errors: tuple[FaultBody, ...] = ()
    why: tuple[PredicateBody, ...] = ()


class ExhaustedProblem(_Problem, frozen=True, kw_only=True):
    """A problem document of a bound that was reached; nothing was done.

    `why` names the bound, how it stands (`taken` and `most`), who holds what it bounds, and when there may be room.
    """

    why: Annotated[tuple[PredicateBody, ...], msgspec.Meta(min_length=1)]


# An error of this kind without an example fails a test.
BOUND_EXAMPLES: Mapping[type[Exhausted], dict[str, Any]] = {
    QueueFull: {
        "name": "requests_waiting",
        "value": {"taken": 10_000, "most": 10_000},
        "holder_kind": "node",
        "holder": None,
        "next": "a commit answers some of them",
        "at": None,
    },
    RateLimited: {
        "name": "requests",
        "value": {"taken": 600_000, "most": 600_000, "within_s": 60},
        "holder_kind": "key",
        "holder": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
        "next": "the oldest request that is counted no longer is",
        "at": "2026-01-31T08:30:04.002Z",
    },
    SignalsFull: {
        "name": "unread_signals_of_name",
        "value": {"name": "paid", "taken": 100, "most": 100},
        "holder_kind": "instance",
        "holder": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
        "next": "a wait for this name takes one",
        "at": None,
    },
    StreamsExhausted: {
        "name": "streams_of_key",
        "value": {"taken": 10, "most": 10},
        "holder_kind": "key",
        "holder": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B",
        "next": "one of them is closed, or its instance ends",
        "at": None,
    },
}
