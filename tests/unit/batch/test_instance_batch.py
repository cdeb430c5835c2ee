"""Acts on many instances: portions, what is away, what a crash cuts; over the store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.access.kept_answers import KeptAnswers
from core.engine.batch_progress import PORTION_COUNT, REFUSALS_KEPT_MAX, Progress, query_of
from core.engine.instance_batch import (
    COUNTED_MAX,
    EMPTY_PAGES_MAX,
    OPEN_COUNT_MAX,
    TRIES_MAX,
    BatchView,
    BatchWish,
    InstanceBatches,
)
from core.engine.instance_search import InstanceQuery
from core.engine.service import InstanceService
from core.engine.state import InstanceStatus
from core.engine.views import InstanceView, InstanceViewPage
from core.errors import (
    BatchNotFound,
    InstanceEnded,
    InstanceNotFound,
    InstanceQuarantined,
    NodeStopping,
    NotAllowed,
    QueueFull,
    StoreBroken,
    StoreUnavailable,
)
from core.ports.scope import Principal, Scope
from core.predicate import full_node
from driven_adapters.memory import MemoryBatchStore, MemoryKeyStore, MemoryStore
from tests.contract.stores import HandClock
from tests.sim.loop import running

ADMIN = Scope("d", Principal("p-1", "key", "ann", ("administrator",)))
VIEWER = Scope("d", Principal("p-2", "key", "bob", ("viewer",)))
AT = "2026-01-31T08:30:01.000Z"


class LoopClock:
    """Time of the simulated loop."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep_until(self, monotonic_at: float) -> None:
        await asyncio.sleep(max(0.0, monotonic_at - self.monotonic()))


class Instances(InstanceService):
    """Instances by id with their status; what a test says happens to those that are told."""

    def __init__(self, statuses: dict[str, str]) -> None:
        self.statuses = statuses
        self.fates: dict[str, list[Exception]] = {}
        self.told: list[tuple[str, str, str]] = []
        self.asked: list[InstanceQuery] = []
        self.pages_empty = 0
        self.is_barred = False

    async def list(
        self, scope: Scope, query: InstanceQuery, *, before: str | None = None, limit: int
    ) -> InstanceViewPage:
        assert ADMIN == scope
        self.asked.append(query)
        if self.is_barred:
            raise NotAllowed("the role is gone")
        if self.pages_empty:
            self.pages_empty -= 1
            return InstanceViewPage((), before or "~")
        fitting = sorted((one for one, status in self.statuses.items() if status == query.status), reverse=True)
        ids = [one for one in fitting if one < (before or "~")][:limit]
        return InstanceViewPage(tuple(map(self._shown, ids)), ids[-1] if len(ids) == limit else None)

    async def get(self, scope: Scope, instance_id: str) -> InstanceView:
        assert ADMIN == scope
        if instance_id not in self.statuses:
            raise InstanceNotFound("none")
        return self._shown(instance_id)

    async def tell(self, scope: Scope, instance_id: str, what: Any, reason: str) -> InstanceStatus:
        assert ADMIN == scope
        self.told.append((instance_id, what, reason))
        fates = self.fates.get(instance_id)
        if fates:
            raise fates.pop(0)
        self.statuses[instance_id] = {"pause": "paused", "resume": "running"}.get(what, "cancelled")
        return InstanceStatus(self.statuses[instance_id])

    def _shown(self, instance_id: str) -> InstanceView:
        return InstanceView(
            id=instance_id, dag_id="d", version="v1.0.0", status=self.statuses[instance_id], trigger="manual",
            created_at=AT, updated_at=AT,
        )  # fmt: skip


class World:
    """One process over a store that outlives it."""

    def __init__(self, statuses: dict[str, str]) -> None:
        self.instances = Instances(statuses)
        self.clock = LoopClock()
        self.memory = MemoryStore(HandClock())
        self.store = MemoryBatchStore(self.memory)
        self.fatal: list[BaseException] = []
        self.told: list[str] = []
        self.made = 0
        self.start()

    def start(self) -> None:
        answers = KeptAnswers(MemoryKeyStore(self.memory), self.clock)
        self.batches = InstanceBatches(
            self.store, self.instances, answers, self.clock, self, self.fatal.append, lambda: self.told.append("acts")
        )

    def new_id(self) -> str:
        self.made += 1
        return f"batch-{self.made:03}"

    async def begin(self, wish: BatchWish, scope: Scope = ADMIN) -> str:
        kept = await self.batches.begin(scope, wish, None, lambda view: (202, view.id.encode()))
        return kept.response.decode()

    async def ended(self, batch_id: str) -> BatchView:
        async with running_batches(self.batches):
            for _ in range(600):
                view = await self.batches.get(ADMIN, batch_id)
                if view.status == "done":
                    return view
                await asyncio.sleep(0.1)
        raise AssertionError("not done")


