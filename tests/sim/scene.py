"""A world without chance for directed tests: one DAG, no faults but those that the test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from core.engine.node import Started, StartRequest
from core.ports.instance_store import TERMINAL_STATUSES, CommitBounds, InstanceRow, StartKey
from tests.sim.clients import DOMAINS, TRIGGER
from tests.sim.loop import running
from tests.sim.nodes import NodeBox
from tests.sim.options import options_of
from tests.sim.plans import compiled
from tests.sim.world import World

END_S_MAX = 120.0
CALM: dict[str, Any] = {
    "shard_count": 1,
    "bounds": CommitBounds(256, 1_048_576, 500, "many"),
    "attempts_max": 512,
    "hot_instances_max": 1000,
    "store_delay_s": 0.001,
    "kill": False,
    "pause": False,
    "outage": False,
    "clock": False,
    "sweep": False,
    "node_count": 1,
    "drain": False,
    "grace_s": 25.0,
    "cut": False,
    "full": False,
    "retries_per_s": 10.0,
    **dict.fromkeys(
        (
            "zombie",
            "unavailable",
            "unknown",
            "refused",
            "slow",
            "failing",
            "hanging",
            "stubborn",
            "duplicate",
            "objects_unavailable",
            "large",
            "skew_s",
            "at_once",
            "held",
            "rerun",
            "calls",
        ),
        0.0,
    ),
}


class Scene:
    """One calm world in which a test plays a trace."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.loop = world.loop
        self.store = world.store
        self.watch = world.watch

    async def node(self) -> NodeBox:
        """Start one more process and wait until it answers."""
        box = self.world.add_node()
        await self.until(lambda: box.is_up)
        return box

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait until something is true.

        Raises:
            AssertionError: not within END_S_MAX virtual seconds.
        """
        deadline = self.loop.time() + END_S_MAX
        while not is_true():
            assert self.loop.time() < deadline, "it never came true"
            await asyncio.sleep(0.001)

    def request(self, box: NodeBox, key: str | None = None, *, version: int = 0) -> StartRequest:
        """Make a start of the scene's DAG."""
        plan = self.world.plans[version]
        instance_id = box.ids.new_id()
        inputs, faults = plan.inputs_complete({})
        assert [] == faults
        start_key = None if key is None else StartKey(DOMAINS[0], "run:scene:tester", key, instance_id, "hash")
        return StartRequest(
            plan=plan,
            id=instance_id,
            domain_id=DOMAINS[0],
            start_key=start_key,
            inputs=inputs,
            trigger=TRIGGER,
            created_at=box.clock.now(),
        )

    def submit(self, box: NodeBox, key: str | None = None, *, version: int = 0) -> asyncio.Future[Started]:
        """Ask a node to start an instance."""
        return box.process.call(box.engine.submit(self.request(box, key, version=version)))

    async def all_ended(self) -> list[InstanceRow]:
        """Wait until every instance has ended, and look at everything."""
        await self.until(lambda: all(row.status in TERMINAL_STATUSES for row in self.watch.rows()))
        await asyncio.sleep(1)
        self.watch.check_all()
        assert [] == self.world.ledger.faults
        return self.watch.rows()

    def calls(self) -> list[str]:
        """Give `path/attempt` of every call that the target got, in order."""
        return [f"{call.task_path}/{call.attempt}" for call in self.world.ledger.calls]


def play(
    document: dict[str, Any],
    trace: Callable[[Scene], Coroutine[Any, Any, None]],
    *,
    later: tuple[dict[str, Any], ...] = (),
    **options: Any,
) -> None:
    """Run a trace in a world of its own; `later` are further versions of the document."""
    calm = msgspec.structs.replace(options_of(1), **{**CALM, **options})
    with running(1) as loop:
        world = World(loop, calm)
        versions = enumerate((document, *later))
        world.use([compiled({"title": "Scene", **version}, "scene", number) for number, version in versions])
        world.set_faults()
        main = loop.create_task(trace(Scene(world)))
        try:
            loop.run_until_complete(main)
        except RuntimeError:
            if world.watch.fault is None:
                raise
            raise world.watch.fault from None
        assert [] == loop.surprises
