"""The transition table of tasks: each arrow names its event (dag-language.md 6). An arrow that is not here is a bug."""

from __future__ import annotations

from core.engine import events as e
from core.engine.state import InstanceStatus, TaskStatus

_OPEN = frozenset({TaskStatus.PENDING, TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.RETRYING, TaskStatus.WAITING})

TASK_MOVES: dict[type[e.Event], tuple[frozenset[TaskStatus], TaskStatus]] = {
    e.TaskSkipped: (frozenset({TaskStatus.PENDING}), TaskStatus.SKIPPED),
    e.TaskReadied: (frozenset({TaskStatus.PENDING}), TaskStatus.READY),
    e.TaskRequeued: (frozenset({TaskStatus.RETRYING}), TaskStatus.READY),
    e.AttemptStarted: (frozenset({TaskStatus.READY}), TaskStatus.RUNNING),
    e.AttemptLost: (frozenset({TaskStatus.RUNNING}), TaskStatus.RETRYING),
    e.AttemptFailed: (frozenset({TaskStatus.RUNNING}), TaskStatus.RETRYING),
    e.ContainerEntered: (frozenset({TaskStatus.PENDING}), TaskStatus.RUNNING),
    e.WaitBegun: (frozenset({TaskStatus.PENDING}), TaskStatus.WAITING),
    e.TaskSucceeded: (
        frozenset({TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.WAITING}),
        TaskStatus.SUCCEEDED,
    ),
    e.TaskFailed: (_OPEN, TaskStatus.FAILED),
    e.TaskCancelled: (_OPEN, TaskStatus.CANCELLED),
}

_LIVE = frozenset({InstanceStatus.RUNNING, InstanceStatus.WAITING, InstanceStatus.CANCELLING})

INSTANCE_MOVES: dict[type[e.Event], frozenset[InstanceStatus]] = {
    e.InstanceStarted: frozenset({InstanceStatus.QUEUED}),
    e.InstanceClosing: _LIVE,
    e.InstanceWaiting: frozenset({InstanceStatus.RUNNING}),
    e.InstanceWoken: frozenset({InstanceStatus.WAITING}),
    e.InstanceConcluded: _LIVE,
    e.HookEntered: _LIVE,
    e.HookEnded: _LIVE,
    e.InstanceEnded: _LIVE - {InstanceStatus.WAITING},
}


class IllegalTransition(AssertionError):
    """A decision or a journal asks for an arrow that the tables do not have: a programming error."""


def moved(event: e.Event, status: TaskStatus) -> TaskStatus:
    """Give the status that `event` leads to from `status`.

    Raises:
        IllegalTransition: the table has no such arrow.
    """
    allowed, target = TASK_MOVES[type(event)]
    if status not in allowed:
        message = f"{type(event).__name__} from {status.name}"
        raise IllegalTransition(message)
    return target


def require_instance(event: e.Event, status: InstanceStatus) -> None:
    """Assert that `event` may happen to an instance in `status`.

    Raises:
        IllegalTransition: the table has no such arrow.
    """
    if status not in INSTANCE_MOVES[type(event)]:
        message = f"{type(event).__name__} from {status}"
        raise IllegalTransition(message)
