"""The engine's side of the process that starts all others (`child/spawner.py`)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from typing import NamedTuple

import msgspec

from driven_adapters.sandbox.child.frames import HEAD
from driven_adapters.sandbox.child.spawner import ANSWER, ENDED, START, STARTED
from driven_adapters.sandbox.interpreter import CHILD_FOLDER

_READ_BYTES = 4096 * ANSWER.size
_SPAWN = "import sys; sys.path.insert(0, {folder!r}); from child.spawner import serve; serve()  # of engine {engine}"
_NUMBER_COUNT = 2**32
_CLOSE_S_MAX = 5.0


class Spawned(NamedTuple):
    """A process that was started: its number, which is its group's, and its exit status, negative for a signal."""

    pid: int
    ended: asyncio.Future[int]


class Spawner:
    """Starts processes by another one.

    A process that starts another lends it its memory until the new program is there, and Python's lock with it: half a
    millisecond in which an engine serves nobody (bench/NOTES.md). Here it is a message.
    """

    def __init__(self, program: str) -> None:
        """Take the path of a Python interpreter. Nothing runs before the first `ready`."""
        self._program = program
        self._channel: _Channel | None = None

    def ready(self) -> int:
        """Give the number of the process that will be the parent of the next one; starts it when there is none.

        Raises:
            OSError: the kernel has no process or no descriptor left.
        """
        return self._opened().pid

    def start(self, command: list[str], pipes: tuple[int, int, int]) -> asyncio.Future[Spawned]:
        """Start a command with an empty environment and these standard descriptors, in a group of its own.

        The descriptors may be closed when this returns. Raises, here or by the future:
            OSError: the kernel has no process left, the program is missing, or too many starts are on their way.
        """
        return self._opened().start(command, pipes)

    def _opened(self) -> _Channel:
        if self._channel is None or self._channel.is_lost:
            self._channel = _Channel(self._program)
        return self._channel

    async def close(self) -> None:
        """End it, which kills everything that it started. May be repeated."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


class _Channel:
    """One spawner's process and the socket to it. Once lost, what it had started counts as killed."""

    def __init__(self, program: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket, far = socket.socketpair()
        self._socket.setblocking(False)
        code = _SPAWN.format(folder=str(CHILD_FOLDER), engine=os.getpid())
        command = [program, "-I", "-S", "-B", "-X", "utf8", "-c", code]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command is made of our own words; no shell
                command, stdin=far.fileno(), stdout=subprocess.DEVNULL, env={}, cwd="/", process_group=0
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            far.close()
        self.pid = self._process.pid
        self.is_lost = False
        self._reaping: asyncio.Task[None] | None = None
        self._number = 0
        self._starting: dict[int, asyncio.Future[Spawned]] = {}
        self._living: dict[int, asyncio.Future[int]] = {}
        self._content = b""
        self._loop.add_reader(self._socket.fileno(), self._receive)

    def start(self, command: list[str], pipes: tuple[int, int, int]) -> asyncio.Future[Spawned]:
        self._number = (self._number + 1) % _NUMBER_COUNT
        content = msgspec.json.encode((self._number, command))
        frame = HEAD.pack(len(content), START) + content
        try:
            sent = socket.send_fds(self._socket, [frame], pipes)
        except ConnectionError:
            self._lose()
            raise
        if sent < len(frame):
            self._lose()  # the rest would follow behind another frame
            raise BlockingIOError("the process that starts others does not read")
        starting: asyncio.Future[Spawned] = self._loop.create_future()
        self._starting[self._number] = starting
        return starting

    async def close(self) -> None:
        self._lose()
        if self._reaping is not None:
            await self._reaping

    def _receive(self) -> None:
        try:
            content = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            content = b""
        if not content:
            self._lose()
            return
        self._content += content
        whole = len(self._content) - len(self._content) % ANSWER.size
        for kind, number, value in ANSWER.iter_unpack(self._content[:whole]):
            self._take(kind, number, value)
        self._content = self._content[whole:]

    def _take(self, kind: int, number: int, value: int) -> None:
        if kind == ENDED:
            self._living.pop(number).set_result(value)
            return
        starting = self._starting.pop(number)
        if kind == STARTED:
            self._living[number] = ended = self._loop.create_future()
            starting.set_result(Spawned(value, ended))
        else:
            starting.set_exception(OSError(value, os.strerror(value)))

    def _lose(self) -> None:
        """Close the socket, on which the process kills all and ends; tell everybody who waits."""
        if self.is_lost:
            return
        self.is_lost = True
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for starting in self._starting.values():
            starting.set_exception(ConnectionResetError("the process that starts others has ended"))
        for ended in self._living.values():
            ended.set_result(-signal.SIGKILL)
        self._starting.clear()
        self._living.clear()
        self._reaping = asyncio.create_task(_reap(self._process))


async def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end, which follows that of its socket."""
    # Not by its own timeout, which looks again and again and sleeps by the wall clock.
    ending = asyncio.create_task(asyncio.to_thread(process.wait))
    if not (await asyncio.wait({ending}, timeout=_CLOSE_S_MAX))[0]:
        process.kill()  # stopped by somebody: its children end with it
    await ending
