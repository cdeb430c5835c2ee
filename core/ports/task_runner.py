"""Where code of an attempt is executed that is not the engine's own: isolated, bounded, ended with all its processes.

The engine never runs user code in its process. Tiers of isolation: 1 = an interpreter without files, network and
imports; 2 = a confined process; 3 = a confined process in namespaces of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

WALL_S_MAX = 3600.0  # what takes longer holds its place for too long: split it, or give it to a worker
CPU_S_MAX = 3600.0
MEMORY_MIB_MIN = 64  # an interpreter needs about 40 to start
MEMORY_MIB_MAX = 4096
OUTPUT_BYTES_MAX = 64 * 1024 * 1024  # what the store keeps as one value
LOG_BYTES_MAX = 16 * 1024 * 1024  # a log beyond it belongs into a file
INPUT_BYTES_MAX = 64 * 1024 * 1024  # as outputs, which they mostly are
CODE_BYTES_MAX = 256 * 1024  # as a document of YAML, in which code stands
FILE_COUNT_MAX = 256  # each is a rule of the kernel for the process
THREAD_COUNT_MAX = 64
LOG_LINE_CHARS_MAX = 8192  # a line is read by a person; longer ones are cut into several

Mode = Literal["pure", "isolated"]
"""`pure` = tier 1 or stronger without files, network and imports; `isolated` = the strongest tier from 2 on."""

Reason = Literal[
    "raised",  # the program raised; `message` names class and text
    "invalid",  # the program cannot be read, or its value is no JSON
    "wall",  # limits.wall_s is over
    "cpu",  # limits.cpu_s is used up
    "memory",  # limits.memory_mib is used up
    "output",  # the value has more than limits.output_bytes
    "log",  # the lines have more than limits.log_bytes
    "died",  # the process ended without a value: killed by the kernel or by itself
    "unavailable",  # this machine does not offer the isolation asked for, or every place is taken
]


class RunLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one run may use; each bound ends it with a reason of its own.

    Attributes:
        wall_s: seconds from the program's begin. cpu_s: seconds of processor time of all its threads.
        memory_mib: of private memory. threads: at a time. output_bytes: of the value as JSON.
        log_bytes: of all lines as UTF-8. file_bytes: of each file that it writes.
    """

    wall_s: float = 60.0
    cpu_s: float = 60.0
    memory_mib: int = 256
    output_bytes: int = 1024 * 1024
    log_bytes: int = 1024 * 1024
    file_bytes: int = 64 * 1024 * 1024
    threads: int = 16


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        domain_id: whose code it is; a tier that does not hold several tenants serves one only.
        mode: how much isolation.
        program: `python` = `code` is Python; other names are programs of this project that run beside the
            engine and read `code` as their text (`query`: SQL).
        code: UTF-8 text of at most CODE_BYTES_MAX.
        entry: name of the function that is called with the inputs as keyword arguments; only for `python`.
        inputs: a JSON object. options: what a named program is told besides, JSON.
        reads: absolute paths of files and folders that it may read; the program finds them at these paths.
        writes: absolute path of a folder in which it may make, change and remove files; None = nowhere.
    """

    domain_id: str
    mode: Mode
    program: str = "python"
    code: str
    entry: str = "main"
    inputs: Any
    options: Any = None
    reads: tuple[PurePath, ...] = ()
    writes: PurePath | None = None
    limits: RunLimits = RunLimits()


class RunLine(msgspec.Struct, frozen=True):
    """A line that the program wrote, without its end; at most LOG_LINE_CHARS_MAX, control characters as they came."""

    stream: Literal["stdout", "stderr"]
    text: str


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """The program gave a value: `output` is JSON text, `tier` where it ran, `wall_s` how long, start included."""

    output: msgspec.Raw
    tier: int
    wall_s: float


class RunFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The program gave no value. `limit` is the bound that ended it, None when none did; `tier` None = not started."""

    reason: Reason
    message: str
    limit: float | None = None
    tier: int | None = None


RunResult = Ran | RunFailed


class TierOffer(msgspec.Struct, frozen=True):
    """A tier on this machine: whether it was seen to work, what was found, and what to do when it does not."""

    tier: int
    is_offered: bool
    said: str
    fix: str = ""


@runtime_checkable
class TaskRunner(Protocol):
    """Runs programs beside the engine."""

    @property
    def offers(self) -> Sequence[TierOffer]:
        """Tell every tier from 1 on, ascending; fixed for the life of the runner."""
        ...

    def refusal(self, mode: Mode) -> str | None:
        """Say why this machine does not offer a mode, None when it does; never a weaker tier instead."""
        ...

    async def run(self, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        """Run one program in a process of its own, which serves no other run.

        Cancelling ends the program and every process it made before the cancellation goes on. When this returns,
        nothing of the run is left but what it wrote into `request.writes`. Waits while all places are taken.

        Args:
            request: what to run.
            on_line: called on the event loop for each line in the order of its stream; must not block.

        Returns:
            What it gave; never raises for what a program does.
        """
        ...
