"""A timer: a moment at which something of an instance acts, durably (engine.md 5)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec


class Timer(msgspec.Struct, frozen=True, array_like=True):
    """A timer that its holder knows; `n` is unique in the instance.

    `put_off` is that of a retry that found no budget when its own was due (R25).
    """

    n: int
    due_at: datetime
    kind: Literal["retry", "queue", "total", "timeout", "grace", "cleanup", "wait", "expiry", "put_off"]
