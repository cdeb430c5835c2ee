"""What comes into a node beside requests: timers, stored commands, free places (engine.md 3, 5; M3, M7, M14)."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta

import msgspec
import pytest

from core.engine.events import InstanceStarted
from core.engine.journal import decode_events
from core.engine.node.inbox import InboxUnreadable, new_command, new_start, start_of, stimulus_of
from core.engine.node.ownership import shard_of
from core.engine.permit_events import PriorityGiven
from core.engine.state import InstanceStatus
from core.engine.stimuli import Cancel, Pause, Resume, Terminate
from core.errors import CommitUnknown, IdempotencyKeyReused, InstanceNotFound, OutcomeUnknown, StoreUnavailable
from core.ports.instance_store import InboxRow, TimerRow
from tests.unit.engine_node.world import CHAIN, FAILED, ONE, World, settle, simulated, status_of

RETRIED = """
steps:
  - id: a
    operator: "@debug/noop"
    retry: {max_attempts: 3, delay_s: 5, jitter: none}
"""


@simulated
async def test_retry_is_made_when_it_is_due() -> None:
    world = World()
    node = await world.started()
    world.operators.outcomes["a"] = deque([FAILED, FAILED])
    world.store.timer_faults.append(StoreUnavailable("away"))
    started = await node.submit(world.request(world.plan(RETRIED)))
    await world.pass_s(4.9)
    assert 1 == len(world.operators.calls)
    await world.pass_s(0.5)
    assert 2 == len(world.operators.calls)

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert 15.0 == pytest.approx(world.clock.monotonic(), abs=2)
    await node.stop()


@simulated
async def test_many_timers_due_at_once_fire_once_each() -> None:
    world = World()
    node = await world.started()
    world.operators.outcomes["a"] = deque([FAILED] * 700)
    plan = world.plan(RETRIED)
    started = await asyncio.gather(*(node.submit(world.request(plan)) for _ in range(700)))

    assert [InstanceStatus.SUCCEEDED] * 700 == [await world.finished(node, one) for one in started]
    assert 1_400 == len(world.operators.calls)
    assert {} == world.table("timer")
    await node.stop()


@simulated
async def test_timer_that_nobody_knows_is_taken_out_of_the_store() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(ONE)))
    await settle()
    row = world.row(started.instance_id)
    assert row is not None
    stray = TimerRow(row.shard, world.clock.now() - timedelta(seconds=1), row.id, 99, "@-1", "timeout")
    held = world.rows._tables.group("timer")
    world.rows._tables.land("timer", "", (stray.due_at, row.shard, row.id, 99), stray)
    assert held is not None
    node._timers.reread()
    await world.pass_s(1)

    assert {} == world.table("timer")
    world.operators.end("a")
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_start_stored_by_another_node_runs_and_its_row_is_gone() -> None:
    world = World()
    node = await world.started()
    request = world.request(world.plan(ONE), inputs={"large": "y" * 300_000})
    shard = shard_of(request.id, 4)
    world.store.pull_faults.append(StoreUnavailable("away"))
    await world.store.ingest([new_start(request, shard, world.clock.now())])
    node.wake()

    assert InstanceStatus.SUCCEEDED is status_of(await node.wait_ended("d", request.id, 10))
    assert {"x": request.inputs} == world.operators.calls[0].parameters
    assert {} == world.table("inbox", shard)
    row = world.row(request.id)
    assert row is not None
    assert row.seq == len(world.table("journal", request.id))
    await node.stop()


@simulated
async def test_labels_and_priority_of_a_start_are_facts_of_its_journal_and_stay_in_its_row() -> None:
    world = World()
    node = await world.started()
    labels = {"region": "eu", "order": "17"}
    own = msgspec.structs.replace(world.request(world.plan(CHAIN)), labels=labels, priority=5)
    stored = msgspec.structs.replace(
        world.request(world.plan(CHAIN)), labels=labels, priority=1, trigger=b'{"kind":"cron"}'
    )
    plain = world.request(world.plan(CHAIN))
    await world.store.ingest([new_start(stored, shard_of(stored.id, 4), world.clock.now())])
    node.wake()
    for request in (own, plain):
        await node.submit(request)
    for request in (own, stored, plain):
        await node.wait_ended("d", request.id, 10)

    rows = [world.row(request.id) for request in (own, stored, plain)]
    assert [labels, labels, None] == [row.labels for row in rows if row is not None]
    assert [5, 1, None] == [row.priority for row in rows if row is not None]
    assert ["manual", "cron", "manual"] == [row.trigger_kind for row in rows if row is not None]
    for request in (own, stored, plain):
        first = world.table("journal", request.id)[1]
        told = decode_events(first.version, first.body)
        [started] = [one for one in told if isinstance(one, InstanceStarted)]
        given = next((one.priority for one in told if isinstance(one, PriorityGiven)), None)
        assert (request.labels, request.priority) == (started.labels, given)
    await node.stop()


@simulated
@pytest.mark.parametrize("end", [Cancel("first"), Terminate("first")])
async def test_cancel_that_meets_a_stored_start_first_begins_nothing(end: Cancel | Terminate) -> None:
    world = World()
    node = await world.started(inbox_poll_s=5.0)
    request = world.request(world.plan(ONE))
    await settle()
    await world.store.ingest([new_start(request, shard_of(request.id, 4), world.clock.now())])

    answer = await node.command("d", request.id, end)

    assert "accepted" == answer.result
    assert InstanceStatus.CANCELLED is status_of(await node.wait_ended("d", request.id, 10))
    assert [] == world.operators.calls
    assert 1 == len(world.table("journal", request.id))
    assert {} == world.table("inbox", shard_of(request.id, 4))
    await node.stop()


@simulated
async def test_stored_commands_are_carried_out_and_one_for_an_ended_instance_is_taken_out() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    row = world.row(started.instance_id)
    assert row is not None
    await world.store.ingest([new_command(row, Terminate("stored"), "k1", world.clock.now())])
    assert InstanceStatus.CANCELLED is await world.finished(node, started)
    await world.store.ingest([new_command(row, Cancel("stored"), "k2", world.clock.now())])
    await world.pass_s(1)

    assert {} == world.table("inbox", row.shard)
    assert 0 == node.stats().hot_instances
    await node.stop()


@simulated
async def test_stored_command_that_was_taken_before_is_dropped_and_others_go_on() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    row = world.row(started.instance_id)
    assert row is not None
    world.store.gate = asyncio.Event()
    world.store.reached.clear()
    await world.store.ingest([new_command(row, Cancel("stored"), "k1", world.clock.now())])
    await world.store.reached.wait()
    world.rows._tables.group("inbox", row.shard).clear()  # the old page of M3: another commit took it
    world.operators.end("a")
    world.store.gate.set()

    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ("refused", "inbox") in world.notes.heard
    await node.stop()


@simulated
async def test_stored_command_of_an_unknown_kind_puts_its_instance_into_quarantine() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    row = world.row(started.instance_id)
    assert row is not None
    command = msgspec.structs.replace(new_command(row, Cancel("x"), "k", world.clock.now()), kind="dance")
    await world.store.ingest([command])
    await world.pass_s(1)

    assert ("quarantined", started.instance_id, "InboxUnreadable") in world.notes.heard
    assert 1 == world.notes.count("quarantined")
    await node.stop()


@simulated
async def test_s42_stored_pause_and_resume_are_carried_out_with_who_sent_them() -> None:
    world = World()
    node = await world.started()
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    for key, stimulus, status in (("k1", Pause("look", "p-1"), "paused"), ("k2", Resume("go", "p-2"), "running")):
        row = world.row(started.instance_id)
        assert row is not None
        await world.store.ingest([new_command(row, stimulus, key, world.clock.now())])
        await world.pass_s(1)
        row = world.row(started.instance_id)
        assert row is not None
        assert status == row.status
    world.operators.end("a")
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    await node.stop()


@simulated
async def test_s42_paused_instance_with_ready_tasks_leaves_memory_and_goes_on_after_a_restart() -> None:
    world = World()
    node = await world.started(hot_instances_max=0)
    world.operators.held = {"a"}
    started = await node.submit(world.request(world.plan(CHAIN)))
    await settle()
    await node.command("d", started.instance_id, Pause("look", "p-1"))
    await node.stop()
    second = await world.started(hot_instances_max=0)
    await world.pass_s(5)
    row = world.row(started.instance_id)
    assert row is not None
    assert ("paused", 1, 0) == (row.status, row.ready, second.stats().hot_instances)
    world.operators.held = set()
    assert "accepted" == (await second.command("d", started.instance_id, Resume("go", "p-1"))).result
    assert InstanceStatus.SUCCEEDED is await world.finished(second, started)
    await second.stop()


def test_stored_commands_that_cannot_be_read_say_so() -> None:
    row = InboxRow(0, 1, "d", "node", "k", "i", "cancel", b"\xc1", None)  # type: ignore[arg-type]  # no time is read
    with pytest.raises(InboxUnreadable):
        stimulus_of(row)
    with pytest.raises(InboxUnreadable):
        start_of(b"\xc1")


@simulated
async def test_node_without_the_shard_stores_starts_and_commands_for_its_owner() -> None:
    world = World()
    owner = await world.started()
    other = await world.started()
    world.operators.held = {"a"}
    plan = world.plan(ONE)
    world.store.ingest_faults.append(CommitUnknown("lost"))

    first = await other.submit(world.request(plan, key="k"))
    repeat = await other.submit(world.request(plan, key="k"))
    with pytest.raises(IdempotencyKeyReused):
        await other.submit(world.request(plan, key="k", req_hash="other"))
    await world.pass_s(1)
    answer = await other.command("d", first.instance_id, Terminate("now"))

    assert (False, "queued") == (first.is_repeat, first.status)
    assert (True, first.instance_id) == (repeat.is_repeat, repeat.instance_id)
    assert "accepted" == answer.result
    assert InstanceStatus.CANCELLED is await world.finished(owner, first)
    assert "accepted" == (await other.command("d", first.instance_id, Cancel("again"))).result
    assert InstanceStatus.CANCELLED is await world.finished(other, first)
    with pytest.raises(InstanceNotFound):
        await other.command("else", first.instance_id, Cancel("mine"))
    await other.stop()
    await owner.stop()


@simulated
async def test_storing_whose_fate_stays_unknown_is_told() -> None:
    world = World()
    owner = await world.started()
    other = await world.started()
    world.store.ingest_faults.extend([CommitUnknown("lost"), StoreUnavailable("away")] * 2)

    with pytest.raises(OutcomeUnknown):
        await other.submit(world.request(world.plan(ONE), key="k"))
    world.store.ingest_faults.append(StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        await other.submit(world.request(world.plan(ONE), key="k"))
    await other.stop()
    await owner.stop()


@simulated
async def test_instance_with_many_ready_tasks_takes_no_place_past_another_domain() -> None:
    world = World()
    node = await world.started(attempts_max=1)
    wide = world.plan("steps: [" + ", ".join(f'{{id: a{n}, operator: "@debug/noop"}}' for n in range(3)) + "]\n"
                      "type: graph")  # fmt: skip
    world.operators.held = {"a", "a0", "a1", "a2"}
    first = await node.submit(world.request(wide, domain_id="d"))
    await settle()
    other = await node.submit(world.request(world.plan(ONE), domain_id="e"))
    for name in ("a0", "a"):
        await settle()
        world.operators.end(name)
    await settle()

    assert [first.instance_id, other.instance_id] == [call.instance_id for call in world.operators.calls][:2]
    await node.stop()


@simulated
async def test_places_go_by_domain_in_turn_then_priority_then_age() -> None:
    world = World()
    node = await world.started(attempts_max=1)
    low = world.plan(ONE)
    high = msgspec.structs.replace(world.plan(ONE), priority=5)
    world.plans.by_hash[high.content_hash] = high
    world.operators.held = {"a"}
    names: dict[str, str] = {}
    for name, plan, domain, own in [
        ("first", low, "d", None), ("old", low, "d", None), ("young", low, "d", None), ("urgent", high, "d", None),
        ("other", low, "e", None), ("patient", high, "d", 1), ("hurried", low, "d", 4),
    ]:  # fmt: skip
        request = msgspec.structs.replace(world.request(plan, domain_id=domain), priority=own)
        started = await node.submit(request)
        names[started.instance_id] = name
        await settle()
    for _ in names:
        await settle()
        world.operators.end("a")
    await settle()

    made = [names[call.instance_id] for call in world.operators.calls]
    assert ["first", "urgent", "other", "hurried", "old", "young", "patient"] == made
    assert 0 == node.stats().open_attempts
    await node.stop()
