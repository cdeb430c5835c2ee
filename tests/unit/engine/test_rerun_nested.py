"""Reruns from a task inside a container, and of what failed inside one (semantics.md S44)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine import rerun_events as r
from core.engine import reuse
from core.engine import stimuli as s
from core.engine.former import former_list
from core.engine.frame_events import StateInconsistent, apply_frame
from core.engine.lending import Reused
from core.engine.sharing import way_to
from core.engine.state import Reference
from core.engine.stored import GONE, Borrowed, Former
from core.errors import RequestInvalid
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import plan_of, run_of
from tests.unit.engine.reruns import rerun_of

ANY = 'operator: "@test/anything"'
LONG = "x" * 5_000  # lies among the payloads
FAN = f"""
    steps:
      - {{id: a, {ANY}}}
      - id: fan
        operator: "@control/map"
        parameters:
          items: "{{{{ inputs.items }}}}"
          on_item_error: %s
          steps:
            - {{id: pre, {ANY}, parameters: {{item: "{{{{ item }}}}"}}}}
            - {{id: work, {ANY}, parameters: {{got: "{{{{ steps.pre.output }}}}"}}}}
      - {{id: z, {ANY}, parameters: {{all: "{{{{ steps.fan.output }}}}"}}}}
    """
LOOP = f"""
    steps:
      - id: l
        operator: "@control/loop"
        parameters:
          mode: count
          limit: 4
          steps:
            - {{id: w, {ANY}}}
            - {{id: x, {ANY}, parameters: {{got: "{{{{ steps.w.output }}}}", last: "{{{{ loops.l.last }}}}"}}}}
      - {{id: z, {ANY}, parameters: {{all: "{{{{ steps.l.output }}}}"}}}}
    """
BRANCH = f"""
    steps:
      - id: b
        operator: "@control/branch"
        parameters:
          branches:
            - {{id: one, when: "{{{{ inputs.n }}}} == 1", steps: [{{id: x, {ANY}}}, {{id: y, {ANY}, parameters: {{got: "{{{{ steps.x.output }}}}"}}}}]}}
          else: [{{id: other, {ANY}}}]
      - {{id: z, {ANY}, parameters: {{got: "{{{{ steps.b.output }}}}"}}}}
    """.replace('"{{ inputs.n }} == 1"', '"inputs.n == 1"')
PARALLEL = f"""
    steps:
      - id: p
        operator: "@control/parallel"
        parameters:
          branches:
            - {{id: eu, steps: [{{id: e1, {ANY}}}, {{id: e2, {ANY}}}]}}
            - {{id: us, steps: [{{id: u1, {ANY}}}, {{id: u2, {ANY}}}]}}
      - {{id: z, {ANY}, parameters: {{got: "{{{{ steps.p.output }}}}"}}}}
    """
TRY = f"""
    steps:
      - id: t
        operator: "@control/try"
        parameters:
          steps: [{{id: x, {ANY}}}, {{id: y, {ANY}, parameters: {{got: "{{{{ steps.x.output }}}}"}}}}]
          catch: [{{id: c, {ANY}}}]
          finally: [{{id: f, {ANY}}}]
      - {{id: z, {ANY}}}
    """

IN_ITEMS = f"""
    steps:
      - id: fan
        operator: "@control/map"
        parameters:
          items: "{{{{ inputs.items }}}}"
          steps:
            - id: b
              operator: "@control/branch"
              parameters:
                branches: [{{id: one, when: "item > 0", steps: [{{id: x, {ANY}}}, {{id: y, {ANY}, parameters: {{x: "{{{{ steps.x.output }}}}"}}}}]}}]
                else: [{{id: other, {ANY}}}]
            - {{id: after, {ANY}, parameters: {{got: "{{{{ steps.b.output }}}}"}}}}
    """


def reused(run: InstanceRun) -> dict[str, str]:
    return {path: task.detail.of for path, task in run.all_tasks().items() if isinstance(task.detail, Reused)}


def finished_fan(mode: str = "fail", count: int = 3) -> InstanceRun:
    """All items succeed; what an item came to says which it was."""
    old = run_of(FAN % mode, {"items": list(range(count))}).succeed("a")
    for number in range(count):
        old.succeed(f"fan.{number}.pre", f"pre-{number}")
    for number in range(count):
        old.succeed(f"fan.{number}.work", f"work-{number}")
    return old.fail("z")


def test_s44_one_item_runs_from_the_named_task_on_and_the_others_are_taken_over() -> None:
    run = rerun_of(finished_fan(), "fan.1.work")
    assert ["fan.1.work"] == run.calls
    assert {"got": "pre-1"} == run.parameters("fan.1.work")
    run.succeed("fan.1.work", "new")
    assert {"all": ["work-0", "new", "work-2"]} == run.parameters("z")
    taken = ["a", "fan.0.pre", "fan.0.work", "fan.1.pre", "fan.2.pre", "fan.2.work"]
    assert dict.fromkeys(taken, "01J") == dict(sorted(reused(run).items()))
    assert "succeeded" == run.succeed("z").status


def test_s44_first_task_of_an_item_takes_what_follows_it_in_the_item_along() -> None:
    run = rerun_of(finished_fan(), "fan.2.pre")
    assert ["fan.2.pre", "fan.2.work"] == run.succeed("fan.2.pre").calls


def test_s44_only_failed_items_run_again() -> None:
    old = run_of(FAN % "fail", {"items": [0, 1, 2]}).succeed("a").succeed("fan.0.pre").succeed("fan.0.work")
    old.succeed("fan.1.pre", "kept").succeed("fan.2.pre").fail("fan.1.work").succeed("fan.2.work", 2)
    assert "failed" == old.status
    run = rerun_of(old, "@failed")
    assert ["fan.1.work"] == run.calls
    assert {"got": "kept"} == run.parameters("fan.1.work")
    assert ["fan.1.work", "z"] == run.succeed("fan.1.work").calls


def test_s44_failed_items_of_a_map_that_succeeded_run_again_and_what_follows_it() -> None:
    old = run_of(FAN % "collect", {"items": [0, 1]}).succeed("a").succeed("fan.0.pre").succeed("fan.0.work", "good")
    old.fail("fan.1.pre").succeed("z")
    assert "succeeded" == old.status
    run = rerun_of(old, "@failed")
    run.succeed("fan.1.pre").succeed("fan.1.work", "mended")
    assert (["fan.1.pre", "fan.1.work", "z"], {"all": ["good", "mended"]}) == (run.calls, run.parameters("z"))


def test_s44_map_without_failures_is_taken_over_as_a_whole() -> None:
    run = rerun_of(finished_fan("collect"), "@failed")
    assert (["z"], {"a": "01J", "fan": "01J"}) == (run.calls, reused(run))


def test_s44_items_that_never_began_run() -> None:
    text = (FAN % "fail").replace("on_item_error", "max_concurrency: 1\n          on_item_error")
    old = run_of(text, {"items": [0, 1, 2]}).succeed("a").succeed("fan.0.pre").succeed("fan.0.work").fail("fan.1.pre")
    run = rerun_of(old, "@failed")
    assert ["fan.1.pre"] == run.calls
    run.finish()
    assert ("succeeded", ["fan.1.pre", "fan.1.work", "fan.2.pre", "fan.2.work", "z"]) == (run.status, run.calls)


def test_s44_item_with_another_value_runs_anew() -> None:
    old = run_of(FAN % "fail", {"items": [0, 1, 2]}).succeed("a").succeed("fan.0.pre").succeed("fan.0.work")
    old.succeed("fan.1.pre").succeed("fan.1.work").fail("fan.2.pre")
    run = rerun_of(old, "@failed", {"items": [0, 7, 2, 3]})
    assert ["fan.1.pre", "fan.2.pre", "fan.3.pre"] == run.calls


def test_s44_items_are_read_chunk_by_chunk() -> None:
    old = run_of(FAN % "collect", {"items": [f"item-{n}" for n in range(300)]}, room=1_000).succeed("a")
    while (path := next(iter(old.attempts))) != "z":
        if path == "fan.280.work":
            old.fail(path)
        else:
            old.succeed(path, path)
    old.succeed("z")
    run = rerun_of(old, "@failed", room=1_000)
    assert ["fan.280.work"] == run.calls
    run.succeed("fan.280.work", "new")
    values = ["new" if n == 280 else f"fan.{n}.work" for n in range(300)]
    assert {"all": values} == run.parameters("z")


def test_s44_items_of_an_instance_that_was_removed_run() -> None:
    run = rerun_of(finished_fan(), "fan.1.work", is_gone=True)
    assert ["fan.0.pre", "fan.1.pre", "fan.2.pre"] == run.calls


class Forgetful(InstanceRun):
    """An instance whose lender's lists can be read, and its values cannot."""

    def _read(self, reference: Reference) -> Any:
        return GONE if isinstance(reference, Borrowed) else super()._read(reference)


