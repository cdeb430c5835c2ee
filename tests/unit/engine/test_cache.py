"""`cache` of steps: an output with the same key is used again (semantics.md S16, S7, S14)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from core.engine import effects as x
from core.engine import rerun_events as r
from core.engine.lending import Reused
from core.engine.state import Attempt
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import plan_of

ANY = 'operator: "@test/anything"'
LONG = "x" * 5_000
BY_PARAMETERS = f"""
    steps:
      - {{id: a, {ANY}, parameters: {{n: "{{{{ inputs.n }}}}"}}, cache: {{ttl_s: 60}}}}
      - {{id: b, {ANY}, parameters: {{got: "{{{{ steps.a.output }}}}"}}}}
    """


def started(text: str, inputs: Any = None, *, before: InstanceRun | None = None, room: int = 512) -> InstanceRun:
    """Start an instance that finds what the one before it left."""
    run = InstanceRun(plan_of(text), room=room, lender=before, kept={} if before is None else dict(before.kept))
    return run.start(inputs)


def test_s16_output_with_the_same_parameters_is_used_again_without_a_call() -> None:
    first = started(BY_PARAMETERS, {"n": 1}).succeed("a", {"x": LONG}).succeed("b")
    second = started(BY_PARAMETERS, {"n": 1}, before=first)
    assert (["b"], {"got": {"x": LONG}}) == (second.calls, second.parameters("b"))
    task = second.all_tasks()["a"]
    assert (0, Reused("01J")) == (task.attempts, task.detail)
    assert ["a"] == started(BY_PARAMETERS, {"n": 2}, before=first).calls


def test_s16_output_is_kept_for_ttl_s() -> None:
    run = InstanceRun(plan_of(BY_PARAMETERS)).start({"n": 1})
    kept: list[x.KeepOutput] = []
    follow = run._follow

    def noted(decision: x.Decision) -> None:
        kept.extend(effect for effect in decision.effects if isinstance(effect, x.KeepOutput))
        follow(decision)

    run._follow = noted  # type: ignore[method-assign] # effects are looked at on their way
    run.succeed("a", 7)
    assert [("a", "@test/anything 1", b"7", NOW + timedelta(seconds=60))] == [
        (one.step, one.version, one.output, one.expires_at) for one in kept
    ]


def test_s16_only_succeeded_outputs_are_kept() -> None:
    run = started(BY_PARAMETERS, {"n": 1}).fail("a")
    assert {} == run.kept


def test_s16_key_of_the_step_goes_before_its_parameters() -> None:
    text = f"""
        steps: [{{id: a, {ANY}, parameters: {{n: "{{{{ 1 / inputs.n }}}}"}}, cache: {{key: "{{{{ inputs.key }}}}", ttl_s: 60}}}}]
        """
    first = started(text, {"n": 1, "key": "k"}).succeed("a", 7)
    second = started(text, {"n": 0, "key": "k"}, before=first)
    assert ("succeeded", []) == (second.status, second.calls)
    assert "failed" == started(text, {"n": 0, "key": "other"}, before=first).status


def test_s16_key_may_read_a_value_that_lies_among_the_payloads() -> None:
    text = f"""
        steps:
          - {{id: a, {ANY}}}
          - {{id: b, {ANY}, cache: {{key: "{{{{ steps.a.output }}}}", ttl_s: 60}}}}
        """
    first = started(text)
    first.forgets = True
    first.succeed("a", LONG).succeed("b", 1)
    second = started(text, before=first)
    second.forgets = True
    assert ("succeeded", ["a"]) == (second.succeed("a", LONG).status, second.calls)


def test_s7_s16_when_is_looked_at_before_the_cache() -> None:
    text = f"steps: [{{id: a, {ANY}, when: inputs.on, parameters: {{n: 1}}, cache: {{ttl_s: 60}}}}]"
    first = started(text, {"on": True}).succeed("a", 7)
    assert {"a": "skipped/when"} == started(text, {"on": False}, before=first).tasks()


def test_s14_s16_a_hit_has_no_attempts_and_retries_keep_the_key() -> None:
    text = (
        f"steps: [{{id: a, {ANY}, parameters: {{n: 1}}, cache: {{ttl_s: 60}}, retry: {{max_attempts: 3, delay_s: 0}}}}]"
    )
    first = started(text).fail("a").take_over().succeed("a", 7)
    assert ("succeeded", 1) == (first.status, len(first.kept))
    second = started(text, before=first)
    assert ("succeeded", 0) == (second.status, second.all_tasks()["a"].attempts)


def test_s16_ready_task_keeps_its_key_until_there_is_room() -> None:
    run = started(BY_PARAMETERS, {"n": 1}, room=0)
    detail = run.all_tasks()["a"].detail
    assert isinstance(detail, Attempt)
    assert 16 == len(detail.cache_key or b"")
    assert ["CacheMissed"] == [type(one).__name__ for one in run.events if isinstance(one, r.CacheMissed)]


def test_s16_output_under_another_schema_of_the_step_is_another() -> None:
    text = "steps: [{{id: a, {any}, cache: {{ttl_s: 60}}, output_schema: {{type: {type}}}}}]"
    first = started(text.format(any=ANY, type="integer")).succeed("a", 7)
    assert [] == started(text.format(any=ANY, type="integer"), before=first).calls
    assert ["a"] == started(text.format(any=ANY, type="string"), before=first).calls


def test_s16_output_that_is_gone_is_computed_again() -> None:
    first = started(BY_PARAMETERS, {"n": 1}).succeed("a", LONG)
    second = InstanceRun(plan_of(BY_PARAMETERS), kept=dict(first.kept)).start({"n": 1})
    assert ["a"] == second.calls
    assert "running" == second.succeed("a", 1).status


def test_s16_outputs_of_the_engines_own_operators_are_kept_too() -> None:
    text = """
        steps: [{id: a, operator: "@json/parse", parameters: {text: "{{ inputs.text }}"}, cache: {ttl_s: 60}}]
        outputs: "{{ steps.a.output }}"
        """
    first = started(text, {"text": "[1]"})
    assert ([1], 1) == (first.outputs, len(first.kept))
    second = started(text, {"text": "[1]"}, before=first)
    assert ([1], 1) == (second.outputs, sum(isinstance(one, r.TaskReused) for one in second.events))


def test_s16_items_of_a_map_share_what_an_earlier_run_kept() -> None:
    text = f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{items: [1, 2, 1], steps: [{{id: w, {ANY}, parameters: {{n: "{{{{ item }}}}"}}, cache: {{ttl_s: 60}}}}]}}
        outputs: "{{{{ steps.m.output }}}}"
        """
    first = started(text)
    for path in list(first.attempts):
        first.succeed(path, path)
    second = started(text, before=first)
    assert ("succeeded", [], ["m.2.w", "m.1.w", "m.2.w"]) == (second.status, second.calls, second.outputs)
