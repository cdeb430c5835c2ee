"""Signals: kept until a wait takes them, the oldest first, each by one wait (semantics.md S26)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.engine import events as e
from core.engine import stimuli as s
from core.engine.signals import SIGNALS_PER_NAME_MAX, SIGNALS_UNREAD_MAX
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

NOOP = 'operator: "@debug/noop"'
DATA = {"order": 4711, "text": "longer than what stands in place"}


def wait(event: str, extra: str = "", before: str = "") -> str:
    return f"""
        steps:
          {before}
          - {{id: w, operator: "@control/wait", parameters: {{event: {{{event}}}}}{extra}}}
        outputs: "{{{{ steps.w.output }}}}"
        """


HELD = wait("name: paid", before=f"- {{id: a, {NOOP}}}")


def send(run: InstanceRun, name: str = "paid", data: Any = DATA, **more: Any) -> str:
    count = run.state.header.signals_count
    given = {"id": f"id-{count}", "key": f"k-{count}", "req_hash": "h", **more}
    run.feed(s.Signal(name=name, data=msgspec.json.encode(data), **given))
    assert run.answer is not None
    return run.answer.result


def bound_of(run: InstanceRun) -> tuple[str, Any, str, str | None]:
    """Give the bound that the last signal was refused by."""
    assert run.answer is not None
    bound = run.answer.bound
    assert bound is not None
    return bound.name, bound.value, bound.holder_kind, bound.holder


def unread(run: InstanceRun) -> list[str]:
    return [signal.id for signal in run.state.header.signals]


def test_s26_waiting_step_takes_the_signal_that_comes() -> None:
    run = run_of(wait("name: paid"))
    assert ("waiting", {"w": "waiting"}, {}) == (run.status, run.tasks(), run.timers)
    assert "accepted" == send(run.pass_time(2))
    taken = {"reason": "signal", "at": "2026-01-01T00:00:02.000Z", "data": DATA}
    assert ("succeeded", taken) == (run.status, run.outputs)


def test_s26_signal_of_another_name_is_kept_and_wakes_nobody() -> None:
    run = run_of(wait("name: paid"))
    assert "accepted" == send(run, "shipped")
    assert ("waiting", ["id-0"]) == (run.status, unread(run))


def test_s26_early_signals_are_kept_and_the_oldest_is_taken() -> None:
    run = run_of(HELD)
    for n in range(2):
        assert "accepted" == send(run, data=n)
    assert ("running", ["id-0", "id-1"]) == (run.status, unread(run))
    run.succeed("a", {})
    assert ("succeeded", 0) == (run.status, run.outputs["data"])
    assert [("w", 1)] == [(event.by, event.number) for event in run.events if isinstance(event, e.SignalTaken)]
    assert "WaitBegun" not in {type(event).__name__ for event in run.events}


def test_s26_each_signal_wakes_one_wait_the_one_that_waits_longest() -> None:
    run = run_of(
        """
        steps:
          - {id: t, operator: "@control/wait", depends_on: [], parameters: {seconds: 1}}
          - {id: late, operator: "@control/wait", depends_on: [t], parameters: {event: {name: paid}}}
          - {id: soon, operator: "@control/wait", depends_on: [], parameters: {event: {name: paid}}}
        """
    ).pass_time(1)
    send(run)
    assert ("waiting", "succeeded") == (run.tasks()["late"], run.tasks()["soon"])
    send(run)
    assert "succeeded" == run.status


def test_s26_filter_reads_the_signal_and_what_its_step_sees() -> None:
    text = wait(
        'name: paid, filter: \'event.data.order == inputs.order && event.type == "paid" && event.source == "signal"\''
    )
    run = run_of(text, {"order": 7})
    for data in ({"order": 8}, {"other": 7}, 5, {"order": 7, "n": 1}):
        send(run, data=data)
    assert ("succeeded", {"order": 7, "n": 1}) == (run.status, run.outputs["data"])
    assert "WaitBegun" in {type(event).__name__ for event in run.events}


def test_s26_filter_takes_the_oldest_unread_signal_that_fits() -> None:
    run = run_of(wait("name: paid, filter: event.data.n > 1", before=f"- {{id: a, {NOOP}}}"))
    run.forgets = True
    for n in (1, 2, 3):
        send(run, data={"n": n, "text": "x" * 10_000})
    run.succeed("a", {})
    assert ("succeeded", 2) == (run.status, run.outputs["data"]["n"])


def test_s26_filter_of_a_waiting_step_reads_what_lies_far_away() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {NOOP}}}
          - {{id: b, {NOOP}}}
          - id: w
            operator: "@control/wait"
            parameters: {{event: {{name: paid, filter: "event.data == steps.a.output.n"}}}}
        """
    )
    run.succeed("a", {"n": 7, "text": "x" * 10_000}).succeed("b", {})
    run.forgets = True
    send(run, data=6)
    assert "waiting" == run.status
    send(run, data=7)
    assert "succeeded" == run.status


