"""Reruns that begin in a list that answers how others ended: `catch`, `finally`, `on_error` (semantics.md S44, ADR 0046)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine import rerun_events as r
from core.engine import reuse
from core.engine import stimuli as s
from core.engine.lending import Reused
from core.engine.sharing import lists_before
from core.engine.state import Handling, Reference
from core.engine.stored import GONE, Borrowed
from core.engine.timeline import Timeline
from core.engine.views import _reused_from
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import plan_of, run_of
from tests.unit.engine.reruns import rerun_of

ANY = 'operator: "@test/anything"'
LONG = "x" * 5_000  # lies among the payloads
ERROR = 'parameters: {got: "{{ error.message }}"}'
TRY = f"""
    steps:
      - id: t
        operator: "@control/try"
        parameters:
          steps: [{{id: x, {ANY}}}, {{id: y, {ANY}}}]
          catch: [{{id: c1, {ANY}, {ERROR}}}, {{id: c2, {ANY}, {ERROR}}}]
          finally: [{{id: f1, {ANY}}}, {{id: f2, {ANY}}}]
      - {{id: z, {ANY}, parameters: {{got: "{{{{ steps.t.output }}}}"}}}}
    """
ANSWERED = f"""
    steps:
      - {{id: a, {ANY}}}
      - id: x
        {ANY}
        on_error: [{{id: h1, {ANY}, {ERROR}}}, {{id: h2, {ANY}, {ERROR}}}]
      - {{id: z, {ANY}, parameters: {{got: "{{{{ has(steps.x.output) ? steps.x.output : 0 }}}}"}}}}
    """


def reused(run: InstanceRun) -> set[str]:
    return {path for path, task in run.all_tasks().items() if isinstance(task.detail, Reused)}


def ended(text: str, *acts: str, inputs: Any = None) -> InstanceRun:
    """Run a DAG: each act names a task that succeeds with its own path, or with `-` before it fails."""
    run = run_of(text, inputs)
    for act in acts:
        if act.startswith("-"):
            run.fail(act[1:])
        else:
            run.succeed(act, f"old {act}")
    assert run.state.header.status.is_terminal
    return run


@pytest.mark.parametrize(
    ("acts", "from_step", "at_once", "in_all"),
    [
        (["x", "-y", "c1", "-c2", "f1", "f2"], "c2", "c2", "c2 f1 f2 z"),
        (["x", "-y", "c1", "-c2", "f1", "f2"], "c1", "c1", "c1 c2 f1 f2 z"),
        (["-x", "-c1", "f1", "f2"], "c1", "c1", "c1 c2 f1 f2 z"),
        (["-x", "c1", "c2", "f1", "-f2"], "f2", "f2", "f2 z"),
        (["-x", "c1", "c2", "-f1"], "f1", "f1", "f1 f2 z"),
        (["x", "y", "f1", "-f2"], "f2", "f2", "f2 z"),
        (["x", "y", "f1", "f2", "-z"], "f1", "f1", "f1 f2 z"),
        (["x", "y", "f1", "-f2"], "@failed", "f2", "f2 z"),
        (["x", "-y", "c1", "-c2", "f1", "f2"], "@failed", "y", "y f1 f2 z"),
        (["x", "-y", "c1", "c2", "f1", "-f2"], "@failed", "y", "y f1 f2 z"),
        (["x", "-y", "c1", "c2", "f1", "f2", "-z"], "y", "y", "y f1 f2 z"),
    ],
)
def test_s44_list_of_a_try_is_entered_again_after_what_it_answers_was_taken_over(
    acts: list[str], from_step: str, at_once: str, in_all: str
) -> None:
    old = ended(TRY, *acts)
    run = rerun_of(old, from_step)
    assert at_once == " ".join(run.calls)
    assert ("succeeded", in_all) == (run.finish().status, " ".join(run.calls))


def test_s44_catch_sees_the_error_as_it_was_and_gives_the_value() -> None:
    run = rerun_of(ended(TRY, "x", "-y", "c1", "-c2", "f1", "f2"), "c2")
    assert {"got": "y broke"} == run.parameters("c2")
    assert ({"x", "y", "c1"}, "failed") == (reused(run), run.tasks()["y"])
    run.succeed("c2", "mended").succeed("f1").succeed("f2")
    assert {"got": "mended"} == run.parameters("z")


def test_s44_failure_of_the_catch_has_the_failure_as_it_was_as_its_cause() -> None:
    run = rerun_of(ended(TRY, "x", "-y", "c1", "-c2", "f1", "f2"), "c2").fail("c2").finish()
    assert ("failed", "c2 broke", "y broke") == (run.status, run.error["message"], run.error["cause"]["message"])
    assert ["c2", "f1", "f2"] == run.calls


def test_s44_value_of_a_catch_that_is_taken_over_is_the_value_of_the_try() -> None:
    run = rerun_of(ended(TRY, "-x", "c1", "c2", "f1", "-f2"), "f2").succeed("f2")
    assert {"got": "old c2"} == run.parameters("z")


def test_s44_failure_that_nothing_catches_stays_the_failure_after_finally_ran_again() -> None:
    text = TRY.replace("catch", "#")
    run = rerun_of(ended(text, "x", "-y", "f1", "-f2"), "f2").finish()
    assert ("failed", "y broke", ["f2"]) == (run.status, run.error["message"], run.calls)


def test_s44_first_failure_in_the_document_is_the_error_of_a_list_that_is_taken_over() -> None:
    text = TRY.replace("{id: y,", "{id: y, depends_on: [],")
    run = rerun_of(ended(text, "-y", "-x", "-c1", "f1", "f2"), "c1")
    assert ({"got": "x broke"}, {"x", "y"}) == (run.parameters("c1"), reused(run))


LEFT = f"""
    steps:
      - id: t
        operator: "@control/try"
        parameters:
          steps:
            - {{id: x, {ANY}}}
            - {{id: w, operator: "@control/wait", depends_on: [], parameters: {{seconds: 60}}}}
            - {{id: s, {ANY}, depends_on: [x]}}
            - {{id: r, operator: "@control/return", depends_on: [s], parameters: {{result: success}}}}
            - {{id: h, {ANY}, depends_on: [], on_error: continue}}
            - {{id: o, {ANY}, depends_on: [], on_error: [{{id: oo, {ANY}}}]}}
            - {{id: d, {ANY}, depends_on: [x], join: all_done}}
          catch: [{{id: c, {ANY}}}]
    """


def test_s44_what_the_failure_of_a_list_left_behind_is_taken_over_as_it_was() -> None:
    old = ended(LEFT, "-h", "-o", "-oo", "x", "d", "-c")
    run = rerun_of(old, "c")
    before = {path: told for path, told in old.tasks().items() if path != "oo"}  # a failed list is not entered again
    assert {"w": "cancelled/failing", "s": "skipped/failing", "r": "skipped/failing"}.items() <= before.items()
    assert (["c"], before | {"t": "running", "c": "running"}) == (run.calls, run.tasks())
    assert {"x", "w", "s", "r", "h", "o", "d"} == reused(run)
    timeline = Timeline(run.plan)
    timeline.read(NOW, run.events)
    assert {"w": "cancelled", "o": "failed"}.items() <= {
        one.path: one.status for one in timeline.spans.values()
    }.items()


def test_s44_rerun_of_a_rerun_takes_what_it_took_over_itself() -> None:
    first = rerun_of(ended(LEFT, "-h", "-o", "-oo", "x", "d", "-c"), "c").fail("c")
    second = rerun_of(first, "c")
    assert (["c"], {"x", "w", "s", "r", "h", "o", "d"}) == (second.calls, reused(second))
    assert ["s", "h", "o"] == rerun_of(first, "@failed").calls


def test_s44_failed_list_is_taken_over_though_its_values_need_several_decisions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reuse, "COPIED_BYTES_MAX", 6_000)
    text = TRY.replace(
        f"[{{id: x, {ANY}}}", f"[{{id: y, {ANY}}}, {{id: v, {ANY}, depends_on: []}}, {{id: x, {ANY}}}"
    ).replace(f", {{id: y, {ANY}}}]", "]")
    old = run_of(text).succeed("v", LONG).succeed("x", LONG).fail("y").fail("c1").finish()
    run = rerun_of(old, "c1")
    assert (["c1"], {"y", "v", "x"}) == (run.calls, reused(run))
    run.take_over()
    assert "succeeded" == run.finish().status


class Forgetful(InstanceRun):
    """An instance whose lender's lists can be read, and its values cannot."""

    def _read(self, reference: Reference) -> Any:
        return GONE if isinstance(reference, Borrowed) else super()._read(reference)


