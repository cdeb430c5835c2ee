"""What a dry run says of each step: decided where everything is known, and what it waits for where it is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.engine.dry_run import fates as fates_module
from core.engine.dry_run import lines as lines_module
from core.engine.dry_run import rehearsal as rehearsal_module
from core.engine.dry_run.answer import Spread, StepForecast, StepLine
from core.engine.dry_run.lines import VALUE_SHOWN_BYTES_MAX
from core.engine.dry_run.service import within
from core.errors import InputInvalid, RequestInvalid
from core.executor.operator import Cancelled, Failed, Succeeded
from tests.unit.engine_dry_run.dry_runs import ScriptedAttempts, TickingClock, dry_run, fates

CHAIN = """
inputs: {type: object, properties: {n: {type: integer, default: 1}}}
steps:
  - {id: shape, operator: "@text/join", parameters: {items: [a, "{{ string(inputs.n) }}"], separator: "-"}}
  - {id: fetch, operator: "@debug/noop", parameters: {url: "u/{{ steps.shape.output }}", api_key: "k{{ inputs.n }}"}}
  - {id: use, operator: "@debug/noop", parameters: {n: "{{ inputs.n }}", all: ["{{ steps.fetch.output.a }}", "x {{ steps.fetch.output.b }}"]}}
  - {id: never, operator: "@debug/noop", when: "inputs.n > 3"}
  - {id: whole, operator: "@text/join", parameters: {items: ["{{ steps.fetch.output.a }}"]}}
outputs: {of: "{{ steps.shape.output }}"}
"""
CHOICE = """
inputs: {type: object, properties: {n: {type: integer, default: 1}}}
steps:
  - {id: ask, operator: "@debug/noop"}
  - id: pick
    operator: "@control/branch"
    parameters:
      branches:
        - {id: big, when: "inputs.n > 5", steps: [{id: a, operator: "@debug/noop"}]}
        - {id: good, when: "steps.ask.output.ok == true", steps: [{id: b, operator: "@debug/noop"}]}
        - {id: small, when: "inputs.n < 0", steps: [{id: c, operator: "@debug/noop", when: "inputs.n > 9"}]}
      else: [{id: d, operator: "@debug/noop"}]
"""


def test_what_is_known_is_evaluated_and_the_rest_says_what_it_waits_for() -> None:
    answer = dry_run(CHAIN)
    assert {
        "shape": "evaluated", "fetch": "runs", "use": "may run", "never": "skipped/when", "whole": "may run",
    } == fates(answer)  # fmt: skip
    steps = answer["steps"]
    assert ("a-1", "succeeded") == (steps["shape"]["value"], steps["shape"]["outcome"])
    assert ({"url": "u/a-1", "api_key": "***"}, "unknown") == (steps["fetch"]["parameters"], steps["fetch"]["outcome"])
    assert ["steps.fetch.status", "steps.fetch.output"] == steps["use"]["waits_for"]
    assert {"n": 1, "all": ["{{ steps.fetch.output.a }}", "x {{ steps.fetch.output.b }}"]} == steps["use"]["parameters"]
    assert ["steps.fetch.output"] == steps["use"]["parameters_wait_for"]
    assert ("unknown", None, True) == (answer["outcome"], answer["outputs"], answer["is_complete"])


def test_given_output_is_used_as_a_called_operator_s_would_be() -> None:
    answer = dry_run(CHAIN, outputs={"fetch": {"a": "x", "b": 2}, "use": {}})
    assert {
        "shape": "evaluated",
        "fetch": "runs",
        "use": "runs",
        "never": "skipped/when",
        "whole": "evaluated",
    } == fates(answer)
    assert {"n": 1, "all": ["x", "x 2"]} == answer["steps"]["use"]["parameters"]
    assert ("succeeded", {"of": "a-1"}) == (answer["outcome"], answer["outputs"])


@pytest.mark.parametrize(
    ("n", "outputs", "expected"),
    [
        (6, {}, {"a": "may run", "b": "skipped/branch", "c": "skipped/branch", "d": "skipped/branch"}),
        (1, {}, {"a": "skipped/branch", "b": "may run", "c": "skipped/when", "d": "may run"}),
        (1, {"ask": {"ok": True}}, {"a": "skipped/branch", "b": "runs", "c": "skipped/branch", "d": "skipped/branch"}),
        (1, {"ask": {"ok": False}}, {"a": "skipped/branch", "b": "skipped/branch", "c": "skipped/branch", "d": "runs"}),
    ],
)
def test_branches_are_told_as_far_as_conditions_are_known(n: int, outputs: Any, expected: Any) -> None:
    told = fates(dry_run(CHOICE, {"n": n}, outputs=outputs))
    assert expected == {step: told[step] for step in "abcd"}


def test_every_branch_that_matches_is_told_one_by_one() -> None:
    text = """
