"""The test kit: DAGs in virtual time, scripted operators, crashes, and checks that can fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.dag.catalog import OperatorSpec
from core.engine.trace.file import read_trace
from core.errors import DagInvalid, InputInvalid, InstanceNotFound
from core.executor.operator import Call, Outcome, Succeeded
from flow_automation import Dag, inputs, integer, record
from flow_automation.testing import (
    CallRecord,
    EngineBrokenError,
    Faults,
    NotEndedError,
    ScriptError,
    Simulation,
    http_answer,
    survives_every_crash,
)
from flow_automation.testing.call_book import CallBook

EXAMPLES = Path(__file__).parents[3] / "examples"
PATIENT = """
title: Patient
steps:
  - id: fetch
    operator: "@http/request"
    parameters: {url: "http://there.example/"}
    retry: {max_attempts: 4, delay_s: 864000, backoff: 1, max_delay_s: 864000, jitter: none}
outputs: {body: "{{ steps.fetch.output.body }}"}
"""
FAN = """
title: Fan
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: [1, 2, 3, 4]
      max_concurrency: 2
      steps:
        - {id: call, operator: "@http/request", parameters: {url: "http://there.example/{{ item }}"}}
      outputs: "{{ steps.call.output.body }}"
outputs: {all: "{{ steps.fan.output }}"}
"""


def test_failure_is_tried_again_after_its_delay_in_virtual_time() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").at("fetch").fails("unavailable", times=3).returns(http_answer("here"))
        began_at = simulation.now
        instance = simulation.start(PATIENT)

        simulation.advance(days=29)
        assert "running" == instance.status
        assert 3 == len(instance.calls("fetch"))

        simulation.advance(days=2)
        assert {"body": "here"} == instance.assert_succeeded().outputs
        assert [0, 10, 20, 30] == [(call.at - began_at).days for call in instance.calls("fetch")]
        assert 1 == len({call.key for call in instance.calls()})
        simulation.assert_no_double_effects()


def test_call_that_nobody_scripted_says_how_to_script_it() -> None:
    with Simulation() as simulation:
        instance = simulation.run(PATIENT)

        assert (
            'when("@http/request").at("fetch").returns'
            in instance.assert_failed("invalid", step="fetch").error["message"]
        )


def test_answers_go_call_by_call_of_each_task() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").fails("exhausted").returns_from(
            lambda call: http_answer(call.parameters["url"][-1])
        )
        simulation.when("@http/request").at("fan.2.call").returns(http_answer("special"))
        instance = simulation.run(FAN).assert_succeeded()

        assert {"all": ["1", "2", "special", "4"]} == instance.outputs
        assert [2, 2, 1, 2] == [instance.tasks[f"fan.{place}.call"]["attempts"] for place in range(4)]
        assert "fan.2.call" == instance.assert_called_once("fan.2.call").path


def test_delay_passes_before_the_answer_and_may_meet_a_timeout() -> None:
    document = {
        "title": "T",
        "steps": [{"id": "a", "operator": "@http/request", "parameters": {"url": "http://x.example"},
                   "timeout": {"attempt_s": 60}, "retry": {"max_attempts": 1}}],
    }  # fmt: skip
    with Simulation() as simulation:
        script = simulation.when("@http/request").at("a").delays(minutes=2).returns(http_answer(1))
        simulation.run(document).assert_failed("timeout", step="a")
        script.delays(hours=1)
        simulation.when("@http/request").delays(seconds=59)
        assert "succeeded" != simulation.run(document).status


def test_last_delay_without_an_answer_gives_an_empty_output() -> None:
    with Simulation() as simulation:
        simulation.when("@debug/noop").delays(days=3)
        began_at = simulation.now
        instance = simulation.run({"title": "T", "steps": [{"id": "a", "operator": "@debug/noop"}]}).assert_succeeded()

        assert {} == instance.tasks["a"]["output"]
        assert timedelta(days=3) <= simulation.now - began_at < timedelta(days=3, seconds=1)


def test_script_without_answers_gives_an_empty_output() -> None:
    with Simulation() as simulation:
        simulation.when("@debug/fail")
        simulation.run({"title": "T", "steps": [{"id": "a", "operator": "@debug/fail"}]}).assert_succeeded()


def test_same_seed_gives_the_same_journal_and_another_one_another() -> None:
    def journal(seed: int) -> list[dict[str, Any]]:
        with Simulation(seed=seed, faults=Faults(crash_share=0.3, duplicate_share=0.5)) as simulation:
            simulation.when("@http/request").fails("unavailable").returns(http_answer(1))
            return simulation.run(FAN).assert_succeeded().journal

    assert journal(3) == journal(3)
    assert journal(3) != journal(4)


def test_crash_in_an_attempt_calls_again_with_the_same_key() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").at("fetch").delays(seconds=40).returns(http_answer(1))
        instance = simulation.start(PATIENT)
        simulation.advance(seconds=20)
        simulation.crash()
        simulation.advance(days=11)

        assert [1, 2] == [call.attempt for call in instance.assert_succeeded().calls("fetch")]
        assert 1 == len({call.key for call in instance.calls()})
        assert 1 == simulation.crash_count
        simulation.assert_no_double_effects()


def test_crashes_and_doubled_outcomes_by_chance_double_nothing() -> None:
    crash_count = 0
    for seed in range(20):
        with Simulation(seed=seed, faults=Faults(crash_share=0.4, duplicate_share=1.0)) as simulation:
            simulation.when("@http/request").fails("unavailable").delays(seconds=2).returns(http_answer(1))
            assert {"all": [1, 1, 1, 1]} == simulation.run(FAN).assert_succeeded().outputs
            simulation.advance(minutes=1)
            simulation.assert_no_double_effects()
            crash_count += simulation.crash_count

    assert 20 < crash_count


def test_scenario_survives_a_crash_around_every_commit() -> None:
    def scenario(simulation: Simulation) -> None:
        simulation.when("@http/request").at("fetch").fails("unavailable").returns(http_answer("here"))
        assert {"body": "here"} == simulation.run(PATIENT).assert_succeeded().outputs

    assert 6 <= survives_every_crash(scenario)


def test_scenario_that_minds_a_crash_is_told_with_its_point() -> None:
    def scenario(simulation: Simulation) -> None:
        simulation.when("@http/request").at("fetch").returns(http_answer("here"))
        simulation.run(PATIENT).assert_succeeded().assert_called_once("fetch")

    with pytest.raises(AssertionError, match=r"with a crash at (before|after)_commit:\d+, seed 1: expected one call"):
        survives_every_crash(scenario)


def test_scenario_that_differs_from_run_to_run_is_told() -> None:
    runs: list[Simulation] = []

    def scenario(simulation: Simulation) -> None:
        runs.append(simulation)
        if len(runs) == 1:
            simulation.when("@http/request").returns(http_answer(1))
            simulation.run(PATIENT)

    with pytest.raises(AssertionError, match="never reached"):
        survives_every_crash(scenario)


def test_assertions_say_what_was_there_instead() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").fails("not_found", "gone")
        instance = simulation.run(PATIENT)

        with pytest.raises(AssertionError, match=r"is failed.*gone"):
            instance.assert_succeeded()
        with pytest.raises(AssertionError, match="expected a failure of kind timeout"):
            instance.assert_failed("timeout")
        with pytest.raises(AssertionError, match=r"expected one call of other.*none"):
            instance.assert_called_once("other")
        with pytest.raises(AssertionError, match="expected no call of fetch, but there were 1"):
            instance.assert_not_called("fetch")
        assert instance is instance.assert_not_called("other")


def test_instance_that_does_not_end_names_what_is_open() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").delays(days=3)
        with pytest.raises(NotEndedError, match="fetch is retrying"):
            simulation.run(PATIENT, within_days=2)


def test_cancelled_instance_ends_after_its_grace() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").delays(days=3)
        instance = simulation.start(PATIENT)
        instance.cancel()
        simulation.advance(minutes=1)

        assert "cancelled" == instance.status
        assert instance.error is None


def test_cancel_during_a_crash_is_told_again() -> None:
    with Simulation(faults=Faults(crash_at=("before_commit:2", "after_commit:3"))) as simulation:
        simulation.when("@http/request").delays(days=3)
        instance = simulation.start(PATIENT)
        instance.cancel("no longer wanted")
        simulation.advance(minutes=1)

        assert "cancelled" == instance.status
        assert 2 == simulation.crash_count


def test_faults_of_document_and_inputs_come_at_once() -> None:
    dag = Dag("T", inputs=record({"n": integer(minimum=1)}, required=["n"]))
    dag.step("a", "@debug/noop", {"n": "{{ inputs.n }}"})
    with Simulation() as simulation:
        with pytest.raises(InputInvalid):
            simulation.start(dag)
        with pytest.raises(InputInvalid):
            simulation.start(dag, {"n": 0})
        with pytest.raises(DagInvalid):
            simulation.start({"title": "T", "steps": [{"id": "a", "operator": "@debug/nop"}]})
        assert "succeeded" == simulation.run(dag, {"n": 1}).status
        with pytest.raises(InstanceNotFound):
            simulation.read_instance("01J00000000000000000000000")


def test_labels_of_the_dag_are_rendered_and_refused_as_by_a_server() -> None:
    dag = Dag("T", inputs=record({"n": integer()}), settings={"labels": {"order": inputs.n, "team": "orders"}})
    dag.step("a", "@debug/noop", {})
    with Simulation() as simulation:
        instance = simulation.run(dag, {"n": 17})
        assert {"order": "17", "team": "orders"} == simulation.read_instance(instance.id).labels
        with pytest.raises(InputInvalid, match="labels"):
            simulation.start(dag)


@pytest.mark.parametrize("form", [str, str.encode, EXAMPLES.joinpath], ids=["text", "bytes", "path"])
def test_dag_may_come_as_text_bytes_or_file(form: Any) -> None:
    text = (EXAMPLES / "hello.yaml").read_text()
    with Simulation() as simulation:
        given = form("hello.yaml") if form == EXAMPLES.joinpath else form(text)
        assert {"greeting": "Hello, you!"} == simulation.run(given, {"name": "you"}).outputs


def test_own_operator_runs_as_it_is_unless_it_is_scripted() -> None:
    class Twice:
        spec = OperatorSpec(name="@acme/twice", kind="attempt", parameters={"type": "object"}, output={})

        async def execute(self, call: Call) -> Outcome:
            return Succeeded(2 * call.parameters["n"])

    document = {"title": "T", "steps": [{"id": "a", "operator": "@acme/twice", "parameters": {"n": 21}}]}
    with Simulation(operators=[Twice()]) as simulation:
        assert 42 == simulation.run(document).tasks["a"]["output"]
        simulation.when("@acme/twice").returns(7)
        assert 7 == simulation.run(document).tasks["a"]["output"]


def test_log_of_steps_is_at_hand() -> None:
    with Simulation() as simulation:
        simulation.run(
            {"title": "T", "steps": [{"id": "a", "operator": "@debug/log", "parameters": {"message": "hi"}}]}
        )

        assert ["hi"] == [line.message for line in simulation.log]


def test_script_refuses_what_is_no_json() -> None:
    with Simulation() as simulation, pytest.raises(ScriptError):
        simulation.when("@http/request").returns({"a": object()})


@pytest.mark.parametrize("wrong", [{"crash_at": ("after_commit",)}, {"crash_share": 1.5}, {"duplicate_share": -0.1}])
def test_faults_that_mean_nothing_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"crash|share|point|commit"):
        Faults(**wrong)


def test_bug_in_a_function_of_a_script_fails_the_attempt_and_not_the_engine() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").returns_from(lambda _call: 1 / 0)
        simulation.run(PATIENT).assert_failed(step="fetch")


def test_engine_that_breaks_is_told_as_such() -> None:
    with Simulation() as simulation:
        simulation._break(RuntimeError("planted"))
        with pytest.raises(EngineBrokenError, match="planted"):
            simulation.advance(seconds=1)


def record_of(**fields: Any) -> CallRecord:
    given = {
        "instance_id": "i",
        "operator": "@x/y",
        "path": "a",
        "step": "a",
        "attempt": 1,
        "key": "k",
        "parameters": {},
    }
    return CallRecord(**{**given, "at": datetime(2026, 3, 1, tzinfo=UTC), **fields})


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"attempt": 2}, []),
        ({"attempt": 2, "key": "other"}, ["another idempotency key"]),
        ({"path": "b", "attempt": 1}, ["the idempotency key of a"]),
        ({"attempt": 1}, ["is called twice"]),
    ],
)
def test_second_call_is_held_against_the_first(second: dict[str, Any], told: list[str]) -> None:
    book = CallBook(lambda _instance, _path, _attempt: True, lambda _instance, _path: False)
    book.record(record_of())
    book.record(record_of(**second))

    assert len(told) == len(book.faults)
    assert all(part in fault for part, fault in zip(told, book.faults, strict=True))


def test_call_before_its_start_is_durable_and_after_its_end_is_a_fault() -> None:
    early = CallBook(lambda _instance, _path, _attempt: False, lambda _instance, _path: False)
    late = CallBook(lambda _instance, _path, _attempt: True, lambda _instance, _path: True)
    early.record(record_of())
    late.record(record_of())

    assert ["attempt 1 of a in i is called before its start is durable"] == early.faults
    assert ["attempt 1 of a in i is called after its task has ended"] == late.faults


def test_double_effect_fails_the_assertion() -> None:
    with Simulation() as simulation:
        simulation.when("@http/request").returns(http_answer(1))
        instance = simulation.run(PATIENT)
        simulation.assert_no_double_effects()
        simulation._book.record(instance.calls()[0])

        with pytest.raises(AssertionError, match="is called twice"):
            simulation.assert_no_double_effects()


def fail_in_simulation() -> None:
    document = {
        "title": "Failing",
        "steps": [{"id": "a", "operator": "@http/request", "parameters": {"url": "http://h/"}}],
    }
    with Simulation(seed=5) as simulation:
        simulation.when("@http/request").fails("invalid", "no such thing")
        simulation.run(document).assert_succeeded()


def test_failure_within_a_simulation_names_the_trace_files_of_what_did_not_succeed() -> None:
    with pytest.raises(AssertionError) as raised:
        fail_in_simulation()
    [note] = raised.value.__notes__
    file = Path(note.rpartition(" ")[2])
    trace = read_trace(file.read_bytes())

    assert note.startswith("seed 5: flow replay ")
    assert ("Failing", {"seed": "5"}) == (trace.plan.title, trace.notes)
    file.unlink()
    file.parent.rmdir()


def test_simulation_that_failed_before_anything_ran_writes_no_trace() -> None:
    with pytest.raises(ValueError, match="no") as raised, Simulation():
        raise ValueError("no")
    assert not hasattr(raised.value, "__notes__")
