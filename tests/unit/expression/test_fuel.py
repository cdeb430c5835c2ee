from typing import Any

import pytest

from core.expression import ExpressionFailed, Fuel, compile_expression, parse_expression
from core.expression.pattern import COMPILE_WEIGHT, PATTERN_LENGTH_MAX
from tests.oracle.nasty import PROGRAMS, slots
from tests.unit.expression.evaluation import NOW, evaluate, failure

LIMIT = "limit"


def burned(text: str, **values: Any) -> int:
    fuel = Fuel()
    evaluate(text, fuel, **values)
    return Fuel().left - fuel.left


def test_every_node_that_is_visited_burns_one() -> None:
    assert 1 == burned("inputs", inputs=1)
    assert 3 == burned("inputs + inputs", inputs=1)
    assert 2 == burned("inputs.a", inputs={"a": 1})


def test_branch_that_is_not_taken_burns_nothing() -> None:
    short = burned("inputs ? 1 : 2 + 3 + 4 + inputs", inputs=True)
    long = burned("inputs ? 1 : 2 + 3 + 4 + (inputs ? 1 : 0)", inputs=False)

    assert short < long
    assert burned("inputs || inputs", inputs=True) < burned("inputs && inputs", inputs=True)


def test_macro_burns_one_per_element_and_its_body() -> None:
    few = burned("inputs.all(i, i > 0)", inputs=[1] * 10)
    many = burned("inputs.all(i, i > 0)", inputs=[1] * 20)

    assert 10 * (1 + 3) == many - few


def test_text_burns_one_per_64_bytes_and_wide_text_four_times_as_much() -> None:
    ascii_text, wide_text = "a" * 6400, "é" * 6400

    assert 100 == burned("inputs.contains('b')", inputs=ascii_text) - burned("inputs.contains('b')", inputs="")
    assert 400 == burned("inputs.contains('b')", inputs=wide_text) - burned("inputs.contains('b')", inputs="")
    assert 200 == burned("inputs + inputs", inputs=ascii_text) - burned("inputs + inputs", inputs="")


def test_fuel_is_the_same_whether_a_pattern_was_kept_or_not() -> None:
    first = burned("'text'.matches(inputs)", inputs="x+y?z")

    assert first == burned("'text'.matches(inputs)", inputs="x+y?z")
    assert first > COMPILE_WEIGHT


@pytest.mark.parametrize(
    "text",
    [
        "inputs.all(i, inputs.all(j, i + j >= 0))",
        "inputs.exists(i, inputs.exists(j, i + j < 0))",
        "inputs.map(i, inputs.map(j, [i, j]))",
        "inputs.map(i, inputs.map(j, true, i))",
        "inputs.filter(i, inputs.filter(j, false) == [])",
        "inputs.exists_one(i, inputs.exists_one(j, j == 0))",
        "inputs.exists(i, inputs.all(j, inputs.all(k, true)) || true)",
        "inputs.map(i, inputs + inputs)",
        "inputs.map(i, i in inputs) == inputs.map(i, inputs == inputs.map(j, j + 0))",
        "inputs.map(i, {'a': inputs} == {'a': inputs.map(j, 0 + j)})",
        "inputs.map(i, json(inputs))",
        "inputs.exists(i, true && inputs.all(j, inputs.map(k, k) != 3))",
        "inputs.all(i, inputs.map(j, j) == inputs.map(k, k + 0))",
        "inputs.exists(i, -1 in inputs)",
    ],
)
def test_work_that_fuel_does_not_pay_for_ends_with_kind_limit(text: str) -> None:
    assert LIMIT == failure(text, inputs=list(range(1000)))[0]


def test_program_that_costs_more_than_what_is_left_does_not_begin() -> None:
    assert LIMIT == failure("inputs + 1", Fuel(1), inputs=1)[0]
    assert LIMIT == failure("inputs && inputs", Fuel(2), inputs=True)[0]


def test_deep_comparison_stops_where_the_fuel_ends() -> None:
    rows = {"rows": [{"a": n} for n in range(100)]}
    copy = {"rows": [{"a": n} for n in range(100)]}
    flat = {str(n): n for n in range(100)}

    assert LIMIT == failure("inputs.a == inputs.b", Fuel(50), inputs={"a": rows, "b": copy})[0]
    assert LIMIT == failure("inputs.a == inputs.b", Fuel(50), inputs={"a": flat, "b": dict(flat)})[0]
    assert LIMIT == failure("inputs.a == inputs.b", Fuel(50), inputs={"a": [*range(99)], "b": [*range(99)]})[0]


def test_text_that_doubles_is_stopped_before_it_is_built() -> None:
    text = "[inputs]" + "".join(f".map(v{n}, v{n} + v{n})" for n in range(28))

    assert LIMIT == failure(text, inputs="abcdefgh" * 1000)[0]


def test_value_nested_beyond_the_depth_is_a_limit() -> None:
    left: Any = []
    right: Any = []
    for _ in range(200):
        left, right = [left], [right]

    assert LIMIT == failure("inputs.a == inputs.b", inputs={"a": left, "b": right})[0]
    assert LIMIT == failure("json(inputs)", inputs=left)[0]


def test_json_text_with_more_elements_than_fuel_is_refused_before_it_is_read() -> None:
    kind, message = failure("parse_json(inputs)", Fuel(1000), inputs="[" + "0," * 2000 + "0]")

    assert LIMIT == kind
    assert "more elements than its fuel" in message


def test_pattern_that_is_too_long_is_a_limit() -> None:
    assert LIMIT == failure("'a'.matches(inputs)", inputs="a" * (PATTERN_LENGTH_MAX + 1))[0]


def test_limit_is_not_absorbed_by_a_condition() -> None:
    assert LIMIT == failure("inputs.all(i, inputs.all(j, inputs.all(k, true))) || true", inputs=list(range(100)))[0]


@pytest.mark.parametrize("text", PROGRAMS)
def test_dearest_programs_end_with_a_value_or_a_typed_failure(text: str) -> None:
    program = compile_expression(parse_expression(text))
    fuel = Fuel(20_000)  # a fifth of what is usual: the test is of the ends, not of the cost

    is_over = False
    try:
        program.run([VALUES["inputs"] for _ in program.reads], fuel, NOW)
    except ExpressionFailed as error:
        is_over = error.kind == "limit"
    assert is_over is (fuel.left < 0) or fuel.left >= 0


VALUES = slots()
