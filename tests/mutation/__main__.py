"""`python -m tests.mutation [--count N] [--seed N] [--only PATH]`: mutants, each met by the unit tests of its package.

The tests are imported once; each mutant is a child of this process in which one function has other code.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import msgspec
import pytest

from tests.figures import figure
from tests.mutation.mutants import Mutant, code_of, mutants_of
from tests.sim.chance import derived

PERCENT_MIN = 95.0  # F21
CHILD_S_MAX = 300.0  # the slowest tests take a minute; a mutant that hangs is seen by it
ENGINE, NODE = "tests/unit/engine", "tests/unit/engine_node"
TARGETS: dict[str, str] = {
    "core/engine/retry.py": ENGINE,  # first: the few that every run takes
    "core/engine/decide.py": ENGINE,
    "core/engine/advance.py": ENGINE,
    "core/engine/outcome.py": ENGINE,
    "core/engine/node/committer.py": NODE,
    "core/engine/node/ownership.py": NODE,
}
FAILED, PASSED = int(pytest.ExitCode.TESTS_FAILED), int(pytest.ExitCode.OK)


class Tally(msgspec.Struct):
    """What became of the mutants."""

    killed: int = 0
    survivors: list[str] = []


def chosen(seed: int | None, count: int | None, only: str | None) -> list[Mutant]:
    """Take so many mutants of the targets, the first ones, or by a seed; or all."""
    found = [mutant for path in TARGETS if only in (None, path) for mutant in mutants_of(path)]
    if count is None or count >= len(found):
        return found
    return found[:count] if seed is None else derived(seed, "mutants").sample(found, count)


def run(mutants: list[Mutant]) -> Tally:
    """Meet each mutant with its tests.

    Raises:
        RuntimeError: the tests do not pass without a mutant, or cannot be run.
    """
    tally = Tally()
    for folder in dict.fromkeys(TARGETS[mutant.path] for mutant in mutants):
        with _silent():
            pytest.main([folder, "--collect-only", "-q", "-p", "no:cacheprovider"])
    for mutant in mutants:
        status = _status_of(mutant)
        tally.killed += status != PASSED
        if status == PASSED:
            tally.survivors.append(str(mutant))
            print(f"  survived: {mutant}", flush=True)
    return tally


def _status_of(mutant: Mutant) -> int:
    """Run the tests with the mutant in a child; one that hangs or dies has failed."""
    child = os.fork()
    if child == 0:
        _child(mutant)
    ended = os.pidfd_open(child)
    try:
        if not select.select([ended], [], [], CHILD_S_MAX)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _child(mutant: Mutant) -> None:
    status = FAILED
    try:
        with _silent():
            _plant(mutant, code_of(mutant))
            given = [TARGETS[mutant.path], "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=no"]
            status = int(pytest.main(given))
    finally:
        os._exit(status)


def _plant(mutant: Mutant, code: CodeType) -> None:
    found: Any = importlib.import_module(mutant.path.removesuffix(".py").replace("/", "."))
    for name in mutant.name.split("."):
        found = vars(found)[name]
    function = found.fget if isinstance(found, property) else found
    assert isinstance(function, FunctionType), mutant
    function.__code__ = code


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Let nothing be printed: a mutant's tests fail loudly."""
    with Path(os.devnull).open("w", encoding="utf-8") as nothing:
        kept = os.dup(1), os.dup(2)
        sys.stdout.flush()
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)


def main() -> int:
    """Run it; the exit status is 1 when fewer are killed than F21 asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, help="draw the mutants that --count takes")
    parser.add_argument("--only", choices=list(TARGETS))
    given = parser.parse_args()
    mutants = chosen(given.seed, given.count, given.only)
    tally = run(mutants)
    percent = 100 * tally.killed / len(mutants)
    how = {"n": len(mutants)} if given.seed is None else {"n": len(mutants), "seed": given.seed}
    told = f">= {PERCENT_MIN:g}"
    is_fine = figure("F21 mutants_killed_percent", percent, told, percent >= PERCENT_MIN, **how)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
