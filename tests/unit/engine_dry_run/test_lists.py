"""What a dry run says of loops, tries, waits and hooks, and of what stands in them."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine.dry_run import fates as fates_module
from tests.unit.engine_dry_run.dry_runs import TickingClock, dry_run, fates


def _counts(answer: Any, step: str) -> tuple[int, ...]:
    tasks = answer["steps"][step]["tasks"]
    return tasks["runs"], tasks["may_run"], tasks["evaluated"], tasks["skipped"]


# Loops


LOOP = """
steps:
  - id: turn
    operator: "@control/loop"
    parameters:
      mode: count
      limit: 5
      steps:
        - {id: name, operator: "@text/join", parameters: {items: ["{{ string(index) }}", "{{ string(loops.turn.last == null) }}"]}}
        - {id: work, operator: "@debug/noop", parameters: {at: "{{ index }}", of: "{{ steps.name.output }}"}}
        - {id: more, operator: "@debug/noop", when: "index > 0"}
      break_when: "index == 3"
"""


def test_iterations_run_one_after_another_and_are_summed_up() -> None:
    answer = dry_run(LOOP, outputs={"work": {"a": 1}, "more": {}})
    steps = answer["steps"]
    assert ("succeeded", "runs", "succeeded", 4) == (
        answer["outcome"], steps["turn"]["status"], steps["turn"]["outcome"], steps["turn"]["items"],
    )  # fmt: skip
    assert [(0, 0, 4, 0), (4, 0, 0, 0), (3, 0, 0, 1)] == [_counts(answer, step) for step in ("name", "work", "more")]
    assert ("turn.0.work", {"at": 0, "of": "0true"}) == (steps["work"]["path"], steps["work"]["parameters"])
    # The loop has ended: what its first iteration read is told as it was then.
    assert ("turn.0.name", {"items": ["0", "true"]}) == (steps["name"]["path"], steps["name"]["parameters"])
    assert (1, "steps", 1000) == (
        steps["work"]["depth"], steps["work"]["list"], steps["turn"]["limits"]["max_iterations"],
    )  # fmt: skip


def test_iterations_that_were_not_begun_may_run() -> None:
    answer = dry_run(LOOP, outputs={"turn.0.work": {}, "turn.0.more": {}})
    assert [(0, 3, 2, 0), (2, 3, 0, 0), (0, 4, 0, 1)] == [_counts(answer, step) for step in ("name", "work", "more")]
    assert (5, "unknown") == (answer["steps"]["turn"]["items"], answer["outcome"])


WAITING_LOOP = """
inputs: {type: object}
vars: {most: 3}
steps:
  - {id: ask, operator: "@debug/noop"}
  - {id: last, operator: "@data/define", depends_on: [], parameters: {name: outside, value: 1}}
  - id: turn
    operator: "@control/loop"
    depends_on: [ask, last]
    parameters:
      MODE
      steps:
        - {id: set, operator: "@data/define", parameters: {name: inside, value: 1}}
        - {id: work, operator: "@debug/noop", when: "index > 5", parameters: {v: "{{ loops.turn.last }}"}}
      outputs: ["{{ index }}", "{{ steps.set.output }}", "{{ vars.inside }}", "{{ vars.outside }}", "{{ vars.most }}", "{{ inputs.x }}"]
      break_when: "loops.turn.index > 3 && steps.ask.attempts > 1"
"""


@pytest.mark.parametrize(
    ("mode", "count", "waits_for"),
    [
        ("{mode: count, limit: 4}", 4, ["steps.ask.status", "steps.ask.attempts"]),
        ('{mode: count, limit: "{{ inputs.no }}"}', None, ["steps.ask.status", "steps.ask.attempts"]),
        ('{mode: each, items: "{{ inputs.all }}"}', 2, ["steps.ask.status", "steps.ask.attempts"]),
        (
            '{mode: each, items: "{{ steps.ask.output.all }}"}',
            None,
            ["steps.ask.status", "steps.ask.output", "steps.ask.attempts"],
        ),
        (
            '{mode: while, condition: "index < steps.ask.output.n"}',
            None,
            ["steps.ask.status", "steps.ask.output", "steps.ask.attempts"],
        ),
    ],
)
def test_loop_that_may_run_says_how_often_and_what_it_waits_for(
    mode: str, count: int | None, waits_for: list[str]
) -> None:
    text = WAITING_LOOP.replace("MODE", mode.strip("{}").replace(", ", "\n      ", 1))
    steps = dry_run(text, {"all": [1, 2], "x": 1})["steps"]
    assert ("may run", count, waits_for) == (
        steps["turn"]["status"], steps["turn"]["items"], steps["turn"]["waits_for"],
    )  # fmt: skip
    assert ("may run", {"index"}) == (steps["work"]["status"], set(steps["work"]["waits_for"]) & {"index", "item"})
    assert ["loops.turn.last"] == steps["work"]["parameters_wait_for"]


def test_loop_over_items_reads_its_own_item() -> None:
    text = """