def test_s44_items_whose_values_are_gone_run() -> None:
    old = (
        run_of(FAN % "fail", {"items": [LONG, LONG]})
        .succeed("a")
        .succeed("fan.0.pre")
        .succeed("fan.0.work")
        .fail("fan.1.pre")
    )
    run = Forgetful(old.plan, lender=old, id="01J+")
    run.start(old.start_facts.inputs, rerun=rerun_of(old, "@failed").start_facts.rerun)
    assert ["fan.0.pre", "fan.1.pre"] == run.calls


def ended_loop() -> InstanceRun:
    old = run_of(LOOP)
    for n in range(4):
        old.succeed(f"l.{n}.w", f"w-{n}").succeed(f"l.{n}.x", f"x-{n}")
    return old.fail("z")


def test_s44_iteration_runs_from_the_named_task_on_and_all_later_ones_with_it() -> None:
    run = rerun_of(ended_loop(), "l.2.x")
    assert (["l.2.x"], {"got": "w-2", "last": "x-1"}) == (run.calls, run.parameters("l.2.x"))
    run.succeed("l.2.x", "new").succeed("l.3.w").succeed("l.3.x", "newer")
    assert ["l.2.x", "l.3.w", "l.3.x", "z"] == run.calls
    assert {"all": ["x-0", "x-1", "new", "newer"]} == run.parameters("z")
    assert dict.fromkeys(["l.0.w", "l.0.x", "l.1.w", "l.1.x", "l.2.w"], "01J") == reused(run)


