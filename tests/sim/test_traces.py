"""Traces that broke earlier drafts of the protocol, by their names in reliability.md 1.6; each is held by one rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from core.engine.journal import JOURNAL_VERSION, encode_events
from core.engine.node.inbox import new_start
from core.engine.stimuli import Cancel
from core.errors import OutcomeUnknown
from core.ports.instance_store import InboxRow, JournalRow, Refusal
from driven_adapters.memory.tables import Draft
from tests.sim.loop import ConnectionLostError
from tests.sim.scene import Scene, play
from tests.sim.store import StoreFaults
from tests.sim.watch import InvariantBrokenError


def work(name: str, ms: int = 20, **more: Any) -> dict[str, Any]:
    parameters = {"ms": ms, **more.pop("parameters", {})}
    return {"id": name, "operator": "@sim/work", "parameters": parameters, **more}


ONE = {"steps": [work("a")]}
TWO = {"steps": [work("a"), work("b")]}
TIMED = {"settings": {"timeout_s": 5}, "steps": [work("a", parameters={"hangs": 9})]}
SIDE_BY_SIDE = {
    "steps": [
        {
            "id": "p",
            "operator": "@control/parallel",
            "parameters": {
                "branches": [
                    {"id": "x", "steps": [work("x1", 300), work("x2", 10)]},
                    {"id": "y", "steps": [work(f"y{number}", 5) for number in range(40)]},
                ]
            },
        }
    ]
}


def fate_of_commit(wanted: int, fate: str) -> Callable[[str, int], str | None]:
    """Script one commit, counted from 1."""

    def script(name: str, count: int) -> str | None:
        return fate if name == "commit" and count == wanted else None

    return script


@pytest.mark.parametrize("commit", [1, 2, 3])
@pytest.mark.parametrize("fate", ["landed", "never", "later"])
def test_m1_lost_answer_of_any_commit_loses_no_call_and_doubles_none(commit: int, fate: str) -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(commit, fate)
        started = await scene.submit(box, "k")
        [row] = await scene.all_ended()

        assert (started.instance_id, "succeeded") == (row.id, row.status)
        assert ["a/1", "b/1"] == scene.calls()

    play(TWO, trace)


def test_m1_start_that_landed_without_an_answer_has_its_timers_armed() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(1, "landed")
        await scene.submit(box, "k")
        [row] = await scene.all_ended()

        assert "failed" == row.status
        assert 5 <= scene.loop.time() < 40

    play(TIMED, trace)


def test_m2_fate_is_read_only_after_a_locking_write() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(1, "later")
        await scene.submit(box, "k")
        calls = list(scene.store.calls)
        after = calls[calls.index("commit") + 1 :]
        [row] = await scene.all_ended()

        assert after.index("settle") < after.index("load")
        assert "succeeded" == row.status
        assert ["a/1"] == scene.calls()

    for _ in range(5):  # settling lands the old transaction or ends it, by chance
        play(ONE, trace)


def test_m3_inbox_row_that_is_delivered_again_starts_nothing_twice() -> None:
    async def trace(scene: Scene) -> None:
        stale: list[InboxRow] = []
        pull = scene.world.instances.pull_inbox

        async def pull_again(shards: Sequence[int], *, limit: int) -> list[InboxRow]:
            rows = await pull(shards, limit=limit)
            stale.extend(row for row in rows if row not in stale)
            return list(stale)

        scene.world.instances.pull_inbox = pull_again  # type: ignore[method-assign,assignment]  # an old page, again
        box = await scene.node()
        await ingest(scene, scene.request(box, "k"))
        [row] = await scene.all_ended()
        await asyncio.sleep(2)

        assert "succeeded" == row.status
        assert ["a/1", "b/1"] == scene.calls()
        assert 0 < len(stale)
        assert 1 == len(scene.watch.rows())

    play(TWO, trace)


async def ingest(scene: Scene, request: Any) -> None:
    stored = await scene.world.instances.ingest([new_start(request, 0, scene.store.now())])
    assert "accepted" == stored[0].status


@pytest.mark.parametrize(("fate", "count"), [("landed", 1), ("never", 0)])
def test_m4_start_without_a_key_is_not_given_again(fate: str, count: int) -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(1, fate)
        with pytest.raises(OutcomeUnknown):
            await scene.submit(box)
        await asyncio.sleep(5)

        assert count == len(await scene.all_ended())
        assert ["a/1"] * count == scene.calls()

    play(ONE, trace)


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_m5_item_that_is_taken_out_is_decided_again(wanted: int) -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        refuse_commit(scene, wanted)
        await scene.submit(box, "k")
        [row] = await scene.all_ended()

        assert "succeeded" == row.status
        assert ["a/1", "b/1"] == scene.calls()

    play(TWO, trace)


def refuse_commit(scene: Scene, wanted: int) -> None:
    """Take every item out of one commit, counted from 1."""
    commit, count = scene.world.instances.commit, 0

    async def refuse(fences: Any, changes: Any) -> list[Refusal | None]:
        nonlocal count
        count += 1
        if count == wanted:
            return [Refusal("invalid", detail="scripted")] * len(changes)
        return await commit(fences, changes)

    scene.world.instances.commit = refuse  # type: ignore[method-assign]  # one refusal, as the store gives it


def test_m6_repeat_of_a_key_is_not_answered_before_the_start_is_durable() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(1, "held")
        first, repeat = scene.submit(box, "k"), scene.submit(box, "k")
        await asyncio.sleep(1)

        assert (False, False) == (first.done(), repeat.done())
        scene.store.release()
        assert (await first).instance_id == (await repeat).instance_id
        assert 1 == len(await scene.all_ended())

    play(ONE, trace)


def test_m6_crash_before_the_commit_leaves_no_answer_and_no_instance() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(1, "held")
        first, repeat = scene.submit(box, "k"), scene.submit(box, "k")
        await asyncio.sleep(1)
        scene.world.kill(box)
        for answer in (first, repeat):
            with pytest.raises(ConnectionLostError):
                await answer
        again = await scene.submit(await scene.node(), "k")
        [row] = await scene.all_ended()

        assert again.instance_id == row.id

    play(ONE, trace)


@pytest.mark.parametrize("commits", [1, 2, 3, 5, 9])
def test_m8_frame_without_a_row_is_found_in_the_journals_tail_after_a_crash(commits: int) -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.submit(box, "k").add_done_callback(lambda ended: ended.exception())
        await scene.until(lambda: scene.watch.commits >= commits)
        scene.world.kill(box)
        await scene.node()
        [row] = await scene.all_ended()

        assert "succeeded" == row.status
        assert {f"y{number}" for number in range(40)} | {"x1", "x2"} == {call.split("/")[0] for call in scene.calls()}

    play(SIDE_BY_SIDE, trace)


@pytest.mark.parametrize("wanted", [2, 5, 20])
def test_m9_all_dirty_frames_are_loaded_after_an_item_was_taken_out(wanted: int) -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        refuse_commit(scene, wanted)
        started = await scene.submit(box, "k")
        await scene.until(lambda: row_seq(scene, started.instance_id) >= 70)  # past the window of 64 journal rows
        scene.world.kill(box)
        await scene.node()
        [row] = await scene.all_ended()

        assert "succeeded" == row.status

    chain = [work(f"y{number}", 1) for number in range(80)]
    branches = [{"id": "x", "steps": [work("x1", 60_000), work("x2", 1)]}, {"id": "y", "steps": chain}]
    play({"steps": [{"id": "p", "operator": "@control/parallel", "parameters": {"branches": branches}}]}, trace)


def row_seq(scene: Scene, instance_id: str) -> int:
    row = scene.watch.row(instance_id)
    return 0 if row is None else row.seq


def test_m14_inbox_row_that_appears_below_those_already_read_is_found() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        early, late = scene.request(box, "early"), scene.request(box, "late")
        await ingest(scene, late)
        await ingest(scene, early)
        held: dict[int, InboxRow] = dict(scene.store.tables.group("inbox", 0))
        first = min(held)

        def put_back(draft: Draft) -> None:
            draft.put("inbox", first, held[first], group=0)

        scene.store.run(lambda draft: draft.delete("inbox", first, group=0))
        await scene.until(lambda: row_seq(scene, early.id) > 0)
        scene.store.run(put_back)
        rows = await scene.all_ended()

        assert ["succeeded", "succeeded"] == [row.status for row in rows]

    play(ONE, trace)


def test_commit_of_a_killed_process_that_arrives_after_the_next_epoch_changes_nothing() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        started = await scene.submit(box, "k")
        scene.store.script = lambda name, _count: "held" if name == "commit" and not box.process.is_killed else None
        await asyncio.sleep(1)  # the outcome of `a` is in a commit that does not arrive
        scene.world.kill(box)
        await scene.node()
        await scene.until(lambda: "a/2" in scene.calls())
        scene.store.release()
        [row] = await scene.all_ended()

        assert (started.instance_id, "succeeded") == (row.id, row.status)
        assert ["a/1", "a/2", "b/1"] == scene.calls()
        assert 1 <= scene.store.cells["fenced"]

    play(TWO, trace)


def test_node_that_slept_beyond_its_lease_is_fenced_and_its_successor_finishes() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        await scene.submit(box, "k")
        box.process.pause()
        await scene.node()
        await scene.until(lambda: "a/2" in scene.calls())
        box.process.resume(scene.loop)
        [row] = await scene.all_ended()

        assert "succeeded" == row.status

    play({"steps": [work("a", 5000), work("b")]}, trace)


def test_cancel_that_is_answered_is_durable_although_the_process_dies() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        started = await scene.submit(box, "k")
        answer = await box.process.call(box.engine.command("dom-a", started.instance_id, Cancel("by hand")))
        scene.world.kill(box)
        await scene.node()
        [row] = await scene.all_ended()

        assert ("accepted", "cancelled") == (answer.result, row.status)

    play({"steps": [work("a", 60_000)]}, trace)


def test_store_that_was_away_while_nothing_else_ran_is_used_again() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.faults = StoreFaults(unavailable=1.0)
        with pytest.raises(Exception, match="simulated"):
            await scene.submit(box, "k")
        scene.store.faults = StoreFaults()
        await asyncio.sleep(5)

        assert (await scene.submit(box, "k")).instance_id == (await scene.all_ended())[0].id

    play(ONE, trace)


def test_watch_sees_a_commit_of_an_older_epoch() -> None:
    """The simulation itself must be able to fail: a store without a fence is found out."""

    async def trace(scene: Scene) -> None:
        box = await scene.node()
        started = await scene.submit(box, "k")
        row = scene.watch.row(started.instance_id)
        assert row is not None

        def write(draft: Draft) -> None:
            seq = row.seq + 1
            draft.put("instance", row.id, msgspec.structs.replace(row, seq=seq, epoch=row.epoch - 1))
            draft.put("journal", seq, JournalRow(row.id, seq, JOURNAL_VERSION, encode_events(())), group=row.id)

        scene.store._land("commit", write, None)
        await asyncio.sleep(1)

    with pytest.raises(InvariantBrokenError, match="I5"):
        play(ONE, trace)
