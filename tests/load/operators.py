"""Operators of the load: installed beside the product like a third party's, so that the engine is the one users run.

They hold a place as a slow service would, and look at the process from inside: its tasks, how late its loop is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from bench.machine import percentile
from core.dag.catalog import OperatorSpec
from core.executor.operator import Call, Operator, Outcome, Succeeded
from core.executor.registry import OperatorPorts

LOOK_EVERY_S = 0.005  # two hundred looks a second: a 99th percentile within seconds, for a hundredth of a core
HOLD_S_MAX = 3600.0


class Releases:
    """Groups of attempts that are held until somebody says go."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def of(self, group: str) -> asyncio.Event:
        return self._events.setdefault(group, asyncio.Event())

    async def wait(self, group: str, timeout_s: float) -> None:
        """Wait for the release of a group, or until this time has passed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.of(group).wait()
        except TimeoutError:
            return


def _spec(name: str, title: str, properties: dict[str, object]) -> OperatorSpec:
    return OperatorSpec(
        name=name,
        title=title,
        kind="attempt",
        parameters={"type": "object", "properties": properties, "additionalProperties": False},
        output={"type": "object"},
        has_side_effects=True,
    )


_GROUP = {"type": "string", "default": ""}


class Hold:
    """`@load/hold`: ends after `s` seconds, or when its group is released."""

    spec = _spec("@load/hold", "Hold a place", {"group": _GROUP, "s": {"type": "number", "maximum": HOLD_S_MAX}})

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    async def execute(self, call: Call) -> Outcome:
        given = call.parameters
        await self._releases.wait(given.get("group", ""), float(given.get("s", HOLD_S_MAX)))
        return Succeeded({})


class Release:
    """`@load/release`: lets go what is held in a group, now and later."""

    spec = _spec("@load/release", "Release a group", {"group": _GROUP})

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    async def execute(self, call: Call) -> Outcome:
        self._releases.of(call.parameters.get("group", "")).set()
        return Succeeded({})


class Look:
    """`@load/look`: looks at the loop until its group is released or `s` passed; gives lateness and the count of tasks."""

    spec = _spec("@load/look", "Look at the loop", {"group": _GROUP, "s": {"type": "number", "maximum": HOLD_S_MAX}})

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    async def execute(self, call: Call) -> Outcome:
        given = call.parameters
        released = self._releases.of(given.get("group", ""))
        now = time.perf_counter
        end_at = now() + float(given.get("s", HOLD_S_MAX))
        late_s: list[float] = []
        while not released.is_set() and now() < end_at:
            due_at = now() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            late_s.append(now() - due_at)
        late_s = late_s or [0.0]
        return Succeeded(
            {
                "task_count": len(asyncio.all_tasks()),
                "look_count": len(late_s),
                "late_p50_s": percentile(late_s, 0.5),
                "late_p99_s": percentile(late_s, 0.99),
                "late_max_s": max(late_s),
            }
        )


class Stamp:
    """`@load/stamp`: gives the time of the wall clock at which it was called, in seconds of the epoch."""

    spec = _spec("@load/stamp", "Tell the time", {})

    async def execute(self, call: Call) -> Outcome:
        del call
        return Succeeded({"at": time.time()})  # noqa: TID251 - compared with the time of who asked


def operators(ports: OperatorPorts) -> Iterable[Operator]:
    """Give the operators of the load; those of one process share what is released."""
    del ports
    releases = Releases()
    return [Hold(releases), Release(releases), Look(releases), Stamp()]
