"""What stands in the way, as it travels: the same shape in `/why` and in problem documents."""

from __future__ import annotations

from typing import Any

import msgspec

from core.engine.values import stamp
from core.predicate import HolderKind, Predicate


class PredicateBody(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps a task, an instance or a request: its value, who holds it, what is expected, and when.

    `at` is the latest time at which it is expected, null when nobody knows.
    """

    name: str
    value: Any
    holder_kind: HolderKind
    holder: str | None
    next: str
    at: str | None


def predicate_body(one: Predicate) -> PredicateBody:
    """Show what stands in the way."""
    return PredicateBody(
        name=one.name, value=one.value, holder_kind=one.holder_kind, holder=one.holder, next=one.next,
        at=None if one.at is None else stamp(one.at),
    )  # fmt: skip
