"""Generated programs must give what the official library gives, wherever both define an answer."""

from tests.oracle.agreement import compare

SEED = 20240229
# 10 000 take about ten seconds; the figures command asks about ten times as many.
PROGRAMS_COUNT = 10_000


def test_generated_programs_agree_with_the_official_library() -> None:
    tally = compare(SEED, PROGRAMS_COUNT)

    assert tally.deviations == [], f"seed {SEED}"
    # Were most programs left out or only failing, the comparison would say nothing.
    assert tally.asked > PROGRAMS_COUNT * 0.95
    assert tally.same_values > PROGRAMS_COUNT * 0.5
