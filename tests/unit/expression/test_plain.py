from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from core.expression import ExpressionFailed, Fuel, to_json
from core.expression.plain import json_text
from core.expression.value import FALSE_KEY, TRUE_KEY, TypeName
from tests.unit.expression.evaluation import LazyList, LazyMap


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        ("a" * 100, "a" * 100),
        (1.5, 1.5),
        (datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2024-01-01T00:00:00Z"),
        (datetime(2024, 1, 1, microsecond=120_000, tzinfo=UTC), "2024-01-01T00:00:00.120Z"),
        (datetime(2024, 1, 1, microsecond=123_456, tzinfo=UTC), "2024-01-01T00:00:00.123456Z"),
        (timedelta(minutes=1), 60),
        (timedelta(seconds=0.25), 0.25),
        (b"\xff", "/w=="),
        (TypeName("int"), "int"),
        ({1: "a", TRUE_KEY: "b", FALSE_KEY: "c"}, {"1": "a", "true": "b", "false": "c"}),
        ([1, [timedelta(seconds=1)], "x" * 70, "y"], [1, [1], "x" * 70, "y"]),
        (LazyList(1, LazyMap(a=1)), [1, {"a": 1}]),
        (LazyMap(a="x" * 70), {"a": "x" * 70}),
    ],
)
def test_s34_value_leaves_as_json(value: Any, plain: Any) -> None:
    assert plain == to_json(value)


def test_json_is_not_copied() -> None:
    value = {"a": [1, {"b": "c"}], "long": "x" * 100}

    assert value is to_json(value)
    assert value["a"] is to_json(value)["a"]


def test_keys_that_meet_as_text_are_an_error() -> None:
    with pytest.raises(ExpressionFailed, match="two keys of a map are the same text"):
        to_json({1: "a", "1": "b"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "a", None, {"b": 1.0}], '[1,"a",null,{"b":1.0}]'),
        ("x" * 80, '"' + "x" * 80 + '"'),
        ({"k" * 80: "\n" * 80}, '{"' + "k" * 80 + '":"' + "\\n" * 80 + '"}'),
        (["y" * 80, 1], '["' + "y" * 80 + '",1]'),
    ],
)
def test_json_text_is_compact(value: Any, text: str) -> None:
    assert text == json_text(value, Fuel())


def test_fuel_pays_for_what_escapes_make_of_a_text() -> None:
    plain, control = Fuel(), Fuel()
    json_text("a" * 6400, plain)
    json_text("\x01" * 6400, control)

    assert 6 * (100 + 100) - 100 < Fuel().left - control.left
    assert Fuel().left - plain.left < 400
