"""Tests say a situation and a promise, expect something, and never wait by sleeping."""

from __future__ import annotations

import ast
import re

import pytest

from tests.arch.source import Function, modules

TEST_NAME = re.compile(r"test_[a-z0-9]+(_[a-z0-9]+){2,}")
EXPECTATION = re.compile(r"(^|[._])(raises|warns|fail|assert|check|expect)")
# Real processes are looked at from outside there: each wait has a deadline and looks again.
WAITS_OUTSIDE = ("tests/chaos/", "tests/e2e/", "tests/load/")


def test_name_of_a_test_says_situation_and_promise() -> None:
    short = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in modules("tests")
        for function, _ in module.functions()
        if function.name.startswith("test_") and not TEST_NAME.fullmatch(function.name)
    ]

    assert [] == short


def asserts_something(function: Function) -> bool:
    """Tell whether a test can fail: an assert, an expected exception, or a call that is named for checking."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and EXPECTATION.search(ast.unparse(node.func)):
            return True
    return False


def test_every_test_can_fail_by_an_expectation() -> None:
    empty = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in modules("tests")
        for function, _ in module.functions()
        if function.name.startswith("test_") and not asserts_something(function)
    ]

    assert [] == empty


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def test(): assert 1 == one()", True),
        ("def test():\n    with pytest.raises(ValueError): one()", True),
        ("def test(): check_journal(one())", True),
        ("def test(): one()", False),
    ],
    ids=["assert", "raises", "named-check", "nothing"],
)
def test_check_of_expectations_tells_a_test_that_cannot_fail(source: str, expected: bool) -> None:
    [function] = ast.parse(source).body

    assert isinstance(function, Function)
    assert expected == asserts_something(function)


def test_no_test_waits_by_sleeping() -> None:
    sleeping = [
        f"{module.path}:{node.lineno}"
        for module in modules("tests")
        if not module.path.startswith(WAITS_OUTSIDE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]

    assert [] == sleeping
