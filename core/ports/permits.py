"""Permits: who runs behind a gate, who waits there, and in which order (semantics.md S16, S46; engine.md 6; ADR 0030).

A holder is an instance (task path "") or one of its tasks. It has at most one row at a gate, which is held or waits.
Rows are written by the commits of the holder's instance (`InstanceChange.permits`), in the order of its decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

LINE_ROWS_MAX = 1_000  # of a gate that are read at once
SOURCE = "gate"  # of inbox rows that a gate writes; their key is the holder's task path
KIND_GRANTED = "granted"  # the holder waited, and has its permit now
KIND_DISPLACED = "displaced"  # a newer instance takes this one's place (`cancel_running`)


class Gate(msgspec.Struct, frozen=True, array_like=True):
    """What is limited: `dag:<id>`, `step:<dag id>:<step id>` or `key`, and the rendered key (without one: "")."""

    domain_id: str
    limit: str
    key: str


class GateView(msgspec.Struct, frozen=True, array_like=True):
    """How a gate stands: permits held, and the highest priority of those who wait; None = nobody does."""

    held: int
    top: int | None


class PermitAct(msgspec.Struct, frozen=True, array_like=True):
    """What a change does at a gate.

    Attributes:
        kind: `take` a permit: there must be a free one, else the change is refused. `wait` in line: when there is a
            free one it is granted at once, by an inbox row. `displace`: wait, and let those before be cancelled, as
            many as needed. `pass`: there must be no free one, else the change is refused; nothing is written. `leave`:
            permit or place in line is given up, whichever is there, and free ones are handed on.
        most: the holder's own bound, which it never goes above. priority: higher ones go first, then the earlier
            `since`.
    """

    kind: Literal["take", "wait", "displace", "pass", "leave"]
    gate: Gate
    task_path: str
    most: int
    priority: int
    since: datetime


class PermitRow(msgspec.Struct, frozen=True, array_like=True):
    """One holder at a gate: it holds a permit, or waits for one."""

    gate: Gate
    instance_id: str
    task_path: str
    shard: int
    most: int
    priority: int
    since: datetime
    is_held: bool


def is_free(view: GateView, most: int, priority: int) -> bool:
    """Say whether one who comes now may take a permit: there is one, and nobody waits who goes first."""
    return view.held < most and (view.top is None or view.top < priority)


def after_act(view: GateView, act: PermitAct) -> GateView | None:
    """Give the view after an act that was decided upon it; None = only the store knows who got what was given up."""
    if act.kind == "take":
        return GateView(view.held + 1, view.top)
    if act.kind == "pass":
        return view
    if act.kind == "leave":
        return None if view.top is not None else GateView(view.held - 1, None)
    return GateView(view.held, act.priority if view.top is None else max(view.top, act.priority))


@runtime_checkable
class PermitStore(Protocol):
    """Reads gates. Raises StoreUnavailable, StoreTimeout: they could not be read."""

    async def views(self, gates: Sequence[Gate]) -> list[GateView]:
        """Say how gates stand, in the order asked; one that nobody is at has no row and is free."""
        ...

    async def line(self, gate: Gate, *, limit: int) -> list[PermitRow]:
        """List who is at a gate: holders first, then those who wait; each in the order (priority, since, holder).

        `limit` is 1..LINE_ROWS_MAX; ValueError else.
        """
        ...

    async def of_instance(self, instance_id: str) -> list[PermitRow]:
        """List the rows of an instance and its tasks, at most LINE_ROWS_MAX, by task path."""
        ...
