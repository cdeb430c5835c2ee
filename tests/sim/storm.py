"""The faults of one seed while its storm lasts: who is killed, paused, drained or cut off, and what the store does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from core.errors import FlowError
from tests.sim.chance import pick_seconds
from tests.sim.objects import sweeper

if TYPE_CHECKING:
    from tests.sim.chance import Random
    from tests.sim.nodes import NodeBox
    from tests.sim.world import World

AIMED_SHARE = 0.6  # of kills, pauses, cuts and drains wait for a commit under way; the others come at any moment
AIM_S_MAX = 1.0
AIM_EVERY_S = 0.0015
CLOCK_S_MAX = 0.25  # of half of the jumps, beside the skew that a clock has all the time
LEAP_S_MAX = 3.0  # of the other half: as long as a lease
STOPPED_CLOCK_SHARE = 0.5  # of pauses: the wall clock of a machine that was suspended is behind
FAILOVER_S = 4.0  # a paused node's shards are free after its lease: a successor is started by then
SPARE_NODES = 2  # started beside those that do not answer


class Storm:
    """Runs every kind of fault that the options turn on, until it ends."""

    def __init__(self, world: World) -> None:
        self._world = world
        options = world.options
        wanted: list[tuple[bool, Coroutine[Any, Any, None]]] = [
            (options.kill, self._kill()),
            (options.pause, self._pause()),
            (options.drain, self._drain()),
            (options.cut, self._cut()),
            (options.outage, self._break_store()),
            (options.full, self._fill_store()),
            (options.clock, self._move_clocks()),
            (options.sweep, self._sweep()),
            (True, self._keep_alive()),
        ]
        self._tasks: list[asyncio.Task[None]] = []
        for is_on, faults in wanted:
            if is_on:
                self._tasks.append(asyncio.create_task(faults))
            else:
                faults.close()

    def end(self) -> None:
        """Let nothing more go wrong; what is wrong already is the world's to heal."""
        for task in self._tasks:
            task.cancel()

    async def _kill(self) -> None:
        world, rng = self._world, self._world.rng("kill")
        while True:
            await asyncio.sleep(rng.expovariate(1 / world.options.kill_every_s))
            box = await self._aimed(rng, lambda: world.nodes)
            if box is not None:
                world.kill(box)

    async def _aimed(self, rng: Random, boxes: Callable[[], list[NodeBox]]) -> NodeBox | None:
        """Choose whom a fault meets: most wait for a process with a commit on its way, where they hurt most."""
        world = self._world
        deadline = world.loop.time() + (AIM_S_MAX if rng.random() < AIMED_SHARE else 0.0)
        while world.loop.time() < deadline:
            busy = [box for box in boxes() if world.store.is_commit_under_way(box.process)]
            if busy:
                return rng.choice(busy)
            await asyncio.sleep(AIM_EVERY_S)
        found = boxes()
        return rng.choice(found) if found else None

    async def _keep_alive(self) -> None:
        world, rng = self._world, self._world.rng("restart")
        wanted = world.options.node_count
        while True:
            await asyncio.sleep(rng.uniform(0.05, 1.0))
            if len(world.nodes) < wanted:
                world.cells["restart"] += 1
                world.add_node()
            elif not world.live() and len(world.nodes) < wanted + SPARE_NODES and rng.random() < 0.2:
                world.cells["failover beside a paused node"] += 1
                world.add_node()

    async def _pause(self) -> None:
        world, rng = self._world, self._world.rng("pause")
        while True:
            await asyncio.sleep(pick_seconds(rng, 0.3, 8.0))
            box = await self._aimed(rng, world.live)
            if box is None:
                continue
            world.cells[f"pause {world.state_of(box)}"] += 1
            box.process.pause()
            world.store.hold(box.process)
            paused_s = pick_seconds(rng, 0.05, 3 * FAILOVER_S)
            await asyncio.sleep(paused_s)
            if world.options.clock and rng.random() < STOPPED_CLOCK_SHARE:
                box.clock.offset_s -= paused_s
            if world.is_zombie(box):
                world.cells["zombie resumes"] += 1
            box.resume()

    async def _drain(self) -> None:
        world, rng = self._world, self._world.rng("drain")
        while True:
            await asyncio.sleep(pick_seconds(rng, 0.5, 8.0))
            box = await self._aimed(rng, lambda: [box for box in world.live() if box.is_up and not box.is_draining])
            if box is not None:
                world.drain(box)

    async def _cut(self) -> None:
        """Cut one node off from the store while the others reach it: it must give up by its own clock (R5)."""
        world, rng = self._world, self._world.rng("cut")
        while True:
            await asyncio.sleep(pick_seconds(rng, 0.5, 8.0))
            box = await self._aimed(rng, world.live)
            if box is None:
                continue
            world.cells[f"cut {world.state_of(box)}"] += 1
            lost = world.store.cut[box.process] = rng.choice(("requests", "answers", "leases"))
            world.store.hold(box.process)
            # Without renewals nothing happens before the lease is over.
            await asyncio.sleep(pick_seconds(rng, FAILOVER_S if lost == "leases" else 0.05, 3 * FAILOVER_S))
            world.store.cut.pop(box.process, None)

    async def _break_store(self) -> None:
        world, rng = self._world, self._world.rng("outage")
        while True:
            await asyncio.sleep(pick_seconds(rng, 0.5, 10.0))
            world.cells["store outage"] += 1
            world.store.break_down()
            await asyncio.sleep(pick_seconds(rng, 0.05, 5.0))
            world.store.faults.is_down = False

    async def _fill_store(self) -> None:
        """Let the store's disk be full for a while: nothing is written, everything can be read (R12)."""
        world, rng = self._world, self._world.rng("full")
        while True:
            await asyncio.sleep(pick_seconds(rng, 0.5, 10.0))
            world.cells["disk full"] += 1
            world.store.faults.is_full = True
            await asyncio.sleep(pick_seconds(rng, 0.05, 5.0))
            world.store.faults.is_full = False

    async def _move_clocks(self) -> None:
        world, rng = self._world, self._world.rng("clock")
        while True:
            await asyncio.sleep(pick_seconds(rng, 0.2, 5.0))
            for box in world.nodes:
                world.cells["clock jump"] += 1
                span_s = rng.choice((CLOCK_S_MAX, LEAP_S_MAX))
                box.clock.offset_s = box.skew_s + rng.uniform(-span_s, span_s)

    async def _sweep(self) -> None:
        """Sweep what was noted a moment ago: commits that come too late must be refused and decided again."""
        world = self._world
        files = sweeper(world.store, world.objects, world.loop, world.rng("sweep ids"))
        rng = world.rng("sweep")
        while True:
            await asyncio.sleep(pick_seconds(rng, 0.1, 4.0))
            with contextlib.suppress(FlowError):
                world.cells["object swept in the storm"] += await files.sweep()
