"""Where the lines go that attempts write, and where people read them: stored per attempt, in order, bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

import msgspec

from core.ports.scope import Scope

Level = Literal["debug", "info", "warning", "error"]

MESSAGE_CHARACTERS_MAX = 16_384  # one line: what a person reads at once; programs write long ones by mistake
ATTEMPT_BYTES_MAX = 1_048_576  # of one attempt's lines


class TaskLogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that an attempt wrote. `stream`: `log` = by the operator itself, else the user's program.

    A message over MESSAGE_CHARACTERS_MAX is cut when it is taken; line breaks in it stay.
    """

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


@runtime_checkable
class TaskLog(Protocol):
    """Lines of attempts, each kept as long as its instance."""

    def write(self, line: TaskLogLine) -> None:
        """Take a line; called on the event loop's thread.

        Never waits and never fails: what cannot be kept is dropped, counted and told in a line. An attempt's lines are
        kept up to ATTEMPT_BYTES_MAX; a line that says so is its last one.
        """
        ...

    async def read(
        self, scope: Scope, instance_id: str, *, task_path: str | None, attempt: int | None, after: int, limit: int
    ) -> Sequence[StoredLine]:
        """Give lines with `n > after`, ascending, at most `limit`; None = of every task, every attempt.

        Another business domain's instance answers like one without lines. ValueError when `limit` is not
        1..READ_ROWS_MAX, or `attempt` stands without `task_path`.

        Raises:
            StoreUnavailable: nobody can say.
        """
        ...

    def follow(self, instance_id: str, wake: Callable[[int], None]) -> Callable[[], None]:
        """Call `wake` on the event loop with about how many bytes of lines can be read anew; give what ends that."""
        ...