steps:
  - {id: ask, operator: "@debug/noop"}
  - id: pick
    operator: "@control/branch"
    parameters:
      mode: all
      branches:
        - {id: one, when: "steps.ask.output.n > 1", steps: [{id: a, operator: "@debug/noop"}]}
        - {id: two, when: "1 > 2", steps: [{id: b, operator: "@debug/noop"}]}
        - {id: odd, when: "[1][5] > 2", steps: [{id: c, operator: "@debug/noop"}]}
"""
    told = fates(dry_run(text))
    assert {"a": "may run", "b": "skipped/branch", "c": "may run"} == {step: told[step] for step in "abc"}


def test_parallel_branches_of_a_step_that_may_run_may_run() -> None:
    text = """
steps:
  - {id: ask, operator: "@debug/noop"}
  - id: both
    operator: "@control/parallel"
    parameters: {branches: [{id: one, steps: [{id: a, operator: "@debug/noop", parameters: {v: "{{ steps.ask.output.x }}"}}]}]}
"""
    answer = dry_run(text)
    assert ("may run", ["steps.ask.status", "steps.ask.output"]) == (
        answer["steps"]["a"]["status"], answer["steps"]["a"]["waits_for"],
    )  # fmt: skip


HANDLED = """
steps:
  - id: call
    operator: "@debug/noop"
    retry: {max_attempts: 3, delay_s: 10, jitter: none}
    on_error: [{id: mend, operator: "@debug/noop", parameters: {why: "{{ error.kind }}"}}]
  - {id: next, operator: "@debug/noop", parameters: {was: "{{ steps.call.status }}"}}
"""


def test_given_error_is_met_by_every_attempt_and_takes_the_list_that_handles_it() -> None:
    answer = dry_run(HANDLED, errors={"call": "timeout"}, outputs={"mend": {}})
    assert {"call": "runs", "mend": "runs", "next": "runs"} == fates(answer)
    call = answer["steps"]["call"]
    assert (3, "failed", "timeout") == (call["attempts"], call["outcome"], call["error"]["kind"])
    assert {"why": "timeout"} == answer["steps"]["mend"]["parameters"]
    assert {"was": "failed"} == answer["steps"]["next"]["parameters"]


def test_list_that_handles_waits_for_the_error_and_is_skipped_without_one() -> None:
    unknown = dry_run(HANDLED)["steps"]["mend"]
    assert ("may run", ["steps.call.error", "error"]) == (unknown["status"], unknown["waits_for"])
    assert "skipped/no_failure" == fates(dry_run(HANDLED, outputs={"call": {}}))["mend"]


def test_failing_list_skips_the_rest_and_the_instance_fails() -> None:
    text = """
steps:
  - {id: a, operator: "@debug/noop"}
  - id: b
    operator: "@control/branch"
    parameters: {branches: [{id: one, when: "true", steps: [{id: c, operator: "@debug/noop"}]}]}
  - {id: d, operator: "@debug/noop", join: all_done}
