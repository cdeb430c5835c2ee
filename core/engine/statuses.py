"""Where an instance, and a task, can stand (dag-language.md 6)."""

from __future__ import annotations

import enum
from typing import Final


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


INSTANCE_STATUSES: Final = {status.value: status for status in InstanceStatus}  # the class itself takes 0.3 us for one
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
        return self >= TASK_SUCCEEDED


# The members under names of their own: on Python 3.11 an enum's metaclass takes 0.1 us to give one, ten times
# as long as a module takes, and a decision asks for dozens (bench/NOTES.md).
INSTANCE_QUEUED: Final = InstanceStatus.QUEUED
INSTANCE_RUNNING: Final = InstanceStatus.RUNNING
INSTANCE_WAITING: Final = InstanceStatus.WAITING
INSTANCE_PAUSED: Final = InstanceStatus.PAUSED
INSTANCE_CANCELLING: Final = InstanceStatus.CANCELLING
INSTANCE_SUCCEEDED: Final = InstanceStatus.SUCCEEDED
INSTANCE_FAILED: Final = InstanceStatus.FAILED
INSTANCE_CANCELLED: Final = InstanceStatus.CANCELLED

TASK_PENDING: Final = TaskStatus.PENDING
TASK_READY: Final = TaskStatus.READY
TASK_RUNNING: Final = TaskStatus.RUNNING
TASK_RETRYING: Final = TaskStatus.RETRYING
TASK_WAITING: Final = TaskStatus.WAITING
TASK_UNKNOWN: Final = TaskStatus.UNKNOWN
TASK_SUCCEEDED: Final = TaskStatus.SUCCEEDED
TASK_FAILED: Final = TaskStatus.FAILED
TASK_SKIPPED: Final = TaskStatus.SKIPPED
TASK_CANCELLED: Final = TaskStatus.CANCELLED
