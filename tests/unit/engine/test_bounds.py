"""Values that must be loaded, fuel, sizes, and marks that meet (engine.md 1, 2)."""

from __future__ import annotations

import pytest

from core.engine import draft as draft_module
from core.engine import stimuli as s
from core.engine.state import Indirect, TaskStatus
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
ONCE = "retry: {max_attempts: 1}"
BIG = {"list": ["x" * 30] * 400, "n": 7, "go": True}


def test_every_kind_of_step_asks_for_values_that_are_not_at_hand() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}}}
          - {{id: n1, {NOOP}}}
          - {{id: w, {NOOP}, when: "steps.a.output.go"}}
          - {{id: pure, operator: "@json/get", parameters: {{value: "{{{{ steps.a.output }}}}", pointer: /n}}}}
          - {{id: n2, {NOOP}, parameters: {{list: ["{{{{ steps.a.output }}}}", 1]}}}}
          - {{id: part, operator: "@json/get", parameters: {{value: "{{{{ steps.a.output.list }}}}", pointer: /0}}}}
          - {{id: n3, {NOOP}}}
          - {{id: d, operator: "@data/define", parameters: {{name: v, value: "{{{{ steps.a.output.list }}}}"}}}}
          - {{id: n4, {NOOP}}}
          - id: b
            operator: "@control/branch"
            parameters: {{branches: [{{id: x, when: "steps.a.output.n == 7", steps: [{{id: y, {NOOP}}}]}}]}}
          - id: m
            operator: "@control/map"
            parameters: {{items: "{{{{ vars.v }}}}", outputs: "{{{{ steps.a.output.n }}}}", steps: [{{id: i, {NOOP}, parameters: {{v: "{{{{ item }}}}"}}}}]}}
          - {{id: r, operator: "@control/return", parameters: {{result: success, outputs: {{m: "{{{{ steps.m.output }}}}", p: "{{{{ steps.part.output }}}}"}}}}}}
        """
    )
    run.forgets = True
    run.succeed("a", BIG).succeed("n1").succeed("w")
    assert {"list": [BIG, 1]} == run.parameters("n2")
    run.succeed("n2").succeed("n3").succeed("n4").succeed("y")
    assert {"v": "x" * 30} == run.parameters("m.399.i")
    run.finish()
    assert ("succeeded", [7] * 400, "x" * 30) == (run.status, run.outputs["m"], run.outputs["p"])
    assert run.rounds > 400


def test_reason_of_a_return_may_be_a_stored_value() -> None:
    run = (
        run_of(
            f"""
        steps:
          - {{id: a, {NOOP}}}
          - {{id: n, {NOOP}}}
          - {{id: r, operator: "@control/return", parameters: {{result: failed, reason: "{{{{ steps.a.output }}}}"}}}}
        """
        )
        .succeed("a", "because " * 1_000)
        .succeed("n")
    )
    assert run.error["message"].startswith("because because")
    assert 2_000 == len(run.error["message"])


def test_items_of_a_map_may_be_a_stored_value() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}}}
          - {{id: m, operator: "@control/map", parameters: {{items: "{{{{ steps.a.output }}}}", steps: [{{id: w, {NOOP}}}]}}}}
        outputs: "{{{{ steps.a.output }}}}"
        """
    ).succeed("a", ["y" * 100] * 100)
    assert 100 == len(run.attempts)
    run.finish()
    assert ["y" * 100] * 100 == run.outputs


def test_outputs_that_read_into_a_stored_value_load_it() -> None:
    run = run_of(f"""
        steps: [{{id: a, {NOOP}}}]
        outputs: "{{{{ steps.a.output.n }}}}"
        """)
    run.succeed("a", BIG)
    assert 7 == run.outputs


