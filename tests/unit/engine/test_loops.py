"""Loops: iterations one after another, their names, values and bounds (semantics.md S16, S20, S21)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine import stimuli as s
from core.engine.journal import encode_frame
from core.engine.state import LoopState
from core.engine.stimuli import Continue
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"
JOIN = 'operator: "@text/join"'


def a_loop(how: str, *, body: str = "", more: str = "", after: str = "") -> str:
    body = body or f'{{id: w, {NOOP}, {ONCE}, parameters: {{i: "{{{{ index }}}}", last: "{{{{ loops.l.last }}}}"}}}}'
    return f"""
        steps:
          - id: l
            operator: "@control/loop"
            parameters: {{{how}, steps: [{body}]}}
            {more}
          {after}
        outputs: "{{{{ steps.l.output }}}}"
        """


def error_of(run: InstanceRun) -> tuple[str, str, str]:
    return run.status, run.error["kind"], run.error["step"]


def test_s21_count_runs_the_body_limit_times_one_after_another() -> None:
    run = run_of(a_loop("mode: count, limit: 3"))
    assert (["l.0.w"], {"i": 0, "last": None}) == (list(run.attempts), run.parameters("l.0.w"))
    run.succeed("l.0.w", "A")
    assert (["l.1.w"], {"i": 1, "last": "A"}) == (list(run.attempts), run.parameters("l.1.w"))
    run.succeed("l.1.w", "B").succeed("l.2.w", "C")
    assert ("succeeded", ["A", "B", "C"]) == (run.status, run.outputs)
    assert {"l": "succeeded", "l.0.w": "succeeded", "l.1.w": "succeeded", "l.2.w": "succeeded"} == run.tasks()


def test_s21_each_runs_over_items() -> None:
    body = f'{{id: w, {NOOP}, parameters: {{v: "{{{{ item }}}}", o: "{{{{ loops.l.item }}}}", n: "{{{{ loops.l.index }}}}"}}}}'
    run = run_of(a_loop('mode: each, items: "{{ inputs.items }}"', body=body), {"items": ["a", None]})
    assert {"v": "a", "o": "a", "n": 0} == run.parameters("l.0.w")
    run.succeed("l.0.w", 1)
    assert {"v": None, "o": None, "n": 1} == run.parameters("l.1.w")
    assert [1, 2] == run.succeed("l.1.w", 2).outputs


def test_s21_while_looks_before_each_iteration_at_index_and_last() -> None:
    run = run_of(a_loop("mode: while, condition: 'index == 0 || loops.l.last < 10'"))
    run.succeed("l.0.w", 4).succeed("l.1.w", 9).succeed("l.2.w", 10)
    assert ("succeeded", [4, 9, 10]) == (run.status, run.outputs)


@pytest.mark.parametrize(
    "how", ["mode: count, limit: 0", "mode: each, items: []", "mode: while, condition: 'index > 0'"]
)
def test_s21_loop_without_an_iteration_succeeds_with_nothing(how: str) -> None:
    run = run_of(a_loop(how))
    assert ("succeeded", [], {"l": "succeeded"}) == (run.status, run.outputs, run.tasks())


@pytest.mark.parametrize(
    ("n", "kind"),
    [
        pytest.param(-1, "invalid", id="negative"),
        pytest.param(2.0, "invalid", id="double"),
        pytest.param(True, "invalid", id="boolean"),
        pytest.param("2", "invalid", id="text"),
        pytest.param(None, "invalid", id="null"),
        pytest.param(1_001, "limit", id="over max_iterations"),
    ],
)
def test_s21_limit_that_is_no_bounded_whole_number_fails_before_the_start(n: object, kind: str) -> None:
    run = run_of(a_loop('mode: count, limit: "{{ inputs.n }}"'), {"n": n})
    assert (("failed", kind, "l"), {"l": "failed"}) == (error_of(run), run.tasks())


def test_s21_limit_may_be_a_template() -> None:
    assert ["x", "x"] == run_of(a_loop('mode: count, limit: "{{ inputs.n }}"'), {"n": 2}).finish("x").outputs


@pytest.mark.parametrize(
    ("items", "kind"), [(None, "invalid"), ({"a": 1}, "invalid"), ([1, 2, 3], "limit")], ids=["null", "object", "many"]
)
def test_s21_items_that_are_no_list_of_bounded_length_fail(items: object, kind: str) -> None:
    how = 'mode: each, items: "{{ inputs.items }}", max_iterations: 2'
    assert ("failed", kind, "l") == error_of(run_of(a_loop(how), {"items": items}))


def test_s21_limit_that_errs_fails_the_step() -> None:
    assert ("failed", "expression", "l") == error_of(run_of(a_loop('mode: count, limit: "{{ inputs.none }}"'), {}))


@pytest.mark.parametrize("condition", ["inputs.none", "1 / index", "index + 1"], ids=["missing", "errs", "a number"])
def test_s21_condition_that_gives_no_boolean_fails_the_step(condition: str) -> None:
    assert ("failed", "expression", "l") == error_of(run_of(a_loop(f"mode: while, condition: '{condition}'"), {}))


def test_s21_condition_that_errs_later_fails_after_the_iterations_before() -> None:
    run = run_of(a_loop("mode: while, condition: 'loops.l.last == null || loops.l.last.more'"))
    run.succeed("l.0.w", {"more": True}).succeed("l.1.w", {})
    assert (("failed", "expression", "l"), "succeeded") == (error_of(run), run.tasks()["l.1.w"])


def test_s21_condition_still_true_after_max_iterations_fails_with_limit() -> None:
    run = run_of(a_loop("mode: while, condition: 'true', max_iterations: 2")).succeed("l.0.w").succeed("l.1.w")
    assert ("failed", "limit", "l") == error_of(run)
    run = run_of(a_loop("mode: while, condition: 'index < 2', max_iterations: 2")).finish("x")
    assert ("succeeded", ["x", "x"]) == (run.status, run.outputs)


def test_s21_break_keeps_the_value_of_its_iteration() -> None:
    run = run_of(a_loop("mode: count, limit: 5, break_when: 'steps.w.output == 7'"))
    run.succeed("l.0.w", 1).succeed("l.1.w", 7)
    assert ("succeeded", [1, 7]) == (run.status, run.outputs)


@pytest.mark.parametrize("expression", ["steps.w.output.none", "steps.w.output"], ids=["errs", "no boolean"])
def test_s21_break_that_gives_no_boolean_fails_the_step(expression: str) -> None:
    run = run_of(a_loop(f"mode: count, limit: 5, break_when: '{expression}'")).succeed("l.0.w", {})
    assert (("failed", "expression", "l"), ["l", "l.0.w"]) == (error_of(run), sorted(run.tasks()))


def test_s17_outputs_of_a_loop_are_a_template_at_the_end_of_each_iteration() -> None:
    how = (
        'mode: count, limit: 2, outputs: {i: "{{ index }}", o: "{{ steps.w.output }}", before: "{{ loops.l.last.i }}"}'
    )
    run = run_of(a_loop(how.replace("loops.l.last.i", "loops.l.last"))).succeed("l.0.w", "A").succeed("l.1.w", "B")
    first = {"i": 0, "o": "A", "before": None}
    assert [first, {"i": 1, "o": "B", "before": first}] == run.outputs


def test_s17_outputs_of_a_loop_that_err_fail_it() -> None:
    run = run_of(a_loop('mode: count, limit: 2, outputs: "{{ steps.w.output.none }}"')).succeed("l.0.w", {})
    assert ("failed", "expression", "l") == error_of(run)


def test_outputs_of_a_loop_that_are_too_large_fail_it_with_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.draft.VALUE_BYTES_MAX", 10_000)
    how = 'mode: count, limit: 2, outputs: "{{ steps.w.output + steps.w.output }}"'
    run = run_of(a_loop(how)).succeed("l.0.w", "x" * 6_000)
    assert ("failed", "limit", "l") == error_of(run)


def test_s21_failing_iteration_fails_the_loop() -> None:
    body = f"{{id: w, {NOOP}, {ONCE}}}, {{id: v, {NOOP}}}, {{id: z, {NOOP}, join: all_done}}"
    run = run_of(a_loop("mode: count, limit: 3", body=body)).succeed("l.0.w").finish("x")
    assert ["x", "x", "x"] == run.outputs
    run = run_of(a_loop("mode: count, limit: 3", body=body)).fail("l.0.w")
    assert {"l": "running", "l.0.w": "failed", "l.0.v": "skipped/failing", "l.0.z": "running"} == run.tasks()
    run.succeed("l.0.z")
    assert (("failed", "failed", "l.0.w"), "failed") == (error_of(run), run.tasks()["l"])


def test_s11_failure_of_a_loop_may_continue() -> None:
    after = f'- {{id: z, {NOOP}, parameters: {{e: "{{{{ steps.l.error.step }}}}"}}}}'
    document = a_loop("mode: count, limit: 3", more="on_error: continue", after=after).replace(
        "outputs:", "vars: {}\n#"
    )
    run = run_of(document).succeed("l.0.w").fail("l.1.w")
    assert ({"e": "l.1.w"}, "failed") == (run.parameters("z"), run.tasks()["l"])
    assert "succeeded" == run.finish().status


def test_s12_failure_of_a_loop_may_be_caught_by_a_list() -> None:
    more = f'on_error: [{{id: h, {NOOP}, parameters: {{e: "{{{{ error.step }}}}"}}}}]'
    run = run_of(a_loop("mode: count, limit: 3", more=more)).fail("l.0.w")
    assert {"e": "l.0.w"} == run.parameters("h")
    run.succeed("h", ["instead"])
    assert ("succeeded", ["instead"], "failed") == (run.status, run.outputs, run.tasks()["l"])


def test_s16_total_bound_of_a_loop_ends_the_iteration_and_the_loop() -> None:
    run = run_of(a_loop("mode: count, limit: 9", more="timeout: {total_s: 10}")).succeed("l.0.w").pass_time(10)
    assert {"l": "running", "l.0.w": "succeeded", "l.1.w": "running"} == run.tasks()
    run.pass_time(30)
    assert (("failed", "timeout", "l"), "cancelled/timeout") == (error_of(run), run.tasks()["l.1.w"])


def test_bound_of_a_loop_is_forgotten_when_it_ends_in_time() -> None:
    run = run_of(a_loop("mode: count, limit: 2", more="timeout: {total_s: 10}")).finish("x")
    assert ("succeeded", {}) == (run.status, run.timers)


def test_s41_cancel_ends_a_loop_and_no_other_iteration_begins() -> None:
    run = run_of(a_loop("mode: count, limit: 9")).succeed("l.0.w").feed(s.Cancel("x")).succeed("l.1.w")
    assert "cancelled" == run.status
    assert {"l": "cancelled/cancel", "l.0.w": "succeeded", "l.1.w": "succeeded"} == run.tasks()


def test_s41_terminate_ends_a_loop_at_once() -> None:
    run = run_of(a_loop("mode: count, limit: 9")).succeed("l.0.w").feed(s.Terminate("x"))
    assert ("cancelled", "cancelled/terminate") == (run.status, run.tasks()["l.1.w"])


def test_s23_return_ends_the_instance_from_within_a_loop() -> None:
    body = f"""{{id: w, {NOOP}}}, {{id: r, operator: "@control/return", when: "steps.w.output == 2",
        parameters: {{outputs: {{at: "{{{{ index }}}}"}}}}}}, {{id: v, {NOOP}}}"""
    run = run_of(a_loop("mode: count, limit: 9", body=body)).succeed("l.0.w", 1).succeed("l.0.v").succeed("l.1.w", 2)
    assert ("succeeded", {"at": 1}) == (run.status, run.outputs)
    tasks = run.tasks()
    assert ("cancelled/return", "succeeded", "skipped/returned") == (tasks["l"], tasks["l.1.r"], tasks["l.1.v"])


def test_s10_loop_in_a_failing_list_is_cancelled_after_its_iteration() -> None:
    run = run_of(a_loop("mode: count, limit: 9", after=f"- {{id: bad, {NOOP}, depends_on: [], {ONCE}}}")).fail("bad")
    assert "running" == run.tasks()["l.0.w"]
    run.succeed("l.0.w")
    assert ("cancelled/failing", "failed") == (run.tasks()["l"], run.status)


def test_s10_loop_that_cleans_up_a_failing_list_runs_like_any_other() -> None:
    document = f"""
        steps:
          - {{id: bad, {NOOP}, {ONCE}}}
          - {{id: l, operator: "@control/loop", join: all_done, parameters: {{mode: count, limit: 2, steps: [{{id: w, {NOOP}}}]}}}}
        """
    run = run_of(document).fail("bad").succeed("l.0.w").succeed("l.1.w")
    assert (("failed", "failed", "bad"), "succeeded") == (error_of(run), run.tasks()["l"])


INSIDE = """{id: t, operator: "@text/join", parameters: {separator: "-", items: ["{{ string(index) }}", "{{ string(item) }}"]}}"""


@pytest.mark.parametrize("count", [15, 16, 17, 255, 256, 257, 300, 1_000])
def test_values_of_many_iterations_come_in_order(count: int) -> None:
    run = run_of(a_loop('mode: each, items: "{{ inputs.items }}"', body=INSIDE), {"items": list(range(count))}, room=0)
    assert ("succeeded", [f"{n}-{n}" for n in range(count)]) == (run.status, run.outputs)


def test_values_laid_together_are_small_beside_the_task_and_come_in_order() -> None:
    run = run_of(a_loop("mode: count, limit: 700"))
    largest = 0
    for number in range(700):
        run.succeed(f"l.{number}.w", {"n": number, "text": "v" * 40})
        largest = max(largest, len(encode_frame(None, run.state.frames[""])))
    assert [{"n": number, "text": "v" * 40} for number in range(700)] == run.outputs
    assert largest < 2_500


def test_values_over_4_kib_are_loaded_only_when_they_are_read() -> None:
    run = run_of(
        a_loop(
            "mode: count, limit: 20", after=f'- {{id: z, {NOOP}, parameters: {{n: "{{{{ size(steps.l.output) }}}}"}}}}'
        )
    )
    run.forgets = True
    for number in range(20):
        assert {"i": number, "last": None if number == 0 else f"{number - 1}" * 5_000} == run.parameters(
            f"l.{number}.w"
        )
        run.succeed(f"l.{number}.w", f"{number}" * 5_000)
    assert {"n": 20} == run.parameters("z")
    run.succeed("z")
    assert [f"{number}" * 5_000 for number in range(20)] == run.outputs


def test_every_part_of_a_loop_asks_for_values_that_are_not_at_hand() -> None:
    text = "x" * 3_000
    after_a = f"""
        steps:
          - {{id: a, {NOOP}}}
          - id: c
            operator: "@control/loop"
            parameters: {{mode: count, limit: "{{{{ steps.a.output.n }}}}", steps: [{{id: cw, {NOOP}}}]}}
          - id: l
            operator: "@control/loop"
            parameters:
              mode: each
              items: "{{{{ steps.a.output.items }}}}"
              steps: [{{id: w, {NOOP}, parameters: {{v: "{{{{ item }}}}"}}}}]
              outputs: "{{{{ steps.w.output.text + steps.a.output.text }}}}"
              break_when: "size(steps.w.output.text) == 1"
          - id: b
            operator: "@control/loop"
            parameters: {{mode: count, limit: 3, steps: [{{id: bw, {NOOP}}}], break_when: "size(steps.a.output.text) > 1"}}
          - id: d
            operator: "@control/loop"
            parameters: {{mode: while, condition: "size(steps.a.output.text) > 1 && index < 1", steps: [{{id: dw, {NOOP}}}]}}
        outputs: {{l: "{{{{ steps.l.output }}}}", b: "{{{{ size(steps.b.output) }}}}", c: "{{{{ size(steps.c.output) }}}}"}}
        """
    run = run_of(after_a)
    run.forgets = True
    run.succeed("a", {"n": 2, "items": ["i" * 2_000, "j" * 2_000], "text": text}).succeed("c.0.cw").succeed("c.1.cw")
    assert {"v": "i" * 2_000} == run.parameters("l.0.w")
    run.succeed("l.0.w", {"text": "t" * 5_000}).succeed("l.1.w", {"text": "u" * 5_000})
    run.succeed("b.0.bw", {"text": "y" * 5_000}).succeed("d.0.dw")
    assert {"l": ["t" * 5_000 + text, "u" * 5_000 + text], "b": 1, "c": 2} == run.outputs
    assert 7 == run.rounds


def test_items_of_a_long_loop_lie_in_slices_and_one_is_loaded_at_a_time() -> None:
    items = [f"{number:04}" * 10 for number in range(900)]
    run = run_of(
        a_loop(
            'mode: each, items: "{{ inputs.items }}"', body=f'{{id: w, {NOOP}, parameters: {{v: "{{{{ item }}}}"}}}}'
        ),
        {"items": items},
    )
    held = run.state.frames[""].tasks[0].detail  # type: ignore[union-attr] # it was entered
    assert isinstance(held, LoopState)
    assert (4, 256) == (len(held.items), held.slice_items)
    run.forgets = True
    for number in (0, 1, 2):
        assert {"v": items[number]} == run.parameters(f"l.{number}.w")
        run.succeed(f"l.{number}.w", number)
        assert len(run.loaded) <= 2
    run.feed(s.Terminate("enough"))


def test_s20_names_belong_to_the_innermost_loop_and_every_one_has_its_own() -> None:
    body = """{id: inner, operator: "@control/loop", parameters: {mode: while, condition: "index < 2 && loops.outer.index >= 0",
        steps: [{id: w, operator: "@debug/noop", parameters: {item: "{{ item }}", index: "{{ index }}",
            outer: ["{{ loops.outer.item }}", "{{ loops.outer.index }}", "{{ loops.outer.last }}"], last: "{{ loops.inner.last }}"}}],
        break_when: "index == 1 && item == 'a'", outputs: "{{ string(index) + item }}"}}"""
    run = run_of(
        a_loop("mode: each, items: [a, b]", body=body).replace("id: l", "id: outer").replace("steps.l.", "steps.outer.")
    )
    assert {"item": "a", "index": 0, "outer": ["a", 0, None], "last": None} == run.parameters("outer.0.inner.0.w")
    run.succeed("outer.0.inner.0.w")
    assert {"item": "a", "index": 1, "outer": ["a", 0, None], "last": "0a"} == run.parameters("outer.0.inner.1.w")
    run.succeed("outer.0.inner.1.w")
    assert {"item": "b", "index": 0, "outer": ["b", 1, ["0a", "1a"]], "last": None} == run.parameters(
        "outer.1.inner.0.w"
    )
    assert [["0a", "1a"], ["0b", "1b"]] == run.finish().outputs


def test_s20_names_of_a_loop_are_known_in_the_lists_of_its_iterations() -> None:
    body = f"""{{id: p, operator: "@control/parallel", parameters: {{branches: [{{id: x, steps: [
        {{id: w, {NOOP}, parameters: {{i: "{{{{ index }}}}", v: "{{{{ item }}}}", before: "{{{{ loops.l.last }}}}"}}}}]}}]}}}}"""
    run = run_of(a_loop("mode: each, items: [a, b]", body=body)).succeed("l.0.w", 1)
    assert {"i": 1, "v": "b", "before": {"x": 1}} == run.parameters("l.1.w")
    assert [{"x": 1}, {"x": 2}] == run.succeed("l.1.w", 2).outputs


def test_s2_s20_map_inside_a_loop_and_a_loop_inside_its_items() -> None:
    body = """{id: m, operator: "@control/map", parameters: {items: [p, q], steps: [
        {id: k, operator: "@control/loop", parameters: {mode: count, limit: 2, steps: [
            {id: w, operator: "@debug/noop", parameters: {v: ["{{ item }}", "{{ index }}", "{{ loops.m.index }}", "{{ loops.l.index }}"]}}]}}]}}"""
    run = run_of(a_loop("mode: count, limit: 2", body=body))
    assert ["l.0.m.0.k.0.w", "l.0.m.1.k.0.w"] == list(run.attempts)
    run.succeed("l.0.m.1.k.0.w", "B0")
    assert {"v": ["q", 1, 1, 0]} == run.parameters("l.0.m.1.k.1.w")
    run.succeed("l.0.m.1.k.1.w", "B1").succeed("l.0.m.0.k.0.w", "A0").succeed("l.0.m.0.k.1.w", "A1")
    assert ["l.1.m.0.k.0.w", "l.1.m.1.k.0.w"] == list(run.attempts)
    run.finish("x")
    assert [[["A0", "A1"], ["B0", "B1"]], [["x", "x"], ["x", "x"]]] == run.outputs


def test_failing_loop_in_a_collecting_map_fails_only_its_item() -> None:
    document = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1, 2]
              on_item_error: collect
              steps: [{{id: l, operator: "@control/loop", parameters: {{mode: count, limit: 2, steps: [{{id: w, {NOOP}, {ONCE}}}]}}}}]
        outputs: "{{{{ steps.m.output }}}}"
        """
    run = run_of(document).fail("m.0.l.0.w").succeed("m.1.l.0.w", 1).succeed("m.1.l.1.w", 2)
    assert ("succeeded", [None, [1, 2]]) == (run.status, run.outputs)
    run = run_of(document).succeed("m.0.l.0.w").feed(s.Cancel("x")).pass_time(30)
    assert ("cancelled", "cancelled/cancel") == (run.status, run.tasks()["m.0.l.1.w"])


