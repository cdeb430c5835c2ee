"""Where the lines go that attempts write, and where people read them: stored per attempt, in order, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from core.ports.scope import Scope

Level = Literal["debug", "info", "warning", "error"]


class TaskLogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that an attempt wrote. `stream`: `log` = by the operator itself, else the user's program."""

    instance_id: str
    domain_id: str
    task_path: str
    attempt: int
    level: Level
    message: str
    stream: Literal["log", "stdout", "stderr"] = "log"


class StoredLine(msgspec.Struct, frozen=True):
    """A line as it is read again; `n` ascends within the instance in the order of arrival."""

    n: int
    at: datetime
    line: TaskLogLine


class TaskLog(Protocol):
    """Lines of attempts."""

    def write(self, line: TaskLogLine) -> None:
        """Take a line. Never waits and never fails: what cannot be kept is dropped, counted and told in a line."""
        ...

    async def read(
        self, scope: Scope, instance_id: str, *, task_path: str | None, attempt: int | None, after: int, limit: int
    ) -> Sequence[StoredLine]:
        """Give lines with `n > after`, ascending, at most `limit`; None = of every task, every attempt.

        Raises:
            StoreUnavailable: nobody can say.
        """
        ...
