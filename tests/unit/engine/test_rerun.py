"""Reruns: what is taken over, what runs anew (semantics.md S44)."""

from __future__ import annotations

import pytest

from core.engine import draft, reuse
from core.engine import rerun_events as r
from core.engine import stimuli as s
from core.engine.frame_events import StateInconsistent, apply_frame
from core.engine.lending import Reused
from core.engine.timeline import Timeline
from core.errors import RequestInvalid
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import run_of
from tests.unit.engine.reruns import rerun_of

ANY = 'operator: "@test/anything"'
LONG = "x" * 5_000  # lies among the payloads
CHAIN = f"""
    steps:
      - {{id: a, {ANY}}}
      - {{id: b, {ANY}, parameters: {{got: "{{{{ steps.a.output }}}}", n: "{{{{ inputs.n }}}}"}}}}
      - {{id: c, {ANY}, parameters: {{got: "{{{{ steps.b.output }}}}", n: "{{{{ inputs.n }}}}"}}}}
    outputs: {{c: "{{{{ steps.c.output }}}}"}}
    """


def reused(run: InstanceRun) -> dict[str, str]:
    return {path: task.detail.of for path, task in run.all_tasks().items() if isinstance(task.detail, Reused)}


def broken_chain() -> InstanceRun:
    return run_of(CHAIN, {"n": 1}).succeed("a", LONG).succeed("b", {"b": 1}).fail("c")


def test_s44_without_a_step_all_runs_anew() -> None:
    run = rerun_of(broken_chain(), None)
    assert (["a"], {}, "01J") == (run.calls, reused(run), run.state.header.rerun_of)
    assert r.RerunBegun("01J", None, "p-1", "as agreed") in run.events


def test_s44_step_and_all_downstream_run_anew_and_the_rest_is_taken_over() -> None:
    run = rerun_of(broken_chain(), "c")
    assert ({"a": "01J", "b": "01J"}, ["c"]) == (reused(run), run.calls)
    assert {"a": "succeeded", "b": "succeeded", "c": "running"} == run.tasks()
    assert 0 == run.all_tasks()["a"].attempts
    run.succeed("c", 7)
    assert ("succeeded", {"c": 7}) == (run.status, run.outputs)


def test_s44_taken_over_values_are_copied() -> None:
    run = rerun_of(broken_chain(), "b")
    run.lender = None  # it is removed once the rerun has begun
    assert {"got": LONG, "n": 1} == run.parameters("b")


def test_s44_new_inputs_reach_only_what_runs() -> None:
    run = rerun_of(broken_chain(), "c", {"n": 2})
    assert {"got": {"b": 1}, "n": 2} == run.parameters("c")


def test_s44_failed_step_runs_and_what_was_never_reached() -> None:
    old = run_of(CHAIN, {"n": 1}).succeed("a", 1).fail("b")
    assert "skipped/failing" == old.tasks()["c"]
    run = rerun_of(old, "@failed")
    assert ({"a": "01J"}, ["b"]) == (reused(run), run.calls)


def test_s44_cancelled_tasks_run() -> None:
    old = run_of(CHAIN, {"n": 1}).succeed("a", 1).feed(s.Terminate("enough"))
    run = rerun_of(old, "@failed")
    assert ({"a": "01J"}, ["b"]) == (reused(run), run.calls)


def test_s44_step_upstream_that_did_not_succeed_runs_with_what_follows_it() -> None:
    old = run_of(CHAIN, {"n": 1}).fail("a")
    assert ["a"] == rerun_of(old, "c").calls


def test_s44_reruns_of_reruns_name_the_instance_in_which_a_task_ran() -> None:
    first = rerun_of(broken_chain(), "c")
    second = rerun_of(first.fail("c"), "@failed")
    assert {"a": "01J", "b": "01J"} == reused(second)


