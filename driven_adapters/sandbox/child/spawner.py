"""The process that starts all others: a small one, since whoever starts a process waits until its program is there.

Started by the engine with a socket as standard input, standard library only. It gets frames `S` of the number and the
command line of a process, each with the three descriptors that become its standard ones. It answers with `ANSWER`s:
what happened to that process (`STARTED`, `REFUSED`, `ENDED`), its number, and its pid, the error's number or its exit
status. When the engine's end of the socket closes, it kills what lives and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import struct

from .frames import HEAD

START = ord("S")
ANSWER = struct.Struct(">BIi")
STARTED, REFUSED, ENDED = range(3)
PIPE_COUNT = 3
NICENESS = 19  # a busy machine is the engine's first: decisions are short, and everybody waits for them
_READ_BYTES = 64 * 1024
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # each program begins with the signals as the kernel has them


def serve() -> None:
    """Serve until the engine is gone. All that is started here stands behind the engine from the beginning."""
    os.nice(NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        # Niceness divides the time; only this keeps what wakes up (here, by the engine's own message) from being run at
        # once, on the engine's own core (bench/NOTES.md).
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    Spawner(socket.socket(fileno=os.dup(0))).serve()


class Spawner:
    """Starts processes, each leading a group of its own, and tells their ends."""

    def __init__(self, channel: socket.socket) -> None:
        """Take this side of the socket to the engine."""
        self._channel = channel
        self._content = b""
        self._descriptors: list[int] = []
        self._numbers: dict[int, int] = {}  # of what lives, by pid

    def serve(self) -> None:
        """Start what is asked for until the engine's end closes; then kill all."""
        ends, told = os.pipe()
        os.set_blocking(told, False)
        os.set_blocking(ends, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector, contextlib.suppress(ConnectionError):
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(ends, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == ends:
                        os.read(ends, _READ_BYTES)
                        self._tell_ends()
                    else:
                        self._receive()
        for pid in self._numbers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _receive(self) -> None:
        """Take what has come, and start the processes whose frames are whole.

        Raises:
            ConnectionError: the engine is gone.
        """
        content, descriptors, _, _ = socket.recv_fds(self._channel, _READ_BYTES, PIPE_COUNT)
        if not content:
            raise ConnectionError
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._content += content
        self._descriptors += descriptors
        while (rest := len(self._content) - HEAD.size) >= 0:
            length, _ = HEAD.unpack_from(self._content)
            if rest < length:
                return
            frame = self._content[HEAD.size : HEAD.size + length]
            pipes, self._descriptors = self._descriptors[:PIPE_COUNT], self._descriptors[PIPE_COUNT:]
            self._content = self._content[HEAD.size + length :]
            number, command = json.loads(frame)
            self._start(number, command, pipes)

    def _start(self, number: int, command: list[str], pipes: list[int]) -> None:
        """Start one process, with an empty environment and no descriptor but its three."""
        actions = [(os.POSIX_SPAWN_DUP2, pipe, standard) for standard, pipe in enumerate(pipes)]
        try:
            # A group of its own, by which it is killed, but no session: the kernel shares processors between sessions
            # before it looks at niceness (autogroup), so that each run would get as much as the whole engine.
            pid = os.posix_spawn(
                command[0], command, {}, file_actions=actions, setpgroup=0, setsigdef=_IGNORED_BY_PYTHON
            )
        except OSError as error:
            self._answer(number, REFUSED, error.errno or 0)
        else:
            self._numbers[pid] = number
            self._answer(number, STARTED, pid)
        finally:
            for pipe in pipes:
                os.close(pipe)

    def _tell_ends(self) -> None:
        """Take in the status of each process that has ended, so that none stays as a zombie."""
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._answer(self._numbers.pop(pid), ENDED, os.waitstatus_to_exitcode(status))

    def _answer(self, number: int, kind: int, value: int) -> None:
        self._channel.sendall(ANSWER.pack(kind, number, value))
