from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.expression import ABSENT, Fuel, compile_expression, parse_expression
from core.expression.value import TypeName
from tests.unit.expression.evaluation import NOW, LazyList, LazyMap, evaluate, failure

DATA: dict[str, Any] = {"a": {"b": [5, 6], "none": None}, "n": 3, "s": "text", "rows": [{"id": 1}, {"id": 2}]}


class VirtualTime(datetime):
    """A datetime of another class."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("7.5 % 2", 1.5),
        ("-7.5 % 2.0", -1.5),
        ("7 / 2.0", 3.5),
        ("2 * 1.5", 3.0),
        ("1.5 - 1", 0.5),
        ("1 + 0.5", 1.5),
        ("inputs.n + 1", 4),
        ("inputs.n + 1 + 1", 5),
        ("inputs.n - 1", 2),
        ("-inputs.n", -3),
        ("-(1.5)", -1.5),
        ("'a' + 'b'", "ab"),
        ("b'a' + b'b'", b"ab"),
        ("[1] + [2]", [1, 2]),
        ("inputs.s + '!'", "text!"),
        ("timestamp('2024-01-01T00:00:00Z') + duration('1h')", datetime(2024, 1, 1, 1, tzinfo=UTC)),
        ("duration('1h') + timestamp('2024-01-01T00:00:00Z')", datetime(2024, 1, 1, 1, tzinfo=UTC)),
        ("timestamp('2024-01-01T00:00:00Z') - duration('1h')", datetime(2023, 12, 31, 23, tzinfo=UTC)),
        ("timestamp('2024-01-01T01:00:00Z') - timestamp('2024-01-01T00:00:00Z')", timedelta(hours=1)),
        ("duration('1h') + duration('1m')", timedelta(minutes=61)),
        ("duration('1h') - duration('1m')", timedelta(minutes=59)),
        ("now()", NOW),
    ],
)
def test_s30_arithmetic_follows_cel_with_widened_integers(text: str, value: object) -> None:
    answer = evaluate(text, inputs=DATA)

    assert value == answer
    assert type(value) is type(answer)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9223372036854775807 + 1", "integer overflow"),
        ("inputs.big + 1", "integer overflow"),
        ("-9223372036854775808 - 1", "integer overflow"),
        ("9223372036854775807 * 2", "integer overflow"),
        ("-9223372036854775808 / -1", "integer overflow"),
        ("-9223372036854775808 % -1", "integer overflow"),
        ("-(-9223372036854775808)", "integer overflow"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("1.0 / 0.0", "division by zero"),
        ("1e308 * 10.0", "not a finite number"),
        ("1 + 'a'", "no operator + for int and string"),
        ("1 - 'a'", "no operator - for int and string"),
        ("now() - 1", "no operator - for timestamp and int"),
        ("true * 2", "no operator * for bool and int"),
        ("true / 2", "no operator / for bool and int"),
        ("true % 2", "no operator % for bool and int"),
        ("-'a'", "no operator - for string"),
        ("1 < 'a'", "no operator < for int and string"),
        ("null < null", "no operator < for null and null"),
        ("1 in 'a'", "no operator in for int and string"),
        ("null in {}", "no operator in for null and map"),
        ("'a'[0]", "no operator [] for string"),
        ("[1]['a']", "a list has no index of type string"),
        ("[1][true]", "a list has no index of type bool"),
        ("[1][1]", "list index out of range"),
        ("[1][-1]", "list index out of range"),
        ("{'a': 1}['b']", "no such key: 'b'"),
        ("{'a': 1}[1]", "no such key: 1"),
        ("{'a': 1}[null]", "no such key"),
        ("{'a': 1}.b", "no such key: 'b'"),
        ("inputs.missing", "no such key: 'missing'"),
        ("inputs.a.missing", "no such key: 'missing'"),
        ("inputs.rows[0].missing", "no such key: 'missing'"),
        ("inputs.n.x", "a value of type int has no field 'x'"),
        ("{'a': 1, 'a': 2}", "the same key twice"),
        ("{1.5: 1}", "a map has no keys of type double"),
        ("!1", "! needs a boolean, not int"),
        ("1 ? 2 : 3", "? : needs a boolean, not int"),
        ("1 && true", "&& needs a boolean, not int"),
        ("true && 1", "&& needs a boolean, not int"),
        ("false || 1", "|| needs a boolean, not int"),
        ("1.all(i, true)", "a macro needs a list or a map, not int"),
        ("[1].all(i, i)", "all() needs a boolean, not int"),
        ("[1].exists(i, i / 0 > 1)", "division by zero"),
        ("[1].filter(i, i)", "filter() needs a boolean, not int"),
        ("[1].map(i, i, i)", "map() needs a boolean, not int"),
        ("[1].exists_one(i, i)", "exists_one() needs a boolean, not int"),
        ("steps.a.output", "steps.a.output has no value"),
        ("steps.a.output.b", "steps.a.output has no value"),
        ("1 / 0 == 1 && true", "division by zero"),
        ("true && 1 / 0 == 1 && 2 / 0 == 1", "division by zero"),
        ("nothing(1)", "there is no function nothing() with 1 operands"),
        ("has(inputs.n.x)", "a value of type int has no field 'x'"),
        ("now() + duration('2540400h')", None),
        ("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "outside of the years 1 to 9999"),
        ("duration('2000000h') + duration('2000000h')", "at most 292 years"),
    ],
)
def test_operation_without_a_value_fails_with_a_reason(text: str, message: str | None) -> None:
    if message is None:
        assert isinstance(evaluate(text), datetime)
        return
    kind, found = failure(text, inputs={**DATA, "big": 2**63 - 1})

    assert "expression" == kind
    assert message in found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 == 1.0", True),
        ("1.5 == 1", False),
        ("true == 1", False),
        ("1 == 'a'", False),
        ("null == 1", False),
        ("null == null", True),
        ("'a' != 'b'", True),
        ("inputs.s == 'text'", True),
        ("inputs.n == 'text'", False),
        ("inputs.n != 'text'", True),
        ("inputs.s == inputs.s", True),
        ("b'a' == b'b'", False),
        ("[1, [2]] == [1.0, [2]]", True),
        ("[1] == [2]", False),
        ("['a'] == ['b']", False),
        ("[1] == [1, 2]", False),
        ("[1] == {}", False),
        ("{'a': 1} == {'a': 1.0}", True),
        ("{'a': 1} == {'a': 2}", False),
        ("{'a': 'x'} == {'a': 'y'}", False),
        ("{'a': 1} == {'b': 1}", False),
        ("{'a': 1} == {}", False),
        ("{'a': 1} == [1]", False),
        ("inputs.lazy == [1, 2]", True),
        ("inputs.map == {'k': 'v'}", True),
        ("inputs.at == timestamp('2024-01-01T00:00:00Z')", True),
        ("inputs.at == 1", False),
        ("inputs.at < now()", True),
        ("inputs.n < 4", True),
        ("inputs.n >= 3.5", False),
        ("inputs.n < inputs.n + 1", True),
        ("'a' < 'b'", True),
        ("b'b' <= b'a'", False),
        ("false < true", True),
        ("duration('1s') > duration('2s')", False),
        ("9223372036854775807 < 9223372036854775807.0", False),
        ("2 in [1, 2]", True),
        ("3 in [1, 2]", False),
        ("'a' in {'a': 1}", True),
        ("1.0 in {1: 2}", True),
        ("1.5 in {1: 2}", False),
        ("true in {true: 1}", True),
        ("true in {1: 1}", False),
        ("{1: 'a'}[1.0]", "a"),
        ("{false: 'a'}[false]", "a"),
        ("[7, 8][1.0]", 8),
        ("inputs.lazy[1]", 2),
        ("inputs.map.k", "v"),
        ("[[1, 2], [3]].map(x, x.map(y, y + 1))", [[2, 3], [4]]),
        ("inputs.lazy.map(x, x + 1)", [2, 3]),
        ("inputs.map.map(k, k)", ["k"]),
        ("{true: 1}.map(k, k)", [True]),
        ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
        ("[1, 2, 3].filter(x, x > 1)", [2, 3]),
        ("[1, 2].all(x, x > 0)", True),
        ("[1, 2].all(x, x > 1)", False),
        ("[1, 2].exists(x, x > 1)", True),
        ("[1, 2].exists(x, x > 2)", False),
        ("[1, 2].exists_one(x, x > 1)", True),
        ("[0, 1].exists(x, 1 / x == 1)", True),
        ("[0, 1].all(x, 1 / x == 2)", False),
        ("true ? 1 : 2", 1),
        ("inputs.n > 5 ? 1 : 2", 2),
        ("!true", False),
        ("!(inputs.n == 4)", True),
        ("inputs.zzz == 1 || true", True),
        ("true || inputs.zzz == 1", True),
        ("inputs.zzz == 1 && false", False),
        ("false && inputs.zzz == 1", False),
        ("1 && false", False),
        ("true && 1 && false", False),
        ("true && true", True),
        ("type(1) == int", True),
        ("type(1)", TypeName("int")),
        ("type(inputs.lazy) == list && type(inputs.map) == map", True),
        ("type(inputs.at) == type(now())", True),
        ("type([1]) == list && type({}) == map && type(null) == null_type", True),
        ("inputs['a']['b'][0]", 5),
        ("inputs.a.b[inputs.n - 2]", 6),
    ],
)
def test_comparison_selection_and_macros_follow_cel(text: str, value: object) -> None:
    more = {"lazy": LazyList(1, 2), "map": LazyMap(k="v"), "at": VirtualTime(2024, 1, 1, tzinfo=UTC)}

    assert value == evaluate(text, inputs={**DATA, **more})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("has(inputs.a)", True),
        ("has(inputs.a.none)", True),
        ("has(inputs.a.none.deeper)", False),
        ("has(inputs.x.y.z)", False),
        ("has(inputs.rows[0].id)", True),
        ("has(inputs.rows[9].id)", False),
        ("has(inputs['x'].id)", False),
        ("has(steps.a.output)", False),
        ("has(steps.b.output)", True),
        ("has(steps.b.output.x)", False),
        ("has({'a': 1}.a)", True),
        ("has(inputs.rows.filter(r, r.id > 1)[0].id)", True),
    ],
)
def test_s31_has_is_false_where_a_parent_is_absent_or_null(text: str, value: bool) -> None:
    assert value is evaluate(text, inputs=DATA, steps_b_output=None)


def test_macro_variable_hides_a_name_and_leaves_it_as_it_was() -> None:
    assert [[1, 2], 3] == evaluate("[[1, 2].map(inputs, inputs), inputs.n]", inputs=DATA)


def test_program_is_bare_only_when_it_is_one_read() -> None:
    assert 0 == compile_expression(parse_expression("steps.a.output")).bare
    assert 0 == compile_expression(parse_expression("(inputs)")).bare
    assert compile_expression(parse_expression("inputs.x")).bare is None
    assert compile_expression(parse_expression("int")).bare is None


def test_absent_names_itself() -> None:
    assert "ABSENT" == repr(ABSENT)


def test_text_longer_than_a_fuel_unit_is_compared_whole() -> None:
    long = "x" * 100
    fuel = Fuel()

    assert evaluate(f"inputs.long == '{long}'", fuel, inputs={"long": long}) is True
    assert evaluate("inputs.long == inputs.other", fuel, inputs={"long": long, "other": "x" * 99 + "y"}) is False