def test_recovery_of_a_loop_goes_on_with_its_iteration() -> None:
    run = run_of(a_loop("mode: count, limit: 3")).succeed("l.0.w", "A").take_over()
    assert ["l.1.w"] == list(run.attempts)
    assert ["A", "x", "x"] == run.finish("x").outputs


def test_loop_put_off_between_two_iterations_goes_on_or_is_cancelled() -> None:
    def put_off() -> InstanceRun:
        run = run_of(
            f"steps: [{{id: a, {NOOP}}}, {{id: l, operator: '@control/loop', parameters: {{mode: count, limit: 300, steps: [{INSIDE.replace('string(item)', 'string(index)')}]}}}}]"
        )
        attempt = run.attempts.pop("a")
        return run.feed(run.outcome(attempt, s.Finished(b"1", 1)), settle=False)

    run = put_off()
    held: Any = run.state.frames[""].tasks[1].detail  # type: ignore[union-attr] # it was entered
    assert (256, False, [Continue("")]) == (held.begun, held.is_open, run.waiting)
    assert "cancelled" == put_off().feed(s.Cancel("x")).status
    assert "succeeded" == run.feed(run.waiting.pop()).status


def test_evaluations_of_a_loop_beyond_the_bound_of_a_decision_are_put_off() -> None:
    heavy = "inputs.items.all(x, inputs.items.all(y, x + y >= 0))"
    run = run_of(
        a_loop(
            f"mode: count, limit: 8, break_when: '!({heavy})', outputs: '{{{{ {heavy} }}}}'",
            body=f"{{id: w, {NOOP}, join: all_done}}",
        ),
        {"items": list(range(100))},
    )
    while run.attempts:
        run.finish()
    assert ("succeeded", [True] * 8) == (run.status, run.outputs)
    nested = f'{{id: t, {JOIN}, parameters: {{separator: "", items: ["{{{{ string({heavy}) }}}}"]}}}}'
    run = run_of(a_loop(f"mode: while, condition: 'index < 6 && {heavy}'", body=nested), {"items": list(range(100))})
    assert ("succeeded", ["true"] * 6) == (run.status, run.outputs)
