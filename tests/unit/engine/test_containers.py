"""Branch, parallel, map and return (semantics.md S17 to S23)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"


def branch(mode: str, extra: str = "") -> str:
    return f"""
        steps:
          - id: b
            operator: "@control/branch"
            parameters:
              mode: {mode}
              branches:
                - {{id: low, when: "inputs.n < 10", steps: [{{id: l, {NOOP}}}]}}
                - {{id: mid, when: "inputs.n < 20", steps: [{{id: m, {NOOP}}}]}}
              {extra}
          - {{id: after, {NOOP}, parameters: {{got: "{{{{ steps.b.output }}}}"}}}}
        """


@pytest.mark.parametrize(
    ("mode", "n", "tasks", "output"),
    [
        ("first", 5, ["l"], {"branch": "low", "value": 1}),
        ("first", 15, ["m"], {"branch": "mid", "value": 1}),
        ("first", 25, [], {"branch": None, "value": None}),
        ("all", 5, ["l", "m"], {"low": 1, "mid": 1}),
        ("all", 25, [], {}),
    ],
)
def test_s17_s18_branch_enters_what_matches(mode: str, n: int, tasks: list[str], output: object) -> None:
    run = run_of(branch(mode), {"n": n})
    if tasks:
        assert tasks == list(run.attempts)
    for path in tasks:
        run.succeed(path, 1)
    assert {"got": output} == run.parameters("after")


@pytest.mark.parametrize("mode", ["first", "all"])
def test_branch_without_a_match_enters_else(mode: str) -> None:
    run = run_of(branch(mode, f"else: [{{id: e, {NOOP}}}]"), {"n": 99}).succeed("e", "E")
    expected = {"branch": "else", "value": "E"} if mode == "first" else {"else": "E"}
    assert {"got": expected} == run.parameters("after")


def test_s18_branch_whose_condition_errs_fails_the_step() -> None:
    run = run_of(branch("first"), {"n": "text"})
    assert ("failed", "expression", "b") == (run.status, run.error["kind"], run.error["step"])


def test_large_value_of_a_branch_is_not_copied() -> None:
    run = run_of(branch("first"), {"n": 1})
    big = "x" * 20_000
    run.succeed("l", big)
    assert {"got": {"branch": "low", "value": big}} == run.parameters("after")
    assert 20_000 < sum(map(len, run.payloads.values())) < 21_000


def test_s17_parallel_runs_all_and_joins() -> None:
    run = run_of(
        f"""
        steps:
          - id: p
            operator: "@control/parallel"
            parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}}}]}}, {{id: y, steps: [{{id: c, {NOOP}}}]}}]}}
        outputs: "{{{{ steps.p.output }}}}"
        """
    )
    assert ["a", "c"] == list(run.attempts)
    run.succeed("c", "C").succeed("a").succeed("b", "B")
    assert {"x": "B", "y": "C"} == run.outputs


def parallel(on_error: str = "fail", first: str = "") -> str:
    return f"""
        steps:
          - id: p
            operator: "@control/parallel"
            on_error: {on_error}
            parameters:
              branches:
                - {{id: x, steps: [{{id: a, {NOOP}, {ONCE}}}, {{id: b, {NOOP}}}]}}
                - {{id: y, steps: [{{id: c, {NOOP}}}, {{id: d, {NOOP}}}, {{id: e, {NOOP}, join: all_done}}]}}
          - {{id: after, {NOOP}{first}}}
        """


def test_failing_branch_closes_its_siblings_and_fails_the_container() -> None:
    run = run_of(parallel()).fail("a")
    assert "running" == run.tasks()["p"]
    run.succeed("c", 1)
    expected = {"b": "skipped/failing", "c": "succeeded", "d": "skipped/failing", "e": "running"}
    assert expected == {path: run.tasks()[path] for path in expected}
    run.succeed("e")
    assert ("failed", "failed", "skipped/failing") == (run.status, run.tasks()["p"], run.tasks()["after"])
    assert "a" == run.error["step"]


def test_s9_handled_failure_of_a_container_lets_the_list_go_on() -> None:
    run = run_of(parallel("continue")).fail("a").succeed("c").succeed("e")
    assert ["after"] == list(run.attempts)
    assert "succeeded" == run.finish().status


def test_s10_container_in_a_failing_list_ends_cancelled() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: p, operator: "@control/parallel", depends_on: [], parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}}}]}}]}}}}
          - {{id: bad, {NOOP}, depends_on: [], {ONCE}}}
        """
    )
    run.fail("bad").succeed("a")
    assert {"p": "cancelled/failing", "bad": "failed", "a": "succeeded", "b": "skipped/failing"} == run.tasks()
    assert "failed" == run.status


