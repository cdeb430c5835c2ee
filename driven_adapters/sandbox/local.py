"""The task runner on this machine: a process per run, tiers 1 to 3, a few processes kept ready."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from core.ports.task_runner import Mode, Ran, RunFailed, RunLine, RunRequest, RunResult, TierOffer
from driven_adapters.sandbox.child.confine import LANDLOCK_ABI_MIN, MACHINE, landlock_abi, open_kernel
from driven_adapters.sandbox.conversation import Conversation
from driven_adapters.sandbox.interpreter import CHILD_FOLDER, find_interpreter, is_open_to_others, pure_interpreter
from driven_adapters.sandbox.process import RunProcess
from driven_adapters.sandbox.spawning import Spawner
from driven_adapters.sandbox.tier import (
    CONFINED,
    NAMESPACED,
    NOBODY,
    PURE,
    UID_COUNT,
    UID_FIRST,
    Isolation,
    command_of,
    told_of,
)

PLACE_COUNT_MAX = 16  # each may take MEMORY_MIB_MAX; more runs at once than cores only slow each other down
PLACE_COUNT_MIN = 2
WARM_COUNT_MAX = 2  # of each tier after its first use: the next step's start is hidden behind this step's work
WARM_S = 60.0  # a process that nobody took for so long is given back
ALL_TIERS = (PURE, CONFINED, NAMESPACED)
_PROBE_CODE = "def main():\n    return 1"
_FIX = {
    PURE: "install the package pydantic-monty, as the lock files do",
    CONFINED: f"run on Linux 6.2 or newer on {MACHINE} with Landlock in its list of security modules",
    NAMESPACED: "install bubblewrap and allow user namespaces",
}
_HOLDS = {
    PURE: "interpreter without files, network and imports",
    CONFINED: "confined process, one business domain only",
    NAMESPACED: "confined process in namespaces of its own",
}


class LocalRunner:
    """Runs programs on this machine. Use as a context: entering tries every tier, leaving ends every process."""

    def __init__(self, *, tiers: Sequence[int] = ALL_TIERS, places: int | None = None) -> None:
        """Take what may be offered at most.

        Args:
            tiers: that are tried; others are not offered.
            places: runs at a time; None = one per core, within PLACE_COUNT_MIN and PLACE_COUNT_MAX.
        """
        self._tiers = tuple(tiers)
        default = min(PLACE_COUNT_MAX, max(PLACE_COUNT_MIN, os.cpu_count() or 1))
        self._places = asyncio.Semaphore(places or default)
        self._isolation: Isolation | None = None
        self._spawner: Spawner | None = None
        self._offers: tuple[TierOffer, ...] = ()
        self._warm: dict[int, list[RunProcess]] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._run_count = 0
        self._confined_domain: str | None = None

    async def __aenter__(self) -> Self:
        """Find out what this machine offers, by running a program in every tier."""
        self._isolation = find_isolation()
        if self._isolation is not None:
            self._spawner = Spawner(self._isolation.interpreter.program)
        self._offers = tuple(await asyncio.gather(*(self._try_tier(tier) for tier in ALL_TIERS)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process that waits for a run."""
        for timer in self._timers:
            timer.cancel()
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        ready = [process for processes in self._warm.values() for process in processes]
        self._warm.clear()
        await asyncio.gather(*(process.close() for process in ready))
        if self._spawner is not None:
            await self._spawner.close()

    @property
    def offers(self) -> Sequence[TierOffer]:
        """Tell every tier, ascending."""
        return self._offers

    @property
    def ready_processes(self) -> set[int]:
        """Give the numbers of the processes that wait for a run."""
        return {process.pid for processes in self._warm.values() for process in processes}

    @property
    def spawner_pid(self) -> int | None:
        """Give the number of the process that starts the others; None where no tier is offered."""
        return None if self._spawner is None else self._spawner.ready()

    def refusal(self, mode: Mode) -> str | None:
        """Say why a mode is not offered; None when it is."""
        asked = (PURE,) if mode == "pure" else (NAMESPACED, CONFINED)
        if any(self._has(tier) for tier in asked):
            return None
        offers = {offer.tier: offer for offer in self._offers}
        return "; ".join(f"tier {tier} is not offered: {offers[tier].said}" for tier in asked if tier in offers)

    async def run(self, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        """Run one program; the contract of the port."""
        tier = self._tier_for(request)
        if isinstance(tier, RunFailed):
            return tier
        async with self._places:
            return await self._run_in(tier, request, on_line)

    def _tier_for(self, request: RunRequest) -> int | RunFailed:
        if (refusal := self.refusal(request.mode)) is not None:
            return RunFailed(reason="unavailable", message=refusal)
        if request.mode == "pure":
            return PURE
        if self._has(NAMESPACED):
            return NAMESPACED
        # Runs of tier 2 have one kernel, and often one user, in common: good against accidents, not between tenants.
        if self._confined_domain is None:
            self._confined_domain = request.domain_id
        if self._confined_domain != request.domain_id:
            message = "tier 2 holds one business domain only, and another one uses it; tier 3 is not offered here"
            return RunFailed(reason="unavailable", message=message)
        return CONFINED

    def _has(self, tier: int) -> bool:
        return any(offer.tier == tier and offer.is_offered for offer in self._offers)

    async def _run_in(self, tier: int, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        isolation = self._found()
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        self._run_count += 1
        told = told_of(tier, isolation, request, self._run_count)
        try:
            if isolation.is_root and request.writes is not None:
                os.chown(request.writes, told["uid"], told["uid"])
            process = await self._take(tier, request)
        except OSError as error:
            return RunFailed(reason="unavailable", message=f"no process could be started: {error.strerror}", tier=tier)
        answer = await Conversation(process, tier, request.limits, on_line).hold(told)
        if isinstance(answer, RunFailed):
            return answer
        return Ran(output=msgspec.Raw(answer), tier=tier, wall_s=loop.time() - begun_at)

    def _found(self) -> Isolation:
        if self._isolation is None:
            raise AssertionError("a runner is entered before it runs anything")
        return self._isolation

    async def _take(self, tier: int, request: RunRequest) -> RunProcess:
        """Give a process that serves this request only, one kept ready where that is possible."""
        if not _is_plain(tier, request):
            return await self._start(tier, request)
        ready = self._warm.get(tier, [])
        process = None
        while ready and process is None:
            oldest = ready.pop(0)
            if oldest.is_alive:
                process = oldest
            else:
                await oldest.close()
        if process is None:
            process = await self._start(tier, _PLAIN)
        if self._offers:  # not while tiers are tried
            self._do(self._keep_ready(tier))
        return process

    async def _start(self, tier: int, request: RunRequest) -> RunProcess:
        if self._spawner is None:
            raise AssertionError("a runner is entered before it runs anything")
        return await RunProcess.start(
            self._spawner, command_of(tier, self._found(), request, parent=self._spawner.ready())
        )

    def _do(self, chore: object) -> None:
        task = asyncio.ensure_future(chore)  # type: ignore[call-overload]  # a coroutine of this class
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _keep_ready(self, tier: int) -> None:
        ready = self._warm.setdefault(tier, [])
        if len(ready) >= WARM_COUNT_MAX:
            return
        try:
            process = await self._start(tier, _PLAIN)
        except OSError:
            return  # the next run tries, and says so
        ready.append(process)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(WARM_S, lambda: self._give_back(tier, process))
        self._timers = {one for one in self._timers if not one.cancelled() and one.when() > loop.time()} | {timer}

    def _give_back(self, tier: int, process: RunProcess) -> None:
        if process in self._warm.get(tier, []):
            self._warm[tier].remove(process)
            self._do(process.close())

    async def _try_tier(self, tier: int) -> TierOffer:
        if tier not in self._tiers:
            return TierOffer(tier, is_offered=False, said="turned off")
        isolation = self._isolation
        if isolation is None:
            said = f"no Python that user {NOBODY} may execute: root's is in a folder closed to others"
            return TierOffer(
                tier, is_offered=False, said=said, fix="install Python for all users, or do not run as root"
            )
        if (missing := _missing(tier, isolation)) is not None:
            return TierOffer(tier, is_offered=False, said=missing, fix=_FIX[tier])
        result = await self._run_in(tier, _PLAIN, lambda _: None)
        if isinstance(result, RunFailed):
            return TierOffer(tier, is_offered=False, said=f"tried, and {result.message}", fix=_FIX[tier])
        return TierOffer(tier, is_offered=True, said=f"{_HOLDS[tier]}, {_details(tier, isolation)}")


_PLAIN = RunRequest(domain_id="", mode="isolated", code=_PROBE_CODE, inputs={})


def find_isolation() -> Isolation | None:
    """Look at this machine: who we are, what the kernel has, which programs are there; None = no Python for runs."""
    is_root = os.geteuid() == 0
    interpreter = find_interpreter(is_root=is_root)
    if interpreter is None:
        return None
    pure = pure_interpreter()
    if is_root and pure is not None and not is_open_to_others(Path(pure)):
        pure = None
    is_linux = platform.system() == "Linux"
    has_landlock = is_linux and platform.machine() == MACHINE and landlock_abi(open_kernel()) >= LANDLOCK_ABI_MIN
    return Isolation(
        interpreter=interpreter,
        pure_interpreter=pure,
        namespaces=shutil.which("bwrap"),
        is_root=is_root,
        has_uid_range=is_root and _has_uid_range(),
        restricts_files=has_landlock,
        filters_calls=is_linux and platform.machine() == MACHINE,
    )


def _has_uid_range() -> bool:
    """Say whether this machine's map of users has the numbers for runs; containers often have 65 536 in all."""
    try:
        lines = Path("/proc/self/uid_map").read_text("ascii").splitlines()
    except OSError:
        return False
    ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in lines)]
    return any(first <= UID_FIRST and first + count >= UID_FIRST + UID_COUNT for first, count in ranges)


