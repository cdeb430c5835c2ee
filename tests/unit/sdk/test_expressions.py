"""Expressions in Python write the CEL that a person would write."""

from __future__ import annotations

from typing import Any

import pytest

from core.expression import parse_expression
from flow_automation import (
    Expression,
    bare,
    call,
    cel,
    chosen,
    contained,
    error,
    exists,
    filtered,
    has,
    holds_for_all,
    index,
    inputs,
    item,
    mapped,
    size,
    steps,
    trigger,
    variables,
)
from flow_automation.expression import rendered

CASES: list[tuple[str, Any]] = [
    ("inputs.a.b", inputs.a.b),
    ('inputs["a-b"][0]', inputs["a-b"][0]),
    ('inputs["in"]', inputs.__getattr__("in")),
    ('inputs["é"]', inputs.é),
    ("steps.x.output[steps.y.output]", steps.x.output[steps.y.output]),
    ('item.status == "paid" || item.status == "shipped"', (item.status == "paid") | (item.status == "shipped")),
    ("(inputs.a || inputs.b) && inputs.c", (inputs.a | inputs.b) & inputs.c),
    ("inputs.a || inputs.b && inputs.c", inputs.a | (inputs.b & inputs.c)),
    ("!inputs.a && -inputs.b < 0", ~inputs.a & (-inputs.b < 0)),
    ("!(inputs.a && inputs.b)", ~(inputs.a & inputs.b)),
    ("!(!inputs.a)", ~~inputs.a),
    ("inputs.a - (inputs.b - 1)", inputs.a - (inputs.b - 1)),
    ("inputs.a - inputs.b - 1", inputs.a - inputs.b - 1),
    ("(inputs.a + 1) * 2 % 3", (inputs.a + 1) * 2 % 3),
    ("1 + inputs.a / 2", 1 + inputs.a / 2),
    ("10 - inputs.a", 10 - inputs.a),
    ("2 * inputs.a", 2 * inputs.a),
    ("7 / inputs.a", 7 / inputs.a),
    ("7 % inputs.a", 7 % inputs.a),
    ("(inputs.a == 1) == (inputs.b == 2)", (inputs.a == 1) == (inputs.b == 2)),
    ("inputs.a != null", inputs.a != None),  # noqa: E711 - the DAG compares with null
    ("inputs.a >= -1.5", inputs.a >= -1.5),
    ("inputs.a <= true", inputs.a <= True),
    ("inputs.a > 1", inputs.a > 1),
    ("true && inputs.a", True & inputs.a),
    ("false || inputs.a", False | inputs.a),
    ('inputs.a in ["x", "y"]', contained(inputs.a, ["x", "y"])),
    ("inputs.a ? 1 : inputs.b ? 2 : 3", chosen(inputs.a, 1, chosen(inputs.b, 2, 3))),
    ("(inputs.a ? inputs.b : inputs.c).x", chosen(inputs.a, inputs.b, inputs.c).x),
    ("(inputs.a ? 1 : 2) + 3", cel("inputs.a ? 1 : 2") + 3),
    ("size(item) + index", size(item) + index),
    ("has(error.cause) && has(trigger.event)", has(error.cause) & has(trigger.event)),
    ('url_encode("a b")', call("url_encode", "a b")),
    (
        'vars.x.map(one, {"k": one, "n": [1, 2.5, null]})',
        mapped(variables.x, lambda one: {"k": one, "n": [1, 2.5, None]}),
    ),
    (
        "vars.x.filter(one, one > 1).exists(one, one == 2)",
        exists(filtered(variables.x, lambda one: one > 1), lambda one: one == 2),
    ),
    ("vars.x.all(one, has(one.y))", holds_for_all(variables.x, lambda one: has(one.y))),
    ('inputs.a == "say \\"hi\\"\\n"', inputs.a == 'say "hi"\n'),
]


@pytest.mark.parametrize(("wanted", "built"), CASES, ids=[wanted for wanted, _ in CASES])
def test_expression_is_written_as_a_person_would(wanted: str, built: Expression) -> None:
    assert wanted == bare(built)
    parse_expression(wanted)


def test_expression_in_a_text_is_a_template() -> None:
    assert "{{ inputs.base }}/orders/{{ url_encode(item.id) }}" == f"{inputs.base}/orders/{call('url_encode', item.id)}"


def test_expression_has_no_truth_no_length_and_no_place_in_a_set() -> None:
    for misuse in (bool, iter, hash):
        with pytest.raises(TypeError):
            misuse(inputs.a)
    with pytest.raises(TypeError, match="format"):
        f"{inputs.a:>10}"
    with pytest.raises(AttributeError):
        inputs._a  # noqa: B018 - looking is what is tested


def test_representation_shows_the_text() -> None:
    assert "cel('inputs.a')" == repr(inputs.a)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, float("inf"), float("nan")])
def test_number_outside_the_language_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no number"):
        bare(value)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": [b"x"]}, {"a", "b"}])
def test_value_that_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        rendered(value)
    with pytest.raises(TypeError):
        bare(value)


def test_place_of_a_wrong_value_is_told() -> None:
    with pytest.raises(TypeError, match="/parameters/json/1"):
        rendered({"json": [1, object()]}, "/parameters")