def test_s44_iteration_that_failed_goes_on_where_it_failed() -> None:
    old = run_of(LOOP).succeed("l.0.w").succeed("l.0.x").succeed("l.1.w", 7).fail("l.1.x")
    run = rerun_of(old, "@failed")
    assert (["l.1.x"], 7) == (run.calls, run.parameters("l.1.x")["got"])
    assert "succeeded" == run.finish().status


def test_s44_iterations_follow_each_other_also_after_a_failure_that_was_handled() -> None:
    text = LOOP.replace("{id: w,", "{id: w, on_error: continue,").replace(
        ', parameters: {got: "{{ steps.w.output }}"', ", parameters: {got: 1"
    )
    old = run_of(text).succeed("l.0.w").succeed("l.0.x").fail("l.1.w").succeed("l.1.x").succeed("l.2.w")
    old.fail("l.2.x")
    run = rerun_of(old, "@failed").finish()
    assert ["l.1.w", "l.1.x", "l.2.w", "l.2.x"] == run.calls[:4]


def test_s44_branch_that_was_chosen_stays_chosen() -> None:
    old = run_of(BRANCH, {"n": 1}).succeed("x", "kept").fail("y")
    run = rerun_of(old, "y", {"n": 2})
    assert (["y"], {"got": "kept"}) == (run.calls, run.parameters("y"))
    assert {"got": {"branch": "one", "value": 5}} == run.succeed("y", 5).parameters("z")


def test_s44_step_of_else_runs_again() -> None:
    assert ["other"] == rerun_of(run_of(BRANCH, {"n": 2}).fail("other"), "other", {"n": 1}).calls


def test_s44_other_branches_of_a_parallel_are_taken_over() -> None:
    old = run_of(PARALLEL).succeed("e1").succeed("e2", "e").succeed("u1").fail("u2")
    run = rerun_of(old, "u2")
    assert (["u2"], {"e1": "01J", "e2": "01J", "u1": "01J"}) == (run.calls, reused(run))
    assert {"got": {"eu": "e", "us": "u"}} == run.succeed("u2", "u").parameters("z")


def test_s44_cancelled_tasks_inside_a_container_run() -> None:
    old = run_of(PARALLEL).succeed("e1").feed(s.Terminate("enough"))
    assert ["u1", "e2"] == sorted(rerun_of(old, "@failed").calls, reverse=True)


def test_s44_steps_of_a_try_go_on_where_they_failed_and_finally_runs_once_more() -> None:
    old = run_of(TRY).succeed("x", "kept").fail("y").fail("c").succeed("f")
    assert "failed" == old.status
    run = rerun_of(old, "@failed")
    assert (["y"], {"got": "kept"}) == (run.calls, run.parameters("y"))
    assert ["y", "f", "z"] == run.succeed("y").succeed("f").calls


def test_s44_named_step_of_a_try_runs() -> None:
    old = run_of(TRY).succeed("x").succeed("y").succeed("f").succeed("z")
    run = rerun_of(old, "y").finish()
    assert (["y", "f", "z"], {"x": "01J"}) == (run.calls, reused(run))


