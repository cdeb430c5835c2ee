"""The transition table of tasks: each arrow names its event (dag-language.md 6). An arrow that is not here is a bug."""

from __future__ import annotations

from core.engine import events as e
from core.engine import permit_events as p
from core.engine import rerun_events as r
from core.engine.state import InstanceStatus, TaskStatus
from core.engine.statuses import (
    INSTANCE_CANCELLING,
    INSTANCE_PAUSED,
    INSTANCE_QUEUED,
    INSTANCE_RUNNING,
    INSTANCE_WAITING,
    TASK_CANCELLED,
    TASK_FAILED,
    TASK_PENDING,
    TASK_READY,
    TASK_RETRYING,
    TASK_RUNNING,
    TASK_SKIPPED,
    TASK_SUCCEEDED,
    TASK_UNKNOWN,
    TASK_WAITING,
)

_PENDING, _READY, _RUNNING = TASK_PENDING, TASK_READY, TASK_RUNNING
_RETRYING, _WAITING, _UNKNOWN = TASK_RETRYING, TASK_WAITING, TASK_UNKNOWN
# What a person may settle (S43); a running task is settled by its attempt or its lists alone.
SETTLED_BY_HAND = frozenset({_PENDING, _READY, _RETRYING, _WAITING, _UNKNOWN})
RETRIED_BY_HAND = frozenset({_RETRYING, _UNKNOWN})
_OPEN = SETTLED_BY_HAND | {_RUNNING}

TASK_MOVES: dict[type[e.Event], tuple[frozenset[TaskStatus], TaskStatus]] = {
    e.TaskSkipped: (SETTLED_BY_HAND, TASK_SKIPPED),
    e.TaskReadied: (frozenset({_PENDING}), _READY),
    e.TaskRequeued: (RETRIED_BY_HAND, _READY),
    e.AttemptStarted: (frozenset({_READY}), _RUNNING),
    e.AttemptLost: (frozenset({_RUNNING}), _RETRYING),
    e.AttemptUnknown: (frozenset({_RUNNING}), _UNKNOWN),
    e.AttemptFailed: (frozenset({_RUNNING}), _RETRYING),
    e.ContainerEntered: (frozenset({_PENDING}), _RUNNING),
    e.WaitBegun: (frozenset({_PENDING}), _WAITING),
    e.TaskSucceeded: (_OPEN, TASK_SUCCEEDED),
    e.TaskFailed: (_OPEN, TASK_FAILED),
    e.TaskCancelled: (_OPEN, TASK_CANCELLED),
    r.TaskReused: (frozenset({_PENDING}), TASK_SUCCEEDED),
    r.SkipReused: (frozenset({_PENDING}), TASK_SKIPPED),
    r.FailureReused: (frozenset({_PENDING}), TASK_FAILED),
    r.CancelReused: (frozenset({_PENDING}), TASK_CANCELLED),
}

_LIVE = frozenset({INSTANCE_RUNNING, INSTANCE_WAITING, INSTANCE_CANCELLING})
_PAUSED = frozenset({INSTANCE_PAUSED})
_QUEUED = frozenset({INSTANCE_QUEUED})

INSTANCE_MOVES: dict[type[e.Event], frozenset[InstanceStatus]] = {
    e.InstanceStarted: _QUEUED,
    r.RerunBegun: frozenset({INSTANCE_RUNNING}),
    e.ChildBegun: frozenset({INSTANCE_RUNNING}),
    p.PriorityGiven: frozenset({INSTANCE_RUNNING}),
    e.InstanceClosing: _LIVE | _PAUSED,
    e.InstanceWaiting: frozenset({INSTANCE_RUNNING}),
    e.InstanceWoken: frozenset({INSTANCE_WAITING}),
    e.InstanceConcluded: _LIVE,
    e.HookEntered: _LIVE,
    e.HookEnded: _LIVE,
    e.SignalReceived: _LIVE | _PAUSED | _QUEUED,
    e.SignalTaken: _LIVE | _PAUSED,
    e.CallbacksOpened: frozenset({INSTANCE_RUNNING}),
    e.InstanceEnded: (_LIVE | _PAUSED | _QUEUED) - {INSTANCE_WAITING},
    e.InstanceActed: _LIVE | _PAUSED | _QUEUED,
    e.InstancePaused: frozenset({INSTANCE_RUNNING, INSTANCE_WAITING}),
    e.PauseCounted: _PAUSED,
    e.InstanceResumed: _PAUSED,
    p.InstanceGated: frozenset({INSTANCE_RUNNING}),
    p.InstanceAdmitted: _QUEUED,
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