def test_s26_unread_signals_that_no_filter_fits_leave_the_step_waiting() -> None:
    run = run_of(wait("name: paid, filter: event.data.n > 1", before=f"- {{id: a, {NOOP}}}"))
    send(run, data={"n": 1})
    run.succeed("a", {})
    assert ("waiting", ["id-0"]) == (run.status, unread(run))


def test_s26_name_may_be_rendered() -> None:
    run = run_of(wait('name: "paid.{{ inputs.n }}"'), {"n": 5})
    send(run, "paid.5")
    assert "succeeded" == run.status


def test_s26_name_may_lie_far_from_its_task() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1]
              steps:
                - {{id: a, {NOOP}}}
                - {{id: b, {NOOP}}}
                - {{id: w, operator: "@control/wait", parameters: {{event: {{name: "{{{{ steps.a.output }}}}"}}}}}}
        """
    )
    run.forgets = True
    run.succeed("m.0.a", "a-name-of-more-than-sixteen-characters").succeed("m.0.b", {})
    assert ("waiting", True) == (run.status, run.rounds > 0)
    send(run, "a-name-of-more-than-sixteen-characters")
    assert "succeeded" == run.status


@pytest.mark.parametrize("name", ["'{{ 5 }}'", "'two words'", "'{{ inputs.long }}'", "'.paid'"])
def test_s26_what_is_no_name_is_invalid(name: str) -> None:
    run = run_of(wait(f"name: {name}"), {"long": "x" * 129})
    assert ("failed", "invalid") == (run.status, run.error["kind"])


def test_s25_nothing_within_timeout_s_is_a_timeout() -> None:
    run = run_of(wait("name: paid, timeout_s: 5")).pass_time(4)
    assert "waiting" == run.status
    run.pass_time(1)
    assert ("failed", "timeout", "timeout_s of 5 s is over") == (run.status, run.error["kind"], run.error["message"])


def test_s25_signal_in_time_takes_the_timer_away() -> None:
    run = run_of(wait("name: paid, timeout_s: 5", ", timeout: {total_s: 60}"))
    assert {"expiry", "total"} == {held.timer.kind for held in run.timers.values()}
    send(run)
    assert ("succeeded", {}) == (run.status, run.timers)


def test_s25_time_longer_than_time_itself_is_bounded() -> None:
    run = run_of(wait("name: paid, timeout_s: 1.0e+300"))
    assert [9999] == [held.timer.due_at.year for held in run.timers.values()]


def test_s26_at_most_so_many_are_unread_per_name() -> None:
    run = run_of(HELD)
    assert {"accepted"} == {send(run) for _ in range(SIGNALS_PER_NAME_MAX)}
    before = run.state.header
    assert "full" == send(run)
    value = {"name": "paid", "taken": SIGNALS_PER_NAME_MAX, "most": SIGNALS_PER_NAME_MAX}
    assert ("unread_signals_of_name", value, "instance", run.state.header.id) == bound_of(run)
    assert "accepted" == send(run, "shipped")
    assert before.signals == run.state.header.signals[:-1]
    run.succeed("a", {})
    assert "succeeded" == run.status


def test_s26_at_most_so_many_are_unread_in_all() -> None:
    run = run_of(HELD)
    for n in range(SIGNALS_UNREAD_MAX):
        send(run, f"n{n}")
    assert "full" == send(run, "one-more")
    value = {"taken": SIGNALS_UNREAD_MAX, "most": SIGNALS_UNREAD_MAX}
    assert ("unread_signals", value, "instance", run.state.header.id) == bound_of(run)


def test_s26_signal_whose_sender_was_answered_is_never_refused() -> None:
    run = run_of(HELD)
    for _ in range(SIGNALS_PER_NAME_MAX):
        send(run)
    assert "accepted" == send(run, is_stored=True)


def test_s26_signal_that_is_taken_at_once_passes_the_bound() -> None:
    run = run_of(wait("name: paid, filter: event.data == 0"))
    for _ in range(SIGNALS_PER_NAME_MAX):
        send(run, data=1)
    assert ("full", "accepted", "succeeded") == (send(run, data=1), send(run, data=0), run.status)


COSTLY = "size(inputs.items.filter(x, x > 0)) > event.data"


def test_s26_filter_that_costs_too_much_refuses_the_signal() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: "{{{{ inputs.items }}}}"
              steps: [{{id: w, operator: "@control/wait", parameters: {{event: {{name: paid, filter: "{COSTLY}"}}}}}}]
        """,
        {"items": list(range(400))},
    )
    assert "waiting" == run.status
    assert "full" == send(run, data=1_000)
    value = {"name": "paid", "waits": 400, "taken": 100_000, "most": 100_000}
    assert ("filter_fuel", value, "instance", run.state.header.id) == bound_of(run)
    assert ([], "accepted") == (unread(run), send(run, data=1))


