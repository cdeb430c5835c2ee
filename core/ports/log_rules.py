"""What every adapter of the task log does with lines before they are stored: bounds, and words on what is left out."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import msgspec

from core.ports.row_rules import check_limit
from core.ports.task_log import ATTEMPT_BYTES_MAX, MESSAGE_CHARACTERS_MAX, TaskLogLine

if TYPE_CHECKING:
    from datetime import datetime

WAITING_BYTES_MAX = 8_388_608  # lines on their way: seconds of a disk that does not answer, and no threat to memory
LINE_BYTES = 256  # what a line costs beside its message: its row, its place in the index, its object in memory
ATTEMPTS_COUNTED_MAX = 4_096  # eight times what a node makes at once; older ones wrote their lines long ago
LOSERS_COUNT_MAX = 1_024  # attempts that are told one by one how much was dropped; others are in `dropped_count` only
_CUT = " ... (cut)"

_Attempt = tuple[str, str, int]


class TimedLine(msgspec.Struct, frozen=True):
    """A line and when it was taken."""

    at: datetime
    line: TaskLogLine


class LineBuffer:
    """Lines that wait to be stored, in order; bounded in all and per attempt."""

    def __init__(self, waiting_bytes_max: int = WAITING_BYTES_MAX) -> None:
        """Begin empty."""
        self._waiting: deque[TimedLine] = deque()
        self._waiting_bytes = 0
        self.waiting_bytes_max = waiting_bytes_max
        self._written: OrderedDict[_Attempt, int] = OrderedDict()
        self._losers: dict[_Attempt, tuple[TaskLogLine, int]] = {}
        self.dropped_count = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._losers)

    def add(self, line: TaskLogLine, at: datetime) -> None:
        """Take a line, cut to MESSAGE_CHARACTERS_MAX; drop and count it when a bound is reached."""
        attempt = (line.instance_id, line.task_path, line.attempt)
        written = self._written.pop(attempt, 0)
        line = _storable(line)
        size = line_bytes(line)
        if written > ATTEMPT_BYTES_MAX:
            self.dropped_count += 1
        elif self._waiting_bytes + size > self.waiting_bytes_max:
            self._drop(attempt, line)
        else:
            written += size
            if written > ATTEMPT_BYTES_MAX:
                self.dropped_count += 1
                text = f"the log of an attempt holds {ATTEMPT_BYTES_MAX} bytes: what follows is left out"
                line = _note(line, text)
            self._put(TimedLine(at, line))
        self._written[attempt] = written
        if len(self._written) > ATTEMPTS_COUNTED_MAX:
            self._written.popitem(last=False)

    def take(self, at: datetime, *, count_max: int, bytes_max: int) -> list[TimedLine]:
        """Give the oldest lines and take them out: at least one, if there is one, and no more than either bound.

        When the last waiting line is among them, a line for each attempt that lost some follows.
        """
        taken: list[TimedLine] = []
        size = 0
        while self._waiting and len(taken) < count_max:
            size += line_bytes(self._waiting[0].line)
            if taken and size > bytes_max:
                return taken
            self._waiting_bytes -= line_bytes(self._waiting[0].line)
            taken.append(self._waiting.popleft())
        while self._losers and len(taken) < count_max:
            _, (line, count) = self._losers.popitem()
            taken.append(TimedLine(at, _note(line, f"{count} lines were dropped: the log could not be stored in time")))
        return taken

    def _put(self, timed: TimedLine) -> None:
        self._waiting.append(timed)
        self._waiting_bytes += line_bytes(timed.line)

    def _drop(self, attempt: _Attempt, line: TaskLogLine) -> None:
        self.dropped_count += 1
        known = self._losers.get(attempt)
        if known is not None:
            self._losers[attempt] = (known[0], known[1] + 1)
        elif len(self._losers) < LOSERS_COUNT_MAX:
            self._losers[attempt] = (line, 1)


def check_page(task_path: str | None, attempt: int | None, limit: int) -> int:
    """Give `limit` back when such a page can be read.

    Raises:
        ValueError: `limit` is out of bounds, or an attempt is named without its task.
    """
    if attempt is not None and task_path is None:
        raise ValueError(f"attempt {attempt} of no task")
    return check_limit(limit)


def line_bytes(line: TaskLogLine) -> int:
    """Give about what a line costs to store."""
    return len(line.message) + LINE_BYTES


def _storable(line: TaskLogLine) -> TaskLogLine:
    """Cut the message, and put `?` for what has no UTF-8 form: no database takes it."""
    text = line.message
    if len(text) > MESSAGE_CHARACTERS_MAX:
        text = text[: MESSAGE_CHARACTERS_MAX - len(_CUT)] + _CUT
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return line if text is line.message else msgspec.structs.replace(line, message=text)


def _note(line: TaskLogLine, text: str) -> TaskLogLine:
    return msgspec.structs.replace(line, level="warning", stream="log", message=text)
