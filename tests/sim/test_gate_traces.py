"""Traces at gates that broke earlier drafts of the protocol (reliability.md 1.6, M10 to M12), and what limits promise."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from core.engine.stimuli import Cancel, Pause, Resume, Signal, Terminate
from core.errors import ConcurrencyReached, OutcomeUnknown
from core.ports.instance_store import InstanceChange, InstanceRow, OutwardRows
from core.ports.permits import Gate, PermitAct, PermitRow
from driven_adapters.memory.permits import GatePassing
from driven_adapters.memory.tables import Draft
from tests.sim.scene import Scene, play
from tests.sim.test_node_traces import pair
from tests.sim.test_traces import fate_of_commit, work

GATE = Gate("dom-a", "dag:scene", "")
ELSEWHERE = "0" * 26  # a holder of another node's shard


def limited(most: int, on_limit: str = "queue", ms: int = 20) -> dict[str, Any]:
    settings = {"concurrency": {"max": most, "on_limit": on_limit}}
    return {"settings": settings, "steps": [work("a", ms)]}


def hold_elsewhere(scene: Scene, gate: Gate = GATE) -> None:
    """Let an instance of another node hold a permit."""
    row = PermitRow(gate, ELSEWHERE, "", 0, 1, 3, scene.store.now(), is_held=True)
    scene.store.run(lambda draft: draft.put("permit", (ELSEWHERE, ""), row, group=gate))


def leave_elsewhere(scene: Scene, gate: Gate = GATE) -> None:
    """Let that instance end, with its own commit."""
    now = scene.store.now()
    row = InstanceRow(
        id=ELSEWHERE, domain_id="dom-a", shard=0, dag_id="scene", dag_hash="", dag_version="", seq=2,
        status="succeeded", open_attempts=0, ready=0, open_frames=0, epoch=1, created_at=now, updated_at=now,
    )  # fmt: skip
    act = PermitAct("leave", gate, "", 1, 3, now)

    def leave(draft: Draft) -> None:
        passing = GatePassing(draft, InstanceChange(row=row, expected_seq=1, outward=OutwardRows(permits=(act,))))
        assert "" == passing.refusing()
        passing.write()

    scene.store.run(leave)


def permits(scene: Scene) -> list[PermitRow]:
    return [row for rows in scene.store.tables.groups("permit") for row in rows.values()]


def status(scene: Scene, instance_id: str) -> str:
    row = scene.watch.row(instance_id)
    return "" if row is None else row.status


async def until_status(scene: Scene, instance_id: str, wanted: str) -> None:
    await scene.until(lambda: status(scene, instance_id) == wanted)


def test_m10_wait_that_comes_beside_a_free_permit_is_granted_it() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        hold_elsewhere(scene)
        scene.store.script = fate_of_commit(1, "held")
        started = scene.submit(box, "k")  # decided upon a gate that is full
        await asyncio.sleep(1)
        leave_elsewhere(scene)
        scene.store.release()
        await started
        [row] = await scene.all_ended()

        assert "succeeded" == row.status
        assert [] == permits(scene)

    play(limited(1), trace)


def test_m11_withdrawal_gives_up_a_permit_that_was_granted_meanwhile() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        hold_elsewhere(scene)
        first = await scene.submit(box, "k")
        second = await scene.submit(box, "l")
        await scene.until(lambda: len(permits(scene)) == 3)
        is_held = True
        scene.store.script = lambda name, _count: "held" if name == "commit" and is_held else None
        cancelled = box.process.call(box.engine.command("dom-a", first.instance_id, Cancel("by hand")))
        await asyncio.sleep(0.05)  # decided upon a place in line
        leave_elsewhere(scene)
        assert [first.instance_id] == [row.instance_id for row in permits(scene) if row.is_held]
        is_held = False
        scene.store.release()
        assert "accepted" == (await cancelled).result
        await scene.all_ended()

        assert ("cancelled", "succeeded") == (status(scene, first.instance_id), status(scene, second.instance_id))
        assert [] == permits(scene)

    play(limited(1), trace)


def test_m12_release_hands_nothing_on_above_the_bound_of_the_one_that_waits() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        wide: list[str] = []
        for number in range(3):
            wide.append((await scene.submit(box, f"k{number}")).instance_id)
            await asyncio.sleep(0.2)  # they end one after the other
        narrow = (await scene.submit(box, "n", version=1)).instance_id
        for one in wide[:2]:
            await until_status(scene, one, "succeeded")
            assert "queued" == status(scene, narrow)
        rows = await scene.all_ended()

        assert ["succeeded"] * 4 == [row.status for row in rows]
        calls = [call.at_s for call in scene.world.ledger.calls]
        assert 0.5 <= calls[3] - calls[2]  # what takes a second takes half of it at least

    play(limited(3, ms=1000), trace, later=(limited(1),))


def test_permit_that_is_gone_when_the_commit_comes_is_asked_for_anew() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(1, "held")
        started = scene.submit(box, "k")  # decided upon a gate that is free
        await asyncio.sleep(1)
        hold_elsewhere(scene, Gate("dom-a", "key", "crane"))
        scene.store.release()
        await started
        await asyncio.sleep(1)
        assert ([], 1) == (scene.calls(), scene.world.cells["refused gate"])
        leave_elsewhere(scene, Gate("dom-a", "key", "crane"))
        [row] = await scene.all_ended()

        assert ("succeeded", ["a/1"], []) == (row.status, scene.calls(), permits(scene))

    play({"steps": [{**work("a"), "concurrency": {"max": 1, "key": "crane"}}]}, trace)


def test_s46_instances_above_the_limit_wait_in_line_and_run_one_after_the_other() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        made = [(await scene.submit(box, f"k{number}")) for number in range(5)]
        assert ["running", "queued", "queued", "queued", "queued"] == [str(started.status) for started in made]
        rows = await scene.all_ended()

        assert ["succeeded"] * 5 == [row.status for row in rows]
        assert [started.instance_id for started in made] == [call.instance_id for call in scene.world.ledger.calls]
        assert [] == permits(scene)

    play(limited(1), trace)


def test_s46_skip_ends_the_new_instance_at_once() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        first, second = await scene.submit(box, "k"), await scene.submit(box, "l")
        assert ("running", "cancelled") == (str(first.status), str(second.status))
        await scene.all_ended()
        third = await scene.submit(box, "m")
        await scene.all_ended()

        assert ["succeeded", "succeeded"] == [status(scene, one.instance_id) for one in (first, third)]

    play(limited(1, "skip"), trace)


def test_s46_reject_makes_no_instance_and_still_answers_the_repeat_of_one_that_runs() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        first = await scene.submit(box, "k")
        with pytest.raises(ConcurrencyReached) as refused:
            await scene.submit(box, "l")
        repeat = await scene.submit(box, "k")
        assert {"limit": "dag:scene", "key": "", "most": 1} == refused.value.fields
        assert (first.instance_id, True) == (repeat.instance_id, repeat.is_repeat)
        assert 1 == len(await scene.all_ended())
        await scene.submit(box, "l")
        assert ["succeeded", "succeeded"] == [row.status for row in await scene.all_ended()]

    play(limited(1, "reject"), trace)


def test_s46_reject_is_the_same_answer_at_a_node_that_does_not_own_the_instance() -> None:
    async def trace(scene: Scene) -> None:
        owner, other = await pair(scene)
        first = await scene.submit(other, "k")
        await until_status(scene, first.instance_id, "running")
        for box, key in ((other, "l"), (owner, "l"), (other, None)):
            with pytest.raises(ConcurrencyReached) as refused:
                await scene.submit(box, key)
            assert {"limit": "dag:scene", "key": "", "most": 1} == refused.value.fields
        repeat = await scene.submit(other, "k")
        assert (first.instance_id, True) == (repeat.instance_id, repeat.is_repeat)
        assert [first.instance_id] == [row.id for row in await scene.all_ended()]
        await scene.submit(other, "l")
        assert ["succeeded", "succeeded"] == [row.status for row in await scene.all_ended()]

    play(limited(1, "reject", 2000), trace)


def test_s46_start_that_may_yet_land_is_not_said_to_be_refused() -> None:
    async def trace(scene: Scene) -> None:
        _owner, other = await pair(scene)
        first = await scene.submit(other, "k")
        await until_status(scene, first.instance_id, "running")
        scene.store.script = lambda verb, count: "later" if (verb, count) == ("ingest", 2) else None
        with pytest.raises(OutcomeUnknown):
            await scene.submit(other, "l")
        await scene.all_ended()

        await scene.submit(other, "l")
        assert ["succeeded", "succeeded"] == [row.status for row in await scene.all_ended()]

    play(limited(1, "reject", 2000), trace)


def test_s46_of_two_starts_that_both_found_a_free_place_elsewhere_the_owner_skips_one() -> None:
    async def trace(scene: Scene) -> None:
        _owner, other = await pair(scene)
        both = [scene.submit(other, key) for key in ("k", "l")]
        assert ["queued", "queued"] == [str((await one).status) for one in both]
        rows = await scene.all_ended()

        assert ["cancelled", "succeeded"] == sorted(row.status for row in rows)
        assert 1 == len(scene.calls())
        assert [] == permits(scene)

    play(limited(1, "reject", 2000), trace)


def test_s46_cancel_running_cancels_who_waits_and_the_oldest_that_runs() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        made = [(await scene.submit(box, f"k{number}")).instance_id for number in range(4)]
        await scene.all_ended()

        assert ["cancelled", "cancelled", "cancelled", "succeeded"] == [status(scene, one) for one in made]
        assert [] == permits(scene)

    play(limited(1, "cancel_running", 2000), trace)


def test_s46_slots_are_held_while_paused_and_given_up_by_cancel_and_terminate() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        one, two, three = [(await scene.submit(box, f"k{number}")).instance_id for number in range(3)]

        async def tell(instance_id: str, stimulus: Any) -> None:
            await box.process.call(box.engine.command("dom-a", instance_id, stimulus))

        await tell(one, Pause("simulated"))
        await asyncio.sleep(5)
        assert ("paused", "queued") == (status(scene, one), status(scene, two))
        await tell(one, Terminate("simulated"))
        await until_status(scene, two, "running")
        await tell(two, Pause("simulated"))
        await tell(three, Cancel("simulated"))
        assert "cancelled" == status(scene, three)
        await tell(two, Resume("simulated"))
        await scene.all_ended()

        assert "succeeded" == status(scene, two)
        assert [] == permits(scene)

    play(limited(1, ms=100), trace)


def test_s16_tasks_with_a_key_run_one_at_a_time_across_instances_and_nodes() -> None:
    async def trace(scene: Scene) -> None:
        boxes = [await scene.node(), await scene.node()]
        for number in range(6):
            await scene.submit(boxes[number % 2], f"k{number}")
        rows = await scene.all_ended()

        assert ["succeeded"] * 6 == [row.status for row in rows]
        assert [] == permits(scene)
        starts = [call.at_s for call in scene.world.ledger.calls]
        assert all(0.05 <= later - earlier for earlier, later in itertools.pairwise(starts))

    steps = [{**work("a", 100), "concurrency": {"max": 1, "key": "crane"}}]
    play({"steps": steps}, trace, shard_count=8)


def test_look_that_is_refused_at_a_gate_is_taken_again() -> None:
    """The only thing on its way is the node's own look after a resume, and its view of the gate is an old one."""
    limit = {"concurrency": {"max": 1, "key": "crane"}}
    told = {"id": "told", "operator": "@control/wait", "parameters": {"event": {"name": "go"}}}

    async def trace(scene: Scene) -> None:
        box = await scene.node()
        one = (await scene.submit(box, "k")).instance_id
        await scene.until(lambda: bool(permits(scene)))
        gate = permits(scene)[0].gate
        await until_status(scene, one, "waiting")
        hold_elsewhere(scene, gate)
        for stimulus in (Pause("x"), Signal(name="go", id="s", data=b"1", key="s", req_hash="s"), Resume("x")):
            await box.process.call(box.engine.command("dom-a", one, stimulus))
        await asyncio.sleep(1)
        assert 1 == len(scene.calls())
        leave_elsewhere(scene, gate)

        assert ["succeeded"] == [row.status for row in await scene.all_ended()]

    play({"steps": [{**work("a", 100), **limit}, told, {**work("b", 100), **limit}]}, trace)


@pytest.mark.parametrize("commit", range(1, 9))
@pytest.mark.parametrize("fate", ["landed", "never", "later"])
def test_lost_answer_of_any_commit_at_a_gate_leaks_no_permit(commit: int, fate: str) -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        scene.store.script = fate_of_commit(commit, fate)
        for number in range(3):
            await scene.submit(box, f"k{number}")
        rows = await scene.all_ended()

        assert ["succeeded"] * 3 == [row.status for row in rows]
        assert [] == permits(scene)

    play(limited(1), trace)


def test_killed_node_leaks_no_permit_and_forgets_nobody_in_line() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        for number in range(3):
            await scene.submit(box, f"k{number}")
        scene.world.kill(box)
        await scene.node()
        rows = await scene.all_ended()

        assert ["succeeded"] * 3 == [row.status for row in rows]
        assert [] == permits(scene)

    play(limited(1, ms=1000), trace)
