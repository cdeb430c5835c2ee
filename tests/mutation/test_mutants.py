"""Mutants are what they should be, and unit tests kill them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.budget import length
from tests.mutation import mutants
from tests.mutation.mutants import Mutant, code_of, mutants_of

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


@pytest.mark.timed
@pytest.mark.timeout(36_000)
def test_unit_tests_kill_the_mutants_of_what_decides() -> None:
    command = [sys.executable, "-m", "tests.mutation", "--count", str(length("engine_mutant_count"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout[-4000:] + done.stderr[-4000:]