class running_batches:  # noqa: N801 - read as a verb
    """Carry out what is not done, while this is entered."""

    def __init__(self, batches: InstanceBatches) -> None:
        self._batches = batches

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._batches.run())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def simulate(work: Coroutine[Any, Any, None]) -> None:
    with running(1) as loop:
        loop.run_until_complete(work)


def ids_of(count: int) -> list[str]:
    return [f"i-{number:04}" for number in range(count)]


def wish(action: Any = "pause", ids: Sequence[str] = (), **query: Any) -> BatchWish:
    chosen = None if ids else InstanceQuery(**query)
    return BatchWish(action=action, reason="closed", ids=tuple(ids), query=chosen)


def counts(view: BatchView) -> tuple[int, int, int]:
    return view.done, view.refused, view.failed


def test_every_instance_that_the_act_concerns_is_told_once() -> None:
    async def work() -> None:
        statuses = dict.fromkeys(ids_of(3 * PORTION_COUNT), "running") | {"w": "waiting", "e": "failed", "q": "queued"}
        world = World(statuses)
        view = await world.ended(await world.begin(wish()))
        assert (3 * PORTION_COUNT + 1, 0, 0) == counts(view)
        assert len(world.instances.told) == len(set(world.instances.told)) == view.done
        assert ("failed", "queued") == (statuses["e"], statuses["q"])
        assert all(query.created_to is not None for query in world.instances.asked)

    simulate(work())


def test_what_was_begun_goes_on_in_another_process_and_counts_nothing_twice() -> None:
    async def work() -> None:
        world = World(dict.fromkeys(ids_of(4 * PORTION_COUNT), "running"))
        batch_id = await world.begin(wish())
        await world.batches._turn()
        await world.batches._turn()
        rows = await world.store.unfinished(limit=1)
        # Killed between the telling of a portion and the commit of its progress.
        told = len(world.instances.told)
        await asyncio.gather(*(world.instances.tell(ADMIN, one, "pause", "x") for one in ids_of(200)[-100:-50]))
        world.start()
        view = await world.ended(batch_id)
        assert (2, PORTION_COUNT) == (rows[0].step, told)
        assert (4 * PORTION_COUNT, 0, 0) == counts(view)

    simulate(work())


def test_portion_that_two_processes_told_is_counted_by_one() -> None:
    async def work() -> None:
        world = World(dict.fromkeys(ids_of(10), "running"))
        batch_id = await world.begin(wish(ids=ids_of(10)))
        [row] = await world.store.unfinished(limit=5)
        await asyncio.gather(world.batches._advance(row), world.batches._advance(row))
        assert (10, 0, 0) == counts(await world.ended(batch_id))

    simulate(work())


def test_refusals_and_failures_are_counted_and_the_first_of_them_named() -> None:
    async def work() -> None:
        count = REFUSALS_KEPT_MAX + 20
        world = World(dict.fromkeys(ids_of(count), "running"))
        for one in ids_of(count):
            world.instances.fates[one] = [InstanceEnded("ended")]
        world.instances.fates["i-0000"] = [InstanceQuarantined("in quarantine")]
        view = await world.ended(await world.begin(wish(ids=ids_of(count))))
        assert (0, count - 1, 1) == counts(view)
        assert (REFUSALS_KEPT_MAX, "instance-quarantined") == (len(view.refusals), view.refusals[0].code)
        assert count == view.total

    simulate(work())


def test_what_is_away_is_asked_again_and_at_last_given_up() -> None:
    async def work() -> None:
        world = World(dict.fromkeys(ids_of(2), "running"))
        world.instances.fates = {
            "i-0000": [QueueFull("full", full_node("requests_waiting", 1, 1, "room")), StoreUnavailable("away")],
            "i-0001": [QueueFull("full", full_node("requests_waiting", 1, 1, "room")) for _ in range(TRIES_MAX)],
        }
        view = await world.ended(await world.begin(wish(ids=ids_of(2))))
        assert ((1, 0, 1), ["queue-full"]) == (counts(view), [one.code for one in view.refusals])

    simulate(work())


