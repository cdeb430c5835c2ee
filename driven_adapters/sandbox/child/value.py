"""How a program's end is told to the engine: its value as JSON, or why there is none."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

LINE_CHARS_MAX = 8192  # longer lines are cut into several, as the engine would do
MESSAGE_CHARS_MAX = 2000  # a person reads it


class ProgramFailed(Exception):
    """A program gave no value: reason of the port's table, a sentence, the bound that ended it."""

    def __init__(self, reason: str, message: str, limit: float | None = None) -> None:
        """Keep the three."""
        super().__init__(message)
        self.reason = reason
        self.message = message[:MESSAGE_CHARS_MAX]
        self.limit = limit

    def content(self) -> bytes:
        """Give the failure's frame content."""
        told = {"reason": self.reason, "message": self.message, "limit": self.limit}
        return json.dumps(told).encode()


def encode_value(value: Any, output_bytes: int) -> bytes:
    """Give a program's value as JSON.

    Raises:
        ProgramFailed: `invalid`, it is no JSON value; `output`, it is larger than allowed.
    """
    try:
        encoded = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ProgramFailed("invalid", f"the value is no JSON: {error}") from None
    if len(encoded) > output_bytes:
        message = f"the value has {len(encoded)} bytes, more than {output_bytes}"
        raise ProgramFailed("output", message, output_bytes)
    return encoded


class LineStream(io.TextIOBase):
    """A text stream that hands on whole lines."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        """Take who is told of each line."""
        super().__init__()
        self._on_line = on_line
        self._open_line = ""

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Take text; every line that it ends is handed on, and what grew too long without an end."""
        *lines, self._open_line = (self._open_line + text).split("\n")
        for line in lines:
            self._tell(line)
        if len(self._open_line) >= LINE_CHARS_MAX:
            self._tell(self._open_line)
            self._open_line = ""
        return len(text)

    def end(self) -> None:
        """Hand on what has no end yet."""
        if self._open_line:
            self._tell(self._open_line)
            self._open_line = ""

    def _tell(self, line: str) -> None:
        for begin in range(0, max(1, len(line)), LINE_CHARS_MAX):
            self._on_line(line[begin : begin + LINE_CHARS_MAX])
