"""The two programs of a kill loop: the engine that is killed, and the target that counts what it was asked to do."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent.parent
READY_S_MAX = 60.0  # two shared cores: a start takes about a second alone, and much longer beside a test run
STOP_S_MAX = 40.0  # the grace period of 25 s and some
POLL_S = 0.01
KEY = re.compile(r"flow_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}")


class NotReadyError(Exception):
    """A program ended or stayed silent where it should have answered; its last words are in the message."""


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(is_true: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait until something is true and say how long it took.

    Raises:
        NotReadyError: it did not become true in time.
    """
    began_at = time.perf_counter()
    pause = threading.Event()
    while not is_true():
        if time.perf_counter() - began_at > within_s:
            raise NotReadyError(f"{what}: not within {within_s:.0f} s")
        pause.wait(POLL_S)
    return time.perf_counter() - began_at


def answers(port: int, path: str) -> bool:
    """Say whether a server on the loopback address answers this path with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Program:
    """One program: started, asked for a sign of life, killed or stopped, its output kept in a file."""

    def __init__(self, name: str, folder: Path, port: int, health: tuple[int, str]) -> None:
        self.name = name
        self.port = port
        self.health = health
        self.log_path = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Say whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Give the exit status of the last process; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def words(self) -> str:
        """Give everything that it ever printed."""
        return self.log_path.read_text("utf-8", errors="replace") if self.log_path.exists() else ""

    def start(self, command: list[str], environment: dict[str, str]) -> None:
        """Start it in a process group of its own."""
        self.close()
        self._output = self.log_path.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_ready(self) -> float:
        """Wait until it answers, and say how long it took.

        Raises:
            NotReadyError: it ended, or did not answer within READY_S_MAX.
        """

        def is_ready() -> bool:
            if not self.is_running:
                raise NotReadyError(f"{self.name} ended with {self.exit_status}: {self.words[-2000:]}")
            return answers(*self.health)

        return wait_for(is_ready, READY_S_MAX, f"{self.name} ready")

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def stop(self) -> int:
        """Ask it to stop and give its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=STOP_S_MAX)

    def ends_within(self, seconds: float) -> int | None:
        """Wait for it to end by itself and give its exit status; None when it still runs then."""
        assert self._process is not None
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, without waiting."""
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        """End whatever is left."""
        self.kill()
        if self._output is not None:
            self._output.close()
            self._output = None


class Target(Program):
    """The mock server with its ledger file."""

    def __init__(self, folder: Path) -> None:
        self.ledger_path = folder / "ledger.jsonl"
        port = free_port()
        super().__init__("target", folder, port, (port, "/health"))

    def run(self) -> None:
        """Start and wait for it."""
        self.start(["-m", "mock_server", "--port", str(self.port), "--ledger", str(self.ledger_path)], {})
        self.wait_ready()


class Engine(Program):
    """`serve` of this project on a data folder of its own; `settings` are variables of its environment."""

    def __init__(self, folder: Path, target_port: int, **settings: str) -> None:
        self.settings = settings
        self.data_dir = folder / "data"
        self._target_port = target_port
        self._private_port = free_port()
        super().__init__("engine", folder, free_port(), (self._private_port, "/health/ready"))

    @property
    def store_path(self) -> Path:
        """Give the store's file."""
        return self.data_dir / "flow.db"

    @property
    def api_key(self) -> str:
        """Give the key that the first start printed.

        Raises:
            NotReadyError: it printed none.
        """
        found = KEY.search(self.words)
        if found is None:
            raise NotReadyError(f"no key was printed: {self.words[-1000:]}")
        return found.group()

    def launch(self, crash_at: str = "", program: str = "module.main", **more: str) -> None:
        """Start it without waiting; `crash_at` = `name:n` ends it like a power cut at that point of store or node.

        Args:
            program: the module whose `main` serves.
            more: environment variables above the usual ones.
        """
        environment = {
            "FLOW_ENV": "development",
            "FLOW_DATA_DIR": str(self.data_dir),
            "API_SERVER_PORT": str(self.port),
            "API_SERVER_PRIVATE_PORT": str(self._private_port),
            "FLOW_EGRESS_ALLOW": f"127.0.0.1:{self._target_port}",
            "FLOW_LOG_LEVEL": "warning",
            "FLOW_CRASH_AT": crash_at,
        }
        self.start(["-m", program, "serve"], environment | self.settings | more)