def a_map(*, extra: str = "", body: str = "", after: str = "") -> str:
    body = body or f'{{id: w, {NOOP}, {ONCE}, parameters: {{v: "{{{{ item }}}}", at: "{{{{ index }}}}"}}}}'
    return f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: "{{{{ inputs.items }}}}", steps: [{body}] {extra}}}
          {after}
        outputs: "{{{{ steps.m.output }}}}"
        """


def test_s17_s19_map_gives_values_in_item_order_whatever_the_order_of_ends() -> None:
    run = run_of(a_map(), {"items": ["a", "b", "c"]})
    assert {"v": "b", "at": 1} == run.parameters("m.1.w")
    run.succeed("m.2.w", 2).succeed("m.0.w", 0).succeed("m.1.w", 1)
    assert [0, 1, 2] == run.outputs


@pytest.mark.parametrize(("items", "kind"), [(None, "invalid"), ({"a": 1}, "invalid"), ([0] * 100_001, "limit")])
def test_s19_map_refuses_what_is_no_list_of_bounded_length(items: Any, kind: str) -> None:
    run = run_of(a_map(), {"items": items})
    assert ("failed", kind) == (run.status, run.error["kind"])


def test_map_over_nothing_succeeds() -> None:
    assert [] == run_of(a_map(), {"items": []}).outputs


def test_map_of_many_items_spreads_over_chunks_and_decisions() -> None:
    run = run_of(a_map(), {"items": list(range(1_000))})
    assert 512 == len(run.attempts)
    from core.engine.stimuli import Dispatch

    while run.attempts:
        path = next(reversed(run.attempts))
        number = int(path.split(".")[1])
        run.succeed(path, "v" * 30 + str(number)).feed(Dispatch())
    assert ["v" * 30 + str(n) for n in range(1_000)] == run.outputs
    assert "succeeded" == run.status


def test_s19_concurrency_of_a_map_bounds_its_open_items() -> None:
    run = run_of(a_map(extra=", max_concurrency: 2"), {"items": list(range(5))})
    assert ["m.0.w", "m.1.w"] == list(run.attempts)
    run.succeed("m.1.w", 1)
    assert ["m.0.w", "m.2.w"] == list(run.attempts)
    run.finish("x")
    assert ["x", 1, "x", "x", "x"] == run.outputs


def test_s19_batches_give_lists_of_items() -> None:
    run = run_of(a_map(extra=", batch_size: 2"), {"items": [1, 2, 3]})
    assert {"v": [3], "at": 1} == run.parameters("m.1.w")
    assert ["x", "x"] == run.finish("x").outputs


def test_outputs_of_a_map_are_a_template_at_the_end_of_each_item() -> None:
    run = run_of(a_map(extra=', outputs: {i: "{{ index }}", o: "{{ steps.w.output }}"}'), {"items": ["a", "b"]})
    run.finish("x")
    assert [{"i": 0, "o": "x"}, {"i": 1, "o": "x"}] == run.outputs


def test_outputs_of_a_map_that_err_fail_it() -> None:
    run = run_of(a_map(extra=', outputs: "{{ steps.w.output.none }}"'), {"items": ["a", "b"]}).finish({})
    assert ("failed", "expression", "m") == (run.status, run.error["kind"], run.error["step"])


def test_s1_s19_failing_item_fails_the_map_and_no_other_begins() -> None:
    run = run_of(a_map(extra=", max_concurrency: 2"), {"items": list(range(5))}).fail("m.0.w")
    run.succeed("m.1.w")
    assert ("failed", "m.0.w", "failed") == (run.status, run.error["step"], run.tasks()["m"])
    assert {"m", "m.0.w", "m.1.w"} == set(run.tasks())


def test_s17_collecting_map_gives_null_and_the_errors_beside_it() -> None:
    run = run_of(
        a_map(
            extra=", on_item_error: collect",
            after=f'- {{id: z, {NOOP}, parameters: {{e: "{{{{ steps.m.errors }}}}", f: "{{{{ steps.m.error }}}}"}}}}',
        ),
        {"items": list(range(3))},
    )
    run.fail("m.1.w").finish("x")
    assert ["x", None, "x"] == run.outputs
    task = run.all_tasks()["z"]
    assert "succeeded" == run.status
    assert 1 == task.attempts


def test_collected_errors_name_their_index() -> None:
    run = run_of(
        a_map(
            extra=", on_item_error: collect",
            after=f'- {{id: z, {NOOP}, parameters: {{e: "{{{{ steps.m.errors }}}}", f: "{{{{ steps.m.error }}}}"}}}}',
        ),
        {"items": list(range(3))},
    )
    run.fail("m.1.w").succeed("m.0.w").succeed("m.2.w")
    given = run.parameters("z")
    assert (1, "m.1.w", None) == (given["e"][0]["index"], given["e"][0]["error"]["step"], given["f"])


def test_s17_ignoring_map_leaves_failed_items_out() -> None:
    run = run_of(a_map(extra=", on_item_error: ignore"), {"items": list(range(3))}).fail("m.1.w").finish("x")
    assert ["x", "x"] == run.outputs


def test_outputs_that_err_in_a_collecting_map_fail_only_their_item() -> None:
    run = run_of(a_map(extra=', on_item_error: collect, outputs: "{{ steps.w.output.v }}"'), {"items": [0, 1]})
    run.succeed("m.0.w", {}).succeed("m.1.w", {"v": 7})
    assert [None, 7] == run.outputs


def test_lists_inside_an_item_live_with_the_item() -> None:
    body = f"""{{id: s, operator: "@control/branch", parameters: {{branches: [
        {{id: odd, when: "item % 2 == 1", steps: [{{id: o, {NOOP}, {ONCE}, on_error: [{{id: h, {NOOP}}}]}}, {{id: o2, {NOOP}}}]}}],
        else: [{{id: e, {NOOP}}}]}}}}, {{id: t, {NOOP}, parameters: {{v: "{{{{ steps.s.output.branch }}}}"}}}}"""
    run = run_of(a_map(body=body), {"items": [0, 1]})
    assert ["m.0.e", "m.1.o"] == list(run.attempts)
    run.fail("m.1.o").succeed("m.1.h").succeed("m.1.o2").succeed("m.0.e")
    assert {"v": "odd"} == run.parameters("m.1.t")
    run.succeed("m.1.t", "B").succeed("m.0.t", "A")
    assert ["A", "B"] == run.outputs


def test_failing_list_inside_an_item_closes_only_what_is_in_it() -> None:
    body = f"""{{id: s, operator: "@control/parallel", on_error: continue, parameters: {{branches: [
        {{id: x, steps: [{{id: a, {NOOP}, {ONCE}}}]}}, {{id: y, steps: [{{id: b, {NOOP}}}, {{id: c, {NOOP}}}]}}]}}}}"""
    run = run_of(a_map(body=body), {"items": [0, 1]}).fail("m.0.a").succeed("m.0.b")
    assert {"m.0.s": "failed", "m.0.c": "skipped/failing", "m.1.s": "running"} == {
        path: run.tasks()[path] for path in ("m.0.s", "m.0.c", "m.1.s")
    }
    run.succeed("m.1.a").succeed("m.1.b").succeed("m.1.c", "C")
    assert [None, {"x": None, "y": "C"}] == run.outputs


def test_s2_s20_nested_maps_have_chunks_of_their_own() -> None:
    body = f"""{{id: inner, operator: "@control/map", parameters: {{items: "{{{{ item }}}}", steps: [
        {{id: w, {NOOP}, parameters: {{i: "{{{{ item }}}}", o: "{{{{ loops.m.index }}}}", all: "{{{{ loops.m.item }}}}", n: "{{{{ loops.inner.index }}}}"}}}}]}}}}"""
    run = run_of(a_map(body=body), {"items": [[1, 2], [3]]})
    assert {"i": 3, "o": 1, "all": [3], "n": 0} == run.parameters("m.1.inner.0.w")
    run.finish("x")
    assert [["x", "x"], ["x"]] == run.outputs


def test_failing_nested_map_cancels_what_runs_beside_it() -> None:
    body = f"""{{id: inner, operator: "@control/map", parameters: {{items: "{{{{ item }}}}", max_concurrency: 1, steps: [
        {{id: w, {NOOP}, {ONCE}}}]}}}}"""
    run = run_of(a_map(body=body), {"items": [[1, 2], [3, 4]]}).fail("m.0.inner.0.w").succeed("m.1.inner.0.w")
    assert {"m": "failed", "m.0.inner": "failed", "m.1.inner": "cancelled/failing"} == {
        path: run.tasks()[path] for path in ("m", "m.0.inner", "m.1.inner")
    }
    assert "m.0.inner.0.w" == run.error["step"]


def test_map_of_computed_steps_needs_no_attempt() -> None:
    run = run_of(
        a_map(body='{id: j, operator: "@text/join", parameters: {items: ["{{ item }}", "!"], separator: ""}}'),
        {"items": [f"n{n}" for n in range(600)]},
        room=0,
    )
    assert [f"n{n}!" for n in range(600)] == run.outputs


def returning(result: str, extra: str = "") -> str:
    return f"""
        steps:
          - {{id: beside, {NOOP}, depends_on: []}}
          - id: p
            operator: "@control/parallel"
            depends_on: []
            parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}}}, {{id: r, operator: "@control/return", parameters: {{result: {result} {extra}}}}}]}},
                                     {{id: y, steps: [{{id: c, {NOOP}}}]}}]}}
          - {{id: after, {NOOP}}}
        outputs: {{from: outputs}}
        """


def test_s23_return_ends_the_instance_from_any_depth() -> None:
    run = run_of(returning("success", ', outputs: {v: "{{ steps.a.output }}"}')).succeed("a", 7)
    assert ("succeeded", {"v": 7}) == (run.status, run.outputs)
    tasks = run.tasks()
    assert ("cancelled/return", "cancelled/return", "cancelled/return") == (tasks["beside"], tasks["c"], tasks["p"])
    assert ("succeeded", "skipped/returned") == (tasks["r"], tasks["after"])
    assert 2 == len(run.cancelled)


def test_s23_return_without_outputs_gives_an_empty_object() -> None:
    assert {} == run_of(returning("success")).succeed("a").outputs


def test_s23_return_of_a_failure_is_not_catchable() -> None:
    run = run_of(returning("failed", ', reason: "no {{ steps.a.output }}"')).succeed("a", "luck")
    assert ("failed", "failed", "no luck") == (run.status, run.error["kind"], run.error["message"])


def test_return_of_a_failure_says_a_reason_of_any_type() -> None:
    assert "7" == run_of(returning("failed", ', reason: "{{ steps.a.output }}"')).succeed("a", 7).error["message"]
    assert "" == run_of(returning("failed")).succeed("a", 7).error["message"]
