"""Journal events of limits: who runs, and who waits in line (semantics.md S16, S46)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from core.engine.permit import Permit
from core.engine.state import Timer


class _Event(msgspec.Struct, frozen=True, array_like=True):
    """What all events share: the way they are encoded."""


class PriorityGiven(_Event, frozen=True, tag=75):
    """The start has a priority of its own, 1 lowest .. 5 highest; without this event it is the DAG's (ADR 0044)."""

    priority: int


class InstanceGated(_Event, frozen=True, tag=76):
    """The instance that started holds a permit, or waits for one: then it is `queued`, and has not begun."""

    permit: Permit


class InstanceAdmitted(_Event, frozen=True, tag=77):
    """queued -> running: the permit was granted; `timer` is that of `settings.timeout_s`."""

    at: datetime
    timer: Timer | None


class TaskGated(_Event, frozen=True, tag=78):
    """The ready task holds a permit, or waits for one and stays ready."""

    frame: str
    index: int
    permit: Permit


class TaskAdmitted(_Event, frozen=True, tag=79):
    """The ready task got the permit that it waited for."""

    frame: str
    index: int


PermitEvent = PriorityGiven | InstanceGated | InstanceAdmitted | TaskGated | TaskAdmitted