def test_s44_lists_in_a_map_item_are_entered_again_too() -> None:
    old = run_of(IN_ITEMS, {"items": [0, 1, 2]}).succeed("fan.0.other", "n").succeed("fan.0.after")
    old.succeed("fan.1.x", "x-1").succeed("fan.2.x").succeed("fan.2.y").succeed("fan.2.after").fail("fan.1.y")
    run = rerun_of(old, "@failed")
    assert (["fan.1.y"], {"x": "x-1"}) == (run.calls, run.parameters("fan.1.y"))
    run.succeed("fan.1.y", "new")
    assert {"got": {"branch": "one", "value": "new"}} == run.parameters("fan.1.after")
    named = rerun_of(run.succeed("fan.1.after"), "fan.2.y")
    assert ["fan.2.y"] == named.calls
    assert "01J" == named.all_tasks()["fan.2.x"].detail.of  # type: ignore[union-attr] # it is taken over


def test_s44_maps_in_maps_are_entered_again_too() -> None:
    text = f"""
        steps:
          - id: outer
            operator: "@control/map"
            parameters:
              items: [[1, 2], [3, 4]]
              steps:
                - id: inner
                  operator: "@control/map"
                  parameters: {{items: "{{{{ item }}}}", steps: [{{id: x, {ANY}}}]}}
        """
    old = run_of(text).finish("old")
    run = rerun_of(old, "outer.1.inner.0.x")
    assert ["outer.1.inner.0.x"] == run.calls
    assert "succeeded" == run.succeed("outer.1.inner.0.x").status
    assert "01J" == run.all_tasks()["outer.0.inner"].detail.of  # type: ignore[union-attr] # it is taken over
    assert "01J" == run.all_tasks()["outer.1.inner.1.x"].detail.of  # type: ignore[union-attr] # it is taken over


def test_s44_rerun_of_a_rerun_reads_lists_where_they_ran() -> None:
    first = rerun_of(finished_fan(), "z").fail("z")
    assert {"a": "01J", "fan": "01J"} == reused(first)
    second = rerun_of(first, "fan.1.work")
    assert (["fan.1.work"], {"got": "pre-1"}) == (second.calls, second.parameters("fan.1.work"))


def test_s44_container_inside_that_assigns_outward_is_gone_through_again() -> None:
    text = f"""
        steps:
          - {{id: d, operator: "@data/define", parameters: {{name: v, value: 0}}}}
          - id: l
            operator: "@control/loop"
            parameters:
              mode: count
              limit: 2
              steps:
                - id: p
                  operator: "@control/branch"
                  parameters: {{branches: [{{id: one, when: "true", steps: [{{id: x, {ANY}}}, {{id: s, operator: "@data/assign", parameters: {{name: v, value: "{{{{ steps.x.output }}}}"}}}}]}}]}}
                - {{id: w, {ANY}, parameters: {{v: "{{{{ vars.v }}}}"}}}}
        """
    old = run_of(text).succeed("l.0.x", "one").succeed("l.0.w").succeed("l.1.x", "two").fail("l.1.w")
    run = rerun_of(old, "@failed")
    assert (["l.0.w"], {"v": "one"}) == (run.calls, run.parameters("l.0.w"))


def test_s44_container_that_assigns_only_inside_itself_is_taken_over() -> None:
    text = f"""
        steps:
          - id: l
            operator: "@control/loop"
            parameters:
              mode: count
              limit: 2
              steps:
                - id: p
                  operator: "@control/branch"
                  parameters:
                    branches:
                      - id: one
                        when: "true"
                        steps:
                          - {{id: d, operator: "@data/define", parameters: {{name: v, value: 0}}}}
                          - {{id: s, operator: "@data/assign", parameters: {{name: v, value: 1}}}}
                - {{id: w, {ANY}}}
        """
    old = run_of(text).succeed("l.0.w").fail("l.1.w")
    assert {"l.0.p", "l.0.w", "l.1.p"} == set(reused(rerun_of(old, "@failed")))


def test_s44_lists_of_another_version_are_taken_over_by_id() -> None:
    old = run_of(BRANCH, {"n": 1}).succeed("x", "kept").fail("y")
    renamed = BRANCH.replace("id: one", "id: uno")
    assert ["x"] == rerun_of(old, "y", text=renamed).calls
    grown = BRANCH.replace(f"{{id: x, {ANY}}},", f"{{id: x, {ANY}}}, {{id: new, {ANY}}},")
    run = rerun_of(old, "y", text=grown)
    assert (["new"], {"x": "01J"}) == (run.calls, reused(run))


