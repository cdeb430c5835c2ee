"""Exit statuses of `flow`: stable, so that scripts can rely on them (operations.md)."""

from __future__ import annotations

import http.client

OK = 0
INSTANCE_FAILED = 1
USAGE = 2
UNREACHABLE = 3
DENIED = 4
INTERRUPTED = 130  # as shells count it: 128 and the number of SIGINT
PIPE_CLOSED = 141  # 128 and the number of SIGPIPE: `flow ... | head` has read enough

# What docs/cli.md says of each; there is no other status.
MEANINGS: dict[int, str] = {
    OK: "done; with `--wait` or `--watch`: the instance succeeded",
    INSTANCE_FAILED: "the instance failed or was cancelled; of `verify` and `sim`: something does not hold that must",
    USAGE: "wrong usage: an unknown option, a faulty document or setting, an id that does not exist, a conflict",
    UNREACHABLE: "the server cannot be reached, or could not answer now (429, 5xx); the same command may succeed later",
    DENIED: "the server says no: the key is missing, wrong, or may not do this",
    INTERRUPTED: "ended by Ctrl-C; a started instance goes on",
    PIPE_CLOSED: "whoever read the output has closed it",
}

_DENIED = frozenset({http.client.UNAUTHORIZED, http.client.FORBIDDEN})


class CommandFailed(Exception):
    """A command ends with this status after saying these lines on standard error."""

    def __init__(self, status: int, *lines: str) -> None:
        """Keep status and lines."""
        super().__init__(*lines)
        self.status = status
        self.lines = lines


def exit_of(http_status: int) -> int:
    """Give the exit status of an HTTP status that is an error."""
    if http_status in _DENIED:
        return DENIED
    is_later = http_status == http.client.TOO_MANY_REQUESTS or http_status >= http.client.INTERNAL_SERVER_ERROR
    return UNREACHABLE if is_later else USAGE
