"""A process of a run: started, spoken to by pipes, killed with its whole group."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

from driven_adapters.sandbox.child.spawner import PIPE_COUNT
from driven_adapters.sandbox.spawning import Spawned, Spawner

READ_BYTES = 16 * 1024  # read at a time: what the event loop handles of one run before others get their turn
_OWN_END_S_MAX = 1.0  # between closing its pipes and its end lie the releases of its memory
_Ends = tuple[int, int, int]  # of standard input, output and error
_KILL_S_MAX = 5.0  # a killed process is gone at once, unless the kernel waits for a device


class _Pipe(asyncio.StreamReaderProtocol):
    """One end of a pipe on the event loop. `reader` of a pipe that is written to gets nothing."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader(limit=READ_BYTES)
        super().__init__(self.reader)
        self.transport: asyncio.BaseTransport | None = None
        self._is_lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._is_lost.set()

    async def close(self) -> None:
        """Give the descriptor back. May be repeated."""
        if self.transport is not None:
            self.transport.close()
            await self._is_lost.wait()


class RunProcess:
    """One process and what it may have started; leaves nothing behind after `close`."""

    def __init__(self, spawned: Spawned, pipes: tuple[_Pipe, _Pipe, _Pipe]) -> None:
        """Take a process that leads a group of its own, and its pipes; use `start`."""
        self._spawned = spawned
        self._pipes = pipes
        stdin, stdout, stderr = pipes
        transport: Any = stdin.transport
        self._stdin = asyncio.StreamWriter(transport, stdin, None, asyncio.get_running_loop())
        self.stdout = stdout.reader
        self.stderr = stderr.reader

    @classmethod
    async def start(cls, spawner: Spawner, command: list[str]) -> Self:
        """Start a command with an empty environment, no descriptor but the three pipes, in a group of its own.

        Raises:
            OSError: the kernel has no process or no descriptor left, or the program is missing.
        """
        starting = asyncio.create_task(cls._start(spawner, command))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The process is there, or will be. Nobody else knows of it.
            with suppress(OSError):
                await (await starting).close()
            raise

    @classmethod
    async def _start(cls, spawner: Spawner, command: list[str]) -> Self:
        near, far = _open_pipes()
        try:
            spawning = spawner.start(command, far)
        except OSError:
            _close_all(near)
            raise
        finally:
            _close_all(far)
        pipes = await _connect(near)
        try:
            return cls(await spawning, pipes)
        except OSError:
            for pipe in pipes:
                await pipe.close()
            raise

    @property
    def pid(self) -> int:
        """Give the number of the process, which is also its group's."""
        return self._spawned.pid

    @property
    def is_alive(self) -> bool:
        """Say whether its end has not been seen."""
        return not self._spawned.ended.done()

    async def send(self, content: bytes) -> None:
        """Write to its standard input and close that.

        Raises:
            ConnectionError: it reads no more.
        """
        self._stdin.write(content)
        await self._stdin.drain()
        self._stdin.close()

    async def end_by_itself(self) -> int:
        """Wait a moment for an end that has begun, so that its own status is seen and not that of a kill; give it."""
        ended = self._spawned.ended
        await asyncio.wait((ended,), timeout=_OWN_END_S_MAX)
        return ended.result() if ended.done() else -signal.SIGKILL

    def kill(self) -> None:
        """Kill the whole group. May be repeated."""
        # Also after the first process ended: others of its group may live. A group's number is not given away while
        # anything is in it, and no run ends so long after its first process that the number could be another's.
        with suppress(ProcessLookupError, PermissionError):  # nothing is left; on some systems the wrong error says so
            os.killpg(self._spawned.pid, signal.SIGKILL)
        self._stdin.close()

    async def close(self) -> None:
        """Kill the group, take what is left in the pipes, which end with it, and wait for the end. May be repeated."""
        self.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_S_MAX):
                for pipe in (self.stdout, self.stderr):
                    while await pipe.read(READ_BYTES):
                        pass
                await asyncio.shield(self._spawned.ended)
        for end in self._pipes:
            await end.close()


def _open_pipes() -> tuple[_Ends, _Ends]:
    """Open standard input, output and error of a process: the engine's ends, and those of the process."""
    opened: list[tuple[int, int]] = []
    try:
        while len(opened) < PIPE_COUNT:
            opened.append(os.pipe())
    except OSError:
        _close_all([end for pipe in opened for end in pipe])
        raise
    (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = opened
    return (to_stdin, from_stdout, from_stderr), (stdin, stdout, stderr)


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


async def _connect(ends: _Ends) -> tuple[_Pipe, _Pipe, _Pipe]:
    loop = asyncio.get_running_loop()
    to_stdin, from_stdout, from_stderr = ends
    _, stdin = await loop.connect_write_pipe(_Pipe, os.fdopen(to_stdin, "wb", 0))
    _, stdout = await loop.connect_read_pipe(_Pipe, os.fdopen(from_stdout, "rb", 0))
    _, stderr = await loop.connect_read_pipe(_Pipe, os.fdopen(from_stderr, "rb", 0))
    return stdin, stdout, stderr
