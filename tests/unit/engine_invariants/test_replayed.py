"""Replay from nothing against stored rows: equal when sound, and each difference is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from core.engine.invariants import sentences
from core.engine.journal import JOURNAL_VERSION, decode_events, encode_frame
from core.engine.replayed import Replayed
from core.engine.stimuli import Cancel, Pause, Resume
from core.ports.instance_store import FrameRow, InstanceRow, JournalRow, Loaded, TimerRow
from tests.sim.plans import compiled
from tests.unit.engine.instance_run import NOW, InstanceRun

WORK = {"operator": "@sim/work", "parameters": {"ms": 1}, "timeout": {"total_s": 60}}
PLAN = compiled(
    {
        "title": "replayed",
        "settings": {"timeout_s": 600},
        "steps": [
            {"id": "a", **WORK, "depends_on": []},
            {"id": "m", "operator": "@control/map", "depends_on": [],
             "parameters": {"items": [1, 2], "steps": [{"id": "w", **WORK}]}},
        ],
    },
    "dag",
)  # fmt: skip
ROW = InstanceRow(
    id="01J", domain_id="d", shard=0, dag_id="dag", dag_hash="h", dag_version="v1.0.0", seq=0, status="running",
    open_attempts=0, ready=0, open_frames=1, epoch=1, created_at=NOW, updated_at=NOW,
)  # fmt: skip


def journal_of(run: InstanceRun) -> tuple[JournalRow, ...]:
    return tuple(JournalRow("01J", seq, JOURNAL_VERSION, body) for seq, body in run.rows)


def replayed(run: InstanceRun) -> Replayed:
    made = Replayed(PLAN, "01J")
    for row in journal_of(run):
        made.read(row.seq, decode_events(row.version, row.body))
    return made


def frame_rows(run: InstanceRun) -> tuple[FrameRow, ...]:
    seq = run.rows[-1][0]
    return tuple(
        FrameRow("01J", path, seq, frame.is_open, encode_frame(run.state.header if path == "" else None, frame))
        for path, frame in sorted(run.state.frames.items())
    )


def loaded(run: InstanceRun, *, frames: tuple[FrameRow, ...] = (), tail: int = 64) -> Loaded:
    row = msgspec.structs.replace(ROW, seq=run.rows[-1][0])
    return Loaded(row, journal_of(run)[-tail:], frames)


def test_rows_of_a_sound_instance_are_what_replay_gives() -> None:
    run = InstanceRun(PLAN).start()
    run.fail("a").succeed("m.0.w").feed(Cancel("by hand"))

    assert [] == replayed(run).compare(loaded(run))
    assert [] == replayed(run).compare(loaded(run, frames=frame_rows(run), tail=1))


def test_labels_of_the_row_are_those_of_the_journal() -> None:
    run = InstanceRun(PLAN)
    run.start_facts = msgspec.structs.replace(run.start_facts, labels={"region": "eu"})
    run.state.header = msgspec.structs.replace(run.state.header, labels={"region": "eu"})
    run.start()
    stored = loaded(run)
    sound = msgspec.structs.replace(stored, row=msgspec.structs.replace(stored.row, labels={"region": "eu"}))

    assert [] == replayed(run).compare(sound)
    assert ["the labels of the row differ"] == [found.sentence for found in replayed(run).compare(stored)]


def test_priority_of_the_row_is_that_of_the_journal() -> None:
    run = InstanceRun(PLAN, priority=5).start()
    stored = loaded(run)
    sound = msgspec.structs.replace(stored, row=msgspec.structs.replace(stored.row, priority=5))

    assert [] == replayed(run).compare(sound)
    assert ["the priority of the row differs"] == [found.sentence for found in replayed(run).compare(stored)]


def test_frame_that_differs_is_named() -> None:
    run = InstanceRun(PLAN).start()
    stored = frame_rows(run)
    run.succeed("a")
    changed = tuple(msgspec.structs.replace(row, seq=run.rows[-1][0]) for row in stored)

    found = replayed(run).compare(loaded(run, frames=changed))

    assert ["I16 01J seq 2: frame '' differs"] == sentences(found)


def test_frame_and_header_that_are_missing_or_spare_are_named() -> None:
    run = InstanceRun(PLAN).start()
    made = replayed(run)
    del made.frames["m/#0"]
    made.header = None

    assert ["frame 'm/#0' is only in the rows", "the header differs"] == [
        found.sentence for found in made.compare(loaded(run))
    ]

    made = replayed(run)
    made.frames["extra"] = made.frames["m/#0"]

    assert ["frame 'extra' is missing in the rows"] == [found.sentence for found in made.compare(loaded(run))]


def test_instance_before_its_first_row_waits_for_no_timer() -> None:
    assert [] == Replayed(PLAN, "01J").compare_timers([])


def plain(run: InstanceRun) -> None:
    """Leave the run as it is."""


def cancel(run: InstanceRun) -> None:
    run.feed(Cancel("by hand"))


def fail_item(run: InstanceRun) -> None:
    run.fail("m.0.w", "invalid")


@pytest.mark.parametrize("act", [plain, cancel, fail_item])
def test_timers_are_compared_one_for_one(act: Callable[[InstanceRun], None]) -> None:
    run = InstanceRun(PLAN).start()
    act(run)
    rows = [timer_row(timer.timer) for timer in run.timers.values()]

    assert rows
    assert [] == replayed(run).compare_timers(rows)
    assert 1 == len(replayed(run).compare_timers(rows[:-1]))
    spare = msgspec.structs.replace(rows[0], due_at=NOW + timedelta(days=1))
    assert 1 == len(replayed(run).compare_timers([*rows, spare]))


def test_timers_of_closed_frames_and_closing_items_are_told_apart() -> None:
    plan = compiled(
        {
            "title": "closing",
            "steps": [
                {"id": "p", "operator": "@control/parallel",
                 "parameters": {"branches": [{"id": "x", "steps": [{"id": "a", **WORK}]}]}},
                {"id": "m", "operator": "@control/map",
                 "parameters": {"items": [1, 2], "max_concurrency": 1, "on_item_error": "collect",
                                "steps": [{"id": "w", **WORK, "retry": {"max_attempts": 1}},
                                          {"id": "v", **WORK, "depends_on": []}]}},
            ],
        },
        "closing",
    )  # fmt: skip
    run = InstanceRun(plan).start()
    run.succeed("a").fail("m.0.w")
    made = Replayed(plan, "01J")
    for row in journal_of(run):
        made.read(row.seq, decode_events(row.version, row.body))

    assert made.frames["m/#0"].closing
    assert "p/x" not in made.frames
    assert [] == made.compare_timers([timer_row(timer.timer) for timer in run.timers.values()])


def timer_row(timer: Any) -> TimerRow:
    return TimerRow(0, timer.due_at, "01J", timer.n, "", timer.kind)


def test_timer_that_fired_while_paused_has_no_row_until_the_resume_is_carried_into_its_frame() -> None:
    run = InstanceRun(PLAN).start()
    run.fail("m.0.w")
    rows = [timer_row(timer.timer) for timer in run.timers.values()]
    assert 1 == len(replayed(run).compare_timers(rows[:-1]))
    run.feed(Pause("x"))
    assert [] == replayed(run).compare_timers(rows[:-1])
    lost = run.timers.pop(max(run.timers))
    run.feed(Resume("x"), settle=False)
    assert "retry" == lost.timer.kind
    assert [] == replayed(run).compare_timers([timer_row(timer.timer) for timer in run.timers.values()])


def test_ended_instance_waits_for_no_timer() -> None:
    made = replayed(InstanceRun(PLAN).start().feed(Cancel("by hand")).pass_time(60))

    assert [] == made.awaited_timers()
