"""Every rule of the language's semantics has a test that is named after it, or says with what it comes.

A test that holds rule S21 has `s21` in its name before the situation: `test_s21_break_keeps_the_value_of_its_iteration`,
`test_s2_s20_...` for two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from tests.arch.source import modules

RULES = {
    "S1": "tasks of an entered list", "S2": "paths", "S3": "ids", "S4": "depends_on", "S5": "visibility", "S6": "join",
    "S7": "when", "S8": "skipping does not spread", "S9": "scope of a failure", "S10": "failing", "S11": "continue",
    "S12": "on_error list", "S13": "error", "S14": "retry", "S15": "timeouts", "S16": "policies not allowed",
    "S17": "value of a list", "S18": "branch", "S19": "map", "S20": "names", "S21": "loop", "S22": "try", "S23": "return",
    "S24": "variables", "S25": "wait", "S26": "signals", "S27": "callback", "S28": "approval", "S29": "call",
    "S30": "numbers", "S31": "has", "S32": "guards", "S33": "paths of references", "S34": "values leaving CEL",
    "S35": "template", "S36": "where templates stand", "S37": "secrets", "S38": "functions", "S39": "end",
    "S40": "timeout of the instance", "S41": "cancel and terminate", "S42": "pause", "S43": "acts by hand", "S44": "rerun",
    "S45": "start", "S46": "concurrency of a DAG", "S47": "types", "S48": "key of a trigger", "S49": "inputs of a trigger",
    "S50": "cron", "S51": "events", "S52": "pattern", "S53": "trigger of a DAG", "S54": "faults and small operators",
}  # fmt: skip
NOT_YET = {
    "S48": "comes with triggers that fire",
    "S50": "comes with triggers that fire",
    "S51": "comes with triggers that fire",
    "S52": "comes with triggers that fire",
    "S53": "comes with triggers that fire",
}
NAMED = re.compile(r"test_((?:s\d+_)+)")


def rules_named(names: Iterable[str]) -> set[str]:
    """Give the rules that names of tests begin with."""
    return {rule.upper() for name in names if (found := NAMED.match(name)) for rule in found[1].strip("_").split("_")}


def rules_tested() -> set[str]:
    """Give the rules that some test is named after."""
    return rules_named(function.name for module in modules("tests") for function, _ in module.functions())


def test_every_rule_has_a_test_named_after_it_or_says_with_what_it_comes() -> None:
    assert [f"S{number}" for number in range(1, 55)] == list(RULES)
    known = rules_tested() | set(NOT_YET)
    assert [] == [f"{rule} {title}" for rule, title in RULES.items() if rule not in known]


def test_rule_that_is_tested_is_no_longer_said_to_come() -> None:
    assert set() == rules_tested() & set(NOT_YET)


def test_name_of_a_test_names_no_rule_that_is_not_there() -> None:
    assert set() == rules_tested() - set(RULES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_s21_break_keeps_its_value", {"S21"}),
        ("test_s2_s20_map_in_a_loop", {"S2", "S20"}),
        ("test_secret_is_never_shown", set()),
        ("s21_of_something", set()),
    ],
    ids=["one", "two", "none", "no-test"],
)
def test_rules_are_read_off_the_beginning_of_a_name(name: str, expected: set[str]) -> None:
    assert expected == rules_named([name])
