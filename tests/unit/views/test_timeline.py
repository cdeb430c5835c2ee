"""Spans of tasks: what each event does to them, and which task a path names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.dag.plan import Plan
from core.engine.ends import ListEnd
from core.engine.events import (
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    AttemptUnknown,
    ContainerEntered,
    Event,
    FrameOpened,
    HandlingEnded,
    InstanceStarted,
    ListEnded,
    TaskCancelled,
    TaskFailed,
    TaskReadied,
    TaskRequeued,
    TaskSkipped,
    TaskSucceeded,
    WaitBegun,
)
from core.engine.masking import masked
from core.engine.state import Container, WaitState
from core.engine.timeline import FramePlace, TaskSpan, Timeline, find_index
from tests.unit.engine.plans import plan_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAN = plan_of("""
title: T
steps:
  - {id: a, operator: "@debug/noop"}
  - id: m
    operator: "@control/map"
    parameters: {items: [1, 2], steps: [{id: b, operator: "@debug/noop"}]}
""")
TOP = FrameOpened("", 0, None, -1, "", 0, 1, None)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def chunk(plan: Plan) -> FrameOpened:
    region = next(one.index for one in plan.regions if one.map_node is not None)
    return FrameOpened("m/#1", region, "", 1, "m.", 256, 2, None)


def read(*rows: tuple[float | None, Event], path: str | None = None) -> Timeline:
    plan = PLAN
    timeline = Timeline(plan, path)
    timeline.read(at(0), (TOP, chunk(plan)))
    for seconds, event in rows:
        timeline.read(None if seconds is None else at(seconds), (event,))
    return timeline


def only(timeline: Timeline) -> TaskSpan:
    (span,) = timeline.spans.values()
    return span


def test_retried_task_waits_twice_and_has_an_attempt_for_each_call() -> None:
    span = only(
        read(
            (1, TaskReadied("", 0, b'{"x":1}')),
            (3, AttemptStarted("", 0, 1, b"t", 1)),
            (4, AttemptFailed("", 0, b'{"kind":"timeout"}')),
            (9, TaskRequeued("", 0)),
            (10, AttemptStarted("", 0, 2, b"t", 1)),
            (11, AttemptLost("", 0)),
            (11, TaskRequeued("", 0)),
            (11.5, AttemptStarted("", 0, 3, b"t", 2)),
            (12, TaskSucceeded("", 0, b"1")),
        )
    )

    assert ("a", "a", "succeeded", b'{"x":1}') == (span.path, span.step, span.status, span.parameters)
    assert (at(1), at(3), at(12), 3.5) == (span.ready_at, span.started_at, span.ended_at, span.waited_s)
    assert [
        (1, at(3), at(4), "failed", b'{"kind":"timeout"}'),
        (2, at(10), at(11), "lost", None),
        (3, at(11.5), at(12), "succeeded", None),
    ] == [(one.number, one.started_at, one.ended_at, one.outcome, one.error) for one in span.attempts]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (TaskSkipped("", 0, "when"), "skipped"),
        (TaskCancelled("", 0, "cancel"), "cancelled"),
        (TaskFailed("", 0, b"{}"), "failed"),
    ],
)
def test_task_that_never_ran_has_an_end_and_no_attempt(event: Event, status: str) -> None:
    span = only(read((2, event)))

    assert (status, None, at(2), []) == (span.status, span.started_at, span.ended_at, span.attempts)


def test_wait_begins_with_itself_and_lost_outcome_is_told_as_unknown() -> None:
    span = only(read((1, WaitBegun("", 0, WaitState(at(1)), ())), (9, TaskSucceeded("", 0, b"{}"))))
    assert ("succeeded", at(1), at(9), []) == (span.status, span.started_at, span.ended_at, span.attempts)

    span = only(
        read((1, TaskReadied("", 0, b"{}")), (1, AttemptStarted("", 0, 1, b"t", 1)), (4, AttemptUnknown("", 0)))
    )
    assert ("unknown", [("unknown", at(4))]) == (span.status, [(one.outcome, one.ended_at) for one in span.attempts])


def test_container_runs_from_its_entering_and_progress_moves_no_time() -> None:
    span = only(
        read(
            (1, ContainerEntered("", 1, Container((1,), (None,)))),
            (2, ListEnded("", 1, 1, ListEnd(True, None))),
            (3, TaskFailed("", 1, b"{}", handling="running")),
            (4, HandlingEnded("", 1, b"1", None)),
        )
    )

    assert ("failed", None, at(1), at(4)) == (span.status, span.ready_at, span.started_at, span.ended_at)


def test_times_that_were_not_written_down_stay_unknown() -> None:
    span = only(
        read(
            (None, TaskReadied("", 0, b"{}")),
            (None, AttemptStarted("", 0, 1, b"t", 1)),
            (5, TaskSucceeded("", 0, None)),
        )
    )

    assert (None, None, 0.0, at(5)) == (span.ready_at, span.started_at, span.waited_s, span.ended_at)


def test_header_events_touch_no_task() -> None:
    started = InstanceStarted(NOON, "i", "d", "g", "h", "v1.0.0", NOON, b"{}", b"{}", None)

    assert {} == read((0, started)).spans


def test_one_task_is_followed_by_its_path() -> None:
    timeline = read((1, TaskSkipped("", 0, "when")), (2, TaskSkipped("m/#1", 1, "when")), path="m.257.b")

    assert ("m/#1", 1) == timeline.wanted
    assert "m.257.b" == only(timeline).path
    assert read((1, TaskSkipped("", 0, "when")), path="m.258.b").wanted is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", 0), ("m", 1), ("b", None), ("nothing", None), ("x.a", None), (".a", None), ("", None),
    ],
)  # fmt: skip
def test_path_names_a_task_of_the_top_frame_or_none(path: str, expected: int | None) -> None:
    assert expected == find_index(PLAN, FramePlace(0, "", 0, 1), path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("m.256.b", 0), ("m.257.b", 1), ("m.255.b", None), ("m.258.b", None), ("m.0256.b", None), ("m.b", None),
        ("n.256.b", None), ("m.x.b", None), ("m.²56.b", None), ("m..b", None), ("a", None),
    ],
)  # fmt: skip
def test_path_names_a_task_of_a_chunk_or_none(path: str, expected: int | None) -> None:
    plan = PLAN
    opened = chunk(plan)
    place = FramePlace(opened.region, opened.prefix, opened.first, opened.cells)

    assert expected == find_index(plan, place, path)


def test_masking_reaches_every_depth_and_leaves_absent_values() -> None:
    given = {"a": [{"Set-Cookie": "x", "token": None, "n": 1}], "dbPassword": {"deep": 1}, "text": "password"}

    assert {"a": [{"Set-Cookie": "***", "token": None, "n": 1}], "dbPassword": "***", "text": "password"} == masked(
        given
    )
