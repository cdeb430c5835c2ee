"""The object store of the simulation, a sweep that is in a hurry, and what must hold of objects at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from core.errors import StoreUnavailable
from core.file.files import LOOSE_KEPT, Files
from core.ports.object_store import LIST_COUNT_MAX, ObjectStat, PutObject
from driven_adapters.memory import MemoryFileStore, MemoryObjectNotes
from driven_adapters.object_store import MemoryObjectStore
from tests.sim.chance import Random
from tests.sim.loop import CURRENT, SimLoop
from tests.sim.sources import SimClock, SimIds

if TYPE_CHECKING:
    from core.ports.instance_store import ObjectRange, PayloadObject
    from tests.sim.store import SimStore

Answer = TypeVar("Answer")


class SimObjectStore(MemoryObjectStore):
    """`ObjectStore` behind a connection of its own: it delays, refuses, loses answers, and goes on when a process dies.

    `unavailable` is the share of calls that fail; half of the writes among them were stored all the same. `late` are
    objects that arrived after the hurried sweep had taken their note: in the product that takes two hours (ADR 0025).
    """

    def __init__(self, loop: SimLoop, store: SimStore, rng: Random) -> None:
        super().__init__(SimClock(loop))
        self.unavailable = 0.0
        self.late: set[tuple[str, str]] = set()
        self._loop = loop
        self._store = store
        self._rng = rng

    async def put(self, domain_id: str, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> PutObject:
        """Write an object; it reaches the store when it arrives there, or never when its process died before."""
        parts = [chunk async for chunk in chunks]
        put, place = super().put, (domain_id, key)

        def store() -> PutObject:
            tables = self._store.tables
            if place not in tables.group("object_loose") or place in tables.group("object_condemned"):
                self._store.cells["object arrives after its sweep"] += 1
                self.late.add(place)
            return _now(put(domain_id, key, _each(parts), bytes_max=bytes_max))

        return await self._send("put", store)

    async def delete(self, domain_id: str, key: str) -> bool:
        """Remove an object."""
        delete = super().delete
        return await self._send("delete", lambda: _now(delete(domain_id, key)))

    def get(self, domain_id: str, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Read a range."""
        get = super().get

        async def collect() -> list[bytes]:
            return [chunk async for chunk in get(domain_id, key, first=first, last=last)]

        return _Chunks(self._send("get", lambda: _now(collect())))

    def left(self, domain_ids: list[str]) -> dict[tuple[str, str], int]:
        """Give the length of every object of these domains by (domain, key), as they lie now."""
        found: dict[tuple[str, str], int] = {}
        for domain_id in domain_ids:
            page: list[ObjectStat] = list(_now(self.list(domain_id, prefix="", after="", limit=LIST_COUNT_MAX)))
            assert len(page) < LIST_COUNT_MAX
            found |= {(domain_id, one.key): one.bytes_count for one in page}
        return found

    def bytes_of(self, domain_id: str, wanted: ObjectRange) -> bytes:
        """Give bytes as they lie now."""
        body, _ = self._objects[domain_id, wanted.key]
        return body[wanted.offset : wanted.offset + wanted.length]

    async def _send(self, verb: str, act: Callable[[], Answer]) -> Answer:
        answer: asyncio.Future[Answer] = self._loop.create_future()
        process, rng = CURRENT.get(), self._rng

        def arrive() -> None:
            if process is not None and process.is_killed and rng.random() < 0.5:
                self._store.cells[f"crash drops object {verb}"] += 1
                return
            is_lost = self._store.faults.is_down or rng.random() < self.unavailable
            if is_lost:
                self._store.cells[f"unavailable object {verb}"] += 1
                if verb == "put" and rng.random() < 0.5:
                    act()
                self._store.deliver(answer, None, StoreUnavailable("simulated: no connection to the objects"))
                return
            try:
                result, error = act(), None
            except Exception as raised:  # noqa: BLE001 - what a port raises is handed to the caller, whatever it is
                result, error = None, raised
            self._store.deliver(answer, result, error)

        self._loop.call_world(self._store.draw_delay_s(), arrive)
        return await answer


class _Chunks:
    """An iterator that is no generator: one left behind by a killed process must not be closed by the collector."""

    def __init__(self, asked: Coroutine[Any, Any, list[bytes]]) -> None:
        self._asked = asked
        self._chunks: list[bytes] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._chunks is None:
            self._chunks = await self._asked
        if not self._chunks:
            raise StopAsyncIteration
        return self._chunks.pop(0)


def sweeper(store: SimStore, objects: MemoryObjectStore, loop: SimLoop, rng: Random) -> Files:
    """Make what sweeps loose objects, with a clock so far ahead that every note is old enough at once."""
    clock = SimClock(loop)
    clock.offset_s = (LOOSE_KEPT + timedelta(seconds=1)).total_seconds()
    return Files(MemoryFileStore(store), MemoryObjectNotes(store), objects, clock, SimIds(clock, rng))


def object_faults(store: SimStore, objects: SimObjectStore, domain_ids: list[str]) -> list[str]:
    """Compare what the rows refer to with what lies in the object store, after a sweep: neither may have more."""
    lying = objects.left(domain_ids)
    found: list[str] = []
    for row in store.tables.group("instance").values():
        rows: dict[int, PayloadObject] = store.tables.group("payload_object", row.id)
        for held in rows.values():
            store.cells["values in an object"] += 1
            if lying.pop((row.domain_id, held.key), None) != held.bytes_count:
                found.append(f"ADR 0025: {row.id} refers to {held.key}, which does not lie there whole")
    left = sorted(lying.keys() - objects.late)
    return [*found, *(f"ADR 0025: nothing refers to {key} of {domain_id}" for domain_id, key in left)]


async def _each(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def _now(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: Answer = ended.value
        return result
    raise AssertionError("the memory adapter waited")