def test_s44_container_with_another_operator_runs_anew() -> None:
    old = run_of(PARALLEL).succeed("e1", 1).succeed("e2").succeed("u1").fail("u2")
    other = BRANCH.replace("id: b\n", "id: p\n").replace("steps.b.", "steps.p.").replace("id: x", "id: e1")
    run = rerun_of(old, "@failed", {"n": 1}, text=other.replace("steps.x.", "steps.e1."))
    assert (["e1"], {}) == (run.calls, reused(run))


@pytest.mark.parametrize(
    ("holder", "name"),
    [
        ("gone", "steps"),  # the version has no such container
        ("fan.0.b", "two"),  # it has no such list
        ("b", "one"),  # it lies in a map, and it did not there
        ("fan.7.b", "one"),  # there was no such item
    ],
)
def test_s44_lists_that_were_not_there_are_not_found(holder: str, name: str) -> None:
    old = run_of(IN_ITEMS, {"items": [1]}).succeed("fan.0.x").fail("fan.0.y")
    asked = Former(0, 0, 0, 0, "01J", holder, name)
    frame = old.closed["fan/#0"]
    assert None is former_list(old.plan, asked, frame)


def test_s44_items_that_lie_otherwise_in_their_chunks_are_not_found() -> None:
    old = finished_fan()
    asked = [Former(0, 0, 0, 0, "01J", "fan", "steps", first) for first in (0, 1)]
    frame = old.closed["fan/#0"]
    assert [True, False] == [former_list(old.plan, one, frame) is not None for one in asked]


def test_s44_values_inside_are_copied_over_several_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "COPIED_BYTES_MAX", 6_000)
    old = run_of(PARALLEL).succeed("e1", LONG).succeed("u1", LONG).succeed("e2", LONG).fail("u2")
    run = rerun_of(old, "@failed")
    assert (["u2"], {"e1", "e2", "u1"}) == (run.calls, set(reused(run)))


def test_s44_containers_that_are_entered_again_survive_a_crash() -> None:
    run = rerun_of(finished_fan(), "fan.1.work")
    run.take_over()
    assert "succeeded" == run.finish("new").status


@pytest.mark.parametrize(
    "path",
    [
        "hook", "nothing", "l.x", "l.01.x", "l.x.x", "m.0.x", "fan.0.1.w", "0.w", "l.1", "w", "fan.0.l.w",
    ],
)  # fmt: skip
def test_s44_paths_at_which_nothing_can_begin_are_refused(path: str) -> None:
    plan = plan_of(f"""
        steps:
          - id: t
            operator: "@control/try"
            parameters: {{steps: [{{id: x0, {ANY}}}], catch: [{{id: c, {ANY}}}], finally: [{{id: f, {ANY}}}]}}
          - id: e
            {ANY}
            on_error: [{{id: h, {ANY}}}, {{id: gg, operator: "@control/parallel", parameters: {{branches: [{{id: q, steps: [{{id: g, {ANY}}}]}}]}}}}]
          - id: l
            operator: "@control/loop"
            parameters: {{mode: count, limit: 4, steps: [{{id: x, {ANY}}}]}}
          - id: fan
            operator: "@control/map"
            parameters: {{items: [1], steps: [{{id: w, {ANY}}}]}}
        on_finish: [{{id: hook, {ANY}}}]
        """)
    with pytest.raises(RequestInvalid) as refused:
        way_to(plan, path)
    assert ["/from_step"] == [fault["pointer"] for fault in refused.value.faults]


def test_s44_way_to_a_task_names_every_container_around_it() -> None:
    plan = plan_of(f"""
        steps:
          - id: fan
            operator: "@control/map"
            parameters:
              items: [1]
              steps:
                - id: b
                  operator: "@control/parallel"
                  parameters:
                    branches: [{{id: q, steps: [{{id: l, operator: "@control/loop", parameters: {{mode: count, limit: 1, steps: [{{id: x, {ANY}}}]}}}}]}}]
        """)
    assert ("fan", "fan.0.b", "fan.0.l", "fan.0.l.12.x") == way_to(plan, "fan.0.l.12.x")
    assert ("fan", "fan.3.b") == way_to(plan, "fan.3.b")


def test_loop_that_runs_anew_and_does_not_run_is_no_journal() -> None:
    run = run_of(f"steps: [{{id: a, {ANY}}}]")
    with pytest.raises(StateInconsistent):
        apply_frame(run.plan, run.state.frames[""].copy(), r.ListAnew("", 0))
