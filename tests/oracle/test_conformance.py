"""The cases of cel-spec that this language shares must give what they say."""

from datetime import UTC, datetime

from core.expression import (
    ABSENT,
    Environment,
    ExpressionFailed,
    ExpressionSyntaxError,
    Fuel,
    check,
    compile_expression,
    parse_expression,
)
from core.expression.types import DYN
from tests.oracle.conformance import Case, is_same, read_cases

NOW = datetime(2024, 2, 29, tzinfo=UTC)
# Fewer would mean that the reading of the cases broke, not that the language is well.
CASES_COUNT_MIN = 500


def deviation(case: Case) -> str | None:
    try:
        node = parse_expression(case.text)
        program = compile_expression(node)
        value = program.run([case.bindings.get(".".join(read.path), ABSENT) for read in program.reads], Fuel(), NOW)
    except (ExpressionFailed, ExpressionSyntaxError) as error:
        return None if case.is_error else f"{case.name}: {case.text} fails: {error!r}"
    if case.is_error:
        return f"{case.name}: {case.text} gives {value!r} where an error is right"
    if not is_same(case.value, value):
        return f"{case.name}: {case.text} gives {value!r} where {case.value!r} is right"
    faults = check(node, Environment(names=dict.fromkeys(case.bindings, DYN))).faults
    if case.is_checked and faults:
        return f"{case.name}: {case.text} is right but is refused: {faults}"
    return None


def test_every_case_of_the_common_subset_gives_what_the_specification_says() -> None:
    cases, _ = read_cases()
    deviations = [found for found in map(deviation, cases) if found]

    assert deviations == []
    assert len(cases) >= CASES_COUNT_MIN


def test_cases_left_out_have_each_a_reason() -> None:
    _, left_out = read_cases()

    assert all(left_out)
    assert sum(left_out.values()) > 0