def forgetful(old: InstanceRun, from_step: str) -> InstanceRun:
    """Run an instance again whose longer values are gone."""
    run = Forgetful(old.plan, lender=old, id=f"{old.id}+")
    return run.start(old.start_facts.inputs, rerun=rerun_of(old, from_step).start_facts.rerun)


def test_s44_task_of_a_failing_list_whose_value_is_gone_goes_down_with_it() -> None:
    text = TRY.replace("{id: y,", "{id: y, depends_on: [],")
    run = forgetful(run_of(text).succeed("y", LONG).fail("x").fail("c1").finish(), "c1")
    assert (["c1"], "skipped/failing") == (run.calls, run.tasks()["y"])


def test_s44_what_was_cut_off_runs_and_so_does_all_that_answers_it() -> None:
    old = run_of(TRY).feed(s.Cancel("enough")).pass_time(30).succeed("f1").fail("f2")
    run = rerun_of(old, "f2")
    assert ["x", "y", "f1", "f2", "z"] == run.finish().calls


def test_s44_what_another_lists_failure_cut_off_runs() -> None:
    text = f"""
        steps:
          - id: p
            operator: "@control/parallel"
            parameters:
              branches:
                - id: one
                  steps:
                    - id: t
                      operator: "@control/try"
                      parameters: {{steps: [{{id: x, {ANY}}}, {{id: y, {ANY}}}], finally: [{{id: f, {ANY}}}]}}
                - {{id: two, steps: [{{id: b, {ANY}}}]}}
        """
    run = rerun_of(ended(text, "-b", "x", "-f"), "f")
    assert ({"b", "y"}, {"x"}) == (set(run.calls), reused(run))
    assert ["f"] == run.finish().calls[2:]


