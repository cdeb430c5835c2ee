"""Run seeds: `python -m tests.sim --seed N` or `--seeds A..B`; the exit status is 1 when one fails.

A seed that failed is made small by `--seed N --shrink`, and kept in seeds.txt by `--keep`.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.sim.options import Options
from tests.sim.shrink import Shrinker, failure_of, read, written
from tests.sim.world import Report, run_seed

SEEDS_FILE = Path(__file__).with_name("seeds.txt")
SENTENCE_LENGTH_MAX = 90  # of what a seed found, in seeds.txt


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", help="A..B: all seeds from A to B")
    parser.add_argument("--with", nargs="+", default=[], metavar="NAME=JSON", help="options other than the seed's own")
    parser.add_argument("--keep-going", action="store_true", help="run the others although one failed")
    parser.add_argument("--keep", action="store_true", help="write seeds that fail into seeds.txt")
    parser.add_argument("--shrink", action="store_true", help="find the smallest options with which the seed fails")
    given = parser.parse_args(arguments)
    first, last = (given.seed or 1, given.seed or 1) if not given.seeds else map(int, given.seeds.split(".."))
    if given.shrink:
        return shrink(read(first, vars(given)["with"]))
    cells: Counter[str] = Counter()
    failed: list[int] = []
    began_at, steps = time.perf_counter(), 0
    for seed in range(first, last + 1):
        options = read(seed, vars(given)["with"])
        if first == last:
            print(options.told())
        try:
            report = run_seed(seed, options)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the seed is what a person needs
            failed.append(seed)
            print(f"seed {seed} FAILED: {type(fault).__name__}: {fault}")
            for note in getattr(fault, "__notes__", []):
                print(f"  {note}")
            if first == last:
                traceback.print_exc()
            if given.keep:
                keep(seed, fault)
            if not given.keep_going:
                break
        else:
            cells.update(report.cells)
            steps += report.steps
            print(_line(report))
    for name, count in sorted(cells.items()):
        print(f"  {count:8d}  {name}")
    spent_s = time.perf_counter() - began_at
    print(f"{steps} steps in {spent_s:.1f} s: {steps / spent_s:.0f} a second")
    if failed:
        print(f"repeat with: python -m tests.sim --seed {failed[0]}   (failed: {failed})")
    return 1 if failed else 0


def shrink(options: Options) -> int:
    """Print the smallest options with which a seed fails as it does; 1 when it fails at all."""
    shrinker = Shrinker(options, _failure)
    smallest = shrinker.shrink()
    if shrinker.wanted is None:
        print(f"seed {options.seed} passes")
        return 0
    print(f"seed {options.seed} fails with {shrinker.wanted}; smallest of {shrinker.tries_count} tried:")
    print(smallest.told())
    changes = written(smallest)
    print(f"repeat with: python -m tests.sim --seed {options.seed}" + (f" --with {changes}" if changes else ""))
    return 1


def keep(seed: int, fault: BaseException, file: Path = SEEDS_FILE) -> None:
    """Add a seed to those that every run replays, with what it found."""
    lines = file.read_text("utf-8").splitlines()
    if str(seed) not in {line.partition(" ")[0] for line in lines}:
        told = f"{type(fault).__name__}: {fault}".partition("\n")[0][:SENTENCE_LENGTH_MAX]
        file.write_text("\n".join([*lines, f"{seed} {told}", ""]), "utf-8")


def _failure(options: Options) -> str | None:
    try:
        run_seed(options.seed, options)
    except Exception as fault:  # noqa: BLE001 - as above
        return failure_of(fault)
    return None


def _line(report: Report) -> str:
    return (
        f"seed {report.seed}: trace {report.trace} steps {report.steps} virtual_s {report.virtual_s:.1f} "
        f"commits {report.commits} transitions {report.transitions} instances {report.instances} "
        f"calls {report.calls} healed_s {report.healed_s:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