steps:
  - {id: ask, operator: "@debug/noop"}
  - id: turn
    operator: "@control/loop"
    parameters:
      mode: each
      items: [7, 8]
      steps: [{id: work, operator: "@debug/noop", parameters: {v: "{{ item }}"}}]
      break_when: "item > 7"
"""
    assert ["steps.ask.status"] == dry_run(text)["steps"]["turn"]["waits_for"]
    answer = dry_run(text, outputs={"ask": {}, "work": {}})
    assert ({"v": 7}, (2, 0, 0, 0)) == (answer["steps"]["work"]["parameters"], _counts(answer, "work"))


def test_loop_while_a_condition_holds_counts_what_began() -> None:
    text = """
steps:
  - id: turn
    operator: "@control/loop"
    parameters:
      mode: while
      condition: "loops.turn.last == null || loops.turn.last < 8"
      steps: [{id: work, operator: "@debug/noop"}]
      outputs: "{{ loops.turn.last == null ? 1 : loops.turn.last * 2 }}"
"""
    hanging = dry_run(text)
    assert (None, (1, 0, 0, 0)) == (hanging["steps"]["turn"]["items"], _counts(hanging, "work"))
    ended = dry_run(text, outputs={"work": {}})
    assert ([1, 2, 4, 8], 4, (4, 0, 0, 0)) == (
        ended["steps"]["turn"]["value"], ended["steps"]["turn"]["items"], _counts(ended, "work"),
    )  # fmt: skip


def test_failing_iteration_leaves_the_later_ones_out() -> None:
    answer = dry_run(LOOP, errors={"turn.1.work": "failed"}, outputs={"work": {}, "more": {}})
    assert ("failed", 2, (2, 0, 0, 0)) == (answer["outcome"], answer["steps"]["turn"]["items"], _counts(answer, "work"))
    assert (0, 0, 0, 2) == _counts(answer, "more")


def test_iterations_of_a_loop_that_is_failing_never_begin() -> None:
    text = """
steps:
  - id: turn
    operator: "@control/loop"
    parameters:
      mode: count
      limit: 5
      steps:
        - {id: hang, operator: "@debug/noop", depends_on: []}
        - {id: bad, operator: "@debug/noop", depends_on: []}
"""
    answer = dry_run(text, errors={"bad": "failed"})
    assert ("unknown", (1, 0, 0, 0)) == (answer["outcome"], _counts(answer, "hang"))


def test_hundred_thousand_iterations_end_at_a_bound() -> None:
    text = """
steps:
  - id: turn
    operator: "@control/loop"
    parameters:
      mode: count
      limit: 100000
      max_iterations: 100000
      steps: [{id: name, operator: "@text/join", parameters: {items: ["{{ string(index) }}"]}}]
"""
    answer = dry_run(text)
    assert (False, "unknown", 100_000) == (answer["is_complete"], answer["outcome"], answer["steps"]["turn"]["items"])
    runs, may_run, evaluated, skipped = _counts(answer, "name")
    assert ((0, 0), 100_000) == ((runs, skipped), may_run + evaluated)
    assert 1_000 < evaluated < 10_000


def test_loop_without_iterations_skips_what_stands_in_it() -> None:
    told = fates(dry_run(LOOP.replace("limit: 5", "limit: 0")))
    assert {"turn": "runs", "name": "skipped/no_items", "work": "skipped/no_items", "more": "skipped/no_items"} == told


NESTED = """
steps:
  - id: outer
    operator: "@control/loop"
    parameters:
      mode: count
      limit: 3
      steps:
        - {id: ask, operator: "@debug/noop"}
        - id: pick
          operator: "@control/branch"
          parameters:
            branches:
              - {id: one, when: "index == 0", steps: [{id: first, operator: "@debug/noop"}]}
              - {id: two, when: "index == 2", steps: [{id: third, operator: "@debug/noop"}]}
              - {id: odd, when: "1 > 2", steps: [{id: never, operator: "@debug/noop"}]}
            else:
              - {id: other, operator: "@debug/noop", on_error: [{id: mend, operator: "@debug/noop"}]}