"""
    answer = dry_run(text, errors={"a": "invalid"}, outputs={"d": {}})
    assert {"a": "runs", "b": "skipped/failing", "c": "skipped/container", "d": "runs"} == fates(answer)
    assert ("failed", "invalid") == (answer["outcome"], answer["error"]["kind"])


def test_step_that_fails_before_it_is_called_is_evaluated() -> None:
    text = """
steps:
  - {id: a, operator: "@debug/noop", parameters: {v: "{{ [1][3] }}"}, on_error: continue}
  - {id: b, operator: "@debug/noop"}
  - {id: c, operator: "@debug/noop", parameters: {v: "{{ [1][3] }}"}}
"""
    answer = dry_run(text)
    assert {"a": "evaluated", "b": "runs", "c": "may run"} == fates(answer)
    told = answer["steps"]["a"]
    assert ("failed", 0, "expression", None) == (
        told["outcome"], told["attempts"], told["error"]["kind"], told["parameters"],
    )  # fmt: skip


MAPPED = """
inputs: {type: object, properties: {ids: {type: array, default: [1, 2, 3]}}}
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: "{{ inputs.ids }}"
      max_concurrency: 2
      steps:
        - {id: plus, operator: "@text/join", parameters: {items: ["{{ string(item) }}"]}}
        - {id: work, operator: "@debug/noop", when: "item != 2", parameters: {id: "{{ item }}", at: "{{ index }}", of: "{{ loops.fan.item }}"}}
        - {id: more, operator: "@debug/noop", when: "item > 0"}
        - {id: odd, operator: "@debug/noop", when: "item == 7"}
"""


def test_map_is_summed_up() -> None:
    answer = dry_run(MAPPED, outputs={"work": {}, "more": {}, "fan.1.more": {"x": 7}})
    steps = answer["steps"]
    assert (3, "runs", "succeeded") == (steps["fan"]["items"], steps["fan"]["status"], steps["fan"]["outcome"])
    assert {"runs": 2, "may_run": 0, "evaluated": 0, "skipped": 1} == steps["work"]["tasks"]
    assert ("fan.0.work", {"id": 1, "at": 0, "of": 1}) == (steps["work"]["path"], steps["work"]["parameters"])
    assert {"runs": 0, "may_run": 0, "evaluated": 3, "skipped": 0} == steps["plus"]["tasks"]
    assert ["max_concurrency"] == [one["limit"] for one in answer["limits"]["binding"]]
    assert steps["fan"]["tasks"] is None


def test_items_that_hang_are_counted_as_begun() -> None:
    steps = dry_run(MAPPED)["steps"]
    assert {"runs": 1, "may_run": 1, "evaluated": 0, "skipped": 1} == steps["work"]["tasks"]
    assert ("runs", "unknown") == (steps["fan"]["status"], steps["fan"]["outcome"])
    assert {"runs": 1, "may_run": 2, "evaluated": 0, "skipped": 0} == steps["more"]["tasks"]
    assert ("may run", {"runs": 0, "may_run": 1, "evaluated": 0, "skipped": 2}) == (
        steps["odd"]["status"], steps["odd"]["tasks"],
    )  # fmt: skip


def test_map_without_items_skips_what_stands_in_it() -> None:
    assert {"plus": "skipped/no_items", "work": "skipped/no_items"} == {
        step: fate for step, fate in fates(dry_run(MAPPED, {"ids": []})).items() if step in ("plus", "work")
    }


WAITING_MAP = """
inputs: {type: object}
steps:
  - {id: ask, operator: "@debug/noop"}
  - id: fan
    operator: "@control/map"
    parameters:
      items: ITEMS
      batch_size: 2
      steps:
        - {id: work, operator: "@debug/noop", when: "index > 5", parameters: {v: "{{ item }}", w: "{{ loops.fan.item }}"}}
