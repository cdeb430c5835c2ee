"""What a dry run says of waits for what comes from outside: nobody knows whether it comes."""

from __future__ import annotations

from tests.unit.engine_dry_run.dry_runs import dry_run

SIGNAL = """
settings: {timeout_s: 60}
steps:
  - id: w
    operator: "@control/wait"
    timeout: {total_s: 50}
    parameters: {event: {name: "paid.{{ inputs.n }}", timeout_s: 40}}
  - {id: b, operator: "@debug/noop", parameters: {got: "{{ steps.w.output.data }}"}}
"""


def test_wait_for_a_signal_has_no_known_end_and_what_follows_waits_for_it() -> None:
    told = dry_run(SIGNAL, {"n": 1})
    steps = told["steps"]
    assert ("unknown", True) == (told["outcome"], told["is_complete"])
    assert ("runs", "unknown", {"total_s": 50.0, "worst_s": 40.0}) == (
        steps["w"]["status"], steps["w"]["outcome"], steps["w"]["limits"],
    )  # fmt: skip
    assert ("may run", ["steps.w.status", "steps.w.output"]) == (steps["b"]["status"], steps["b"]["waits_for"])


def test_wait_for_a_signal_beside_a_wait_for_a_time_leaves_that_as_it_is() -> None:
    steps = dry_run(
        """
        steps:
          - {id: w, operator: "@control/wait", depends_on: [], parameters: {event: {name: paid}}}
          - {id: t, operator: "@control/wait", depends_on: [], parameters: {seconds: 9}, timeout: {total_s: 3}, on_error: continue}
        """
    )["steps"]
    assert ("unknown", "failed") == (steps["w"]["outcome"], steps["t"]["outcome"])


def test_wait_for_a_callback_has_no_known_end_and_its_url_is_shown() -> None:
    steps = dry_run(
        """
        steps:
          - {id: a, operator: "@test/skipped", parameters: {url: "{{ callbacks.w }}"}}
          - {id: w, operator: "@control/wait", depends_on: [], parameters: {callback: {timeout_s: 5}}}
        """
    )["steps"]
    assert ("unknown", 5.0) == (steps["w"]["outcome"], steps["w"]["limits"]["worst_s"])
    assert steps["a"]["parameters"]["url"].startswith("https://flow.test/callbacks/~w~")


def test_approval_has_no_known_end_and_says_what_it_waits_for() -> None:
    steps = dry_run(
        """
        steps:
          - {id: ok, operator: "@control/approval", depends_on: [], parameters: {title: x, timeout_s: 5}}
          - {id: a, operator: "@test/anything", depends_on: []}
          - {id: later, operator: "@control/approval", parameters: {title: "{{ steps.a.output }}"}}
        """
    )["steps"]
    assert ("runs", "unknown", 5.0) == (
        steps["ok"]["status"], steps["ok"]["outcome"], steps["ok"]["limits"]["worst_s"],
    )  # fmt: skip
    assert ["steps.a.status", "steps.a.output"] == steps["later"]["waits_for"]


def test_wait_that_may_begin_says_what_its_name_waits_for() -> None:
    steps = dry_run(
        """
        steps:
          - {id: a, operator: "@test/anything"}
          - {id: w, operator: "@control/wait", parameters: {event: {name: "{{ steps.a.output.name }}"}}}
        """
    )["steps"]
    assert ["steps.a.status", "steps.a.output"] == steps["w"]["waits_for"]
