"""Two acts that meet at one instance: the scene before them, how each begins, and what must be true when all has ended.

* commit: a keyed start at the owner of the shard, answered when its commit landed. The second one has the same key and
  comes to another node, which stores it (R16).
* takeover: the owner's lease is over in the store, but its machine slept, so that it does not know; another node takes
  the shard and goes on with its work. R5 cannot hold this, R3 must. The second one is a third node's.
* cancel: a client cancels the instance at its owner. The second one comes to another node.
* complete: the target of a running attempt answers. The second one is that of an attempt beside it: a fan-in.
* timer: the clock reaches the due time of a wait. The second wait is due next.
* relay: the way of everything that reaches an instance through the store today, such as a child's end that is told to
  its parent, or a granted permit: a node writes a row into the inbox, here that of a signal, and the owner, woken,
  takes it. There is no outbox yet. The second one is another signal.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from core.engine.events import InstanceEnded
from core.engine.journal import decode_events
from core.engine.node import StartRequest
from core.engine.node.sharing import preferred
from core.engine.stimuli import Cancel, Signal
from core.errors import FlowError
from core.ports.instance_store import InstanceRow, JournalRow
from tests.sim.clients import DOMAINS, Tried
from tests.sim.loop import Process
from tests.sim.nodes import NodeBox
from tests.sim.scene import Scene
from tests.sim.sources import STARTED_AT

Begin = Callable[[], Coroutine[Any, Any, None]]
Ask = Callable[[], Coroutine[Any, Any, None]]
Pair = tuple[str, str]
ACTS = ("commit", "takeover", "cancel", "complete", "timer", "relay")
PAIRS: tuple[Pair, ...] = tuple(itertools.combinations_with_replacement(ACTS, 2))
ENDING = frozenset({"complete", "timer", "relay"})  # acts that an instance waits for
OF_OTHER_NODES = frozenset({"takeover", "relay"})
AGAIN_ELSEWHERE = frozenset({"commit", "takeover", "cancel"})  # acts whose second one is another node's
TRIES_MAX = 20  # of one client
PAUSE_S = 0.1  # before it asks again
TICK_S = 0.001
WAIT_S = 0.3  # of the first wait; nothing else is due then
TAKEN_S = 1.0  # what lies in the inbox is taken within it
FIRST_NUMBER = 2  # of a node's name: the shard prefers it to those after it, so that nothing moves
SIGNALS = ("paid", "sent")


def document_of(pair: Pair) -> dict[str, Any]:
    """Make a DAG that waits for just what the pair does; without a cancel a step joins it."""
    works = pair.count("complete") + ENDING.isdisjoint(pair)
    steps = [_step(f"a{number}", "@sim/work", hangs=9) for number in range(works)]
    waits = range(pair.count("timer"))
    steps += [_step(f"w{number}", "@control/wait", seconds=WAIT_S + number * TICK_S) for number in waits]
    names = SIGNALS[: pair.count("relay")]
    steps += [_step(name, "@control/wait", event={"name": name, "timeout_s": 60}) for name in names]
    branches = [{"id": f"branch{number}", "steps": [step]} for number, step in enumerate(steps)]
    join = [] if "cancel" in pair else [_step("join", "@sim/work", ms=10)]
    return {"steps": [_step("p", "@control/parallel", branches=branches), *join]}


def _step(name: str, operator: str, **parameters: Any) -> dict[str, Any]:
    return {"id": name, "operator": operator, "parameters": parameters}


class Stage:
    """The nodes of one pair, its instance, and what its clients were answered. The first node owns the shard."""

    def __init__(self, scene: Scene, pair: Pair) -> None:
        self.scene = scene
        self.pair = pair
        self.instance_id = ""
        self.boxes: list[NodeBox] = []
        self._cancels: list[str] = []
        self._asking: list[asyncio.Task[None]] = []

    @property
    def shared(self) -> Process | None:
        """Give the process in which both acts run: the owner's, unless another node takes the shard from it."""
        return None if "takeover" in self.pair else self.boxes[0].process

    async def set_up(self) -> None:
        """Start the nodes and the instance, and come to the moment before the acts."""
        scene, (first, second) = self.scene, self.pair
        scene.world._node_count = FIRST_NUMBER - 1
        count = 1 + len(OF_OTHER_NODES.intersection(self.pair)) + (first == second and first in AGAIN_ELSEWHERE)
        self.boxes = [await scene.node() for _ in range(count)]
        names = [box.process.name for box in self.boxes]
        assert names[0] == preferred(names, 0)
        self.instance_id = await self._start(self._request(self.boxes[0], "first"), self.boxes[0])
        works = self.pair.count("complete") + ENDING.isdisjoint(self.pair)
        await scene.until(lambda: works == len(scene.calls()))
        if "timer" in self.pair:
            due_at = min(row.due_at for row in scene.store.tables.group("timer").values())
            await asyncio.sleep((due_at - STARTED_AT).total_seconds() - TICK_S - scene.loop.time())

    def acts(self) -> list[tuple[str, Begin]]:
        """Give both acts, each under a name of its own."""
        begins = {
            "commit": self._commit,
            "takeover": self._takeover,
            "cancel": self._cancel,
            "complete": self._complete,
            "timer": self._timer,
            "relay": self._relay,
        }
        places = (0, self.pair.count(self.pair[0]) - 1)
        return [(f"{name} {place}", begins[name](place)) for name, place in zip(self.pair, places, strict=True)]

    def _commit(self, place: int) -> Begin:
        request = self._request(self.boxes[place], "second")

        async def ask() -> None:
            await self._start(request, self.boxes[place])

        return partial(self._send, ask)

    def _takeover(self, place: int) -> Begin:
        owner, box, store = self.boxes[0], self.boxes[-1 - place], self.scene.store
        owner.work.is_leased = _always  # it slept: what its commit had asked for, it does

        async def begin() -> None:
            name = owner.engine._ownership.node
            store.run(lambda draft: draft.put("lease", name, store.now()))
            box.process.call(box.engine._ownership._take_more())  # what each node does after a renewal

        return begin

    def _cancel(self, place: int) -> Begin:
        box, told = self.boxes[place], Cancel("permuted")

        async def ask() -> None:
            answer = await box.process.call(box.engine.command(DOMAINS[0], self.instance_id, told))
            self.scene.world.clients._check_answer(self.instance_id, told, answer.result)
            self._cancels.append(answer.result)

        return partial(self._send, ask)

    def _complete(self, place: int) -> Begin:
        silence = self.boxes[0].work._silent[place]

        async def begin() -> None:
            if not silence.done():
                silence.set_result(None)

        return begin

    def _timer(self, place: int) -> Begin:
        del place  # whichever begins first reaches the due time that comes first
        return partial(asyncio.sleep, TICK_S)

    def _relay(self, place: int) -> Begin:
        return partial(self._send, partial(self._signal, self.boxes[1], self.instance_id, SIGNALS[place]))

    def _request(self, box: NodeBox, key: str) -> StartRequest:
        request = self.scene.request(box, key)
        self.scene.world.clients.tried[request.id] = Tried(key, request.id)
        return request

    async def _start(self, request: StartRequest, box: NodeBox) -> str:
        started = await box.process.call(box.engine.submit(request))
        key = None if request.start_key is None else request.start_key.key
        self.scene.world.clients._take_answer(key, request.id, started.instance_id)
        return started.instance_id

    async def _signal(self, box: NodeBox, instance_id: str, name: str) -> None:
        key = f"{instance_id} {name}"
        signal = Signal(name=name, id=key, data=b"{}", key=key, req_hash=key)
        answer = await box.process.call(box.engine.command(DOMAINS[0], instance_id, signal))
        self.scene.world.clients.signalled.setdefault(instance_id, {})[key] = answer.result
        owner = self.boxes[0]
        owner.process.context.run(owner.engine.wake)

    async def _send(self, ask: Ask) -> None:
        self._asking.append(asyncio.create_task(_repeated(ask)))

    async def end(self) -> str:
        """Let everything be answered and end, and look at everything; gives the status that the instance ended with."""
        scene, pair = self.scene, self.pair
        for asking in self._asking:
            await asking
        await asyncio.sleep(TAKEN_S)
        scene.world._heal()
        for row in scene.watch.rows():
            for name in SIGNALS[: pair.count("relay")]:
                await _repeated(partial(self._signal, self.boxes[0], row.id, name))
        rows = await scene.all_ended()
        faults = [*scene.world._left_rows(), *scene.watch.kin.faults(), *scene.world.clients.faults()]
        assert [] == faults + self._faults(rows)
        return next(row.status for row in rows if row.id == self.instance_id)

    def _faults(self, rows: list[InstanceRow]) -> list[str]:
        """Compare what there is with what was answered."""
        found = [] if len(rows) == 1 + ("commit" in self.pair) else [f"I1: {len(rows)} instances"]
        for row in rows:
            is_cancelled = row.id == self.instance_id and "accepted" in self._cancels
            if row.status != ("cancelled" if is_cancelled else "succeeded"):
                found.append(f"R26: {row.id} is {row.status}, and its cancel was answered {self._cancels}")
            journal: dict[int, JournalRow] = self.scene.store.tables.group("journal", row.id)
            events = [event for line in journal.values() for event in decode_events(line.version, line.body)]
            ends = sum(isinstance(event, InstanceEnded) for event in events)
            if ends != 1:
                found.append(f"R26: {row.id} ended {ends} times")
        if "takeover" not in self.pair:
            found += [f"I6: {call} although nobody was lost" for call in self.scene.calls() if not call.endswith("/1")]
        return found


async def _repeated(ask: Ask) -> None:
    """Ask until somebody answers."""
    for _ in range(TRIES_MAX):
        try:
            await ask()
        except FlowError:
            await asyncio.sleep(PAUSE_S)
        else:
            return
    raise AssertionError("nobody answers")


def _always() -> bool:
    return True
