"""Two-session permutation specs (reliability.md T-01b): two acts meet, and every order of their messages is played.

A stage (`acts.py`) brings one instance to the moment in which both acts are about to begin. Then time stands still, and
whenever no callback is ready a **path** says what is next: an act begins, a message arrives at the store, or an answer
at the node that asked. When no message is left time goes on, and everything ends. Paths are walked depth first, each
from the beginning; a run after its path takes the first of what there is.

What is left out, and why nothing is lost by it:

* What a node does between two messages touches no port, so nobody can come in between; asyncio runs it in one order.
* In the node at which both acts run, every order of its messages is played. A node that one act has for itself sends
  and hears in the order in which it sent: its own order is the act's, and no meeting.
* An answer that such a node waits for is heard at once: nobody else hears it.
* A state in which the store holds the same, each process has heard the same in the same order, and the same is on its
  way, is walked from once, however it was reached. Nodes are deterministic, so it is the same state.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from tests.sim.acts import Begin, Pair, Stage, document_of
from tests.sim.loop import Process
from tests.sim.scene import Scene, play

Path = tuple[int, ...]
Edges = dict[bytes, dict[int, bytes]]  # state -> choice -> the state after it
STATES_COUNT_MAX = 5_000  # of one pair; reaching it is a failure, never a walk that is cut off
MESSAGES_COUNT_MAX = 200  # in one moment
# Nothing but a takeover changes what these give, and it compares what it was given when it acts: they go at once.
SILENT_READS = ("shards", "living_nodes")
END = b"end"


class Message(msgspec.Struct, frozen=True):
    """Something that can come next; of no process = an act that begins. `seen`: what the store held when it answered."""

    told: str
    process: Process | None
    deliver: Callable[[], Coroutine[Any, Any, None] | None]
    seen: str = ""


class Point(msgspec.Struct, frozen=True):
    """A state in which `count` things could be next."""

    state: bytes
    count: int


class Window:
    """One moment in which a path says what is next.

    Attributes:
        points: the states in which there was a choice. taken: what was chosen in each. told: all that came, in words.
        is_known: it came to a state that was walked from before, and stopped there.
    """

    def __init__(self, stage: Stage, path: Path, known: Mapping[bytes, object]) -> None:
        self._stage = stage
        self._path = path
        self._known = known
        self._messages: list[Message] = []
        self._heard: dict[str, bytes] = {}
        self.points: list[Point] = []
        self.taken: list[int] = []
        self.told: list[str] = []
        self.is_known = False

    async def play(self, acts: Sequence[tuple[str, Begin]]) -> None:
        """Play the path until nothing is on its way."""
        store = self._stage.scene.store
        self._messages = [Message(f"begin {name}", None, begin) for name, begin in acts]
        store.carry = self._carry
        while True:
            await asyncio.sleep(0)
            if self._stage.scene.loop.ready_count:
                continue  # what is ready runs first
            if not self._messages:
                break
            assert len(self.told) < MESSAGES_COUNT_MAX, self.told
            chosen = self._choose(self._next())
            if chosen is None:
                return
            self._messages.remove(chosen)
            await self._deliver(chosen)
        store.carry = store.carry_by_chance

    def _carry(self, process: Process | None, told: str, arrive: Callable[[], None]) -> None:
        assert process is not None, told
        seen = self._stage.scene.watch.trace if told.startswith("<-") else ""
        self._messages.append(Message(f"{process.name} {told}", process, arrive, seen))

    def _next(self) -> list[Message]:
        """Give what can come next."""
        shared = self._stage.shared
        single: dict[Process, Message] = {}  # what each node that one act has for itself sent first
        others: list[Message] = []
        for message in self._messages:
            if message.process is None or message.process is shared:
                others.append(message)
            else:
                single.setdefault(message.process, message)
        is_begun = all(message.process is not None for message in self._messages)  # what begins may move the time
        for message in single.values():
            if (message.seen and is_begun) or message.told.endswith(SILENT_READS):
                return [message]
        return sorted([*others, *single.values()], key=lambda message: (message.told, message.seen))

    def _choose(self, messages: list[Message]) -> Message | None:
        """Choose as the path says; None in a state that is known."""
        if len(messages) == 1:
            return messages[0]
        depth, state = len(self.points), self._state()
        self.points.append(Point(state, len(messages)))
        if depth >= len(self._path) and state in self._known:
            self.is_known = True
            return None
        self.taken.append(self._path[depth] if depth < len(self._path) else 0)
        return messages[self.taken[-1]]

    async def _deliver(self, message: Message) -> None:
        self.told.append(message.told)
        everybody = [box.process for box in self._stage.boxes]
        hearing = everybody if message.process is None else [message.process] if message.seen else []
        for process in hearing:
            self._heard[process.name] = _digest(self._heard.get(process.name, b""), message.told, message.seen)
        begun = message.deliver()
        if begun is not None:
            await begun

    def _state(self) -> bytes:
        heard = [f"{name} {digest.hex()}" for name, digest in sorted(self._heard.items())]
        waiting = sorted(f"{message.told} {message.seen}" for message in self._messages)
        return _digest(b"", self._stage.scene.watch.trace, *heard, *waiting)


def _digest(before: bytes, *texts: str) -> bytes:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16, key=before).digest()


class Played(msgspec.Struct):
    """One run. `end`: the status that the instance ended with; empty when it stopped at a known state."""

    window: Window
    end: str
    cells: Counter[str]


def play_path(pair: Pair, path: Path, known: Mapping[bytes, object]) -> Played:
    """Play one path from the beginning.

    Raises:
        InvariantBrokenError, AssertionError: what it found; a note says after which messages.
    """
    found: list[Played] = []

    async def trace(scene: Scene) -> None:
        scene.loop.choose = _first
        stage = Stage(scene, pair)
        await stage.set_up()
        window = Window(stage, path, known)
        found.append(Played(window, "", Counter()))
        await window.play(stage.acts())
        if not window.is_known:
            found[0].end = await stage.end()
        found[0].cells = scene.world.cells + scene.store.cells

    try:
        play(document_of(pair), trace, store_delay_s=0.0, restart_to_heal=False)
    except Exception as fault:
        told = found[0].window.told if found else []
        fault.add_note(f"{' and '.join(pair)}, path {path}: {', '.join(told)}")
        raise
    return found[0]


class Explored(msgspec.Struct):
    """What one pair came to. `states`: in which there was a choice. `cells`: what happened in the runs, by how often."""

    pair: Pair
    runs_count: int = 0
    states_count: int = 0
    interleavings_count: int = 0
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    cells: Counter[str] = msgspec.field(default_factory=Counter)


def explore(pair: Pair, *, is_merged: bool = True) -> Explored:
    """Play every order of the messages of two acts; each is held against the invariants as it runs and when it ended.

    `is_merged` False: states that were reached before are walked from all the same.

    Raises:
        InvariantBrokenError, AssertionError: what an order found, or the pair has more than STATES_COUNT_MAX states.
    """
    explored = Explored(pair)
    edges: Edges = {}
    counts: dict[bytes, int] = {}
    paths: list[Path] = [()]
    first = END
    while paths:
        path = paths.pop()
        played = play_path(pair, path, edges if is_merged else {})
        window = played.window
        for depth in range(len(path), len(window.taken)):
            paths += [(*window.taken[:depth], other) for other in range(1, window.points[depth].count)]
        states = [*(point.state for point in window.points), *([] if window.is_known else [END])]
        for point, choice, after in zip(window.points, window.taken, states[1:], strict=False):
            counts[point.state] = point.count
            assert after == edges.setdefault(point.state, {}).setdefault(choice, after), "equal states went apart"
        assert len(edges) < STATES_COUNT_MAX, f"{pair} has too many states"
        first = states[0]
        explored.runs_count += 1
        explored.cells += played.cells
        explored.ends += Counter([played.end] if played.end else [])
    assert counts == {state: len(after) for state, after in edges.items()}, "an order was left out"
    explored.states_count = len(edges)
    explored.interleavings_count = _count_paths(edges, first)
    return explored


def _count_paths(edges: Edges, first: bytes) -> int:
    """Count the ways from the first state to the end."""
    found, stack = {END: 1}, [first]
    while stack:
        after = list(edges.get(stack[-1], {}).values())
        missing = [state for state in after if state not in found]
        if not missing and stack[-1] not in found:
            found[stack[-1]] = sum(found[state] for state in after)
        stack = stack + missing if missing else stack[:-1]
    return found[first]


def _first(_count: int) -> int:
    """Run callbacks in the order in which asyncio does."""
    return 0