"""


@pytest.mark.parametrize(
    ("items", "count"),
    [
        ("[1, 2, 3]", 2),
        ('"{{ steps.ask.output.all }}"', None),
        ('"{{ inputs.no }}"', None),
        ('"{{ inputs.some }}"', None),
    ],
)
def test_items_of_a_map_that_may_run_are_counted_when_they_are_known(items: str, count: int | None) -> None:
    steps = dry_run(WAITING_MAP.replace("ITEMS", items), {"some": 5})["steps"]
    assert ("may run", count) == (steps["fan"]["status"], steps["fan"]["items"])
    assert "may run" == steps["work"]["status"]
    assert {"index", "item", "loops.fan.item"} < set(steps["work"]["waits_for"])


def test_only_some_undecided_items_of_a_long_map_are_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fates_module, "LOOKED_INTO_MAX", 1)
    text = """
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: [1, 2, 3]
      steps:
        - {id: a, operator: "@debug/noop", when: "item < 3"}
        - {id: b, operator: "@debug/noop", when: "item > 9"}
"""
    steps = dry_run(text)["steps"]
    assert {"runs": 0, "may_run": 1, "evaluated": 0, "skipped": 2} == steps["b"]["tasks"]


def test_variables_are_known_once_nothing_can_change_them() -> None:
    text = """
steps:
  - {id: fixed, operator: "@data/define", parameters: {name: fixed, value: 1}}
  - {id: moving, operator: "@data/define", parameters: {name: moving, value: 1}}
  - {id: call, operator: "@debug/noop"}
  - {id: late, operator: "@data/define", parameters: {name: late, value: "{{ vars.fixed }}"}}
  - {id: set, operator: "@data/assign", parameters: {name: moving, value: 2}}
  - {id: use, operator: "@debug/noop", parameters: {a: "{{ vars.fixed }}", b: "{{ vars.moving }}", c: "{{ vars.late }}", d: "{{ vars.k }}", e: "{{ vars }}"}}
vars: {k: 4}
"""
    answer = dry_run(text)
    assert {"fixed": "evaluated", "call": "runs", "late": "may run"} == {
        step: fate for step, fate in fates(answer).items() if step in ("fixed", "call", "late")
    }
    use = answer["steps"]["use"]
    assert {"a": 1, "b": "{{ vars.moving }}", "c": "{{ vars.late }}", "d": 4, "e": {"k": 4}} == use["parameters"]
    assert ["vars.moving", "vars.late"] == use["parameters_wait_for"]


def test_return_ends_what_hangs() -> None:
    text = """
steps:
  - {id: slow, operator: "@debug/noop", depends_on: []}
  - id: both
    operator: "@control/parallel"
    depends_on: []
    parameters: {branches: [{id: one, steps: [{id: hang, operator: "@debug/noop"}]}]}
  - {id: tick, operator: "@debug/noop", depends_on: []}
  - {id: end, operator: "@control/return", parameters: {outputs: {a: 1}}}
  - {id: after, operator: "@debug/noop", depends_on: [slow]}
"""
    answer = dry_run(text, outputs={"tick": {}})
    assert {
        "slow": "runs", "both": "runs", "hang": "runs", "tick": "runs", "end": "runs", "after": "skipped/returned",
    } == fates(answer)  # fmt: skip
    assert ("succeeded", {"a": 1}, "cancelled") == (
        answer["outcome"], answer["outputs"], answer["steps"]["slow"]["outcome"],
    )  # fmt: skip


def test_bound_of_the_instance_is_over_when_retries_take_longer() -> None:
    text = """
settings: {timeout_s: 15}
steps:
  - {id: a, operator: "@debug/noop", retry: {max_attempts: 9, delay_s: 10, backoff: 1, jitter: none}}
  - {id: b, operator: "@debug/noop"}
"""
    answer = dry_run(text, errors={"a": "failed"})
    assert ("failed", "timeout") == (answer["outcome"], answer["error"]["kind"])
    assert {"a": "runs", "b": "skipped/timeout"} == fates(answer)


def test_time_passes_for_retries_alone_while_an_outcome_is_unknown() -> None:
    text = """