def test_s44_skips_of_their_own_stay_and_others_are_looked_at_anew() -> None:
    old = run_of(
        f"""
        steps:
          - {{id: a, {ANY}}}
          - {{id: w, {ANY}, when: "false"}}
          - {{id: j, {ANY}, join: any_succeeded}}
          - {{id: b, {ANY}}}
          - {{id: c, {ANY}}}
        """
    )
    old.succeed("a", 1).fail("b")
    run = rerun_of(old, "@failed")
    assert ({"a": "01J", "w": "01J", "j": "01J"}, ["b"]) == (reused(run), run.calls)
    assert ("skipped/when", "skipped/join") == (run.tasks()["w"], run.tasks()["j"])


def test_s44_handled_failure_stays_a_handled_failure() -> None:
    text = f"""
        steps:
          - {{id: a, {ANY}, on_error: continue}}
          - {{id: l, {ANY}, on_error: [{{id: h, {ANY}}}]}}
          - {{id: b, {ANY}, parameters: {{kind: "{{{{ steps.a.error.kind }}}}", l: "{{{{ steps.l.output }}}}"}}}}
        """
    old = run_of(text).fail("a", kind="conflict").fail("l").succeed("h", 7).fail("b")
    run = rerun_of(old, "b")
    assert ({"a": "01J", "l": "01J"}, ["b"]) == (reused(run), run.calls)
    assert {"kind": "conflict", "l": 7} == run.parameters("b")
    assert "succeeded" == run.succeed("b").status


def test_s44_every_failed_task_runs_also_a_handled_one() -> None:
    text = f"steps: [{{id: a, {ANY}, on_error: continue}}, {{id: b, {ANY}}}]"
    assert ["a"] == rerun_of(run_of(text).fail("a").fail("b"), "@failed").calls


def test_s44_failure_that_another_version_does_not_handle_runs() -> None:
    text = "steps: [{{id: a, {any}{more}}}, {{id: b, {any}}}]"
    old = run_of(text.format(any=ANY, more=", on_error: continue")).fail("a").fail("b")
    assert ["a"] == rerun_of(old, "b", text=text.format(any=ANY, more="")).calls


def test_s44_on_another_version_outputs_are_taken_over_by_id_if_the_operator_is_the_same() -> None:
    old = (
        run_of(f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}, {{id: c, {ANY}}}]")
        .succeed("a", 1)
        .succeed("b", 2)
        .fail("c")
    )
    run = rerun_of(
        old,
        "c",
        text=f"""
        steps:
          - {{id: new, {ANY}, depends_on: []}}
          - {{id: b, operator: "@debug/noop", depends_on: []}}
          - {{id: a, {ANY}, depends_on: []}}
          - {{id: c, {ANY}, depends_on: [a, b, new], parameters: {{got: "{{{{ steps.a.output }}}}"}}}}
        """,
    )
    assert ({"a": "01J"}, ["new", "b"]) == (reused(run), run.calls)
    assert {"got": 1} == run.succeed("new").succeed("b").parameters("c")


def test_s44_step_that_the_version_does_not_have_is_refused() -> None:
    old = broken_chain()
    with pytest.raises(RequestInvalid) as refused:
        rerun_of(old, "nothing")
    assert ["/from_step"] == [fault["pointer"] for fault in refused.value.faults]


def test_s44_return_runs_again() -> None:
    old = run_of(f"""
        steps:
          - {{id: a, {ANY}}}
          - {{id: r, operator: "@control/return", parameters: {{result: failed, reason: "no"}}}}
        """).succeed("a")
    run = rerun_of(old, "@failed")
    assert ({"a": "01J"}, "failed") == (reused(run), run.status)


def test_s44_variables_are_as_the_tasks_taken_over_left_them() -> None:
    text = f"""
        steps:
          - {{id: d, operator: "@data/define", parameters: {{name: v, value: 1}}}}
          - {{id: s, operator: "@data/assign", parameters: {{name: v, value: "{{{{ inputs.n }}}}"}}}}
          - {{id: c, {ANY}, parameters: {{got: "{{{{ vars.v }}}}"}}}}
          - {{id: z, operator: "@data/assign", parameters: {{name: v, value: 9}}}}
        """
    old = run_of(text, {"n": LONG}).succeed("c")
    assert {"got": LONG} == rerun_of(old, "c").parameters("c")


