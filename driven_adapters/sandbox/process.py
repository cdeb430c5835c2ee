"""A process of a run: started, spoken to by pipes, killed with its whole group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from typing import Any, Self

READ_BYTES = 16 * 1024  # read at a time: what the event loop handles of one run before others get their turn
_OWN_END_S_MAX = 1.0  # between closing its pipes and its end lie the releases of its memory
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

    def __init__(self, process: subprocess.Popen[bytes], pipes: tuple[_Pipe, _Pipe, _Pipe]) -> None:
        """Take a process that leads a group of its own, and its pipes; use `start`."""
        self._process = process
        self._pipes = pipes
        stdin, stdout, stderr = pipes
        transport: Any = stdin.transport
        self._stdin = asyncio.StreamWriter(transport, stdin, None, asyncio.get_running_loop())
        self.stdout = stdout.reader
        self.stderr = stderr.reader
        self._ended = asyncio.create_task(_end_of(process))

    @classmethod
    async def start(cls, command: list[str]) -> Self:
        """Start a command with an empty environment, no descriptor but the three pipes, in a group of its own.

        Raises:
            OSError: the kernel has no process or no descriptor left, or the program is missing.
        """
        process = _started(command)
        connecting = asyncio.create_task(_connected(process))
        try:
            return cls(process, await asyncio.shield(connecting))
        except asyncio.CancelledError:
            # The process is there already. Nobody else knows of it.
            await cls(process, await connecting).close()
            raise

    @property
    def pid(self) -> int:
        """Give the number of the process, which is also its group's."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Say whether its end has not been seen."""
        return self._process.returncode is None

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
        await asyncio.wait((self._ended,), timeout=_OWN_END_S_MAX)
        status = self._process.returncode
        return -signal.SIGKILL if status is None else status

    def kill(self) -> None:
        """Kill the whole group. May be repeated."""
        # Also after the first process ended: others of its group may live. A group's number is not given away while
        # anything is in it, and no run ends so long after its first process that the number could be another's.
        with suppress(ProcessLookupError, PermissionError):  # nothing is left; on some systems the wrong error says so
            os.killpg(self._process.pid, signal.SIGKILL)
        self._stdin.close()

    async def close(self) -> None:
        """Kill the group, take what is left in the pipes, which end with it, and wait for the end. May be repeated."""
        self.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_S_MAX):
                for pipe in (self.stdout, self.stderr):
                    while await pipe.read(READ_BYTES):
                        pass
                await asyncio.shield(self._ended)
        for end in self._pipes:
            await end.close()


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the process by the standard library, which lends it the engine's memory until its program begins.

    The event loop's own way copies the page tables of the whole engine: with 300 MB that takes 8 ms, for which no
    request is served (bench/NOTES.md).

    The process leads a group, by which it is killed, but no session: the kernel shares processors between sessions
    before it looks at niceness (autogroup), so that each run in one of its own would get as much as the whole engine.
    """
    pipe = subprocess.PIPE
    return subprocess.Popen(  # noqa: S603 - the command is made of our own words; no shell
        command, stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd="/", process_group=0, bufsize=0
    )


async def _connected(process: subprocess.Popen[bytes]) -> tuple[_Pipe, _Pipe, _Pipe]:
    loop = asyncio.get_running_loop()
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("all three pipes are asked for")
    _, stdin = await loop.connect_write_pipe(_Pipe, process.stdin)
    _, stdout = await loop.connect_read_pipe(_Pipe, process.stdout)
    _, stderr = await loop.connect_read_pipe(_Pipe, process.stderr)
    return stdin, stdout, stderr


async def _end_of(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process and take its status in, so that it does not stay as a zombie."""
    if not hasattr(os, "pidfd_open"):  # elsewhere than on Linux, where only tier 1 is offered
        await asyncio.to_thread(process.wait)
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        process.poll()
