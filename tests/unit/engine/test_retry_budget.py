"""Retries of a business domain are bounded: what the budget gives, and what becomes of a retry without (R25, S14)."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine import stimuli as s
from core.executor import retry_budget
from core.executor.retry_budget import BURST_S, CALLS_WINDOW_S, RetriesTaken, RetryBudget
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import plan_of
from tests.unit.engine.test_why import of

NOOP = 'operator: "@debug/noop"'
BURST = int(BURST_S)  # of one retry per second


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def one(budget: RetryBudget, now: datetime, *, is_in_turn: bool = False, domain_id: str = "d") -> datetime | None:
    """Let one retry come; gives its place in line, None = it began."""
    at = budget.next_at(domain_id, now, RetriesTaken(), is_in_turn=is_in_turn)
    budget.take(domain_id, now, RetriesTaken(1, 0) if at is None else RetriesTaken(0, 1))
    return at


def run_of(text: str, *, tokens: int = BURST) -> InstanceRun:
    """Start an instance whose domain has so many retries left, and gets one more per second."""
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.take("d", NOW, RetriesTaken(BURST - tokens, 0))
    return InstanceRun(plan_of(text), retries=budget).start()


# The budget


def test_retries_take_their_reserve_and_then_one_per_token() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)

    assert [None] * BURST == [one(budget, NOW) for _ in range(BURST)]
    assert [after(1), after(2), after(3)] == [one(budget, NOW) for _ in range(3)]
    assert 3 == budget.put_off_count


def test_first_calls_give_a_share_and_move_the_line_faster() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0.2)
    budget.take("d", NOW, RetriesTaken(BURST, 0))
    budget.called("d", NOW, 20)

    assert [None] * 4 == [one(budget, NOW) for _ in range(4)]
    calls_per_s = 20 / CALLS_WINDOW_S
    assert after(1 / (1 + 0.2 * calls_per_s)) == one(budget, NOW)


def test_speed_of_first_calls_is_that_of_the_last_seconds() -> None:
    budget = RetryBudget(reserve_per_s=1, share=1)
    for second in range(60):
        budget.called("d", after(second), 9)
        budget.take("d", after(second + 1), RetriesTaken())
    budget.take("d", after(60), RetriesTaken(BURST, 0))
    place = one(budget, after(60))
    later = one(budget, after(600), is_in_turn=True)

    assert place is not None
    assert pytest.approx(60.1, abs=0.001) == (place - NOW).total_seconds()  # ten tokens a second
    assert later is None
    budget.take("d", after(600), RetriesTaken(BURST, 0))
    assert after(601) == one(budget, after(600))


def test_speed_of_first_calls_falls_to_its_e_th_part_within_the_window() -> None:
    budget = RetryBudget(reserve_per_s=1, share=1)
    for second in range(0, 120, 2):
        budget.called("d", after(second), 18)
        budget.take("d", after(second + 2), RetriesTaken())
    end = 120 + CALLS_WINDOW_S
    budget.take("d", after(end), RetriesTaken(BURST, 0))
    place = one(budget, after(end))

    assert place is not None
    assert pytest.approx(1 / (1 + 9 / math.e), abs=0.001) == (place - after(end)).total_seconds()


def test_who_comes_new_does_not_overtake_the_line() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.take("d", NOW, RetriesTaken(BURST, 3))  # places at 1, 2 and 3 s

    assert None is one(budget, after(1), is_in_turn=True)
    assert after(4) == one(budget, after(2.5))
    assert None is one(budget, after(2.5), is_in_turn=True)


def test_who_is_in_turn_begins_upon_credit_until_that_is_spent() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.take("d", NOW, RetriesTaken(BURST, 0))

    assert [None] * BURST == [one(budget, NOW, is_in_turn=True) for _ in range(BURST)]
    assert after(1) == one(budget, NOW, is_in_turn=True)


def test_retries_of_one_decision_count_one_another() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)

    def next_at(began: int, put_off: int) -> datetime | None:
        return budget.next_at("d", NOW, RetriesTaken(began, put_off), is_in_turn=False)

    assert None is next_at(BURST - 1, 0)
    assert [after(1), after(3)] == [next_at(BURST, 0), next_at(BURST, 2)]
    assert after(2) == next_at(0, 1)  # one before it was put off: this one stands behind it
    assert None is next_at(0, 0)  # asking takes nothing


def test_domains_have_budgets_of_their_own() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.take("d", NOW, RetriesTaken(BURST, 0))

    assert (after(1), None) == (one(budget, NOW), one(budget, NOW, domain_id="e"))


def test_time_that_goes_back_gives_and_takes_nothing() -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.take("d", after(10), RetriesTaken(BURST, 0))
    budget.take("d", NOW, RetriesTaken())

    assert after(11) == one(budget, after(10))


def test_domain_that_called_first_is_forgotten_first_unless_it_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_budget, "DOMAINS_MAX", 2)
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.called("a", NOW, 1)
    budget.called("b", NOW, 1)
    budget.take("a", NOW, RetriesTaken(BURST, 0))
    budget.take("b", NOW, RetriesTaken(BURST, 0))
    budget.take("a", NOW, RetriesTaken())
    budget.called("c", NOW, 1)

    assert (after(1), None) == (one(budget, NOW, domain_id="a"), one(budget, NOW, domain_id="b"))


STEPS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 200), st.integers(0, 60)), max_size=40)


@given(STEPS, st.sampled_from([0.1, 1.0, 10.0]), st.sampled_from([0.0, 0.2, 1.0]))
def test_retries_that_begin_are_bounded_over_every_time(
    steps: list[tuple[float, int, int]], reserve_per_s: float, share: float
) -> None:
    budget = RetryBudget(reserve_per_s=reserve_per_s, share=share)
    slack = 2 * max(1.0, BURST_S * reserve_per_s)
    line: list[datetime] = []
    now, told = NOW, []
    for passed_s, calls, retries in steps:
        now += timedelta(seconds=passed_s)
        in_turn = [at for at in line if at <= now]
        line = [at for at in line if at > now]
        budget.called("d", now, calls)
        places = [one(budget, now, is_in_turn=n < len(in_turn)) for n in range(len(in_turn) + retries)]
        line += [at for at in places if at is not None]
        assert all(at > now for at in line)
        told.append((passed_s, calls, places.count(None)))

    for first in range(len(told)):
        window = told[first:]
        passed = accumulate(passed_s for passed_s, _, _ in window)
        calls_so_far = accumulate(calls for _, calls, _ in window)
        began_so_far = accumulate(began for _, _, began in window)
        for seconds, calls, began in zip(passed, calls_so_far, began_so_far, strict=True):
            assert began <= reserve_per_s * seconds + share * calls + slack + 1e-6


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_retry_whose_turn_comes_begins_while_tokens_come_as_fast_as_the_line_was_told(arrivals: list[int]) -> None:
    budget = RetryBudget(reserve_per_s=1, share=0)
    budget.take("d", NOW, RetriesTaken(BURST, 0))
    line: list[datetime] = []
    for second in range(len(arrivals) * 6):  # more than five come in no second
        now = after(second)
        in_turn, line = [at for at in line if at <= now], [at for at in line if at > now]
        assert [None] * len(in_turn) == [one(budget, now, is_in_turn=True) for _ in in_turn]
        fresh = arrivals[second] if second < len(arrivals) else 0
        line += [at for at in (one(budget, now) for _ in range(fresh)) if at is not None]

    assert [] == line


# What becomes of a task


def test_s14_r25_retry_without_budget_is_put_off_and_then_begins() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 10, jitter: none}}}}]", tokens=0).fail("a")
    run.retries.take("d", after(10), RetriesTaken(BURST, 0))  # type: ignore[union-attr] # others of the domain took it
    run.pass_time(10)
    [held] = run.timers.values()
    assert ("retrying", "put_off", after(11)) == (run.tasks()["a"], held.timer.kind, held.timer.due_at)
    run.pass_time(1)
    assert (2, {}) == (run.attempts["a"].number, run.timers)
    run.finish()
    assert ("succeeded", 2) == (run.status, run.all_tasks()["a"].attempts)


def test_s14_r25_retry_within_the_budget_begins_when_its_delay_is_over() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0, max_attempts: 9}}}}]", tokens=2)
    run.fail("a").fail("a")
    assert (3, {}) == (run.attempts["a"].number, run.timers)
    run.fail("a")
    [held] = run.timers.values()
    assert ("put_off", after(1)) == (held.timer.kind, held.timer.due_at)


def test_s15_retry_whose_turn_comes_after_the_total_bound_fails_with_its_last_error() -> None:
    text = f"steps: [{{id: a, {NOOP}, timeout: {{total_s: 2}}, retry: {{delay_s: 0}}}}]"
    run = run_of(text, tokens=0)
    run.retries.take("d", NOW, RetriesTaken(0, 1))  # type: ignore[union-attr] # its place is at 2 s
    run.fail("a")
    assert ("failed", 1) == (run.status, run.all_tasks()["a"].attempts)
    assert {"kind": "failed", "message": "a broke", "step": "a", "attempt": 1} == run.error
    assert 1 == run.retries.put_off_count  # type: ignore[union-attr] # it took no place


def test_s15_total_bound_goes_on_while_a_retry_is_put_off() -> None:
    text = f"steps: [{{id: a, {NOOP}, timeout: {{total_s: 5}}, retry: {{delay_s: 0}}}}]"
    run = run_of(text, tokens=0).fail("a")
    assert {"total", "put_off"} == {held.timer.kind for held in run.timers.values()}
    run.pass_time(1)
    assert {"total"} == {held.timer.kind for held in run.timers.values()}
    run.pass_time(4)
    assert ("failed", "timeout") == (run.status, run.error["kind"])


def test_rest_of_the_domain_runs_on_while_a_retry_is_put_off() -> None:
    text = f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0}}}}, {{id: b, {NOOP}, depends_on: []}}, {{id: c, {NOOP}}}]"
    run = run_of(text, tokens=0).fail("a").succeed("b")
    assert {"a": "retrying", "b": "succeeded", "c": "running"} == run.tasks()


def test_retry_by_hand_and_lost_attempts_take_nothing() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0, max_attempts: 9}}}}]", tokens=0).fail("a")
    run.feed(s.Act(act="retry", path="a", by="p-1", reason="x"))
    assert (2, {}) == (run.attempts["a"].number, run.timers)
    run.take_over()
    assert 3 == run.attempts["a"].number
    assert after(2) == one(run.retries, NOW)  # type: ignore[arg-type] # one stands in line, none began


def test_s42_retries_that_fell_due_in_a_pause_begin_within_the_budget() -> None:
    text = f"""
steps:
  - id: m
    operator: "@control/map"
    parameters: {{items: [1, 2, 3], steps: [{{id: x, {NOOP}, retry: {{delay_s: 5, jitter: none}}}}]}}
"""
    run = run_of(text, tokens=0)
    for item in range(3):
        run.fail(f"m.{item}.x")
    run.feed(s.Pause(by="p-1", reason="x")).pass_time(5)
    run.retries.take("d", run.now, RetriesTaken(4, 0))  # type: ignore[union-attr] # one is left
    run.feed(s.Resume(by="p-1", reason="x"))
    assert (1, [after(6), after(7)]) == (
        len(run.attempts), sorted(held.timer.due_at for held in run.timers.values() if held.timer.kind == "put_off"),
    )  # fmt: skip
    run.pass_time(2).finish()
    assert "succeeded" == run.status


def test_why_says_that_a_retry_was_put_off_and_until_when() -> None:
    run = run_of(f"steps: [{{id: a, {NOOP}, retry: {{delay_s: 0}}}}]", tokens=0).fail("a")
    found = of(run, "a")["retry_put_off"]
    assert ("time", after(1)) == (found.holder_kind, found.at)
    assert "its turn comes: retries of its business domain are over their budget until then" == found.next