def test_absent_output_is_told_from_null() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}, when: "false"}}
          - {{id: b, {NOOP}, parameters: {{has: "{{{{ has(steps.a.output) }}}}"}}}}
        """
    )
    assert {"has": False} == run.parameters("b")


HEAVY = "inputs.items.all(x, inputs.items.all(y, x + y >= 0))"


def test_decision_that_is_spent_goes_on_in_the_next() -> None:
    steps = ",".join(
        f"""{{id: s{n}, operator: "@json/get", depends_on: [], parameters: {{value: {{a: "{{{{ {HEAVY} }}}}"}}, pointer: /a}}}}"""
        for n in range(6)
    )
    run = run_of(f"steps: [{steps}]\noutputs: '{{{{ {HEAVY} }}}}'", {"items": list(range(110))})
    assert ("succeeded", True) == (run.status, run.outputs)
    assert 3 <= len(run.rows)


def test_map_whose_items_are_costly_goes_on_in_the_next_decisions() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1, 2, 3, 4, 5]
              outputs: "{{{{ {HEAVY} }}}}"
              steps: [{{id: w, operator: "@json/get", parameters: {{value: {{a: "{{{{ {HEAVY} }}}}"}}, pointer: /a}}}}]
        outputs: "{{{{ steps.m.output }}}}"
        """,
        {"items": list(range(110))},
    )
    assert ("succeeded", [True] * 5) == (run.status, run.outputs)
    assert 5 <= len(run.rows)


def test_expression_beyond_its_fuel_is_a_limit() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, when: '{HEAVY}'}}]", {"items": list(range(1_000))})
    assert ("failed", "limit") == (run.status, run.error["kind"])


@pytest.fixture
def _small_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_module, "VALUE_BYTES_MAX", 20_000)


@pytest.mark.usefixtures("_small_values")
def test_values_beyond_the_bound_of_a_decision_fail_the_task() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]").succeed("a", "x" * 30_000)
    assert ("failed", "limit", "a") == (run.status, run.error["kind"], run.error["step"])
    text = """steps: [{id: j, operator: "@text/join", parameters: {items: ["{{ inputs.t }}", "{{ inputs.t }}"], separator: ""}}]"""
    run = run_of(text, {"t": "x" * 9_000})
    assert ("failed", "limit", "j") == (run.status, run.error["kind"], run.error["step"])
    run = run_of(
        f"steps: [{{id: a, {NOOP}}}]\noutputs: ['{{{{ inputs.t }}}}', '{{{{ inputs.t }}}}', '{{{{ inputs.t }}}}']",
        {"t": "x" * 9_000},
    )
    assert ("failed", "limit") == (run.finish().status, run.error["kind"])


@pytest.mark.usefixtures("_small_values")
def test_chunk_whose_values_pass_the_bound_fails_the_map() -> None:
    run = run_of(
        f"""
        steps: [{{id: m, operator: "@control/map", parameters: {{items: [1, 2, 3], steps: [{{id: w, {NOOP}}}]}}}}]
        """
    )
    run.finish("x" * 9_000)
    assert ("failed", "limit", "m") == (run.status, run.error["kind"], run.error["step"])


