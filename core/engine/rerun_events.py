"""Journal events of reruns and of outputs that are used again (semantics.md S44)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from core.engine.lending import Again, Lent
from core.engine.stored import Value


class _Event(msgspec.Struct, frozen=True, array_like=True):
    """What all events share: the way they are encoded."""


class RerunBegun(_Event, frozen=True, tag=60):
    """The instance is a rerun of instance `of`; `by` is a principal's id."""

    of: str
    from_step: str | None
    by: str
    reason: str


class TaskReused(_Event, frozen=True, tag=61):
    """pending -> succeeded, with what the same task came to in instance `reused_from`."""

    frame: str
    index: int
    output: Value | None
    errors: Value | None
    reused_from: str


class SkipReused(_Event, frozen=True, tag=62):
    """pending -> skipped, as in instance `reused_from`."""

    frame: str
    index: int
    reason: str
    output: Value | None
    reused_from: str


class FailureReused(_Event, frozen=True, tag=63):
    """pending -> failed, as in instance `reused_from`; `output` is the fallback.

    The failure was handled, or made its list failing, or its `on_error` list begins (`under` as of any such list).
    """

    frame: str
    index: int
    error: Value
    output: Value | None
    reused_from: str
    handling: Literal["handled", "failed", "running"] = "handled"
    under: datetime | None = None


class CancelReused(_Event, frozen=True, tag=68):
    """pending -> cancelled, as in instance `reused_from`, by the failing of the task's own list."""

    frame: str
    index: int
    reason: str
    reused_from: str


class TaskLent(_Event, frozen=True, tag=64):
    """The pending task will end as it ended before, or a container run again but for what ended well inside it.

    None = no longer, since a value is gone: it runs.
    """

    frame: str
    index: int
    lent: Lent | Again | None


class LentCopied(_Event, frozen=True, tag=65):
    """The next values of a lent task lie in this instance now; others follow in a next batch."""

    frame: str
    index: int
    parts: tuple[Value, ...]


class CacheMissed(_Event, frozen=True, tag=66):
    """Nothing was kept under `key` for the task that is ready now; its output will be."""

    frame: str
    index: int
    key: bytes


class ListAnew(_Event, frozen=True, tag=67):
    """Something in the newest list of a loop or a try runs anew: the lists of it that follow take nothing over."""

    frame: str
    index: int


RerunEvent = (
    RerunBegun | TaskReused | SkipReused | FailureReused | CancelReused | TaskLent | LentCopied | CacheMissed | ListAnew
)