def test_s44_return_runs_again_and_so_does_what_cleans_up_after_it() -> None:
    text = TRY.replace(f"{{id: y, {ANY}}}", '{id: y, operator: "@control/return", parameters: {result: success}}')
    run = rerun_of(ended(text, "x", "f1", "f2"), "f2")
    assert ["f1", "f2"] == run.finish().calls


def test_s44_step_that_another_version_added_runs_before_what_answers_it() -> None:
    old = ended(TRY, "x", "-y", "-c1", "f1", "f2")
    run = rerun_of(old, "c1", text=TRY.replace(f"{{id: y, {ANY}}}", f"{{id: y, {ANY}}}, {{id: new, {ANY}}}"))
    assert ["y"] == run.calls


def in_items(text: str) -> str:
    """Put steps into a map of three items."""
    inner = text.replace("\n", "\n      ")
    return f"""
    steps:
      - id: m
        operator: "@control/map"
        parameters:
          items: [1, 2, 3]
          on_item_error: collect{inner}"""


def test_s44_try_of_one_map_item_is_entered_again() -> None:
    old = run_of(in_items(TRY))
    old.fail("m.1.x").fail("m.1.c1").finish("old")
    run = rerun_of(old, "m.1.c1")
    assert (["m.1.c1"], {"got": "m.1.x broke"}) == (run.calls, run.parameters("m.1.c1"))
    run.finish()
    assert [f"m.1.{one}" for one in ("c1", "c2", "f1", "f2", "z")] == run.calls


