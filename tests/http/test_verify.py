"""Proving a live store: a sound one passes, and each invariant that is broken by hand is found by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.engine import events as e
from core.engine import verify
from core.engine.invariants import Violation
from core.engine.journal import decode_events, encode_events
from core.engine.node.intake import Intake
from core.engine.standstill import STILL_S_MAX
from core.engine.stimuli import Continue
from core.engine.verify import SHARE, Verifier
from core.ports.clock import Clock
from core.ports.instance_store import InboxRow, JournalRow, TimerRow
from tests.http.world import MAPPING, ONE_STEP, World

RETRIED = {
    "title": "Retried",
    "steps": [
        {
            "id": "a",
            "operator": "@debug/fail",
            "parameters": {"times": 1, "output": {"x": 1}, "kind": "unavailable"},
            "retry": {"max_attempts": 3, "delay_s": 0.01},
        },
        {"id": "b", "operator": "@debug/noop"},
    ],
}
WAITING = {"title": "Waiting", "steps": [{"id": "w", "operator": "@control/wait", "parameters": {"seconds": 3600}}]}
TICK_S = 0.001
THEN_WAITING = {
    **MAPPING,
    "title": "Then waiting",
    "steps": [
        *MAPPING["steps"],
        {"id": "rest", "operator": "@control/wait", "parameters": {"seconds": 3600}, "depends_on": ["fan"]},
    ],
}
Change = Callable[[list[list[Any]]], object]


def verifier_of(world: World, told: list[Violation], clock: Clock | None = None) -> Verifier:
    return Verifier(
        store=world.box.instance_store(), audit=world.box.store_audit(), permits=world.box.permits(), plans=world.box.plans(),
        clock=clock or world.box.clock(), on_violation=told.append, on_fatal=lambda _fault: None,
    )  # fmt: skip


class Watched:
    """A clock that goes on by TICK_S whenever it is asked, and by each pause, which it counts."""

    def __init__(self, world: World, on_pause: Callable[[], object] = lambda: None) -> None:
        self._clock: Clock = world.box.clock()
        self._on_pause = on_pause
        self.at_s = self.paused_s = 0.0
        self.pause_count = 0

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        self.at_s += TICK_S
        return self.at_s

    async def sleep_until(self, monotonic_at: float) -> None:
        self.pause_count += 1
        self.paused_s += monotonic_at - self.at_s
        self.at_s = monotonic_at
        self._on_pause()


class Later(Watched):
    """A clock that is ahead."""

    ahead_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)


async def found(world: World) -> set[str]:
    """Give the names of all that one round finds; another round tells nothing twice."""
    told: list[Violation] = []
    verifier = verifier_of(world, told)
    await verifier.round()
    count = len(told)
    await verifier.round()
    assert count == len(told)
    return {violation.invariant for violation in told}


def row_of(world: World, instance_id: str) -> Any:
    return world.store.copy().group("instance")[instance_id]


def change_row(world: World, instance_id: str, **changed: Any) -> None:
    row = msgspec.structs.replace(row_of(world, instance_id), **changed)
    world.store._tables.land("instance", "", instance_id, row)


def change_journal(world: World, instance_id: str, change: Change) -> None:
    """Let a function change the events of every row, in place."""
    rows: dict[int, JournalRow] = world.store.copy().group("journal", instance_id)
    events = [list(decode_events(rows[seq].version, rows[seq].body)) for seq in sorted(rows)]
    change(events)
    for seq, changed in enumerate(events, 1):
        line = JournalRow(instance_id, seq, 1, encode_events(changed))
        world.store._tables.land("journal", instance_id, seq, line)


def place(events: Sequence[Sequence[Any]], kind: type[Any], index: int = 0) -> tuple[int, int]:
    """Give row and place of an event of the journal."""
    places = [(row, at) for row, line in enumerate(events) for at, event in enumerate(line) if type(event) is kind]
    return places[index]


def replaced(kind: type[Any], number: int = 0, /, **fields: Any) -> Change:
    def change(events: list[list[Any]]) -> None:
        row, at = place(events, kind, number)
        events[row][at] = msgspec.structs.replace(events[row][at], **fields)

    return change


def twice(events: list[list[Any]]) -> None:
    row, at = place(events, e.TaskSucceeded)
    events[row].insert(at, events[row][at])


def too_early(events: list[list[Any]]) -> None:
    row, at = place(events, e.TaskReadied, 1)
    events[0].append(events[row].pop(at))


def token_again(events: list[list[Any]]) -> None:
    row, at = place(events, e.AttemptStarted)
    replaced(e.AttemptStarted, 1, token=events[row][at].token)(events)


def after_the_end(events: list[list[Any]]) -> None:
    events[-1].append(events[-1][-1])


async def test_sound_store_passes_with_open_and_ended_instances(world: World) -> None:
    ids = [await world.run(MAPPING, {"items": [1, 2, 3]}), await world.run(RETRIED)]
    dag_id = await world.create(WAITING)
    ids.append((await world.ask("POST", f"/dags/{dag_id}/run", {}, headers={"Idempotency-Key": "k"})).json["id"])

    assert set() == await found(world)
    answer = (await world.ask("GET", "/verify")).json
    assert ([], 3, 0, None) == (answer["items"], answer["instances"], answer["left_out"], answer["next"])
    assert sum(row_of(world, one).seq for one in ids) == answer["rows"]


JOURNALS: dict[str, tuple[str, Change]] = {
    "after the end": ("I3", after_the_end),
    "older epoch": ("I5", replaced(e.AttemptStarted, 0, epoch=9)),
    "two results": ("I6", twice),
    "before its upstream": ("I7", too_early),
    "number left out": ("I13", replaced(e.AttemptStarted, 1, number=3)),
    "token again": ("I14", token_again),
    "other output": ("I16", replaced(e.InstanceEnded, 0, outputs=b"[1]")),
    "no such task": ("table", replaced(e.TaskSucceeded, 0, index=99)),
    "skipped against its join": ("S6", lambda events: events[0].append(e.TaskSkipped("", 1, "join"))),
}


@pytest.mark.parametrize("name", JOURNALS)
async def test_journal_that_breaks_an_invariant_is_found_by_its_name(world: World, name: str) -> None:
    invariant, change = JOURNALS[name]
    instance_id = await world.run(RETRIED)
    change_journal(world, instance_id, change)

    # A step is skipped before its upstream ended: that is I7, and the join was not looked at.
    assert ("I7" if invariant == "S6" else invariant) in await found(world)


async def test_row_that_disagrees_with_its_journal_is_found(world: World) -> None:
    for invariant, changed in (
        ("I2", {"seq": 99}), ("I3", {"status": "failed"}), ("counters", {"ready": 5}), ("I16", {"labels": {"a": "b"}}),
    ):  # fmt: skip
        instance_id = await world.run({**ONE_STEP, "title": f"Row {invariant}"})
        before = row_of(world, instance_id)
        change_row(world, instance_id, **changed)
        assert invariant in await found(world)
        world.store._tables.land("instance", "", instance_id, before)
    assert set() == await found(world)


async def test_journal_with_a_gap_or_a_row_that_is_none_is_found(world: World) -> None:
    instance_id = await world.run(RETRIED)
    rows = world.store.copy().group("journal", instance_id)
    world.store._tables.land("journal", instance_id, 2, JournalRow(instance_id, 2, 1, b"\xc1"))
    assert {"I16"} <= await found(world)
    world.store._tables.land("journal", instance_id, 2, JournalRow(instance_id, 2, 99, b""))
    assert {"I16"} <= await found(world)
    world.store._tables.land("journal", instance_id, 2, None)
    assert {"I2"} <= await found(world)
    world.store._tables.land("journal", instance_id, 2, rows[2])
    world.store._tables.land("journal", instance_id, max(rows), None)
    assert {"I2"} <= await found(world)


async def test_frame_row_that_is_none_or_missing_is_found(world: World) -> None:
    instance_id = await world.run(RETRIED)
    held = world.store.copy().group("frame", instance_id)[""]
    for body in (b"\xc1", held.body[:-1]):
        world.store._tables.land("frame", instance_id, "", msgspec.structs.replace(held, body=body))
        assert {"I16"} <= await found(world)


async def waiting(world: World) -> str:
    dag_id = await world.create(WAITING)
    instance_id: str = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    return instance_id


async def test_timers_that_are_missing_or_left_are_found(world: World) -> None:
    instance_id = await waiting(world)
    [(key, timer)] = world.store.copy().group("timer").items()
    world.store._tables.land("timer", "", key, None)
    assert {"I4", "timers"} == await found(world)
    world.store._tables.land("timer", "", key, timer)
    ended = await world.run()
    left = TimerRow(timer.shard, timer.due_at, ended, 7, "", "wait")
    world.store._tables.land("timer", "", "left", left)
    assert {"I3"} == await found(world)
    world.store._tables.land("timer", "", "left", msgspec.structs.replace(left, instance_id="nobody"))
    assert {"I3"} == await found(world)
    assert instance_id != ended


async def test_starts_that_lead_to_nothing_or_to_another_tenant_are_found(world: World) -> None:
    dag_id = await world.create()
    started = await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {}, headers={"Idempotency-Key": "k"})
    instance_id = started.json["id"]
    change_row(world, instance_id, domain_id="two")
    assert "I11" in await found(world)
    world.store._tables.land("instance", "", instance_id, None)
    assert {"I1"} == await found(world)


async def test_instance_that_vanishes_between_two_rounds_is_found(world: World) -> None:
    instance_id, told = await waiting(world), list[Violation]()
    verifier = verifier_of(world, told)
    await verifier.round()
    world.store._tables.land("instance", "", instance_id, None)
    await verifier.round()

    assert {"I1", "I3"} == {violation.invariant for violation in told}


async def test_command_of_another_tenant_is_found(world: World) -> None:
    instance_id = await waiting(world)
    row = row_of(world, instance_id)
    command = InboxRow(row.shard, 999, "two", "api", "k", instance_id, "cancel", b"", row.created_at)
    other = next(shard for shard in range(64) if shard != row.shard)
    change_row(world, instance_id, shard=other)  # nobody of the living engine takes it from there
    world.store._tables.land("inbox", other, 999, msgspec.structs.replace(command, shard=other))

    assert "I11" in await found(world)
    world.store._tables.land("inbox", other, 999, None)


async def test_instance_that_could_go_on_and_stands_still_is_found(world: World, monkeypatch: Any) -> None:
    held = {**WAITING, "steps": [{"id": "w", "operator": "@control/wait", "parameters": {"event": {"name": "go"}}}]}
    dag_id = await world.create(held)
    instance_id = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    await world.ask("POST", f"/instances/{instance_id}/pause", {})
    await world.ask("POST", f"/instances/{instance_id}/signals/go", {})
    put = Intake.put
    monkeypatch.setattr(Intake, "put", lambda own, given: isinstance(given.stimulus, Continue) or put(own, given))
    await world.ask("POST", f"/instances/{instance_id}/resume", {})
    assert "running" == row_of(world, instance_id).status

    told: list[Violation] = []
    verifier = verifier_of(world, told, clock := Later(world))
    await verifier.round()
    assert [] == told
    clock.ahead_s = STILL_S_MAX + 1
    await verifier.round()

    assert [("I4", instance_id)] == [(one.invariant, one.instance_id) for one in told]


async def test_version_that_is_gone_is_found(world: World) -> None:
    change_row(world, await world.run(), dag_hash="nothing")
    assert {"plan"} == await found(world)


async def test_round_reads_only_what_is_new_of_an_open_instance(world: World) -> None:
    instance_id, told = await waiting(world), list[Violation]()
    verifier = verifier_of(world, told)
    assert verifier.verified_to is None
    await verifier.round()
    before = verifier._rows
    await world.ask("POST", f"/instances/{instance_id}/tasks/w/skip", {"reason": "now"})
    await verifier.round()
    await verifier.round()

    assert ([], row_of(world, instance_id).seq) == (told, verifier._rows)
    assert before < verifier._rows
    assert verifier.verified_to is not None
    assert 0 <= verifier.age_s() < 60


async def test_chore_leaves_the_others_their_time_after_each_row_of_a_long_instance(world: World) -> None:
    seq = row_of(world, await world.run(MAPPING, {"items": list(range(400))})).seq
    clock, told = Watched(world), list[Violation]()
    await verifier_of(world, told, clock).round()

    assert [] == told
    assert 4 < seq < clock.pause_count
    assert (1 - SHARE) / SHARE == pytest.approx(clock.paused_s / clock.pause_count / TICK_S)


async def test_proof_of_a_long_map_holds_no_task_of_its_ended_chunks(world: World) -> None:
    dag_id = await world.create(THEN_WAITING)
    instance_id = (await world.ask("POST", f"/dags/{dag_id}/run?wait=0.2", {"items": list(range(600))})).json["id"]
    told: list[Violation] = []
    verifier = verifier_of(world, told)
    await verifier.round()
    fold = verifier._kept[instance_id]

    assert [] == told
    assert ["", "fan/#0", "fan/#1", "fan/#2"] == list(fold.audit.frames)
    assert ["fan", "rest"] == [path for path, _ in fold.audit.tasks()]
    assert [""] == list(fold.replayed.frames)


async def test_instance_that_is_removed_while_it_is_read_is_no_violation(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(verify, "JOURNAL_ROWS", 1)
    instance_id, told = await world.run(MAPPING, {"items": list(range(400))}), list[Violation]()

    def remove() -> None:
        world.store._tables.land("instance", "", instance_id, None)
        for seq in world.store.copy().group("journal", instance_id):
            world.store._tables.land("journal", instance_id, seq, None)

    await verifier_of(world, told, Watched(world, remove)).round()

    assert [] == told


async def test_more_open_instances_than_are_remembered_let_the_walk_wait(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(verify, "OPEN_MAX", 1)
    monkeypatch.setattr(verify, "KEPT_MAX", 0)
    monkeypatch.setattr(verify, "KNOWN_MAX", 0)
    monkeypatch.setattr(verify, "PAGE_ROWS", 1)
    monkeypatch.setattr(verify, "STRAY_ROWS", 1)
    await waiting(world)
    change_row(world, await world.run(), ready=5)
    told: list[Violation] = []
    verifier = verifier_of(world, told)
    await verifier.round()

    assert ([], None) == (told, verifier.verified_to)


async def test_route_proves_slice_by_slice_and_leaves_out_what_is_too_long(world: World, monkeypatch: Any) -> None:
    ids = [await world.run({**ONE_STEP, "title": f"Slice {number}"}) for number in range(3)]
    await world.run(tenant="two")
    change_row(world, ids[1], ready=5)
    first = (await world.ask("GET", "/verify?limit=2")).json
    second = (await world.ask("GET", f"/verify?limit=2&cursor={first['next']}")).json

    assert [("counters", ids[1])] == [(one["invariant"], one["instance_id"]) for one in first["items"]]
    assert (2, 1, None) == (first["instances"], second["instances"], second["next"])
    monkeypatch.setattr("driver_adapters.http.verify_routes.ROWS_MAX", 1)
    long = (await world.ask("GET", "/verify")).json
    assert (0, 3) == (long["instances"], long["left_out"])