"""


def test_branch_that_a_later_iteration_may_take_may_run() -> None:
    told = fates(dry_run(NESTED, outputs={"outer.0.ask": {}, "first": {}}))
    assert {"first": "runs", "third": "may run", "never": "may run", "other": "may run", "mend": "may run"} == {
        step: fate for step, fate in told.items() if step not in ("outer", "ask", "pick")
    }
    done = fates(dry_run(NESTED, outputs={"ask": {}, "first": {}, "other": {}, "third": {}}))
    assert {
        "first": "runs",
        "third": "runs",
        "never": "skipped/branch",
        "other": "runs",
        "mend": "skipped/no_failure",
    } == {step: fate for step, fate in done.items() if step not in ("outer", "ask", "pick")}


def test_branch_is_told_for_every_item_that_has_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: [1, 2]
      steps:
        - {id: ask, operator: "@debug/noop"}
        - id: pick
          operator: "@control/branch"
          parameters:
            branches: [{id: two, when: "item == 2", steps: [{id: second, operator: "@debug/noop", parameters: {v: "{{ item }}"}}]}]
"""
    second = dry_run(text)["steps"]["second"]
    assert ("may run", {"v": "{{ item }}"}) == (second["status"], second["parameters"])  # of which item nobody knows
    one = dry_run(text.replace("[1, 2]", "[2]"))["steps"]["second"]
    assert ("may run", {"v": 2}) == (one["status"], one["parameters"])
    assert "skipped/branch" == fates(dry_run(text.replace("item == 2", "item == 3")))["second"]
    monkeypatch.setattr(fates_module, "LOOKED_INTO_MAX", 1)
    assert "may run" == fates(dry_run(text.replace("item == 2", "item == 3")))["second"]


def test_list_that_one_item_entered_and_another_may_enter_may_run() -> None:
    text = """
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: [1, 2]
      on_item_error: collect
      steps:
        - {id: work, operator: "@debug/noop", on_error: [{id: mend, operator: "@debug/noop", when: "item > 1"}]}
"""
    answer = dry_run(text, errors={"fan.0.work": "failed"})
    # Nobody knows how many will come to it: those that did are counted.
    assert ("may run", (0, 0, 0, 1)) == (answer["steps"]["mend"]["status"], _counts(answer, "mend"))
    never = dry_run(text.replace("item > 1", "1 > 2"), errors={"fan.0.work": "failed"})
    assert "skipped/when" == fates(never)["mend"]


def test_loop_inside_a_map_is_counted_as_a_whole() -> None:
    text = """
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: [5, 6]
      steps:
        - id: turn
          operator: "@control/loop"
          parameters:
            mode: each
            items: ["{{ item }}", 0]
            steps:
              - id: name
                operator: "@text/join"
                parameters: {items: ["{{ string(item) }}", "{{ string(loops.fan.item) }}", "{{ string(loops.fan.index) }}"]}
"""
    answer = dry_run(text)
    assert ("succeeded", (0, 0, 4, 0)) == (answer["outcome"], _counts(answer, "name"))
    assert ("fan.0.turn.0.name", {"items": ["5", "5", "0"]}) == (
        answer["steps"]["name"]["path"], answer["steps"]["name"]["parameters"],
    )  # fmt: skip


# Tries


TRY = """
steps:
  - id: seat
    operator: "@control/try"
    parameters:
      steps:
        - {id: name, operator: "@text/join", parameters: {items: ["x"]}}
        - {id: order, operator: "@debug/noop"}
      catch:
        - {id: why, operator: "@text/join", parameters: {items: ["{{ error.kind }}", "{{ steps.name.output }}"]}}
        - {id: mend, operator: "@debug/noop"}
      finally:
        - {id: close, operator: "@debug/noop", parameters: {was: "{{ steps.order.status }}", of: "{{ steps.name.output }}"}}
"""


