"""What keeps something from going on: `/why` tells it of instances, errors tell it of requests that were refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

HolderKind = Literal["task", "operator", "time", "node", "person", "instance", "key", "domain", "address"]


class Predicate(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps a task, an instance or a request.

    Attributes:
        name: which. value: how it stands, JSON; of a bound that was reached an object with `taken` and `most`.
        holder_kind, holder: who can change it, and which one (a task's path, an operator's name, a key's id); None =
            the only one there is, or nobody in particular.
        next: what is expected. at: when at the latest, None = nobody knows.
    """

    name: str
    value: Any
    holder_kind: HolderKind
    holder: str | None
    next: str
    at: datetime | None = None


def full_node(name: str, taken: int, most: int, expected: str) -> Predicate:
    """Say that as many of something are on this node as there may be; `expected` is what makes room."""
    value = {"taken": taken, "most": most}
    return Predicate(name=name, value=value, holder_kind="node", holder=None, next=expected)
