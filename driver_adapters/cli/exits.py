"""Exit statuses of `flow`: stable, so that scripts can rely on them (operations.md)."""

from __future__ import annotations

OK = 0
INSTANCE_FAILED = 1
USAGE = 2
UNREACHABLE = 3
DENIED = 4


class CommandFailed(Exception):
    """A command ends with this status after saying these lines on standard error."""

    def __init__(self, status: int, *lines: str) -> None:
        """Keep status and lines."""
        super().__init__(*lines)
        self.status = status
        self.lines = lines
