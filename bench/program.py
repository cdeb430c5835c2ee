"""Programs that a measurement starts: in a session of their own, with a log, ready when a port answers, stopped."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "bench" / ".data"
HOST = "127.0.0.1"
READY_S_MAX = 60.0  # a server that is not up by then never will be
STOP_S_MAX = 40.0  # more than the engine's grace period; after it the program is killed
LOOK_S = 0.02
CALL_S_MAX = 600.0  # of one measurement; the longest (a map over 100 000 items) takes a minute
LOG_TAIL_CHARS = 2_000


class ProgramFailed(Exception):
    """A program that was started did not come up, took too long or ended with a fault."""


class Program:
    """A child process; entering waits for nothing, leaving stops it and all that it started.

    Args:
        arguments: the program and what it is told.
        name: of its log file under `folder`.
        environment: laid over this process's own.
        user: whom it runs as, when this process may choose.
        root: the folder it runs in, where its modules are found.
    """

    def __init__(
        self,
        arguments: list[str | Path],
        *,
        name: str,
        folder: Path = DATA,
        environment: dict[str, str] | None = None,
        user: str | None = None,
        root: Path = ROOT,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / f"{name}.log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [str(argument) for argument in arguments],
                cwd=root,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def log(self) -> str:
        """Give what the program has said so far."""
        return self.log_path.read_text("utf-8", errors="replace")

    def wait_port(self, port: int) -> None:
        """Wait until something accepts connections on this port of the loopback address.

        Raises:
            ProgramFailed: the program ended, or READY_S_MAX passed.
        """

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1.0):
                return True
            return False

        self._wait(answers, f"port {port}")

    def wait_said(self, pattern: re.Pattern[str]) -> str:
        """Wait until the program has said something that fits, and give it.

        Raises:
            ProgramFailed: the program ended, or READY_S_MAX passed.
        """
        self._wait(lambda: pattern.search(self.log()) is not None, pattern.pattern)
        found = pattern.search(self.log())
        return "" if found is None else found.group()

    def _wait(self, is_done: Callable[[], bool], wanted: str) -> None:
        last = time.perf_counter() + READY_S_MAX
        while time.perf_counter() < last:
            if is_done():
                return
            if self._process.poll() is not None:
                raise ProgramFailed(f"{self.log_path.name}: ended with {self._process.returncode}: {self._tail()}")
            time.sleep(LOOK_S)
        raise ProgramFailed(f"{self.log_path.name}: no {wanted} after {READY_S_MAX} s: {self._tail()}")

    def stop(self) -> int:
        """Ask it to end, and kill what is left of its session when it does not; give its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S_MAX)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait(STOP_S_MAX)

    def _tail(self) -> str:
        return self.log()[-LOG_TAIL_CHARS:]


def call_module(module: str, *arguments: str, given: bytes = b"", python: str | Path = sys.executable) -> bytes:
    """Run `python -m module` to its end and give what it printed.

    Raises:
        ProgramFailed: it ended with a fault, or CALL_S_MAX passed.
    """
    try:
        ended = subprocess.run(
            [str(python), "-m", module, *arguments],
            cwd=ROOT,
            input=given,
            capture_output=True,
            timeout=CALL_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{module} took more than {CALL_S_MAX} s") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace")[-LOG_TAIL_CHARS:]
        raise ProgramFailed(f"{module} ended with {ended.returncode}: {said}")
    return ended.stdout


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock: two benchmarks on one machine would measure each other, and share folders.

    Raises:
        ProgramFailed: another one runs.
    """
    with path.open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ProgramFailed(f"another benchmark holds {path.name}") from error
        yield


def free_ports(count: int, first: int) -> list[int]:
    """Find ports that nobody listens on, from `first` upwards and below 32768.

    Above that the system takes the client's side of connections from, and a client that waits for such a port can
    meet itself.
    """
    found: list[int] = []
    for port in range(first, 32_768):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                found.append(port)
        if len(found) == count:
            return found
    raise ProgramFailed(f"no {count} free ports between {first} and 32768")
