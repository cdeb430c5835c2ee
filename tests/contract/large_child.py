"""A process of the production node whose steps give large values; killed at a named point of one of its commits.

`python -m tests.contract.large_child FOLDER POINT`; the point "" is none. Points are `note:`, `object:` or `commit:` with
the point of the store that does this part, or one of the node. Every run ends the instances of earlier runs, then starts
its own, upon which it is killed; prints how each ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from pathlib import Path

import msgspec

from core.dag.plan import Plan
from core.engine.node import EngineNode, NodeSettings, SilentObserver, StartRequest
from core.executor.operator import Outcome, Succeeded
from core.executor.pipeline import AttemptRequest
from core.ports.instance_store import StartKey
from driven_adapters.object_store import LocalObjectStore
from driven_adapters.sqlite import (
    Database,
    SqliteInstanceStore,
    SqliteObjectNotes,
    SqliteOutputCache,
    SqlitePermitStore,
    SqliteShardStore,
)
from driven_adapters.system import SystemClock, SystemDice, UlidSource
from tests.unit.engine.plans import plan_of

DOMAIN_ID = "dom-a"
POINTS = (
    "before_objects",
    "note:before_commit",
    "note:after_commit",
    "object:written",
    "object:before_sync",
    "object:before_visible",
    "object:visible",
    "after_objects",
    "before_commit",
    "commit:after_each_statement:3",
    "commit:before_commit",
    "commit:after_commit",
    "after_commit",
)
LARGE = "0123456789abcdef" * 40_000
END_S_MAX = 60.0
DAG = """
steps:
  - {id: make, operator: "@debug/noop"}
  - {id: use, operator: "@debug/noop", parameters: {x: "{{ steps.make.output }}"}}
outputs: {digest: "{{ steps.use.output }}"}
"""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Killer(SilentObserver):
    """Ends the process like a power cut at one point, once a large value is on its way."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._phase = ""
        self.is_armed = False

    def point(self, name: str) -> None:
        if name == "before_objects":
            self._phase = "note"
        if self._phase:
            self._pass(name)
        if name == "after_objects":
            self._phase = "commit"
        elif name == "after_commit":
            self._phase = ""

    def store_point(self, name: str) -> None:
        if self._phase:
            self._pass(f"{self._phase}:{name}")

    def object_point(self, name: str) -> None:
        self._phase = "object"
        self._pass(f"object:{name}")

    def _pass(self, name: str) -> None:
        if self.is_armed and name == self._wanted:
            os.kill(os.getpid(), signal.SIGKILL)


class Steps:
    """Makes attempts: the first step gives a large value, the second the digest of what it got."""

    async def run(self, request: AttemptRequest) -> Outcome:
        value: object = LARGE if request.task_path == "make" else digest(request.parameters["x"])
        return Succeeded(msgspec.Raw(msgspec.json.encode(value)))


class Plans:
    """The one plan."""

    def __init__(self) -> None:
        self.plan = plan_of(DAG)

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        assert (domain_id, self.plan.dag_id, self.plan.content_hash) == (DOMAIN_ID, dag_id, content_hash)
        return self.plan


async def main(folder: Path, point: str) -> None:
    killer, plans, clock, ids = Killer(point), Plans(), SystemClock(), UlidSource()
    async with (
        Database(folder / "flow.db", clock, shard_count=4, on_point=killer.store_point) as database,
        LocalObjectStore(folder / "objects", free_bytes_min=0, on_point=killer.object_point) as objects,
    ):
        node = EngineNode(
            shards=SqliteShardStore(database),
            store=SqliteInstanceStore(database),
            notes=SqliteObjectNotes(database),
            objects=objects,
            outputs=SqliteOutputCache(database),
            permits=SqlitePermitStore(database),
            plans=plans,
            attempts=Steps(),
            clock=clock,
            ids=ids,
            dice=SystemDice(),
            settings=NodeSettings(node_id=ids.new_id()),
            observer=killer,
            on_fatal=lambda fault: sys.exit(f"{fault!r}"),
        )
        await node.start()
        runs = POINTS[: POINTS.index(point) + 1] if point else (*POINTS, "")
        ended: dict[str, str] = {}
        for key in runs:
            killer.is_armed = key == point
            instance_id = ids.new_id()
            start_key = StartKey(DOMAIN_ID, "run:dag:ann", key or "end", instance_id, "h")
            request = StartRequest(
                plan=plans.plan, id=instance_id, domain_id=DOMAIN_ID, start_key=start_key, inputs={}, trigger=b"{}",
                created_at=clock.now(),
            )  # fmt: skip
            started = await node.submit(request)
            end = await node.wait_ended(DOMAIN_ID, started.instance_id, END_S_MAX)
            ended[started.instance_id] = "" if end is None else end.status.value
        await node.stop()
        print(msgspec.json.encode(ended).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
