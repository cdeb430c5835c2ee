"""Every call of an operator as the other side saw it, and what must never be in such a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

CALLS_COUNT_MAX = 1_000_000  # about 500 MB; no test needs more to show what it shows


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call of an operator.

    Attributes:
        operator: its name. path: of the task (`fan.2.work`). step: its last part, the step's id.
        attempt: number from 1. key: the idempotency key, constant over the attempts of a task.
        parameters: rendered. at: virtual time, aware UTC.
    """

    instance_id: str
    operator: str
    path: str
    step: str
    attempt: int
    key: str
    parameters: Any
    at: datetime


class TooManyCallsError(Exception):
    """CALLS_COUNT_MAX operators were called."""


class CallBook:
    """Calls in their order; `faults` says what was wrong with one at the moment it was made.

    Args:
        is_started: whether the start of this attempt is durable. has_ended: whether its task has ended durably.
    """

    def __init__(self, is_started: Callable[[str, str, int], bool], has_ended: Callable[[str, str], bool]) -> None:
        self.calls: list[CallRecord] = []
        self.faults: list[str] = []
        self._is_started = is_started
        self._has_ended = has_ended
        self._keys: dict[tuple[str, str], str] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._attempts: set[tuple[str, str, int]] = set()

    def record(self, call: CallRecord) -> int:
        """Write a call down before anything of it is done.

        Returns:
            How many calls of this task came before it.

        Raises:
            TooManyCallsError: nothing was written.
        """
        if len(self.calls) >= CALLS_COUNT_MAX:
            raise TooManyCallsError
        place = (call.instance_id, call.path)
        self.calls.append(call)
        self._check(call, place)
        self._counts[place] += 1
        return self._counts[place] - 1

    def _check(self, call: CallRecord, place: tuple[str, str]) -> None:
        told = f"attempt {call.attempt} of {call.path} in {call.instance_id}"
        if self._keys.setdefault(place, call.key) != call.key:
            self.faults.append(f"{told} has another idempotency key than the attempts before it")
        if self._owners.setdefault(call.key, place) != place:
            self.faults.append(f"{told} has the idempotency key of {self._owners[call.key][1]}")
        if (*place, call.attempt) in self._attempts:
            self.faults.append(f"{told} is called twice")
        self._attempts.add((*place, call.attempt))
        if not self._is_started(*place, call.attempt):
            self.faults.append(f"{told} is called before its start is durable")
        if self._has_ended(*place):
            self.faults.append(f"{told} is called after its task has ended")
