"""Where an instance, and a task, can stand (dag-language.md 6)."""

from __future__ import annotations

import enum


class InstanceStatus(enum.StrEnum):
    """Life of an instance (dag-language.md 6)."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    __hash__ = str.__hash__  # an enum's own hashes its name in Python: half of a lookup in a set of statuses

    @property
    def is_terminal(self) -> bool:
        """Say whether nothing leaves this status."""
        return self in _ENDED


_ENDED = frozenset({InstanceStatus.SUCCEEDED, InstanceStatus.FAILED, InstanceStatus.CANCELLED})


class TaskStatus(enum.IntEnum):
    """Life of a task (dag-language.md 6); the numbers are stored. Those from SUCCEEDED on are terminal."""

    PENDING = 0
    READY = 1
    RUNNING = 2
    RETRYING = 3
    WAITING = 4
    UNKNOWN = 5
    SUCCEEDED = 10
    FAILED = 11
    SKIPPED = 12
    CANCELLED = 13
    __hash__ = int.__hash__

    @property
    def is_terminal(self) -> bool:
        """Say whether nothing leaves this status."""
        return self >= TaskStatus.SUCCEEDED
