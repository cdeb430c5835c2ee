"""What a dry run says of calls: nothing is started, and what a child comes to is given or not known (semantics.md S29)."""

from __future__ import annotations

from tests.unit.engine_dry_run.dry_runs import dry_run

CALL = """
steps:
  - {id: c, operator: "@control/call", parameters: {dag: Child, inputs: {n: 1}}, on_error: continue}
  - {id: b, operator: "@debug/noop", parameters: {got: "{{ has(steps.c.output) ? steps.c.output : steps.c.error.cause.kind }}"}}
"""


def test_call_has_no_known_end_and_what_follows_waits_for_it() -> None:
    told = dry_run(CALL)
    steps = told["steps"]
    assert ("unknown", True) == (told["outcome"], told["is_complete"])
    assert ("runs", "unknown") == (steps["c"]["status"], steps["c"]["outcome"])
    assert ("may run", "steps.c.status") == (steps["b"]["status"], steps["b"]["waits_for"][0])


def test_output_that_is_given_is_what_the_child_comes_to() -> None:
    steps = dry_run(CALL, outputs={"c": {"total": 3}})["steps"]
    assert ("runs", "succeeded", {"got": {"total": 3}}) == (
        steps["c"]["status"], steps["c"]["outcome"], steps["b"]["parameters"],
    )  # fmt: skip


def test_error_that_is_given_is_that_of_the_child() -> None:
    steps = dry_run(CALL, errors={"c": "conflict"})["steps"]
    assert ("failed", {"got": "conflict"}) == (steps["c"]["outcome"], steps["b"]["parameters"])
    assert "given to the dry run" in steps["c"]["error"]["cause"]["message"]


def test_call_that_does_not_wait_goes_on() -> None:
    steps = dry_run(CALL.replace("dag: Child", "dag: Child, version: v1.0.0, wait: false"))["steps"]
    assert ("succeeded", {"got": {"instance_id": ""}}) == (steps["c"]["outcome"], steps["b"]["parameters"])


def test_call_that_may_begin_says_what_its_parameters_wait_for() -> None:
    steps = dry_run(
        """
        steps:
          - {id: a, operator: "@test/anything"}
          - {id: c, operator: "@control/call", parameters: {dag: "{{ steps.a.output.name }}"}}
        """
    )["steps"]
    assert ["steps.a.status", "steps.a.output"] == steps["c"]["waits_for"]


def test_inputs_of_a_call_in_a_cached_chain_are_known() -> None:
    steps = dry_run(
        """
        steps:
          - {id: a, operator: "@text/split", parameters: {text: "a,b", separator: ","}, cache: {ttl_s: 5}}
          - {id: c, operator: "@control/call", parameters: {dag: "{{ steps.a.output[0] }}"}}
        """
    )["steps"]
    assert ("evaluated", "runs") == (steps["a"]["status"], steps["c"]["status"])
