"""Does a change cost speed? `python -m bench.against COMMIT`: W1 to W4 on this tree and on another commit in turn.

The other commit's files are laid into a folder and run with this environment's packages. Both engines run all the
time, and short loads go to one and to the other: A B, B A, A B and so on. A shared machine changes its speed by half
from second to second, and even its fastest moments are never the same twice (bench/NOTES.md), so each load is held
against the one right beside it: the loss is the median over these pairs.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

from bench.count import Counts
from bench.engine import Engine, send_load
from bench.program import DATA, ROOT, ProgramFailed, only_one
from bench.workloads import (
    W1,
    W2,
    W3,
    W4,
    CountWrong,
    Workload,
    check_count,
    count_in_store,
    http_workloads,
)
from tests.figures import figure

ROUNDS = 30  # pairs of loads per workload
LOSS_PERCENT_MAX = 10.0
COMMIT = "commit"
TREE = "this tree"
# A load lasts about half a second: longer ones meet another speed of the machine than the ones beside them.
COUNTS = {W3: 200, W1: 400, W2: 10, W4: 1_000}


class Side:
    """One of the two: its engine, and its loads by workload."""

    def __init__(self, name: str, engine: Engine, workloads: Sequence[Workload]) -> None:
        self.name = name
        self.engine = engine
        self._workloads = workloads
        self._dag_ids = {one.name: engine.publish(one.document) for one in workloads}
        self._sent: Counter[str] = Counter()

    def send(self, workload: Workload, count: int) -> float:
        """Send one load; gives tasks per second."""
        load = self.engine.make_load(self._dag_ids[workload.name], count=count, in_flight=workload.in_flight)
        wall_s = send_load(load).wall_s
        self._sent[workload.name] += count
        return count * workload.tasks / wall_s

    def check(self, counts: Counts) -> None:
        """Hold what was sent against the store, after the engine has stopped.

        Raises:
            CountWrong: an instance or a task is missing or doubled.
        """
        for one in self._workloads:
            found = counts.by_dag.get(self._dag_ids[one.name])
            check_count(f"{self.name} {one.name}", found, instances=self._sent[one.name], tasks_each=one.tasks)


def main() -> None:
    """Compare and say whether the loss is within its bound."""
    parser = argparse.ArgumentParser(prog="python -m bench.against", description=__doc__)
    parser.add_argument("commit", help="as git names it")
    parser.add_argument("--rounds", type=int, choices=range(5, 101), default=ROUNDS, metavar="N")
    arguments = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    try:
        with only_one(DATA / "lock"):
            is_held = _compare(arguments.commit, arguments.rounds)
    except (ProgramFailed, CountWrong) as fault:
        sys.exit(f"against: {fault}")
    sys.exit(0 if is_held else 1)


def _compare(commit: str, rounds: int) -> bool:
    known = http_workloads()
    workloads = [known[name] for name in COUNTS]  # what every commit can run
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    with Engine("against-commit", root=_lay_out(commit)) as before, Engine("against-tree") as now:
        sides = [Side(COMMIT, before, workloads), Side(TREE, now, workloads)]
        for side in sides:
            for one in workloads:
                side.send(one, one.warm)
        for number in range(rounds):
            for one in workloads:
                for side in sides if number % 2 == 0 else reversed(sides):
                    rates[side.name, one.name].append(side.send(one, COUNTS[one.name]))
            _print_round(number, workloads, rates)
    for side in sides:
        side.check(count_in_store(side.engine.store_path))
    shown = [_show(one.name, commit, rates[COMMIT, one.name], rates[TREE, one.name]) for one in workloads]
    return all(shown)


def _print_round(number: int, workloads: Sequence[Workload], rates: Mapping[tuple[str, str], list[float]]) -> None:
    said = (f"{one.name} {rates[COMMIT, one.name][-1]:,.0f} {rates[TREE, one.name][-1]:,.0f}" for one in workloads)
    print(f"{number + 1}: {', '.join(said)}", flush=True)


def _show(workload: str, commit: str, before: Sequence[float], now: Sequence[float]) -> bool:
    losses = [100 * (1 - new / old) for old, new in zip(before, now, strict=True)]
    first, middle, third = quantiles(losses, n=4)
    name = f"{workload.split(maxsplit=1)[0]}_loss_percent"
    return figure(
        name, middle, f"<= {LOSS_PERCENT_MAX:g}", middle <= LOSS_PERCENT_MAX, commit=commit, n=len(losses),
        quartiles=f"{first:.1f}..{third:.1f}", before=median(before), now=median(now),
    )  # fmt: skip


def _lay_out(commit: str) -> Path:
    """Lay a commit's files into a folder of their own; nothing of the repository's state changes.

    Raises:
        ProgramFailed: git knows no such commit.
    """
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise ProgramFailed(packed.stderr.decode(errors="replace").strip())
    folder = DATA / "commit"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    main()