@pytest.mark.usefixtures("_small_values")
def test_item_output_beyond_the_bound_fails_the_item() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: [1, 2], on_item_error: ignore, outputs: ["{{{{ inputs.t }}}}", "{{{{ inputs.t }}}}", "{{{{ inputs.t }}}}"], steps: [{{id: w, {NOOP}}}]}}
        outputs: "{{{{ steps.m.output }}}}"
        """,
        {"t": "x" * 9_000},
    ).finish()
    assert ("succeeded", []) == (run.status, run.outputs)


def test_joined_value_too_large_for_its_frame_is_stored_apart() -> None:
    branches = ",".join(f"{{id: {'b' * 50}{n}, steps: [{{id: s{n}, {NOOP}}}]}}" for n in range(100))
    run = run_of(
        f"""
        steps:
          - {{id: p, operator: "@control/parallel", parameters: {{branches: [{branches}]}}}}
          - {{id: q, {NOOP}, parameters: {{one: "{{{{ steps.p.output.{"b" * 50}7 }}}}"}}}}
        outputs: "{{{{ steps.p.output }}}}"
        """
    )
    for n in range(100):
        run.succeed(f"s{n}", "v" * 40 + str(n))
    assert isinstance(run.all_tasks()["p"].output, Indirect)
    assert {"one": "v" * 40 + "7"} == run.parameters("q")
    run.finish()
    assert "v" * 40 + "99" == run.outputs["b" * 50 + "99"]


@pytest.mark.usefixtures("_small_values")
def test_joined_value_too_large_for_a_decision_fails_the_container() -> None:
    branches = ",".join(f"{{id: {'b' * 60}{n}, steps: [{{id: s{n}, {NOOP}}}]}}" for n in range(100))
    step = f"{{id: p, operator: '@control/parallel', parameters: {{branches: [{branches}]}}}}"
    outer = ",".join(
        f"{{id: o{n}, steps: [{step.replace('id: p,', f'id: p{n},').replace('id: s', f'id: s{n}_')}]}}"
        for n in range(3)
    )
    run = run_of(f"steps: [{{id: all, operator: '@control/parallel', parameters: {{branches: [{outer}]}}}}]")
    for path in list(run.attempts)[:-1]:
        run.succeed(path, "v" * 40)
    run.succeed(next(iter(run.attempts)), "v" * 15_000)
    assert ("failed", "limit") == (run.status, run.error["kind"])


def test_schema_of_a_container_is_checked() -> None:
    text = f"""
        steps:
          - id: m
            operator: "@control/map"
            output_schema: {{type: array, items: {{type: integer}}}}
            parameters: {{items: [1, 2], steps: [{{id: w, {NOOP}}}]}}
        outputs: "{{{{ steps.m.output }}}}"
        """
    assert [1, 1] == run_of(text).finish(1).outputs
    texts = text.replace("type: integer", "type: string").replace("[1, 2]", "'{{ inputs.items }}'")
    run = run_of(texts, {"items": [0] * 300})
    run.forgets = True
    assert ["y" * 100] * 300 == run.finish("y" * 100).outputs
    run = run_of(text).finish("y" * 100)
    assert ("failed", "invalid", "m") == (run.status, run.error["kind"], run.error["step"])


def test_map_that_would_need_too_many_chunks_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.engine import containers

    monkeypatch.setattr(containers, "MAP_CHUNKS_MAX", 3)
    text = f"""steps: [{{id: m, operator: "@control/map", parameters: {{items: "{{{{ inputs.items }}}}", steps: [{{id: w, {NOOP}}}]}}}}]"""
    run = run_of(text, {"items": [0] * 1_000})
    assert ("failed", "limit", "1000 items of 1 tasks need over 3 chunks") == (
        run.status,
        run.error["kind"],
        run.error["message"],
    )


# Marks that meet


def test_failure_of_a_clean_up_step_leaves_the_first_error() -> None:
    run = run_of(
        f"""
        steps:
          - id: p
            operator: "@control/parallel"
            parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}, {ONCE}}}, {{id: b, {NOOP}, {ONCE}, join: all_done}}]}}]}}
          - id: m
            operator: "@control/map"
            join: all_done
            parameters: {{items: [1], on_item_error: collect, steps: [{{id: c, {NOOP}, {ONCE}}}, {{id: d, {NOOP}, {ONCE}, join: all_done}}]}}
        """
    )
    run.fail("a").fail("b").fail("m.0.c").fail("m.0.d")
    assert ("failed", "a", "succeeded") == (run.status, run.error["step"], run.tasks()["m"])


def test_bound_of_the_instance_does_not_weaken_a_cancel() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}}}]\nsettings: {{timeout_s: 10}}").feed(s.Cancel("x")).pass_time(10)
    assert "cancelling" == run.status
    run.succeed("a")
    assert "cancelled" == run.status


def test_deep_containers_fail_one_after_another() -> None:
    run = run_of(
        f"""
        steps:
          - id: p
            operator: "@control/parallel"
            parameters: {{branches: [{{id: x, steps: [{{id: q, operator: "@control/parallel", parameters: {{branches: [{{id: y, steps: [{{id: a, {NOOP}, {ONCE}}}]}}]}}}}]}}]}}
        """
    ).fail("a", data={"more": [1]})
    assert {"p": "failed", "q": "failed", "a": "failed"} == run.tasks()
    assert {"more": [1]} == run.error["data"]


def test_lists_of_an_item_that_were_not_entered_are_left_alone() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              on_item_error: ignore
              items: [1, 2]
              steps:
                - {{id: w, {NOOP}, {ONCE}, on_error: [{{id: h, {NOOP}, {ONCE}}}, {{id: h2, {NOOP}}}]}}
                - {{id: b, operator: "@control/branch", parameters: {{branches: [{{id: x, when: "false", steps: [{{id: y, {NOOP}}}]}}]}}}}
        """
    )
    run.take_over().fail("m.0.w", "not_found").fail("m.0.h")
    assert {"m.0.w": "failed", "m.0.h2": "skipped/failing", "m.0.b": "skipped/failing", "m.1.w": "running"} == {
        path: run.tasks()[path] for path in ("m.0.w", "m.0.h2", "m.0.b", "m.1.w")
    }
    cause = run.value(run.all_tasks()["m.0.w"].error)["cause"]
    assert ("not_found", "m.0.w") == (cause["kind"], cause["step"])
    assert "succeeded" == run.succeed("m.1.w").status


