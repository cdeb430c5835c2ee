"""Run seeds: `python -m tests.sim --seed N` or `--seeds A..B`; the exit status is 1 when one fails."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter

from tests.sim.options import options_of
from tests.sim.world import Report, run_seed


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", help="A..B: all seeds from A to B")
    parser.add_argument("--keep-going", action="store_true", help="run the others although one failed")
    given = parser.parse_args()
    first, last = (given.seed or 1, given.seed or 1) if not given.seeds else map(int, given.seeds.split(".."))
    cells: Counter[str] = Counter()
    failed: list[int] = []
    for seed in range(first, last + 1):
        if first == last:
            print(options_of(seed).told())
        try:
            report = run_seed(seed)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the seed is what a person needs
            failed.append(seed)
            print(f"seed {seed} FAILED: {type(fault).__name__}: {fault}")
            for note in getattr(fault, "__notes__", []):
                print(f"  {note}")
            if first == last:
                traceback.print_exc()
            if not given.keep_going:
                break
        else:
            cells.update(report.cells)
            print(_line(report))
    for name, count in sorted(cells.items()):
        print(f"  {count:8d}  {name}")
    if failed:
        print(f"repeat with: python -m tests.sim --seed {failed[0]}   (failed: {failed})")
    return 1 if failed else 0


def _line(report: Report) -> str:
    return (
        f"seed {report.seed}: trace {report.trace} steps {report.steps} virtual_s {report.virtual_s:.1f} "
        f"commits {report.commits} transitions {report.transitions} instances {report.instances} "
        f"calls {report.calls} healed_s {report.healed_s:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