@pytest.mark.parametrize(
    ("outputs", "errors", "expected"),
    [
        ({}, {}, {"order": "runs", "why": "may run", "mend": "may run", "close": "may run"}),
        (
            {"order": {}},
            {},
            {"order": "runs", "why": "skipped/no_failure", "mend": "skipped/no_failure", "close": "runs"},
        ),
        ({}, {"order": "failed"}, {"order": "runs", "why": "evaluated", "mend": "runs", "close": "may run"}),
        (
            {"mend": {}, "close": {}},
            {"order": "failed"},
            {"order": "runs", "why": "evaluated", "mend": "runs", "close": "runs"},
        ),
        (
            {"close": {}},
            {"order": "failed", "mend": "failed"},
            {"order": "runs", "why": "evaluated", "mend": "runs", "close": "runs"},
        ),
    ],
)
def test_lists_of_a_try_are_told_by_what_was_decided(outputs: Any, errors: Any, expected: Any) -> None:
    told = fates(dry_run(TRY, outputs=outputs, errors=errors))
    assert ("runs", "evaluated", expected) == (
        told.pop("seat"), told.pop("name"), told,
    )  # fmt: skip


def test_lists_of_a_try_wait_for_the_list_that_runs_and_know_its_steps() -> None:
    steps = dry_run(TRY)["steps"]
    assert (["steps.order.status", "error"], ["error"]) == (
        steps["why"]["waits_for"], steps["why"]["parameters_wait_for"],
    )  # fmt: skip
    assert ("finally", ["steps.order.status"]) == (steps["close"]["list"], steps["close"]["waits_for"])
    assert {"was": "{{ steps.order.status }}", "of": "x"} == steps["close"]["parameters"]
    later = dry_run(TRY, errors={"order": "failed"})["steps"]
    assert (["steps.mend.status"], {"was": "failed", "of": "x"}) == (
        later["close"]["waits_for"], later["close"]["parameters"],
    )  # fmt: skip


def test_error_that_was_caught_is_told_after_the_end_also_in_a_map() -> None:
    alone = dry_run(TRY, outputs={"mend": {}, "close": {}}, errors={"order": "timeout"})
    assert ("succeeded", {"items": ["timeout", "x"]}) == (alone["outcome"], alone["steps"]["why"]["parameters"])
    inner = "\n".join("        " + line for line in TRY.strip().splitlines()[1:])
    text = f"""
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: [1, 2]
      steps:
{inner}
"""
    mapped = dry_run(text, outputs={"mend": {}, "close": {}}, errors={"order": "timeout"})
    assert ("succeeded", "fan.0.why", {"items": ["timeout", "x"]}) == (
        mapped["outcome"], mapped["steps"]["why"]["path"], mapped["steps"]["why"]["parameters"],
    )  # fmt: skip
    assert (0, 0, 2, 0) == _counts(mapped, "why")
    hanging = dry_run(text.replace("[1, 2]", "[1]"))["steps"]["close"]
    assert {"was": "{{ steps.order.status }}", "of": "x"} == hanging["parameters"]


def test_try_that_may_run_says_what_its_lists_wait_for() -> None:
    text = TRY.replace("steps:\n", 'steps:\n  - {id: ask, operator: "@debug/noop"}\n', 1)
    steps = dry_run(text)["steps"]
    assert [["steps.ask.status"], ["steps.ask.status"], ["steps.ask.status", "error", "steps.name.output"]] == [
        steps[step]["waits_for"] for step in ("order", "mend", "why")
    ]
    failed = fates(
        dry_run(
            text.replace('operator: "@control/try"', 'operator: "@control/try"\n    when: "[1][3] > 0"'),
            outputs={"ask": {}},
        )
    )
    assert ("evaluated", "skipped/container", "skipped/no_failure") == (
        failed["seat"], failed["order"], failed["why"],
    )  # fmt: skip


# Waits


WAITS = """
inputs: {type: object}
steps:
  - {id: hang, operator: "@debug/noop", depends_on: []}
  - {id: some, operator: "@control/wait", depends_on: [], parameters: {seconds: 100}}
  - {id: till, operator: "@control/wait", depends_on: [some], parameters: {until: "2026-01-01T01:00:00Z"}}
  - {id: past, operator: "@control/wait", depends_on: [till], parameters: {until: "2025-01-01T01:00:00Z"}}
  - {id: late, operator: "@control/wait", depends_on: [till], timeout: {total_s: 3}, parameters: {seconds: 9}, on_error: continue}
  - {id: odd, operator: "@control/wait", depends_on: [], parameters: {seconds: -1}, on_error: continue}
  - {id: after, operator: "@debug/noop", depends_on: [late], parameters: {at: "{{ steps.some.output.at }}"}}
  - {id: then, operator: "@control/wait", depends_on: [hang], parameters: {seconds: "{{ inputs.n }}"}}
  - {id: none, operator: "@control/wait", depends_on: [hang], parameters: {seconds: "{{ inputs.no }}"}}
  - {id: ever, operator: "@control/wait", depends_on: [hang], parameters: {until: "{{ steps.hang.output.at }}"}}
  - {id: when, operator: "@control/wait", depends_on: [hang], parameters: {until: "{{ inputs.at }}"}}
"""


