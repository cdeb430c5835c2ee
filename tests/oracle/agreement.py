"""Comparison with the official library: the same program, the same variables, the same answer."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from cel_expr_python import cel

from core.expression import ABSENT, ExpressionFailed, ExpressionSyntaxError, Fuel, compile_expression, parse_expression
from core.expression.value import BoolKey
from tests.oracle.programs import BINDINGS, Programs

NOW = datetime(2024, 2, 29, tzinfo=UTC)
# Where this language errs by its own rule: NaN and infinity (S30).
_NOT_FINITE = ("division by zero", "the result is not a finite number")
# What the official library says where CEL has no overload: an int beside a double is widened here (S30).
_NO_OVERLOAD = re.compile(r"No matching overloads found : _.{1,2}_\((int64, double|double, int64|double, double)\)")
# A conversion that the library has beyond the language definition of CEL.
_EXTRA = "no function int() for bool"
# The library refuses constant maps with a key twice before it runs anything, also where they would not be reached.
_REFUSED_EARLY = "ALREADY_EXISTS"


class Tally(msgspec.Struct):
    """How the answers compared."""

    same_values: int = 0
    same_errors: int = 0
    widened: int = 0
    not_finite: int = 0
    extra: int = 0
    refused_early: int = 0
    merged: int = 0
    deviations: list[str] = []

    @property
    def asked(self) -> int:
        """How many programs were compared, those left out by S30 not counted."""
        return self.same_values + self.same_errors + len(self.deviations)


class Oracle:
    """The official library with the variables of the generator."""

    def __init__(self) -> None:
        self._env = cel.NewEnv(variables=dict.fromkeys(BINDINGS, cel.Type.DYN))

    def ask(self, text: str) -> tuple[bool, Any]:
        """Give whether there is a value, and the value or the message."""
        try:
            value = self._env.compile(text, disable_check=True).eval(data=BINDINGS)
        except RuntimeError as error:
            return False, str(error)
        answer = value.plain_value()
        return str(value.type()) != "ERROR", answer


def answer(text: str) -> tuple[bool, Any]:
    """Give what this language says, in the same form."""
    try:
        program = compile_expression(parse_expression(text))
        slots = [BINDINGS.get(".".join(read.path), ABSENT) for read in program.reads]
        return True, program.run(slots, Fuel(), NOW)
    except (ExpressionFailed, ExpressionSyntaxError) as error:
        return False, error.message


def is_same(ours: Any, theirs: Any) -> bool:
    """Compare a value of this language with one of the library."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(is_same, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        plain = {(key.truth if isinstance(key, BoolKey) else key): value for key, value in ours.items()}
        return plain.keys() == theirs.keys() and all(is_same(plain[key], theirs[key]) for key in plain)
    return type(ours) is type(theirs) and bool(ours == theirs)


def has_merged_keys(ours: Any) -> bool:
    """Tell a map with `false` beside 0 or `true` beside 1: one key to a Python dict, which the library answers with."""
    if isinstance(ours, list):
        return any(map(has_merged_keys, ours))
    if not isinstance(ours, dict):
        return False
    truths = {int(key.truth) for key in ours if isinstance(key, BoolKey)}
    return any(truth in ours for truth in truths) or any(map(has_merged_keys, ours.values()))


def compare(seed: int, count: int) -> Tally:
    """Ask both about generated programs.

    Args:
        seed: draws the programs.
        count: how many.
    """
    oracle, programs, tally = Oracle(), Programs(seed), Tally()
    for _ in range(count):
        text = programs.draw()
        has_ours, ours = answer(text)
        has_theirs, theirs = oracle.ask(text)
        if has_ours and has_theirs and is_same(ours, theirs):
            tally.same_values += 1
        elif not has_ours and not has_theirs:
            tally.same_errors += 1
        elif has_ours and not has_theirs and _NO_OVERLOAD.search(theirs):
            tally.widened += 1
        elif has_theirs and not has_ours and ours in _NOT_FINITE:
            tally.not_finite += 1
        elif has_ours and not has_theirs and _REFUSED_EARLY in theirs:
            tally.refused_early += 1
        elif has_theirs and not has_ours and ours == _EXTRA:
            tally.extra += 1
        elif has_ours and has_theirs and has_merged_keys(ours):
            tally.merged += 1
        else:
            tally.deviations.append(f"{text}\n    here {ours!r}\n    there {theirs!r}")
    return tally
