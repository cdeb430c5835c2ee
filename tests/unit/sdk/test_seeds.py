"""One DAG over many seeds: `run_seeds`, which `flow sim` prints."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InputInvalid
from flow_automation.testing import Answers, EngineBrokenError, Faults, SeedRun, Simulation, http_answer, run_seeds
from flow_automation.testing.sample import sample_of

ALL_FAULTS = Faults(crash_share=0.1, lost_answer_share=0.1, duplicate_share=0.3)
TWO_CALLS = """
title: Two calls
inputs: {type: object, properties: {n: {type: integer, default: 3}}}
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: [1, 2, 3]
      steps: [{id: book, operator: "@http/request", parameters: {url: "http://h/{{ item }}"}, retry: {max_attempts: 4}}]
  - {id: last, operator: "@http/request", parameters: {url: "http://h/"}, retry: {max_attempts: 4}}
"""
WAITING = """
title: Waiting
steps: [{id: paid, operator: "@control/wait", parameters: {event: {name: paid}}}]
outputs: "{{ steps.paid.output.data }}"
"""


def fates(dag: str, **given: Any) -> list[str]:
    return [run.fate for run in run_seeds(dag, seeds=range(1, 4), **given)]


def test_no_seed_breaks_an_invariant_whatever_faults_come_together() -> None:
    runs = list(
        run_seeds(TWO_CALLS, seeds=range(1, 41), faults=ALL_FAULTS, answers=Answers(failing={"*": (0.3, "failed")}))
    )

    assert [] == [(run.seed, run.faults) for run in runs if not run.is_fine]
    assert {"succeeded", "failed"} == {run.fate for run in runs}
    assert (True, True) == (any(run.crashes for run in runs), any(run.lost_answers for run in runs))


def test_same_seed_does_the_same_again_and_another_one_something_else() -> None:
    first, again = (list(run_seeds(TWO_CALLS, seeds=[7, 8], faults=ALL_FAULTS)) for _ in range(2))

    assert first == again
    assert first[0].virtual_s != first[1].virtual_s


def test_failing_share_of_one_is_every_call_of_that_step_and_kind() -> None:
    [run] = run_seeds(TWO_CALLS, seeds=[1], answers=Answers(failing={"last": (1.0, "forbidden")}))

    assert ("failed", "forbidden", "last") == (run.fate, run.error["kind"], run.error["step"])
    assert 4 == run.calls  # three items, and the one that is not tried again


def test_answer_of_a_task_path_goes_before_that_of_its_step_and_of_every_step() -> None:
    failing: Any = {"*": (1.0, "failed"), "book": (0.0, "failed"), "fan.1.book": (1.0, "invalid")}
    [run] = run_seeds(TWO_CALLS, seeds=[1], answers=Answers(failing=failing))

    assert ("invalid", "fan.1.book") == (run.error["kind"], run.error["step"])


def test_outputs_that_are_given_are_what_later_steps_read() -> None:
    dag = """
title: Reads
steps: [{id: fetch, operator: "@http/request", parameters: {url: "http://h/"}}]
outputs: "{{ steps.fetch.output.body.rows[0] }}"
"""
    given = Answers(outputs={"fetch": http_answer({"rows": [5]})})

    assert ["failed"] * 3 == fates(dag)
    assert ["succeeded"] * 3 == fates(dag, answers=given)


def test_wait_that_nobody_ends_is_told_and_is_fine() -> None:
    [run] = run_seeds(WAITING, seeds=[1])

    assert ("waits", True, ("paid is waiting",)) == (run.fate, run.is_fine, run.open_tasks)


def test_signals_reach_waits_in_spite_of_crashes() -> None:
    faults = Faults(crash_share=0.5, lost_answer_share=0.5)

    assert ["succeeded"] * 3 == fates(WAITING, answers=Answers(signals={"paid": 1}), faults=faults)


def test_instance_that_runs_at_the_end_of_its_time_is_stuck_and_leaves_a_trace() -> None:
    slow = 'title: Slow\nsteps: [{id: a, operator: "@http/request", parameters: {url: "http://h/"}}]'
    [run] = run_seeds(slow, seeds=[1], within_days=1e-6)

    assert ("stuck", False, ("a is running",)) == (run.fate, run.is_fine, run.open_tasks)
    assert run.trace is not None


def test_what_the_audit_finds_makes_a_seed_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Simulation, "faults", property(lambda _self: ["I3: a timer is left"]))
    [run] = run_seeds(TWO_CALLS, seeds=[1])

    assert ("broken", ("I3: a timer is left",)) == (run.fate, run.faults)
    assert run.trace is not None


def test_harmless_operator_runs_as_it_is_unless_something_is_said_of_its_step() -> None:
    dag = 'title: T\nsteps: [{id: a, operator: "@debug/noop", parameters: {x: 1}}]\noutputs: "{{ steps.a.output.x }}"'

    assert ["succeeded"] * 3 == fates(dag)
    assert ["failed"] * 3 == fates(dag, answers=Answers(failing={"a": (1.0, "invalid")}))


def test_inputs_that_miss_the_schema_are_refused_with_the_first_seed() -> None:
    with pytest.raises(InputInvalid):
        next(run_seeds(TWO_CALLS, {"n": "three"}, seeds=[1]))


def test_engine_that_breaks_is_a_broken_seed_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Any, _instance: Any, **_given: Any) -> None:
        raise EngineBrokenError("a task died unnoticed")

    monkeypatch.setattr(Simulation, "finish", broken)
    [run] = run_seeds(TWO_CALLS, seeds=[1])

    assert ("broken", ("a task died unnoticed",), None) == (run.fate, run.faults, run.trace)


def test_loop_that_never_ends_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flow_automation.testing.seeds.STEPS_MAX", 60)
    [run] = run_seeds(TWO_CALLS, seeds=[1])

    assert "stuck" == run.fate
    assert isinstance(run, SeedRun)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 2}, "xx"),
        ({"type": ["integer", "null"], "minimum": 3}, 3),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        ({"type": "array", "minItems": 2, "items": {"type": "number"}}, [0, 0]),
        ({"properties": {"a": {"default": 1}, "b": {}}, "required": ["a"]}, {"a": 1}),
        (True, None),
        ({}, None),
    ],
)
def test_sample_fits_its_schema(schema: Any, value: Any) -> None:
    assert value == sample_of(schema)