settings: {timeout_s: 15}
steps:
  - {id: hang, operator: "@debug/noop", depends_on: [], timeout: {total_s: 5}}
  - {id: a, operator: "@debug/noop", depends_on: [], retry: {max_attempts: 3, delay_s: 10, backoff: 1, jitter: none}, on_error: continue}
  - {id: b, operator: "@debug/noop", depends_on: [a]}
"""
    answer = dry_run(text, errors={"a": "failed"})
    assert ("unknown", {"hang": "runs", "a": "runs", "b": "runs"}) == (answer["outcome"], fates(answer))
    assert 3 == answer["steps"]["a"]["attempts"]


def test_output_that_misses_the_schema_fails_the_step_as_in_a_run() -> None:
    text = 'steps: [{id: a, operator: "@debug/noop", output_schema: {type: object, required: [x]}}]'
    answer = dry_run(text, outputs={"a": {}})
    assert ("failed", "invalid") == (answer["outcome"], answer["error"]["kind"])


def test_long_transform_is_evaluated_beside_decisions() -> None:
    text = """
inputs: {type: object}
steps:
  - {id: many, operator: "@data/transform", parameters: {items: "{{ inputs.all }}", map: "item + 1"}}
  - {id: bad, operator: "@data/transform", parameters: {items: "{{ inputs.all }}", map: "item.x"}, on_error: continue}
"""
    answer = dry_run(text, {"all": list(range(2_000))})
    many = answer["steps"]["many"]
    assert ("evaluated", "succeeded", None) == (many["status"], many["outcome"], many["value"])
    assert many["value_bytes"] > VALUE_SHOWN_BYTES_MAX
    assert many["parameters_bytes"] > VALUE_SHOWN_BYTES_MAX
    assert ("evaluated", "failed") == (answer["steps"]["bad"]["status"], answer["steps"]["bad"]["outcome"])


def test_more_frames_than_one_commit_sweeps_and_more_items_than_one_begins_are_gone_through() -> None:
    text = """
inputs: {type: object}
steps:
  - id: fan
    operator: "@control/map"
    depends_on: []
    parameters:
      items: "{{ inputs.all }}"
      steps:
        - id: inner
          operator: "@control/map"
          parameters: {items: [1], steps: [{id: a, operator: "@debug/noop"}]}
  - {id: end, operator: "@debug/noop", depends_on: []}
  - {id: out, operator: "@control/return", depends_on: [end]}
"""
    answer = dry_run(text, {"all": list(range(300))}, outputs={"end": {}})
    assert ("succeeded", 300, 1) == (
        answer["outcome"], answer["steps"]["fan"]["items"], answer["steps"]["inner"]["items"],
    )  # fmt: skip
    assert {"runs": 300, "may_run": 0, "evaluated": 0, "skipped": 0} == answer["steps"]["a"]["tasks"]


def test_container_that_is_cancelled_before_it_begins_is_skipped() -> None:
    text = """
settings: {timeout_s: 15}
steps:
  - {id: a, operator: "@debug/noop", retry: {max_attempts: 9, delay_s: 10, backoff: 1, jitter: none}}
  - id: fan
    operator: "@control/map"
    parameters: {items: [1], steps: [{id: w, operator: "@debug/noop"}]}
"""
    told = fates(dry_run(text, errors={"a": "failed"}))
    assert ("skipped/timeout", "skipped/container") == (told["fan"], told["w"])


def test_what_is_given_for_no_step_that_is_called_is_refused() -> None:
    with pytest.raises(RequestInvalid) as refused:
        dry_run(
            CHAIN,
            outputs={"shape": 1, "fetch": 1, "fan.2.none": 1, "a/b~": 2},
            errors={"fetch": "failed", "use": "odd"},
        )
    assert [
        "/outputs/shape", "/outputs/fan.2.none", "/outputs/a~1b~0", "/errors/fetch", "/errors/use",
    ] == [fault["pointer"] for fault in refused.value.faults]  # fmt: skip


def test_inputs_that_miss_the_schema_are_refused() -> None:
    with pytest.raises(InputInvalid) as refused:
        dry_run(CHAIN, {"n": "x"})
    assert [("input.schema", "/n")] == [(fault["code"], fault["pointer"]) for fault in refused.value.faults]


# What is called


CALLED = """
steps:
  - {id: a, operator: "@debug/noop", parameters: {v: 1}, on_error: continue}
  - {id: b, operator: "@debug/noop", parameters: {v: "{{ steps.a.status }}"}}