def test_s44_first_list_of_a_try_has_none_before_it_and_finally_all() -> None:
    plan = plan_of(TRY.replace(f"- {{id: z, {ANY}", f"- {{id: n, {ANY}}}\n      - {{id: z, {ANY}"))
    names = {one.name: tuple(plan.lists[n].name for n in lists_before(plan, one.index)) for one in plan.lists}
    assert {"": (), "steps": (), "catch": ("steps",), "finally": ("steps", "catch")} == names


# `on_error`


@pytest.mark.parametrize(
    ("acts", "from_step", "at_once", "in_all"),
    [
        (["a", "-x", "h1", "-h2"], "h2", "h2", "h2 z"),
        (["a", "-x", "-h1"], "h1", "h1", "h1 h2 z"),
        (["a", "-x", "h1", "h2", "-z"], "h1", "h1", "h1 h2 z"),
        (["a", "-x", "h1", "h2", "-z"], "h2", "h2", "h2 z"),
        (["a", "-x", "h1", "h2", "-z"], "z", "z", "z"),
        (["a", "-x", "h1", "-h2"], "@failed", "x", "x z"),
    ],
)
def test_s44_on_error_list_is_entered_again_and_its_task_is_not_run(
    acts: list[str], from_step: str, at_once: str, in_all: str
) -> None:
    run = rerun_of(ended(ANSWERED, *acts), from_step)
    assert at_once == " ".join(run.calls)
    assert ("succeeded", in_all) == (run.finish().status, " ".join(run.calls))


@pytest.mark.parametrize("acts", [["a", "-x", "h1", "-h2"], ["a", "-x", "h1", "h2", "-z"]])
def test_s44_on_error_list_sees_the_first_error_and_gives_the_fallback(acts: list[str]) -> None:
    run = rerun_of(ended(ANSWERED, *acts), "h2")
    task = run.all_tasks()["x"]
    assert ({"got": "x broke"}, 0, Handling("running", reused_from="01J")) == (
        run.parameters("h2"),
        task.attempts,
        task.detail,
    )
    run.succeed("h2", "mended")
    assert ({"got": "mended"}, Handling("handled", reused_from="01J")) == (
        run.parameters("z"),
        run.all_tasks()["x"].detail,
    )


def test_s44_on_error_list_that_fails_again_has_the_first_error_as_its_cause() -> None:
    first = rerun_of(ended(ANSWERED, "a", "-x", "h1", "-h2"), "h2").fail("h2")
    assert ("h2 broke", "x broke") == (first.error["message"], first.error["cause"]["message"])
    assert "cause" not in first.error["cause"]
    second = rerun_of(first, "h2")
    assert (["h2"], {"a", "h1"}, {"got": "x broke"}) == (second.calls, reused(second), second.parameters("h2"))
    assert Handling("running", reused_from="01J") == second.all_tasks()["x"].detail


def test_s44_handled_failure_that_was_taken_over_is_answered_where_it_ran() -> None:
    first = rerun_of(ended(ANSWERED, "a", "-x", "h1", "h2", "-z"), "z").fail("z")
    second = rerun_of(first, "h2")
    assert (["h2"], {"a", "h1"}) == (second.calls, reused(second))


def test_s44_task_whose_error_is_gone_runs() -> None:
    old = run_of(ANSWERED).succeed("a").fail("x", data=LONG).succeed("h1").fail("h2")
    assert ["x"] == forgetful(old, "h2").calls


