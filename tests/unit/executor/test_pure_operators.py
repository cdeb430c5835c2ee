"""What pure operators refuse, and where their borders are; what they give stands in the contract's examples."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.executor.operator import ComputeFailed
from core.executor.pure import PURE_OPERATORS
from core.executor.pure.transform import SLICE_ITEMS, transform_slices
from core.expression import ExpressionFailed, Fuel

NOW = datetime(2026, 3, 1, tzinfo=UTC)
COMPUTE = {operator.spec.name: operator.compute for operator in PURE_OPERATORS}


def compute(name: str, fuel_amount: int = 100_000, **parameters: Any) -> Any:
    return COMPUTE[name](parameters, NOW, Fuel(fuel_amount))


def failure(name: str, fuel_amount: int = 100_000, **parameters: Any) -> str:
    """Give the kind of the failure."""
    with pytest.raises((ComputeFailed, ExpressionFailed)) as caught:
        compute(name, fuel_amount, **parameters)
    error = caught.value
    if isinstance(error, ComputeFailed):
        return error.error_kind
    assert isinstance(error, ExpressionFailed)
    return error.kind


@pytest.mark.parametrize(
    ("name", "parameters", "kind"),
    [
        ("@text/match", {"text": "a", "pattern": "("}, "invalid"),
        ("@text/match", {"text": "a", "pattern": "(?=x)"}, "invalid"),
        ("@text/match", {"text": "a", "pattern": "((((a{1,100}){1,100}){1,100}){1,10})"}, "invalid"),
        ("@text/template", {"template": "{a} {b}", "values": {"a": 1}}, "invalid"),
        ("@text/template", {"template": "{a}" * 2000, "values": {"a": "x" * 1000}}, "limit"),
        ("@text/join", {"items": ["x" * 1000] * 2000}, "limit"),
        ("@text/join", {"items": [""] * 1100, "separator": "x" * 1000}, "limit"),
        ("@json/parse", {"text": "{"}, "invalid"),
        ("@json/parse", {"text": "NaN"}, "invalid"),
        ("@json/parse", {"text": "1e400"}, "invalid"),
        ("@json/parse", {"text": str(2**63)}, "invalid"),
        ("@json/parse", {"text": "[" * 100_000}, "invalid"),
        ("@json/parse", {"text": "[" * 200 + "]" * 200}, "invalid"),
        ("@json/parse", {"text": '"\ud800"'}, "invalid"),
        ("@json/get", {"value": {}, "pointer": "/a"}, "not_found"),
        ("@json/get", {"value": [1], "pointer": "/1"}, "not_found"),
        ("@json/get", {"value": [1], "pointer": "/01"}, "not_found"),
        ("@json/get", {"value": [1], "pointer": "/-"}, "not_found"),
        ("@json/get", {"value": [1], "pointer": "/" + "9" * 5000}, "not_found"),
        ("@json/get", {"value": "text", "pointer": "/0"}, "not_found"),
        ("@json/get", {"value": {}, "pointer": "a"}, "invalid"),
        ("@json/get", {"value": {}, "pointer": "/a~2"}, "invalid"),
        ("@json/get", {"value": {}, "pointer": "/~"}, "invalid"),
        ("@json/set", {"value": {}, "pointer": "/a/b", "to": 1}, "not_found"),
        ("@json/set", {"value": [1], "pointer": "/2", "to": 1}, "not_found"),
        ("@json/set", {"value": 1, "pointer": "/a", "to": 1}, "not_found"),
        ("@json/set", {"value": "text", "pointer": "/0", "to": 1}, "not_found"),
        ("@time/add", {"at": "2026-01-01T00:00:00"}, "invalid"),
        ("@time/add", {"at": "2026-02-30T00:00:00Z"}, "invalid"),
        ("@time/add", {"at": "20260101T000000Z"}, "invalid"),
        ("@time/add", {"at": "now"}, "invalid"),
        ("@time/add", {"at": "\u0662026-01-01T00:00:00Z"}, "invalid"),
        ("@time/add", {"at": "9999-12-31T23:59:59Z", "seconds": 1}, "invalid"),
        ("@time/add", {"at": "2026-01-01T00:00:00Z", "days": 1e12}, "invalid"),
        ("@time/add", {"at": "0001-01-01T00:00:00+01:00"}, "invalid"),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "%Y", "timezone": "Mars/Olympus"}, "invalid"),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "%Y", "timezone": "../../etc/passwd"}, "invalid"),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "%Y", "timezone": "Europe"}, "invalid"),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "%999999999d"}, "invalid"),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "%n"}, "invalid"),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "%"}, "invalid"),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "a\0b"}, "invalid"),
        ("@time/format", {"at": "9999-12-31T23:59:59Z", "format": "%Y", "timezone": "Asia/Tokyo"}, "invalid"),
        ("@data/transform", {"items": [1], "map": "item +"}, "expression"),
        ("@data/transform", {"items": [1], "map": "inputs.x"}, "expression"),
        ("@data/transform", {"items": [1], "filter": "item"}, "expression"),
        ("@data/transform", {"items": [1], "map": "item / 0"}, "expression"),
        ("@data/transform", {"items": [{}], "map": "item.a"}, "expression"),
        ("@data/transform", {"items": [1], "group_by": "item"}, "expression"),
        ("@data/transform", {"items": [1], "pick": ["a"]}, "invalid"),
    ],
)
def test_what_an_operator_cannot_compute_fails_with_its_kind(name: str, parameters: dict[str, Any], kind: str) -> None:
    assert kind == failure(name, **parameters)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("@text/split", {"text": "a," * 10_000, "separator": ","}),
        ("@text/join", {"items": ["a"] * 10_000}),
        ("@text/match", {"text": "a" * 200_000, "pattern": "b"}),
        ("@text/template", {"template": "{a}" * 5_000, "values": {"a": "x"}}),
        ("@json/parse", {"text": "[" + "1," * 5_000 + "1]"}),
        ("@json/set", {"value": [1] * 5_000, "pointer": "/0", "to": 2}),
        ("@json/get", {"value": {}, "pointer": "/a" * 5_000}),
        ("@data/transform", {"items": [1] * 1_000, "map": "item + 1"}),
        ("@data/transform", {"items": [1] * 5_000}),
        ("@data/transform", {"items": [{"a": 1}] * 1_000, "pick": ["a"]}),
        ("@time/format", {"at": "2026-01-01T00:00:00Z", "format": "x" * 3_000}),
    ],
)
def test_work_beyond_its_fuel_fails_as_limit(name: str, parameters: dict[str, Any]) -> None:
    assert failure(name, 1_500, **parameters) == "limit"


def test_pattern_that_is_slow_for_backtracking_engines_is_matched_at_once() -> None:
    assert {"matched": False, "groups": []} == compute("@text/match", text="a" * 100_000 + "!", pattern="^(a+)+$")


def test_value_with_braces_is_not_filled_a_second_time() -> None:
    assert compute("@text/template", template="{a}", values={"a": "{b}", "b": "never"}) == "{b}"


def test_set_shares_what_is_not_on_the_way_and_leaves_the_original() -> None:
    value = {"a": {"x": 1}, "b": {"y": [1, 2]}}
    changed = compute("@json/set", value=value, pointer="/a/x", to=2)
    assert ({"a": {"x": 1}, "b": {"y": [1, 2]}}, 2) == (value, changed["a"]["x"])
    assert value["b"] is changed["b"]


def test_fraction_beyond_microseconds_is_cut_off() -> None:
    assert compute("@time/add", at="2026-01-01t00:00:00.123456789z") == "2026-01-01T00:00:00.123456Z"


def test_transform_groups_in_order_of_first_appearance() -> None:
    groups = compute("@data/transform", items=["b", "a", "b", "c"], group_by="item")
    assert [("b", ["b", "b"]), ("a", ["a"]), ("c", ["c"])] == list(groups.items())


def test_index_counts_in_the_list_that_each_stage_got() -> None:
    assert compute("@data/transform", items=[5, 6, 7, 8], filter="index >= 2", map="[index, item]") == [[0, 7], [1, 8]]


def test_transform_pauses_after_every_slice_and_gives_what_it_gives_at_once() -> None:
    parameters: dict[str, Any] = {"items": list(range(1000)), "filter": "item % 2 == 0", "map": "item * 2"}
    given: list[Any] = []

    def drained() -> Iterator[None]:
        given.append((yield from transform_slices(parameters, NOW, Fuel(100_000))))

    pauses_count = len(list(drained()))
    assert [compute("@data/transform", **parameters)] == given
    assert pauses_count == 1000 // SLICE_ITEMS + 500 // SLICE_ITEMS