def test_process_that_stops_leaves_the_rest_to_another() -> None:
    async def work() -> None:
        world = World(dict.fromkeys(ids_of(2), "running"))
        world.instances.fates = {"i-0000": [NodeStopping("stopping")]}
        batch_id = await world.begin(wish(ids=ids_of(2)))
        await world.batches._turn()
        with pytest.raises(NodeStopping):
            await world.batches._turn()
        assert (2, 0, 0) == counts(await world.ended(batch_id))

    simulate(work())


def test_pages_in_which_nothing_is_found_are_walked_over_step_by_step() -> None:
    async def work() -> None:
        world = World({"i": "paused"})
        world.instances.pages_empty = EMPTY_PAGES_MAX + 5
        batch_id = await world.begin(wish("resume"))
        assert 1 == await world.batches._turn()
        assert (1, 0, 0) == counts(await world.ended(batch_id))

    simulate(work())


def test_dry_run_counts_and_does_nothing() -> None:
    async def work() -> None:
        world = World(dict.fromkeys(ids_of(PORTION_COUNT + 1), "running") | {"e": "failed"})
        by_filter = await world.batches.count(ADMIN, wish("cancel"))
        by_ids = await world.batches.count(ADMIN, wish("cancel", ids=["i-0000", "i-0000", "e", "nobody"]))
        by_status = await world.batches.count(ADMIN, wish("cancel", status="waiting"))
        other = await world.batches.count(ADMIN, wish("resume", status="running"))
        counted = [(one.count, one.has_more) for one in (by_filter, by_ids, by_status, other)]
        assert [(PORTION_COUNT + 1, False), (1, False), (0, False), (0, False)] == counted
        assert [] == world.instances.told
        assert [] == list(await world.store.unfinished(limit=1))

    simulate(work())


def test_dry_run_counts_no_further_than_its_bound() -> None:
    async def work() -> None:
        world = World(dict.fromkeys(ids_of(COUNTED_MAX + 1), "running"))
        counted = await world.batches.count(ADMIN, wish())
        assert (COUNTED_MAX, True) == (counted.count, counted.has_more)

    simulate(work())


def test_acts_that_are_not_done_are_bounded_and_permissions_are_asked() -> None:
    async def work() -> None:
        world = World({})
        for _ in range(OPEN_COUNT_MAX):
            await world.begin(wish(ids=["i"]))
        with pytest.raises(QueueFull):
            await world.begin(wish(ids=["i"]))
        with pytest.raises(NotAllowed):
            await world.begin(wish(ids=["i"]), VIEWER)
        with pytest.raises(BatchNotFound):
            await world.batches.get(VIEWER, "none")

    simulate(work())


def test_store_that_is_away_is_asked_again_and_a_broken_one_ends_the_process() -> None:
    async def work() -> None:
        world = World({"i": "running"})
        batch_id = await world.begin(wish(ids=["i"]))
        faults: list[Exception] = [StoreUnavailable("away")]
        unfinished = world.store.unfinished

        async def away(*, limit: int) -> Any:
            if faults:
                raise faults.pop(0)
            return await unfinished(limit=limit)

        world.store.unfinished = away  # type: ignore[method-assign] # the fault is in the way of one verb
        assert (1, 0, 0) == counts(await world.ended(batch_id))
        faults.append(StoreBroken("broken"))
        async with asyncio.timeout(30):
            await world.batches.run()
        assert [StoreBroken] == [type(fault) for fault in world.fatal]

    simulate(work())


def test_act_that_cannot_go_on_ends_and_others_go_on() -> None:
    async def work() -> None:
        world = World({"i": "running", "j": "running"})
        barred = await world.begin(wish())
        unread = await world.begin(wish(ids=["i"]))
        last = await world.begin(wish(ids=["j"]))
        held = await world.store.find(ADMIN, unread)
        assert held is not None
        await world.store.advance(msgspec.structs.replace(held, step=1, body=b'{"action":"dance"}'))
        world.instances.is_barred = True
        view = await world.ended(barred)
        assert ((0, 0, 1), "forbidden") == (counts(view), view.refusals[0].code)
        assert (1, 0, 0) == counts(await world.ended(last))
        assert [unread] == [row.id for row in await world.store.unfinished(limit=5)]

    simulate(work())


def test_nothing_is_looked_for_when_ids_are_given() -> None:
    with pytest.raises(ValueError, match="ids are given"):
        query_of(Progress(action="pause", reason="", principal=ADMIN.principal))
