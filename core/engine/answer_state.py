"""What came from outside and lies in an instance, and what it asks people for (semantics.md S26 to S28)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from core.engine.stored import Value


class KeptSignal(msgspec.Struct, frozen=True, array_like=True):
    """A signal that no wait took yet (S26). `number` counts the instance's signals from 1; `id` is the sender's."""

    number: int
    name: str
    at: datetime
    id: str
    data: Value


class WaitState(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A task that waits, since when; `signal` = for a signal of this name (S26), `callback` = for its own (S27)."""

    since: datetime
    signal: str | None = None
    callback: bool = False

    @property
    def asks(self) -> str | None:
        """Give the name of the signal, or "", when it waits for something from outside."""
        return "" if self.callback else self.signal


class ApprovalState(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """A task that waits for people's decision (S28), since when; `id` is what they are asked under."""

    since: datetime
    id: str

    @property
    def asks(self) -> str:
        """Give "": it waits for something from outside."""
        return ""


class CallbackCall(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """What came to a callback before its wait began: `data`, or the error that the wait is to fail with (S27)."""

    at: datetime
    data: Value
    error: Value | None = None