def test_ready_tasks_below_a_mark_that_was_not_carried_there_do_not_start() -> None:
    text = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: "{{{{ inputs.items }}}}"
              steps: [{{id: i, operator: "@control/map", parameters: {{items: [1], steps: [{{id: w, {NOOP}}}]}}}}]
        """
    run = run_of(text, {"items": list(range(150))}, room=0)
    run.feed(s.Cancel("x"), settle=False)
    run.room = 10
    run.feed(s.Dispatch(), settle=False)
    assert {} == run.attempts
    while run.waiting:
        run.feed(run.waiting.pop(0))
    assert "cancelled" == run.status


@pytest.mark.parametrize(
    ("act", "is_ended", "expected"),
    [
        (s.Cancel("x"), True, TaskStatus.SUCCEEDED),
        (s.Terminate("x"), True, TaskStatus.CANCELLED),  # S41: outcomes do not count any more
        (s.Terminate("x"), False, TaskStatus.CANCELLED),
    ],
    ids=["outcome under cancel", "outcome under terminate", "continue under terminate"],
)
def test_touched_frame_is_swept_before_the_event_counts(act: s.Command, is_ended: bool, expected: TaskStatus) -> None:
    text = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: "{{{{ inputs.items }}}}"
              steps: [{{id: i, operator: "@control/map", parameters: {{items: [1], steps: [{{id: w, {NOOP}}}, {{id: v, {NOOP}}}]}}}}]
        """
    run = run_of(text, {"items": list(range(150))})
    last = run.attempts["m.149.i.0.w"]
    run.feed(act, settle=False)
    run.feed(run.outcome(last, s.Finished(b"1", 1)) if is_ended else s.Continue(last.frame), settle=False)
    assert (expected, TaskStatus.CANCELLED) == (
        run.all_tasks()["m.149.i.0.w"].status,
        run.all_tasks()["m.149.i.0.v"].status,
    )


ITEMS = f"""
    steps:
      - id: m
        operator: "@control/map"
        parameters:
          items: [1, 2, 3, 4]
          max_concurrency: 1
          steps: [{{id: b, operator: "@control/branch", parameters: {{branches: [{{id: x, when: "true", steps: [{{id: y, {NOOP}}}]}}], else: [{{id: z, {NOOP}}}]}}}}]
    """


def test_chunk_that_is_not_begun_whole_stays_open() -> None:
    run = run_of(ITEMS).succeed("m.0.y").succeed("m.1.y")
    assert 3 == run.state.frames["m/#0"].begun
    run.feed(s.Continue("m/#0"))
    assert "running" == run.tasks()["m.2.b"]


def test_timer_of_a_task_that_was_never_entered_means_nothing() -> None:
    run = run_of(ITEMS)
    rows = len(run.rows)
    unentered = run.state.frames["m/#0"].tasks.index(None)
    run.feed(s.TimerFired(5, "m/#0", unentered))
    assert rows == len(run.rows)


