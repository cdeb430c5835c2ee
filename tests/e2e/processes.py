"""Real processes of the product for tests: on free ports, in their own data folder, always ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DEADLINE_S = 60.0  # two shared cores; every wait below is for a line that comes within some seconds


def free_port() -> int:
    """Find a port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        port: int = made.getsockname()[1]
        return port


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The settings of one process tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOW_", "API_"))}
    return {
        **kept,
        "FLOW_ENV": "development",
        "FLOW_DATA_DIR": str(folder),
        "API_SERVER_PORT": "0",
        "API_SERVER_PRIVATE_PORT": "0",
        "FLOW_EGRESS_ALLOW": f"127.0.0.1:{free_port()}",
        **settings,
    }


class Process:
    """One process whose lines are read as they come."""

    def __init__(self, arguments: tuple[str, ...], given: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._is_over = False
        self.child = subprocess.Popen(
            [sys.executable, "-m", "module.main", *arguments],
            cwd=PROJECT,
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            with self._came:
                self.lines.append(line.rstrip("\n"))
                self._came.notify_all()
        with self._came:
            self._is_over = True
            self._came.notify_all()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until a line matches."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.lines if (match := re.search(pattern, line))), None)

        with self._came:
            self._came.wait_for(lambda: found() is not None or self._is_over, DEADLINE_S)
        match = found()
        assert match is not None, f"no line {pattern!r} in:\n{self.text}"
        return match

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; gives the exit status."""
        self.child.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.child.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return status


@contextlib.contextmanager
def flow(*arguments: str, given: dict[str, str]) -> Iterator[Process]:
    """Run `flow` with these arguments; it is killed at the end if it still runs."""
    process = Process(arguments, given)
    try:
        yield process
    finally:
        if process.child.poll() is None:
            process.child.kill()
        process.wait()
        assert process.child.stdout is not None
        process.child.stdout.close()
