"""Mutants are what they should be, and unit tests kill them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.budget import length
from tests.mutation import meeting, mutants
from tests.mutation.meeting import Meeting, Seen, order_of
from tests.mutation.mutants import Mutant, code_of, lines_of, mutants_of

PROGRAM = '''
def least(a, b):
    """Give the smaller."""
    if a < b and not a is None:
        return a + 0
    print("b")
    return b


class Box:
    def is_full(self):
        return True
'''

TESTS = """
import program

def test_least():
    assert 1 == program.least(1, 5)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    return "program.py"


def test_every_comparison_connective_sum_number_and_call_of_a_function_is_changed_once(program: str) -> None:
    told = [mutant.told for mutant in mutants_of(program, frozenset({"least"}))]

    assert ["-> Or", "-> Sub", "0 -> 1", "Is -> IsNot", "Lt -> LtE", "not removed", "statement removed"] == sorted(told)


def test_method_is_named_with_its_class(program: str) -> None:
    assert ["program.py:12 Box.is_full True -> False"] == [
        str(one) for one in mutants_of(program, frozenset({"Box.is_full"}))
    ]


def test_code_of_a_mutant_does_what_it_says_and_leaves_the_file(program: str) -> None:
    def least(a: int, b: int) -> int:
        raise AssertionError((a, b))

    found = {mutant.told: mutant for mutant in mutants_of(program)}
    for told, expected in {"0 -> 1": 2, "not removed": 5, "Is -> IsNot": 5}.items():
        least.__code__ = code_of(found[told])
        assert expected == least(1, 5)
    assert PROGRAM == (mutants.ROOT / program).read_text("utf-8")


def test_function_that_is_not_there_is_told(program: str) -> None:
    with pytest.raises(StopIteration):
        code_of(Mutant(program, "nobody", 0, 1, ""))


def test_changed_statement_is_without_the_statements_in_it(program: str) -> None:
    lines = {mutant.told: lines_of(mutant) for mutant in mutants_of(program, frozenset({"least"}))}

    assert range(4, 5) == lines["Lt -> LtE"]
    assert range(5, 6) == lines["0 -> 1"]


def test_mutant_meets_the_tests_that_come_to_its_statement_the_quick_ones_first(program: str) -> None:
    seen = [Seen(3.0, {program: {4, 5}}), Seen(1.0, {program: {4, 6, 7}}), Seen(2.0, {program: {5}}), Seen(1.0)]
    found = {mutant.told: order_of(seen, mutant) for mutant in mutants_of(program, frozenset({"least"}))}

    assert [1, 0] == found["Lt -> LtE"]
    assert [2, 0] == found["0 -> 1"]
    assert [1] == found["statement removed"]


def met(program: str, tests: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Let tests meet the mutants of `least`: by each, whether it was killed."""
    folder = mutants.ROOT / "tests"
    folder.mkdir()
    (folder / "test_program.py").write_text(tests, "utf-8")
    monkeypatch.setattr(meeting, "ROOT", mutants.ROOT)
    monkeypatch.syspath_prepend(mutants.ROOT)
    is_killed: dict[str, bool] = {}
    try:
        found = mutants_of(program, frozenset({"least"}))
        Meeting(found, lambda mutant, known: is_killed.update({mutant.told: known})).hold(str(folder))
    finally:
        for name in ("program", "test_program"):
            sys.modules.pop(name, None)
    return is_killed


def test_mutant_that_no_test_notices_survives(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = {told for told, is_killed in met(program, TESTS, monkeypatch).items() if is_killed}

    assert {"0 -> 1", "Is -> IsNot", "not removed"} == killed


def test_mutant_that_hangs_is_killed(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = TESTS.replace("assert 1 == program.least(1, 5)", "while program.least(1, 5) != 1: pass")
    monkeypatch.setattr(meeting, "PAUSE_S_MAX", 2.0)

    assert met(program, tests, monkeypatch)["0 -> 1"]


def test_tests_that_fail_without_a_mutant_are_told(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="do not pass without a mutant"):
        met(program, TESTS.replace("1 ==", "2 =="), monkeypatch)


@pytest.mark.timed
@pytest.mark.timeout(36_000)
def test_unit_tests_kill_the_mutants_of_what_decides() -> None:
    command = [sys.executable, "-m", "tests.mutation", "--count", str(length("engine_mutant_count"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout[-4000:] + done.stderr[-4000:]