def test_s44_variables_assigned_inside_a_task_are_taken_over_with_it() -> None:
    text = f"""
        steps:
          - {{id: d, operator: "@data/define", parameters: {{name: v, value: 1}}}}
          - id: br
            operator: "@control/branch"
            parameters: {{branches: [{{id: x, when: "true", steps: [{{id: s, operator: "@data/assign", parameters: {{name: v, value: 2}}}}]}}]}}
          - {{id: c, {ANY}, parameters: {{got: "{{{{ vars.v }}}}"}}}}
        """
    old = run_of(text).fail("c")
    run = rerun_of(old, "c", assigned={1: {"v": b"2", "not_there": b"3"}})
    assert ({"got": 2}, ["c"]) == (run.parameters("c"), run.calls)


def test_s44_outputs_laid_together_from_many_values_are_taken_over() -> None:
    text = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: "{{{{ inputs.items }}}}", steps: [{{id: w, {ANY}}}]}}
          - id: l
            operator: "@control/loop"
            parameters: {{mode: count, limit: 20, steps: [{{id: i, {ANY}}}]}}
          - {{id: c, {ANY}, parameters: {{m: "{{{{ steps.m.output }}}}", l: "{{{{ steps.l.output }}}}"}}}}
        """
    old = run_of(text, {"items": list(range(600))}, room=1_000)
    while (path := next(iter(old.attempts))) != "c":
        old.succeed(path, {"path": path, "long": LONG if path.endswith(("7.w", ".i")) else ""})
    old.fail("c")
    run = rerun_of(old, "c")
    got = run.parameters("c")
    assert [f"m.{n}.w" for n in range(600)] == [one["path"] for one in got["m"]]
    assert [f"l.{n}.i" for n in range(20)] == [one["path"] for one in got["l"]]


def test_s44_what_one_decision_copies_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "COPIED_BYTES_MAX", 6_000)
    old = run_of(f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}, {{id: c, {ANY}}}]")
    old.succeed("a", LONG).succeed("b", LONG).fail("c")
    run = rerun_of(old, "c")
    assert (["c"], 2) == (run.calls, len(run.rows))


def test_s44_value_of_many_parts_is_copied_over_several_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "COPIED_PARTS_MAX", 2)
    text = f"""
        steps:
          - id: p
            operator: "@control/parallel"
            parameters: {{branches: [{{id: x, steps: [{{id: a, {ANY}}}]}}, {{id: y, steps: [{{id: b, {ANY}}}]}}, {{id: z, steps: [{{id: d, {ANY}}}]}}]}}
          - {{id: c, {ANY}, parameters: {{got: "{{{{ steps.p.output }}}}"}}}}
        """
    old = run_of(text).succeed("a", LONG + "a").succeed("b", LONG + "b").succeed("d", LONG + "d").fail("c")
    run = rerun_of(old, "c")
    assert {"got": {"x": LONG + "a", "y": LONG + "b", "z": LONG + "d"}} == run.parameters("c")
    assert 1 == sum(isinstance(one, r.LentCopied) for one in run.events)


def test_s44_values_that_do_not_fit_into_one_decision_are_copied_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    old = run_of(f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}, {{id: c, {ANY}}}]")
    old.succeed("a", LONG).succeed("b", {"b": LONG}).fail("c")
    monkeypatch.setattr(draft, "VALUE_BYTES_MAX", 8_000)
    run = rerun_of(old, "c")
    assert (["c"], 2, {"b": LONG}) == (run.calls, len(run.rows), run.value(run.all_tasks()["b"].output))


def test_s44_failure_of_what_runs_anew_does_not_end_what_is_taken_over() -> None:
    old = run_of(f"""
        steps:
          - {{id: x, {ANY}, depends_on: [], parameters: {{got: "{{{{ 1 / inputs.n }}}}"}}}}
          - {{id: b, {ANY}, depends_on: []}}
        """, {"n": 1}).fail("x").succeed("b")  # fmt: skip
    run = rerun_of(old, "x", {"n": 0})
    assert ("failed", {"x": "failed", "b": "succeeded"}) == (run.status, run.tasks())
    assert ["x"] == rerun_of(run, "@failed", {"n": 1}).calls


def test_s44_return_ends_what_is_not_taken_over_yet() -> None:
    old = run_of(f"""
        steps:
          - {{id: r, operator: "@control/return", depends_on: [], when: "inputs.n == 0", parameters: {{result: success}}}}
          - {{id: b, {ANY}, depends_on: []}}
          - {{id: c, {ANY}}}
        """, {"n": 1}).succeed("b").fail("c")  # fmt: skip
    run = rerun_of(old, "c", {"n": 0})
    assert ("succeeded", {"r": "succeeded", "b": "skipped/returned", "c": "skipped/returned"}) == (
        run.status,
        run.tasks(),
    )


def test_s44_timeline_shows_when_a_task_was_taken_over() -> None:
    run = rerun_of(broken_chain(), "c")
    timeline = Timeline(run.plan)
    timeline.read(NOW, run.events)
    spans = {span.path: (span.status, span.ended_at, span.started_at) for span in timeline.spans.values()}
    assert {"a": ("succeeded", NOW, None), "b": ("succeeded", NOW, None), "c": ("running", None, NOW)} == spans


def test_s44_step_whose_value_is_gone_runs() -> None:
    run = rerun_of(broken_chain(), "c", is_gone=True)
    assert ({"a", "c"}, {"b": "01J"}) == (set(run.calls), reused(run))
    assert "succeeded" == run.succeed("a", 1).succeed("c").status


def test_s44_rerun_cancelled_before_it_is_decided_takes_nothing_over() -> None:
    old = broken_chain()
    run = InstanceRun(old.plan, lender=old)
    full = rerun_of(old, "c").start_facts
    run.start({"n": 1}, rerun=full.rerun, cancelled="mistake")
    assert ("cancelled", "01J", {}) == (run.status, run.state.header.rerun_of, reused(run))


def test_s44_cancel_ends_a_task_that_is_not_taken_over_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "COPIED_BYTES_MAX", 6_000)
    old = run_of(f"steps: [{{id: a, {ANY}}}, {{id: b, {ANY}}}, {{id: c, {ANY}}}]")
    old.succeed("a", LONG).succeed("b", LONG).fail("c")
    begun = rerun_of(old, "c").start_facts
    run = InstanceRun(old.plan, lender=old, id=begun.id)
    run.start_facts = begun
    run.feed(begun, settle=False).feed(s.Cancel("enough"))
    assert ("cancelled", {"a": "succeeded", "b": "cancelled/cancel", "c": "cancelled/cancel"}) == (
        run.status,
        run.tasks(),
    )


def test_copies_of_a_task_that_is_not_lent_are_no_journal() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}}}]")
    with pytest.raises(StateInconsistent):
        apply_frame(run.plan, run.state.frames[""].copy(), r.LentCopied("", 0, ()))


def test_s44_short_parts_of_a_value_stay_in_their_place() -> None:
    text = f"""
        steps:
          - id: p
            operator: "@control/parallel"
            parameters: {{branches: [{{id: x, steps: [{{id: a, {ANY}}}]}}, {{id: y, steps: [{{id: b, {ANY}}}]}}]}}
          - {{id: c, {ANY}, parameters: {{got: "{{{{ steps.p.output }}}}"}}}}
        """
    run = rerun_of(run_of(text).succeed("a", 1).succeed("b", LONG).fail("c"), "c")
    assert {"got": {"x": 1, "y": LONG}} == run.parameters("c")