"""


def test_operator_that_declares_it_is_called_without_an_instance() -> None:
    attempts = ScriptedAttempts(Succeeded(msgspec.Raw(b'{"x":1}')), Succeeded({"y": 2}))
    answer = dry_run(CALLED, attempts=attempts)
    assert [("a", "", 1), ("b", "", 1)] == [(r.task_path, r.instance_id, r.attempt) for r in attempts.requests]
    assert ({"x": 1}, "succeeded") == (answer["steps"]["a"]["value"], answer["outcome"])


def test_failure_of_a_called_operator_is_one() -> None:
    attempts = ScriptedAttempts(Failed(error_kind="invalid", message="no"), Succeeded({}))
    answer = dry_run(CALLED, attempts=attempts)
    assert ("failed", {"v": "failed"}) == (answer["steps"]["a"]["outcome"], answer["steps"]["b"]["parameters"])


@pytest.mark.parametrize("outcome", [None, Cancelled(), Failed(error_kind="unavailable", message="no", called=False)])
def test_call_that_says_nothing_leaves_the_outcome_unknown(outcome: Any) -> None:
    answer = dry_run(CALLED, attempts=ScriptedAttempts(outcome), clock=TickingClock(0.7))
    assert {"a": "runs", "b": "may run"} == fates(answer)


def test_call_that_never_begins_leaves_the_outcome_unknown() -> None:
    # The clock passes the bound between the decision and the call, so the call is cancelled before its first step.
    told = [fates(dry_run(CALLED, attempts=ScriptedAttempts(None), clock=TickingClock(at))) for at in (1.0, 1.3, 1.7)]
    assert all("runs" == one["a"] for one in told)


def test_calls_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.dry_run.service.CALLS_MAX", 1)
    attempts = ScriptedAttempts(Succeeded({}), Succeeded({}))
    assert {"a": "runs", "b": "runs"} == fates(dry_run(CALLED, attempts=attempts))
    assert 1 == len(attempts.requests)


def test_operator_that_declares_to_be_skipped_is_not_called() -> None:
    text = 'steps: [{id: a, operator: "@test/skipped"}]'
    answer = dry_run(text, attempts=ScriptedAttempts())
    assert ("runs", "unknown") == (answer["steps"]["a"]["status"], answer["steps"]["a"]["outcome"])


# Bounds


def test_dry_run_ends_early_when_its_time_is_over() -> None:
    answer = dry_run(CHAIN, clock=TickingClock(2.0))
    assert not answer["is_complete"]
    assert {"evaluated", "may run", "runs", "skipped"} >= {line["status"] for line in answer["steps"].values()}
    assert "may run" == answer["steps"]["never"]["status"]  # nothing is evaluated any more
    assert answer["steps"]["use"]["parameters"] is None


@pytest.mark.parametrize("name", ["EVENTS_MAX", "DECISIONS_MAX", "VALUE_BYTES_MAX"])
def test_dry_run_ends_early_at_its_bounds(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(rehearsal_module, name, 1)
    answer = dry_run(MAPPED.replace("max_concurrency: 2", "max_concurrency: 1"), outputs={"work": {}, "more": {}})
    assert not answer["is_complete"]
    assert "unknown" == answer["outcome"]


def test_lines_that_find_no_place_are_left_out() -> None:
    lines = [StepLine(step=f"s{n}", operator="@debug/noop", depth=0, list="", status="runs") for n in range(10)]
    size = len(msgspec.json.encode(lines[0]))
    assert lines[:3] == within(lines, 3 * size)
    assert lines == within(lines, 10 * size)


# Limits


def test_bounds_that_bind_are_named() -> None:
    text = """