def test_waits_end_at_their_time_while_outcomes_are_unknown() -> None:
    answer = dry_run(WAITS, {"n": 7})
    steps = answer["steps"]
    assert {"some": "runs", "till": "runs", "past": "runs", "late": "runs", "odd": "evaluated", "after": "runs"} == {
        step: fate for step, fate in fates(answer).items() if step not in ("hang", "then", "none", "ever", "when")
    }
    assert {"at": "2026-01-01T00:01:40.000Z"} == steps["after"]["parameters"]
    assert [
        (100.0, "2026-01-01T00:01:40.000Z", "succeeded"),
        (3500.0, "2026-01-01T01:00:00.000Z", "succeeded"),
        (9.0, "2026-01-01T01:00:09.000Z", "failed"),
    ] == [
        (limits["wait_s"], limits["wait_until"], steps[step]["outcome"])
        for step in ("some", "till", "late")
        if (limits := steps[step]["limits"])
    ]
    assert ({"wait_until": "2025-01-01T01:00:00.000Z"}, "succeeded") == (
        steps["past"]["limits"],
        steps["past"]["outcome"],
    )
    assert ("timeout", 3.0) == (steps["late"]["error"]["kind"], steps["late"]["limits"]["worst_s"])


def test_waits_that_may_run_tell_how_long_when_it_is_known() -> None:
    steps = dry_run(WAITS, {"n": 7})["steps"]
    assert [
        ({"wait_s": 7.0, "worst_s": 7.0}, ["steps.hang.status"]),
        ({}, ["steps.hang.status", "steps.hang.output"]),
    ] == [(steps[step]["limits"], steps[step]["waits_for"]) for step in ("then", "ever")]
    assert {} == steps["none"]["limits"]
    for at, expected in (("soon", {}), ("2026-02-03T04:05:06+01:00", {"wait_until": "2026-02-03T03:05:06.000Z"})):
        assert expected == dry_run(WAITS, {"at": at})["steps"]["when"]["limits"]
    assert {} == dry_run(WAITS, {"n": True})["steps"]["then"]["limits"]


def test_total_bound_of_what_an_attempt_could_end_never_passes() -> None:
    text = """
steps:
  - {id: hang, operator: "@debug/noop", depends_on: [], timeout: {total_s: 5}}
  - {id: a, operator: "@debug/noop", depends_on: [], timeout: {total_s: 5}, retry: {max_attempts: 9, delay_s: 4, backoff: 1, jitter: none}}
"""
    steps = dry_run(text, errors={"a": "failed"})["steps"]
    assert ("unknown", "failed", 2) == (
        steps["hang"]["outcome"], steps["a"]["outcome"], steps["a"]["attempts"],
    )  # fmt: skip


def test_wait_beyond_the_bound_of_the_instance_is_cut_by_it() -> None:
    text = """
settings: {timeout_s: 50}
steps:
  - id: one
    operator: "@control/parallel"
    parameters: {branches: [{id: only, steps: [{id: long, operator: "@control/wait", parameters: {seconds: 60}}]}]}
  - {id: then, operator: "@debug/noop"}
"""
    answer = dry_run(text)
    assert ("failed", "timeout", "cancelled") == (
        answer["outcome"], answer["error"]["kind"], answer["steps"]["long"]["outcome"],
    )  # fmt: skip
    assert ("runs", "skipped/timeout") == (answer["steps"]["long"]["status"], fates(answer)["then"])
    assert [("timeout_s", "long")] == [(one["limit"], one["step"]) for one in answer["limits"]["binding"]]


