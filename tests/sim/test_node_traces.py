"""Traces of several nodes on one store, by their names in reliability.md 1.6 where they have one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from core.engine.events import AttemptStarted, InstanceEnded
from core.engine.journal import decode_events
from core.engine.node import Started, shard_of
from core.engine.stimuli import Cancel, Command, Terminate
from core.errors import OutcomeUnknown, StoreFull
from core.ports.instance_store import CommitBounds, InboxRow, JournalRow
from tests.sim.nodes import NodeBox
from tests.sim.scene import Scene, play
from tests.sim.test_traces import ONE, TWO, work

LONG = {"steps": [work("a", 60_000)]}
AT_ONCE = {"steps": [{"id": "a", "operator": "@text/join", "parameters": {"separator": "", "items": ["a"]}}]}
MOVED_S = 12.0  # two nodes have shared the shards out by then


async def pair(scene: Scene, shard: int = 0) -> tuple[NodeBox, NodeBox]:
    """Start two nodes; gives the owner of a shard and the other one, after the shards were shared out."""
    boxes = [await scene.node(), await scene.node()]
    await asyncio.sleep(MOVED_S)
    owner = scene.store.tables.group("shard")[shard].owner
    [owning] = [box for box in boxes if box.process.name == owner]
    [other] = [box for box in boxes if box is not owning]
    return owning, other


async def three_starts(scene: Scene) -> tuple[NodeBox, list[asyncio.Future[Started]]]:
    """Start three instances at one node that commits one at a time.

    The first has landed without an answer and waits behind the third, which waits for the second one's commit.
    """
    box = await scene.node()
    fates = {1: "landed", 2: "held"}
    scene.store.script = lambda name, count: fates.get(count) if name == "commit" else None
    starts = []
    for key in ("first", "second", "third"):
        starts.append(scene.submit(box, key))
        await asyncio.sleep(0.00001)
    await scene.until(lambda: "load" in scene.store.calls and list(scene.store.calls).count("commit") == 2)
    await asyncio.sleep(0.1)
    return box, starts


@pytest.mark.parametrize("end", [Cancel("by hand"), Terminate("by hand")])
@pytest.mark.parametrize("is_owner_killed", [False, True])
def test_m7_cancel_that_meets_an_ingested_start_takes_its_row_into_the_same_decision(
    end: Command, *, is_owner_killed: bool
) -> None:
    async def trace(scene: Scene) -> None:
        owner, other = await pair(scene)
        pull, held = scene.world.instances.pull_inbox, asyncio.Event()

        async def pull_later(shards: Sequence[int], *, limit: int) -> list[InboxRow]:
            return await pull(shards, limit=limit) if held.is_set() else []

        scene.world.instances.pull_inbox = pull_later  # type: ignore[method-assign,assignment]  # not pulled yet
        started = await scene.submit(other, "k")
        row = scene.watch.row(started.instance_id)
        assert row is not None
        assert (0, "queued") == (row.seq, row.status)
        told = owner.process.call(owner.engine.command("dom-a", started.instance_id, end))
        await asyncio.sleep(1)
        assert not told.done()  # it waits for the start's row
        if is_owner_killed:
            told.add_done_callback(lambda lost: lost.exception())
            scene.world.kill(owner)
            told = other.process.call(other.engine.command("dom-a", started.instance_id, end))
        held.set()
        answer = await told
        [row] = await scene.all_ended()

        assert ("accepted", "cancelled") == (answer.result, row.status)
        assert [] == list(scene.store.tables.group("inbox", 0).values())
        journal: dict[int, JournalRow] = scene.store.tables.group("journal", row.id)
        if not is_owner_killed:  # its command died with it; the next one is a row that comes after the start's
            assert [] == scene.calls()
            first = decode_events(journal[1].version, journal[1].body)
            assert any(isinstance(event, InstanceEnded) for event in first)
            assert not any(isinstance(event, AttemptStarted) for event in first)

    play(LONG, trace)


def test_m7_start_at_a_node_without_the_shard_runs_at_its_owner() -> None:
    async def trace(scene: Scene) -> None:
        _owner, other = await pair(scene)
        started = await scene.submit(other, "k")
        again = await scene.submit(other, "k")
        [row] = await scene.all_ended()

        assert (started.instance_id, True) == (again.instance_id, again.is_repeat)
        assert "succeeded" == row.status
        assert ["a/1", "b/1"] == scene.calls()

    play(TWO, trace)


def test_lease_ends_although_the_wall_clock_goes_back() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        epoch = scene.store.tables.group("shard")[0].epoch
        scene.store.cut[box.process] = "leases"
        await asyncio.sleep(1)
        box.clock.offset_s = -60.0
        await asyncio.sleep(2)
        started = await scene.submit(box, "k")  # it can only be stored for whoever has a lease
        scene.store.cut.clear()
        [row] = await scene.all_ended()

        assert (started.instance_id, "succeeded") == (row.id, row.status)
        assert epoch < scene.store.tables.group("shard")[0].epoch

    play(ONE, trace)


@pytest.mark.parametrize("lost", ["requests", "answers"])
def test_m13_node_past_its_deadline_stays_without_its_shards_although_a_renewal_lands_late(lost: str) -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        await scene.submit(box, "k")
        await scene.until(lambda: "a/1" in scene.calls())
        if lost == "answers":
            scene.store.cut[box.process] = "answers"  # every renewal lands, and the node hears of none
        else:
            scene.store.script = lambda name, _count: "held" if name == "renew" else None
        await scene.until(lambda: not box.engine.stats().owned_shards)
        epoch = scene.store.tables.group("shard")[0].epoch
        scene.store.cut.clear()
        scene.store.script = lambda _name, _count: None
        scene.store.release()
        [row] = await scene.all_ended()

        assert "succeeded" == row.status
        assert ["a/1", "a/2", "b/1"] == scene.calls()
        assert epoch < scene.store.tables.group("shard")[0].epoch

    play({"steps": [work("a", 20_000), work("b")]}, trace)


def test_m15_keys_that_cross_at_two_nodes_make_one_instance_each() -> None:
    async def trace(scene: Scene) -> None:
        boxes = [await scene.node(), await scene.node()]
        await asyncio.sleep(MOVED_S)
        for number in range(10):
            keys = [f"k1-{number}", f"k2-{number}"]
            sent = [scene.submit(boxes[0], key) for key in keys] + [scene.submit(boxes[1], key) for key in keys[::-1]]
            a1, a2, b2, b1 = await asyncio.gather(*sent)
            assert (a1.instance_id, a2.instance_id) == (b1.instance_id, b2.instance_id)
            assert 2 == sum(not started.is_repeat for started in (a1, a2, b1, b2))
        rows = await scene.all_ended()

        assert 20 == len(rows)

    play(ONE, trace, shard_count=8)


def test_shards_are_shared_out_and_an_instance_runs_at_the_owner_of_its_shard() -> None:
    async def trace(scene: Scene) -> None:
        boxes = [await scene.node() for _ in range(3)]
        await asyncio.sleep(MOVED_S)
        owned = [box.engine.stats().owned_shards for box in boxes]
        assert 16 == sum(owned)
        assert 0 < min(owned)
        rows = [await scene.submit(box, f"k{number}") for number, box in enumerate(boxes * 4)]
        ended = await scene.all_ended()

        assert 12 == len({started.instance_id for started in rows}) == len(ended)
        assert 24 == len(scene.calls())
        assert {shard_of(row.id, 16) for row in ended} == {row.shard for row in ended}

    play(TWO, trace, shard_count=16)


def test_node_that_drains_hands_over_without_a_repeated_call() -> None:
    async def trace(scene: Scene) -> None:
        owner, other = await pair(scene)
        for number in range(5):
            await scene.submit(owner, f"k{number}")
        scene.world.drain(owner)
        await scene.until(lambda: owner.process.is_killed)
        rows = await scene.all_ended()

        assert ["succeeded"] * 5 == [row.status for row in rows]
        assert [] == [call for call in scene.calls() if not call.endswith("/1")]
        assert 1 == other.engine.stats().owned_shards

    play({"steps": [work("a", 3_000), work("b")]}, trace)


def test_paused_owner_that_goes_on_is_fenced_at_its_first_commit() -> None:
    async def trace(scene: Scene) -> None:
        owner, other = await pair(scene)
        started = await scene.submit(owner, "k")
        owner.process.pause()
        await scene.until(lambda: "a/2" in scene.calls())  # within the lease and a look
        assert scene.world.is_zombie(owner)
        owner.resume()
        [row] = await scene.all_ended()

        assert (started.instance_id, "succeeded") == (row.id, row.status)
        assert not scene.world.is_zombie(owner)
        assert 1 == other.engine.stats().owned_shards

    play({"steps": [work("a", 6_000), work("b")]}, trace)


def test_node_that_is_cut_off_gives_up_by_its_own_clock_before_its_successor_begins() -> None:
    async def trace(scene: Scene) -> None:
        owner, _other = await pair(scene)
        await scene.submit(owner, "k")
        scene.store.cut[owner.process] = "requests"
        await scene.until(lambda: "a/2" in scene.calls())
        given_up = owner.engine.stats()
        scene.store.cut.clear()
        [row] = await scene.all_ended()

        assert (0, 0) == (given_up.owned_shards, given_up.open_attempts)
        assert "succeeded" == row.status

    play({"steps": [work("a", 6_000), work("b")]}, trace)


def test_full_disk_refuses_a_start_and_lets_reads_go_on() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        started = await scene.submit(box, "first")
        [row] = await scene.all_ended()
        scene.store.faults.is_full = True
        with pytest.raises(Exception, match="no space"):
            await scene.submit(box, "second")
        ended: Any = await box.process.call(box.engine.wait_ended("dom-a", started.instance_id, 1.0))
        assert row.status == ended.status
        scene.store.faults.is_full = False
        await asyncio.sleep(5)

        assert "succeeded" == row.status
        assert await scene.submit(box, "second")
        assert 2 == len(await scene.all_ended())

    play(ONE, trace)


def test_start_whose_commit_had_no_answer_is_never_said_to_have_started_nothing() -> None:
    async def trace(scene: Scene) -> None:
        box, starts = await three_starts(scene)
        scene.store.faults.is_full = True
        scene.store.cut[box.process] = "leases"
        first, second, third = await asyncio.gather(*starts, return_exceptions=True)
        scene.store.faults.is_full = False
        scene.store.cut.clear()
        scene.store.release()
        rows = await scene.all_ended()

        assert [OutcomeUnknown, OutcomeUnknown, StoreFull] == [type(first), type(second), type(third)]
        assert {"succeeded"} == {row.status for row in rows}
        assert "first" in {row.key for row in scene.store.tables.group("start_key").values()}

    play(ONE, trace, bounds=CommitBounds(1, 1_048_576, 500, "many"))


def test_start_whose_commit_outlasts_the_grace_of_a_drain_is_never_said_to_have_started_nothing() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = lambda name, _count: "held" if name == "commit" else None
        start = scene.submit(box, "k")
        await scene.until(lambda: "commit" in scene.store.calls)
        scene.store.faults.is_full = True
        stopped = box.process.call(box.engine.stop())
        [answer] = await asyncio.gather(start, return_exceptions=True)
        scene.store.faults.is_full = False
        scene.store.script = lambda _name, _count: None
        scene.store.release()
        await stopped
        await scene.node()

        assert OutcomeUnknown is type(answer)
        assert ["succeeded"] == [row.status for row in await scene.all_ended()]

    play(ONE, trace, grace_s=0.1)


def test_start_that_landed_is_not_decided_anew_when_its_instance_has_left_memory() -> None:
    async def trace(scene: Scene) -> None:
        box, starts = await three_starts(scene)
        scene.store.release()
        started = await asyncio.gather(*starts)
        rows = await scene.all_ended()

        assert [False] * 3 == [one.is_repeat for one in started]
        assert 0 == box.engine.stats().refused_item_count
        assert {"succeeded"} == {row.status for row in rows}

    play(AT_ONCE, trace, bounds=CommitBounds(1, 1_048_576, 500, "many"), hot_instances_max=0)


def test_timer_of_a_killed_node_fires_at_its_successor() -> None:
    async def trace(scene: Scene) -> None:
        owner, _other = await pair(scene)
        await scene.submit(owner, "k")
        await asyncio.sleep(1)
        scene.world.kill(owner)
        [row] = await scene.all_ended()

        assert "succeeded" == row.status
        assert ["b/1"] == scene.calls()
        assert 30 <= scene.loop.time() - MOVED_S < 40

    play({"steps": [{"id": "a", "operator": "@control/wait", "parameters": {"seconds": 30}}, work("b")]}, trace)