settings: {timeout_s: 50}
steps:
  - {id: a, operator: "@debug/noop", depends_on: [], timeout: {attempt_s: 30}, retry: {max_attempts: 2, delay_s: 4, jitter: none}}
  - {id: b, operator: "@debug/noop", depends_on: [], timeout: {attempt_s: 30, total_s: 40}, retry: {max_attempts: 2, delay_s: 4}}
  - {id: c, operator: "@debug/noop", depends_on: [], when: "false", timeout: {attempt_s: 90}}
"""
    answer = dry_run(text, attempts_max=1)
    assert [("attempts_max", None), ("timeout_s", "a"), ("total_s", "b")] == [
        (one["limit"], one["step"]) for one in answer["limits"]["binding"]
    ]
    assert {"max_attempts": 2, "attempt_s": 30.0, "retry_wait_s": 4.0, "worst_s": 64.0} == answer["steps"]["a"][
        "limits"
    ]
    assert 40.0 == answer["steps"]["b"]["limits"]["worst_s"]
    assert (50.0, 1) == (answer["limits"]["timeout_s"], answer["limits"]["attempts_max"])


def test_forecast_of_a_step_stands_on_its_line() -> None:
    said = StepForecast(tasks_count=1, duration_s=None, attempts=Spread(1.0, 1.0), failure_share=0.0)
    assert 1 == dry_run(CHAIN, steps={"fetch": said})["steps"]["fetch"]["forecast"]["tasks_count"]


def test_steps_of_a_list_that_may_be_entered_wait_for_each_other() -> None:
    text = """
steps:
  - {id: ask, operator: "@debug/noop"}
  - id: pick
    operator: "@control/branch"
    parameters:
      branches:
        - id: one
          steps:
            - {id: a, operator: "@debug/noop"}
            - {id: b, operator: "@debug/noop", parameters: {v: "{{ steps.a.output.x }}", w: "{{ steps.ask.status }}"}}
        - {id: two, when: "1 > 2", steps: [{id: c, operator: "@debug/noop"}]}
"""
    answer = dry_run(text)
    assert ["steps.ask.status", "steps.a.output"] == answer["steps"]["b"]["waits_for"]
    assert "skipped/branch" == fates(answer)["c"]


def test_condition_that_gives_no_boolean_decides_nothing() -> None:
    text = """
inputs: {type: object}
steps:
  - {id: ask, operator: "@debug/noop"}
  - {id: odd, operator: "@debug/noop", when: "inputs.flag"}
"""
    assert "may run" == fates(dry_run(text, {"flag": 0}))["odd"]


def test_large_parameters_that_wait_are_told_by_their_size() -> None:
    text = """
steps:
  - {id: ask, operator: "@debug/noop"}
  - {id: use, operator: "@debug/noop", parameters: {long: LONG, v: "{{ steps.ask.output.v }}"}}
"""
    use = dry_run(text.replace("LONG", "x" * VALUE_SHOWN_BYTES_MAX))["steps"]["use"]
    assert (None, ["steps.ask.output"]) == (use["parameters"], use["parameters_wait_for"])
    assert use["parameters_bytes"] > VALUE_SHOWN_BYTES_MAX


def test_values_are_shown_until_the_answer_holds_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "VALUES_BYTES_MAX", 50)
    steps = dry_run(CHAIN, outputs={"fetch": {"a": "x", "b": 2}})["steps"]
    assert {"items": ["a", "1"], "separator": "-"} == steps["shape"]["parameters"]
    assert (None, None) != (steps["fetch"]["parameters_bytes"], steps["fetch"]["value_bytes"])