def test_jobs_of_frames_that_closed_in_between_do_nothing() -> None:
    from core.engine.containers import map_may_go_on
    from core.engine.draft import Draft
    from core.engine.ending import container_may_end, frame_may_end

    run = run_of(ITEMS)
    draft = Draft(run.plan, run.state, now=run.now, seed=bytes(16), room=0)
    for job in (map_may_go_on, container_may_end):
        job(draft, "gone", 0)
    frame_may_end(draft, "gone")
    assert [] == draft.events


def test_second_failure_of_an_item_leaves_its_first_error() -> None:
    run = (
        run_of(
            f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              on_item_error: collect
              items: [1]
              steps: [{{id: c, {NOOP}, {ONCE}}}, {{id: d, {NOOP}, {ONCE}, join: all_done, depends_on: [c]}}, {{id: z, {NOOP}, depends_on: [], {ONCE}, join: all_done}}]
          - {{id: q, {NOOP}, parameters: {{e: "{{{{ steps.m.errors }}}}"}}}}
        """
        )
        .fail("m.0.c")
        .fail("m.0.z")
        .fail("m.0.d")
    )
    assert "m.0.c" == run.parameters("q")["e"][0]["error"]["step"]


def test_reason_of_a_return_that_must_be_loaded_is_asked_for() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}}}
          - {{id: n, {NOOP}}}
          - {{id: r, operator: "@control/return", parameters: {{result: failed, reason: "{{{{ steps.a.output + '!' }}}}"}}}}
        """
    ).succeed("a", "because " * 1_000)
    run.forgets = True
    assert run.succeed("n").error["message"].startswith("because because")


def test_small_values_that_expressions_read_lie_in_the_journal_and_need_no_row_of_their_own() -> None:
    text = "x" * 100
    run = run_of(
        f"""
        steps:
          - {{id: d, operator: "@data/define", parameters: {{name: v, value: "{{{{ inputs.t + '1' }}}}"}}}}
          - {{id: p, operator: "@text/join", parameters: {{items: ["{{{{ vars.v }}}}", "2"], separator: ""}}}}
          - {{id: a, {NOOP}, parameters: {{t: "{{{{ steps.p.output + '3' }}}}"}}}}
          - {{id: r, operator: "@control/return", parameters: {{result: success, outputs: "{{{{ steps.p.output + '4' }}}}"}}}}
        """,
        {"t": text},
    )
    assert {"t": f"{text}123"} == run.parameters("a")
    run.succeed("a")
    assert f"{text}124" == run.outputs
    assert {b""} == set(run.payloads.values())


@pytest.mark.parametrize(("count", "expected"), [(1_000, "succeeded"), (1_001, "running")])
def test_list_of_up_to_a_thousand_items_is_transformed_within_the_decision(count: int, expected: str) -> None:
    text = """steps: [{id: t, operator: "@data/transform", parameters: {items: "{{ inputs.items }}", filter: "item > 3"}}]"""

    assert expected == run_of(text, {"items": list(range(count))}).status


def test_fuel_of_operators_that_are_computed_in_a_decision_counts_for_it() -> None:
    steps = ",".join(
        f"""{{id: t{n}, operator: "@data/transform", depends_on: [], parameters: {{items: "{{{{ inputs.items }}}}", filter: "item.all(x, item.all(y, x + y >= 0))"}}}}"""
        for n in range(6)
    )
    run = run_of(f"steps: [{steps}]", {"items": [list(range(110))]})

    assert "succeeded" == run.status
    assert 3 <= len(run.rows)


def test_five_faults_of_parameters_and_of_an_output_are_told() -> None:
    pick = """{id: a, operator: "@data/transform", parameters: {items: [], pick: "{{ inputs.names }}"}}"""
    parameters = run_of(f"steps: [{pick}]", {"names": list(range(7))})
    schema = "output_schema: {type: object, required: [a, b, c, d, e, f, g]}"
    get = f"""{{id: a, operator: "@json/get", parameters: {{value: {{x: {{}}}}, pointer: /x}}, {schema}}}"""
    output = run_of(f"steps: [{get}]")

    for run, word in ((parameters, "parameters: "), (output, "output: ")):
        assert ("failed", "invalid") == (run.status, run.error["kind"])
        assert run.error["message"].startswith(word)
        assert 5 == len(run.error["message"].split("; "))
