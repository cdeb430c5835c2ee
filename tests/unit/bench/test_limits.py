"""W9: what limits cost is the median of pairs of turns, and a loss above the bound falls short."""

from __future__ import annotations

import pytest

from bench.limits import LOSS_PERCENT_MAX, Limits, Turn


def turns(*wall_s: float) -> list[Turn]:
    return [Turn(seconds, seconds / 2) for seconds in wall_s]


def test_turns_are_held_against_the_one_beside_them() -> None:
    # The machine was three times as slow in the second pair; its neighbours took the first turn of the third.
    measured = Limits(turns(1.0, 3.0, 9.0), turns(1.25, 3.75, 1.25))
    assert 20.0 == pytest.approx(measured.loss_percent(lambda turn: turn.wall_s))
    assert 20.0 == pytest.approx(measured.loss_percent(lambda turn: turn.cpu_s))


@pytest.mark.parametrize(("limited_s", "is_held"), [(0.9, True), (1.1, True), (1.2, False)])
def test_loss_above_the_bound_falls_short(limited_s: float, is_held: bool) -> None:
    assert 10.0 == LOSS_PERCENT_MAX
    assert is_held is Limits(turns(1.0), turns(limited_s)).is_within_bound
