"""Traces played forwards and backwards, and two of them compared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.engine.stimuli import Act
from core.engine.trace import playback as played
from core.engine.trace.facts import Divergence, first_divergence
from core.engine.trace.file import Trace
from core.engine.trace.playback import Change, Playback
from core.engine.trace.service import facts_of
from core.errors import TraceInvalid
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of
from tests.unit.engine_trace.traced import trace_of

MANY = """
steps:
  - {id: first, operator: "@test/anything", parameters: {x: "{{ inputs }}"}, retry: {max_attempts: 2, delay_s: 1}}
  - id: fan
    operator: "@control/map"
    parameters: {items: [1, 2], steps: [{id: work, operator: "@debug/noop", parameters: {value: "{{ item }}"}}]}
  - id: which
    operator: "@control/branch"
    parameters: {branches: [{id: big, when: "steps.first.output.x > 1", steps: [{id: inner, operator: "@debug/noop"}]}]}
  - {id: pause, operator: "@control/wait", parameters: {seconds: 5}}
outputs: {all: "{{ steps.fan.output }}"}
"""


def fire(run: InstanceRun, kind: str) -> None:
    run.fire(next(timer for timer in run.timers.values() if timer.timer.kind == kind))


def acted(act: Any, output: bytes | None = None) -> InstanceRun:
    return call().feed(Act(act=act, path="b", by="k", reason="why", output=output))


def ended(output: Any = None) -> InstanceRun:
    run = run_of(MANY)
    run.fail("first", "unavailable")
    fire(run, "retry")
    run.succeed("first", {"x": 2} if output is None else output)
    run.finish("y" * 5_000)
    fire(run, "wait")
    assert "succeeded" == run.status
    return run


def test_rows_played_backwards_stand_as_they_stood_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played, "CHECKPOINT_ROWS", 3)
    playback = Playback(trace_of(ended()))
    forwards = [playback.stand(seq) for seq in range(playback.seq + 1)]
    backwards = [playback.stand(seq) for seq in range(playback.seq, -1, -1)]

    assert forwards == backwards[::-1]
    assert ("queued", "running", "succeeded") == (forwards[0].status, forwards[1].status, forwards[-1].status)
    assert {"all": ["y" * 5_000] * 2} == forwards[-1].outputs


def test_row_says_what_it_changed() -> None:
    playback = Playback(trace_of(ended()))
    start, failed = playback.stand(1), playback.stand(2)

    assert Change("", "queued", "running") in start.changes
    assert Change("first", None, "running") in start.changes
    assert (Change("first", "running", "retrying"),) == failed.changes
    assert "attempt_failed" == failed.events[0]["event"]
    assert all("token" not in event for seq in range(1, playback.seq) for event in playback.stand(seq).events)


def test_value_that_the_file_does_not_hold_is_told_by_its_size() -> None:
    stand = Playback(trace_of(ended(), leave_out=1_000)).stand(5)

    work = next(task for task in stand.tasks if task.path == "fan.0.work")
    assert {"value_bytes": 5_002} == work.output


@pytest.mark.parametrize("seq", [-1, 99])
def test_row_that_is_not_there_is_refused(seq: int) -> None:
    with pytest.raises(TraceInvalid, match="has rows 1 to"):
        Playback(trace_of(ended())).stand(seq)


def renumbered(trace: Trace, first: int) -> Trace:
    """Give a trace whose rows before `first` are missing."""
    rows = tuple(msgspec.structs.replace(row, seq=number) for number, row in enumerate(trace.rows[first:], 1))
    return msgspec.structs.replace(trace, rows=rows)


def test_rows_that_contradict_each_other_are_refused() -> None:
    trace = trace_of(ended())
    with pytest.raises(TraceInvalid, match="does not start the instance"):
        Playback(renumbered(trace, 1)).stand(1)
    doubled = (trace.rows[0], msgspec.structs.replace(trace.rows[0], seq=2))
    with pytest.raises(TraceInvalid, match="row 2 does not follow"):
        Playback(msgspec.structs.replace(trace, rows=doubled)).stand(2)


def difference(left: InstanceRun, right: InstanceRun, **more: Any) -> Divergence | None:
    return first_divergence(facts_of(trace_of(left, **more)), facts_of(trace_of(right, **more)))


def test_instances_that_did_the_same_do_not_differ() -> None:
    assert difference(ended(), ended()) is None
    assert difference(ended(), ended(), leave_out=1_000) is None


def test_another_output_is_the_first_difference_and_its_cause() -> None:
    found = difference(ended(), ended({"x": 3}))

    assert found is not None
    assert ("first", "the operator answered otherwise to the same parameters") == (found.path, found.cause)
    assert found.left is not None
    assert {"output": {"x": 2}, "errors": None} == found.left.said


CALL = """
inputs: {type: object, properties: {n: {type: integer, default: N}}}
steps:
  - {id: a, operator: "@test/anything", parameters: {p: P}}
  - {id: b, operator: "@test/anything", when: "W"}
"""


def call(n: int = 1, p: int = 1, w: str = "true") -> InstanceRun:
    return run_of(CALL.replace("N", str(n)).replace("P", str(p)).replace("W", w))


def causes() -> list[tuple[InstanceRun, InstanceRun, str]]:
    items = (
        'steps: [{id: m, operator: "@control/map", parameters: {items: I, steps: [{id: w, operator: "@debug/noop"}]}}]'
    )
    outputs = "the operator answered otherwise to the same parameters"
    tries = """
steps: [{id: t, operator: "@control/try", parameters: {steps: [{id: i, operator: "@debug/noop"}]}}]
"""
    branch = """
steps:
  - id: b
    operator: "@control/branch"
    parameters:
      branches: [{id: x, when: "W", steps: [{id: i, operator: "@debug/noop"}]}]
      else: [{id: e, operator: "@debug/noop"}]
"""
    return [
        (call(), call(n=2), "the inputs differ"),
        (call(), call(p=2), "the rendered parameters differ, though every step before gave the same"),
        (call().finish(1), call(w="false").finish(1), "called in one, skipped in the other"),
        (call().fail("a", "invalid"), call().succeed("a", 1), "failed in one, succeeded in the other"),
        (
            call().fail("a", "invalid"),
            call().fail("a", "forbidden"),
            "the operator failed otherwise at the same parameters",
        ),
        (run_of(items.replace("I", "[1]")), run_of(items.replace("I", "[1, 2]")), "another number of items"),
        (run_of(branch.replace("W", "true")), run_of(branch.replace("W", "false")), "another branch was chosen"),
        (call().succeed("a", 1), call(), "only one of both came so far"),
        (run_of(tries).succeed("i", 1), run_of(tries).succeed("i", 2), outputs),
        (call(), call().succeed("a", 1), "only one of both came so far"),
        (acted("skip"), acted("complete", b"1"), "act differs"),
    ]


@pytest.mark.parametrize("number", range(11))
def test_first_difference_names_its_cause(number: int) -> None:
    left, right, cause = causes()[number]
    found = difference(left, right)

    assert found is not None
    assert cause == found.cause


def test_versions_that_differ_are_the_cause() -> None:
    left, right = facts_of(trace_of(call())), facts_of(trace_of(call(n=2)))
    other = msgspec.structs.replace(right[0], said={**right[0].said, "dag_hash": "other"})
    found = first_divergence(left, [other, *right[1:]])

    assert found is not None
    assert "the versions differ" == found.cause