def test_time_of_clean_up_never_runs_out() -> None:
    text = """
settings:
  timeout_s: 100
  on_finish:
    - {id: rest, operator: "@control/wait", parameters: {seconds: 9000}}
    - {id: tell, operator: "@debug/noop"}
steps: [{id: a, operator: "@debug/noop"}]
"""
    answer = dry_run(text, outputs={"a": {}, "tell": {}})
    assert ("succeeded", "runs", "runs") == (
        answer["outcome"], answer["steps"]["rest"]["status"], answer["steps"]["tell"]["status"],
    )  # fmt: skip
    assert [] == answer["limits"]["binding"]  # nor does `timeout_s` bound a hook


# Hooks


HOOKS = """
settings:
  on_failure:
    - {id: mourn, operator: "@debug/noop", parameters: {why: "{{ error.kind }}", how: "{{ instance.outcome }}"}}
  on_finish:
    - {id: name, operator: "@text/join", parameters: {items: ["{{ instance.outcome }}", "{{ string(error == null) }}"]}}
    - id: pick
      operator: "@control/branch"
      parameters:
        branches:
          - id: bad
            when: "instance.outcome == 'failed'"
            steps: [{id: tell, operator: "@debug/noop", parameters: {was: "{{ steps.a.status }}", why: "{{ error.kind }}"}}]
steps:
  - {id: a, operator: "@debug/noop"}
"""


def test_hooks_follow_the_top_list_and_wait_for_the_outcome() -> None:
    answer = dry_run(HOOKS)
    steps = answer["steps"]
    assert [
        ("a", 0, ""), ("mourn", 0, "on_failure"), ("name", 0, "on_finish"), ("pick", 0, "on_finish"), ("tell", 1, "bad"),
    ] == [(line["step"], line["depth"], line["list"]) for line in steps.values()]  # fmt: skip
    assert {"a": "runs", "mourn": "may run", "name": "may run", "pick": "may run", "tell": "may run"} == fates(answer)
    assert ["instance.outcome", "error", "instance"] == steps["mourn"]["waits_for"]
    assert {"why": "{{ error.kind }}", "how": "{{ instance.outcome }}"} == steps["mourn"]["parameters"]


def test_hooks_run_for_real_once_the_outcome_is_known() -> None:
    good = dry_run(HOOKS, outputs={"a": {}})
    assert ("succeeded", {"mourn": "skipped/no_failure", "name": "evaluated", "pick": "runs", "tell": "skipped/branch"}) == (
        good["outcome"], {step: fate for step, fate in fates(good).items() if step != "a"},
    )  # fmt: skip
    assert {"items": ["succeeded", "true"]} == good["steps"]["name"]["parameters"]
    bad = dry_run(HOOKS, errors={"a": "timeout"}, outputs={"mourn": {}, "tell": {}})
    assert ("failed", {"mourn": "runs", "name": "evaluated", "pick": "runs", "tell": "runs"}) == (
        bad["outcome"], {step: fate for step, fate in fates(bad).items() if step != "a"},
    )  # fmt: skip
    assert ({"items": ["failed", "false"]}, {"was": "failed", "why": "timeout"}) == (
        bad["steps"]["name"]["parameters"], bad["steps"]["tell"]["parameters"],
    )  # fmt: skip


def test_last_hook_waits_for_the_one_before_it_and_knows_the_outcome() -> None:
    answer = dry_run(HOOKS, errors={"a": "timeout"})
    steps = answer["steps"]
    assert ("unknown", "runs", "may run", ["steps.mourn.status"]) == (
        answer["outcome"], steps["mourn"]["status"], steps["name"]["status"], steps["name"]["waits_for"],
    )  # fmt: skip
    assert ({"items": ["failed", "false"]}, {"was": "failed", "why": "timeout"}) == (
        steps["name"]["parameters"], steps["tell"]["parameters"],
    )  # fmt: skip


def test_hook_alone_is_skipped_without_a_failure() -> None:
    text = """
settings: {on_failure: [{id: mourn, operator: "@debug/noop"}]}
steps: [{id: a, operator: "@text/join", parameters: {items: [x]}}]
"""
    assert {"a": "evaluated", "mourn": "skipped/no_failure"} == fates(dry_run(text))


def test_start_is_decided_however_late_it_is() -> None:
    answer = dry_run(HOOKS, clock=TickingClock(9.0))
    assert (False, "runs", "may run") == (
        answer["is_complete"], answer["steps"]["a"]["status"], answer["steps"]["mourn"]["status"],
    )  # fmt: skip
    limits = dry_run(WAITS, {"n": 7}, clock=TickingClock(9.0))["steps"]["then"]["limits"]
    assert {} == limits