def test_s44_error_in_another_row_is_read_there() -> None:
    old = run_of(ANSWERED).succeed("a").fail("x", data=LONG).succeed("h1").fail("h2")
    run = rerun_of(old, "h2")
    assert (["h2"], {"got": "x broke"}) == (run.calls, run.parameters("h2"))


CONTAINER = f"""
    steps:
      - {{id: d, operator: "@data/define", parameters: {{name: v, value: 0}}}}
      - id: b
        operator: "@control/branch"
        parameters:
          branches:
            - id: one
              when: "true"
              steps:
                - {{id: x, {ANY}}}
                - {{id: put, operator: "%s", parameters: {{value: 1%s}}}}
                - {{id: y, {ANY}}}
        on_error: [{{id: h1, {ANY}}}, {{id: h2, {ANY}, {ERROR}}}]
    """


def test_s44_container_is_not_entered_again_for_its_on_error_list() -> None:
    old = ended(CONTAINER % ("@debug/noop", ""), "x", "put", "-y", "h1", "-h2")
    run = rerun_of(old, "h2")
    assert (["h2"], {"got": "y broke"}, {"d", "h1"}) == (run.calls, run.parameters("h2"), reused(run))
    again = rerun_of(run.fail("h2"), "y")
    assert (["y"], {"d", "x", "put"}) == (again.calls, reused(again))


def test_s44_container_that_assigned_around_itself_is_gone_through_again_before_its_on_error_list() -> None:
    old = ended(CONTAINER % ("@data/assign", ", name: v"), "x", "-y", "h1", "-h2")
    run = rerun_of(old, "h2")
    assert (["y"], {"d", "x", "put"}) == (run.calls, reused(run))


def test_s44_on_error_list_of_one_map_item_is_entered_again() -> None:
    old = run_of(in_items(ANSWERED))
    for number in range(3):
        old.succeed(f"m.{number}.a")
    old.fail("m.1.x").fail("m.1.h1").finish("old")
    run = rerun_of(old, "m.1.h1")
    assert (["m.1.h1"], {"got": "m.1.x broke"}) == (run.calls, run.parameters("m.1.h1"))
    assert ["m.1.h1", "m.1.h2", "m.1.z"] == run.finish().calls


def test_s44_on_error_list_that_another_version_added_waits_for_a_failure() -> None:
    old = ended(ANSWERED.replace("on_error: [", "# ["), "a", "-x")
    run = rerun_of(old, "h1", text=ANSWERED)
    assert ["x"] == run.calls
    assert ["x", "h1"] == run.fail("x").calls


def test_s44_step_of_an_answer_on_another_version_is_not_there() -> None:
    old = ended(ANSWERED, "a", "-x", "h1", "-h2")
    run = rerun_of(old, "h2", text=ANSWERED.replace("id: h1", "id: other"))
    assert ["other"] == run.calls


def test_s10_task_of_all_done_is_answered_though_its_list_is_failing_by_then() -> None:
    text = f"""
        steps:
          - {{id: u, {ANY}, depends_on: []}}
          - {{id: a, {ANY}, depends_on: [], parameters: {{got: "{{{{ 1 / inputs.n }}}}"}}}}
          - id: x
            {ANY}
            depends_on: [u]
            join: all_done
            on_error: [{{id: h, {ANY}}}]
        """
    old = ended(text, "u", "-x", "-h", "-a", inputs={"n": 1})
    run = rerun_of(old, "h", {"n": 0})
    assert (["h"], "failed") == (run.calls, run.tasks()["a"])
    assert ("failed", "succeeded") == (run.finish().status, run.tasks()["h"])


def test_s44_failure_that_is_answered_again_is_told_as_taken_over() -> None:
    run = rerun_of(ended(ANSWERED, "a", "-x", "h1", "-h2"), "h2")
    assert ["running"] == [one.handling for one in run.events if isinstance(one, r.FailureReused)]
    assert ["01J", None] == [_reused_from(run.all_tasks()[path]) for path in ("x", "h2")]