def _missing(tier: int, isolation: Isolation) -> str | None:
    if isolation.is_root and not is_open_to_others(CHILD_FOLDER / "child"):
        return "the program's own folder is closed to other users, and runs are never root"
    if tier == PURE:
        return None if isolation.pure_interpreter else "the interpreter of this tier is not installed"
    if not isolation.filters_calls:
        return f"the filter of system calls is for Linux on {MACHINE}"
    if not isolation.restricts_files:
        return f"the kernel has no Landlock of version {LANDLOCK_ABI_MIN} or newer"
    if tier == NAMESPACED and isolation.namespaces is None:
        return "bubblewrap (bwrap) is not installed"
    return None


def _details(tier: int, isolation: Isolation) -> str:
    who = "a user of its own per run" if isolation.has_uid_range else "user nobody" if isolation.is_root else "own user"
    files = "Landlock" if isolation.restricts_files else "no Landlock"
    return f"{who}, {files}" + ("" if tier == PURE else ", seccomp")


def _is_plain(tier: int, request: RunRequest) -> bool:
    """Say whether a process that was started before the request came can serve it."""
    if tier != NAMESPACED:
        return True
    has_files = bool(request.reads) or request.writes is not None
    return not has_files and request.program == "python" and request.limits.memory_mib >= _PLAIN.limits.memory_mib
