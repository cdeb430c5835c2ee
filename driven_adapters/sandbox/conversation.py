"""One run as the engine sees it: frames from a process that is not trusted, each bound kept on this side."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from core.ports.task_runner import LOG_LINE_CHARS_MAX, RunFailed, RunLimits, RunLine
from driven_adapters.sandbox.child.frames import BEGIN, FAILURE, HEAD, LINE, REQUEST, VALUE
from driven_adapters.sandbox.process import RunProcess

START_S_MAX = 30.0  # a process starts in 0.1 s; a machine that needs this long is not to be trusted with more
LINE_BYTES_MAX = 4 * LOG_LINE_CHARS_MAX  # of UTF-8
LINE_COST_BYTES = 32  # a line costs this beside its text, so that empty ones come to an end, too
FAILURE_BYTES_MAX = 64 * 1024
# Lines that are handed on at a time, some 0.03 ms of the event loop, which is then others' for the pause, whatever a
# program writes. Only one that writes more than 4 000 lines a second waits for it.
LINES_PER_TURN = 8
TURN_PAUSE_S = 0.002
STDERR_READ_BYTES = 1024
_DRAIN_S_MAX = 2.0  # what a killed process had written is there at once
_OF_SHELLS = 128  # a status from here on names a signal: 128 + its number


class _Failure(msgspec.Struct, forbid_unknown_fields=True):
    """What a process says of its own failing; only reasons that it can know."""

    reason: Literal["raised", "invalid", "memory", "cpu", "output", "died", "unavailable"]
    message: str
    limit: float | None = None


class _Ended(Exception):
    """The run is over on this side."""

    def __init__(self, failed: RunFailed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class Conversation:
    """Talks to one process about one request."""

    def __init__(self, process: RunProcess, tier: int, limits: RunLimits, on_line: Callable[[RunLine], None]) -> None:
        """Take a process that waits for its request."""
        self._process = process
        self._tier = tier
        self._limits = limits
        self._on_line = on_line
        self._log_bytes = 0
        self._line_count = 0
        self._began_at: float | None = None
        self._began = asyncio.Event()

    async def hold(self, told: dict[str, Any]) -> bytes | RunFailed:
        """Send the request and give the value as JSON text, or why there is none; the process may still live."""
        stderr = asyncio.create_task(self._read_stderr())
        answer = asyncio.create_task(self._answer(told))
        try:
            return await self._within_bounds(answer, stderr)
        finally:
            self._process.kill()
            # A second cancellation does not stop the clean-up of the first.
            await asyncio.shield(asyncio.create_task(self._end(answer, stderr)))

    async def _within_bounds(self, answer: asyncio.Task[bytes], stderr: asyncio.Task[None]) -> bytes | RunFailed:
        began = asyncio.create_task(self._began.wait())
        first = asyncio.FIRST_COMPLETED
        try:
            await asyncio.wait((answer, began), timeout=START_S_MAX, return_when=first)
        finally:
            began.cancel()
        if not answer.done() and not self._began.is_set():
            return self._failed("unavailable", f"the process was not ready within {START_S_MAX:g} s")
        waited: set[asyncio.Task[Any]] = {answer, stderr}
        due_at = asyncio.get_running_loop().time() + self._limits.wall_s
        while not answer.done():
            left_s = due_at - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(waited, timeout=max(0.0, left_s), return_when=first)
            if not done:
                wall_s = self._limits.wall_s
                return self._failed("wall", f"no value within {wall_s:g} s", wall_s)
            if stderr in done and (error := stderr.exception()) is not None:
                return self._told(error)
            waited.discard(stderr)
        error = answer.exception()
        return answer.result() if error is None else self._told(error)

    def _told(self, error: BaseException) -> RunFailed:
        if isinstance(error, _Ended):
            return error.failed
        raise error

    async def _end(self, answer: asyncio.Task[bytes], stderr: asyncio.Task[None]) -> None:
        """Take the lines that the killed process had written, and leave no task and no pipe behind."""
        answer.cancel()
        await asyncio.wait((answer, stderr), timeout=_DRAIN_S_MAX)
        stderr.cancel()
        await asyncio.gather(answer, stderr, return_exceptions=True)
        await self._process.close()

    async def _answer(self, told: dict[str, Any]) -> bytes:
        content = msgspec.json.encode(told)
        try:
            await self._process.send(HEAD.pack(len(content), REQUEST) + content)
            del content
            while True:
                length, kind = HEAD.unpack(await self._process.stdout.readexactly(HEAD.size))
                if kind == VALUE:
                    return await self._value(length)
                await self._take(kind, length)
                await self._let_others()
        except (asyncio.IncompleteReadError, ConnectionError, BrokenPipeError):
            raise _Ended(await self._death()) from None

    async def _value(self, length: int) -> bytes:
        bytes_max = self._limits.output_bytes
        if length > bytes_max:
            message = f"the value has {length} bytes, more than {bytes_max}"
            raise _Ended(self._failed("output", message, bytes_max))
        return await self._process.stdout.readexactly(length)

    async def _take(self, kind: int, length: int) -> None:
        if kind == BEGIN and length == 0 and not self._began.is_set():
            self._began_at = asyncio.get_running_loop().time()
            self._began.set()
        elif kind == LINE and length <= LINE_BYTES_MAX:
            self._line("stdout", await self._process.stdout.readexactly(length))
        elif kind == FAILURE and length <= FAILURE_BYTES_MAX:
            raise _Ended(self._failure(await self._process.stdout.readexactly(length)))
        else:
            raise _Ended(self._failed("died", "the process wrote what is no frame of this protocol"))

    def _failure(self, content: bytes) -> RunFailed:
        try:
            told = msgspec.json.decode(content, type=_Failure)
        except msgspec.DecodeError:
            return self._failed("died", "the process wrote a failure that cannot be read")
        return self._failed(told.reason, told.message, told.limit)

    def _line(self, stream: Literal["stdout", "stderr"], raw: bytes) -> None:
        self._line_count += 1
        self._log_bytes += len(raw) + LINE_COST_BYTES
        bytes_max = self._limits.log_bytes
        if self._log_bytes > bytes_max:
            raise _Ended(self._failed("log", f"the program wrote more than {bytes_max} bytes of lines", bytes_max))
        text = raw.decode("utf-8", "replace")
        for begin in range(0, max(1, len(text)), LOG_LINE_CHARS_MAX):
            self._on_line(RunLine(stream, text[begin : begin + LOG_LINE_CHARS_MAX]))

    async def _let_others(self) -> None:
        """Give the event loop away after a turn of lines; what is buffered would be read without a pause otherwise."""
        if self._line_count >= LINES_PER_TURN:
            self._line_count = 0
            await asyncio.sleep(TURN_PAUSE_S)

    async def _read_stderr(self) -> None:
        kept = b""
        while part := await self._process.stderr.read(STDERR_READ_BYTES):
            *lines, kept = (kept + part).split(b"\n")
            for line in lines:
                self._line("stderr", line)
                await self._let_others()
            if len(kept) > LOG_LINE_CHARS_MAX:
                self._line("stderr", kept)
                kept = b""
            await self._let_others()
        if kept:
            self._line("stderr", kept)

    async def _death(self) -> RunFailed:
        status = await self._process.end_by_itself()
        ended_by = -status if status < 0 else status - _OF_SHELLS if status > _OF_SHELLS else 0
        cpu_s = self._limits.cpu_s
        loop = asyncio.get_running_loop()
        ran_s = 0.0 if self._began_at is None else loop.time() - self._began_at
        # A program that blocks the first signal gets the second; nobody else has killed it, and it ran that long.
        if ended_by == signal.SIGXCPU or (ended_by == signal.SIGKILL and ran_s >= cpu_s):
            return self._failed("cpu", f"more than {cpu_s:g} s of processor time were used", cpu_s)
        how = f"by signal {ended_by}" if ended_by else f"with status {status}"
        when = "" if self._began.is_set() else " before the program began"
        return self._failed("died" if self._began.is_set() else "unavailable", f"the process ended {how}{when}")

    def _failed(self, reason: Any, message: str, limit: float | None = None) -> RunFailed:
        return RunFailed(reason=reason, message=message, limit=limit, tier=self._tier)