def test_s26_filter_that_costs_too_much_for_all_unread_signals_is_a_limit() -> None:
    run = run_of(wait(f"name: paid, filter: '{COSTLY}'", before=f"- {{id: a, {NOOP}}}"), {"items": list(range(1_000))})
    for _ in range(60):
        send(run, data=5_000)
    run.succeed("a", {})
    assert ("failed", "limit") == (run.status, run.error["kind"])


def test_s26_waits_in_a_map_take_what_is_for_their_item() -> None:
    run = run_of(
        """
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [3, 1, 2]
              steps:
                - {id: w, operator: "@control/wait", parameters: {event: {name: paid, filter: "event.data == item"}}}
        outputs: "{{ steps.m.output }}"
        """
    )
    for n in (2, 3, 4, 1):
        send(run, data=n)
    assert ("succeeded", [3, 1, 2], ["id-2"]) == (run.status, [one["data"] for one in run.outputs], ["id-2"])


def test_s41_cancel_ends_a_wait_for_a_signal_and_later_ones_wake_nobody() -> None:
    run = run_of(
        f"""
        steps:
          - id: y
            operator: "@control/try"
            parameters:
              steps: [{{id: w, operator: "@control/wait", parameters: {{event: {{name: paid}}}}}}]
              finally: [{{id: f, {NOOP}}}]
        """
    ).feed(s.Cancel("enough"))
    assert "accepted" == send(run)
    assert ("cancelling", "cancelled/cancel", ["id-0"]) == (run.status, run.tasks()["w"], unread(run))
    run.finish({})
    assert ("cancelled", []) == (run.status, unread(run))


def test_s26_taken_over_instance_keeps_what_is_unread() -> None:
    run = run_of(HELD)
    send(run)
    run.take_over().finish({})
    assert ("succeeded", DATA) == (run.status, run.outputs["data"])
