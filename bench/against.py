"""Does a change cost speed? `python -m bench.against COMMIT`: W1 to W4 on this tree and on another commit in turn.

The other commit's files are laid into a folder and run with this environment's packages. A B A B A: the commit begins
and ends. The fastest round of each is compared, since a shared machine changes its speed by half from second to second.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec

from bench.program import DATA, ROOT, ProgramFailed, only_one
from bench.report import Row
from bench.workloads import W1, W2, W3, W4, CountWrong, http_workloads, run_on_engine
from tests.figures import figure

ROUNDS = 3  # of the commit; this tree has one less
LOSS_PERCENT_MAX = 10.0
W3_COUNT = 1000  # a fifth of them last 0.3 s, and the machine keeps one speed for longer than that
COMMIT = "commit"
TREE = "this tree"


def main() -> None:
    """Compare and say whether the loss is within its bound."""
    parser = argparse.ArgumentParser(prog="python -m bench.against", description=__doc__)
    parser.add_argument("commit", help="as git names it")
    parser.add_argument("--rounds", type=int, choices=range(2, 26), default=ROUNDS, metavar="N")
    arguments = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    try:
        with only_one(DATA / "lock"):
            is_held = _compare(arguments.commit, arguments.rounds)
    except (ProgramFailed, CountWrong) as fault:
        sys.exit(f"against: {fault}")
    sys.exit(0 if is_held else 1)


def _compare(commit: str, rounds: int) -> bool:
    folder = _lay_out(commit)
    rows: dict[str, list[Row]] = {COMMIT: [], TREE: []}
    known = http_workloads()
    compared = {name: known[name] for name in (W3, W1, W2, W4)}  # what every commit can run
    compared[W3] = msgspec.structs.replace(known[W3], count=W3_COUNT)
    for number in range(2 * rounds - 1):
        name, root = (TREE, ROOT) if number % 2 else (COMMIT, folder)
        measured, _ = run_on_engine(list(compared.values()), "against", root=root)
        rows[name] += measured
        print(f"{name}: " + ", ".join(f"{row.workload} {row.tasks_per_s:,.0f}/s" for row in measured), flush=True)
    held = [_show(name, commit, rows) for name in compared]
    return all(held)


def _show(workload: str, commit: str, rows: dict[str, list[Row]]) -> bool:
    before, now = (
        max(row.tasks_per_s for row in rows[system] if row.workload == workload) for system in (COMMIT, TREE)
    )
    loss = 100 * (1 - now / before)
    name = f"{workload.split(maxsplit=1)[0]}_loss_percent"
    return figure(
        name, loss, f"<= {LOSS_PERCENT_MAX:g}", loss <= LOSS_PERCENT_MAX, commit=commit, before=before, now=now
    )


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
