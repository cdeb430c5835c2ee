"""What is a JSON value."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.json_value import DEPTH_MAX, json_fault, json_size


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**63 - 1, 1.5, -0.0, "", "\u20ac", [], {}, (), [1, (2, {"a": None})], nested(DEPTH_MAX)],
)
def test_json_value_has_no_fault(value: Any) -> None:
    assert json_fault(value) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (float("nan"), "finite"),
        ([float("-inf")], "finite"),
        ({1: 2}, "key"),
        ({"a": {None: 1}}, "key"),
        (b"", "bytes"),
        ({"a": {1, 2}}, "set"),
        (nested(DEPTH_MAX + 1), "deeper"),
        (nested(100_000), "deeper"),
    ],
)
def test_what_is_no_json_value_has_a_fault_in_words(value: Any, word: str) -> None:
    assert word in str(json_fault(value))


def test_size_counts_every_node_but_keys() -> None:
    assert [1, 1, 3, 5] == [json_size(value) for value in (None, [], [1, 2], {"a": [1, (2,)]})]
