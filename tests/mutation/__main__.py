"""`python -m tests.mutation [--count N] [--seed N] [--only PATH]`: mutants, each met by the tests that prove its file."""

from __future__ import annotations

import argparse
import sys

import msgspec

from tests.figures import figure
from tests.mutation.meeting import Meeting
from tests.mutation.mutants import Mutant, mutants_of
from tests.sim.chance import derived

PERCENT_MIN = 95.0  # F21
TOLD_EVERY = 25
ENGINE, NODE, SHARDS = "tests/unit/engine", "tests/unit/engine_node", "tests/contract/test_shard_store.py"
TARGETS: dict[str, str] = {
    "core/engine/retry.py": ENGINE,  # first: the few that every run takes
    "core/engine/decide.py": ENGINE,
    "core/engine/advance.py": ENGINE,
    "core/engine/outcome.py": ENGINE,
    "core/engine/handled.py": ENGINE,
    "core/engine/gates.py": ENGINE,
    "core/executor/retry_budget.py": ENGINE,
    "core/engine/node/committer.py": NODE,
    "core/engine/node/ownership.py": NODE,
    "driven_adapters/sqlite/shard_store.py": SHARDS,
}


class Tally(msgspec.Struct):
    """What became of the mutants; it is printed as it comes."""

    all_count: int
    killed_count: int = 0
    survived_count: int = 0

    def note(self, mutant: Mutant, is_killed: bool) -> None:
        """Count one."""
        self.killed_count += is_killed
        self.survived_count += not is_killed
        met_count = self.killed_count + self.survived_count
        if not is_killed:
            print(f"  survived: {mutant}", flush=True)
        if met_count % TOLD_EVERY == 0:
            print(f"  {met_count} of {self.all_count} met, {self.survived_count} survived", flush=True)


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
    tally = Tally(all_count=len(mutants))
    for folder in dict.fromkeys(TARGETS.values()):
        met = [mutant for mutant in mutants if TARGETS[mutant.path] == folder]
        if met:
            Meeting(met, tally.note).hold(folder)
    return tally


def main() -> int:
    """Run it; the exit status is 1 when fewer are killed than F21 asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, help="draw the mutants that --count takes")
    parser.add_argument("--only", choices=list(TARGETS))
    given = parser.parse_args()
    mutants = chosen(given.seed, given.count, given.only)
    tally = run(mutants)
    percent = 100 * tally.killed_count / len(mutants)
    how = {"n": len(mutants)} if given.seed is None else {"n": len(mutants), "seed": given.seed}
    told = f">= {PERCENT_MIN:g}"
    is_fine = figure("F21 mutants_killed_percent", percent, told, percent >= PERCENT_MIN, **how)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
