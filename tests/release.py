"""`make figures [ONLY="F01 F06"]`: every promise with a number, in the length that a release is measured with.

Measured part by part, each by the commands that measure it, since all of them take hours. What a part measures takes the place
of what it measured before in `bench/results/figures.jsonl`; `figures.md` beside it is the table of that file, each figure with its
date, under the machine and the versions. Exit status 1 when a figure falls short or a command fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests import figures

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "bench" / "results" / "figures.jsonl"
TABLE = KEPT.with_suffix(".md")
PARTS: dict[str, tuple[str, ...]] = {
    "F01": ("tests.chaos.kill_loop", "tests.chaos.believe"),
    "F01-points": ("tests.chaos.crash_loop",),
    "F01-streams": ("tests.chaos.stream_loop",),
    "F03": ("pytest tests/sim/test_seeds.py tests/sim/test_permutations.py tests/sim/test_limits.py",),  # and F05, F12
    "F04": ("pytest tests/planted/test_planted.py",),
    "F06": ("tests.chaos.crash_images", "tests.chaos.disk_faults", "pytest tests/chaos/test_disk_full.py"),
    "F09": ("tests.chaos.drains",),
    "F13": ("tests.load",),  # and F14, F15, F16, F19, F20
    "F21": ("tests.mutation",),
    "T-09": ("tests.chaos.bad_operators",),
    "T-13": ("tests.chaos.clock_jumps",),
    "S-10": ("pytest tests/unit/egress",),
    "S-12": ("pytest tests/mutation_corpus tests/http/test_mutants.py", "tests.oracle.expression_figures"),
    "S-13": ("pytest tests/http/test_fuzz_api.py",),
    "S-21": ("pytest tests/contract/runner",),
    "controls": ("tests.planted.controls",),  # each figure with the bug that moves it
    "files": ("pytest tests/contract/test_query_figure.py tests/e2e/test_large_file.py",),
    "start": ("pytest tests/e2e/test_example.py",),
    "W": ("bench --only W1,W2,W3,W4,W5,W6,syncs,growth",),
    "W6": ("bench.map_growth --made",),  # a hundred thousand items of 1 KiB
    "W7": ("bench.waiting",),
    "W9": ("bench.limits",),
    "W10": ("bench.endurance",),
}
"""What is measured, by the number of the promise that it is known by -> commands, each a module and its arguments."""


def measure(command: str, kept_at: Path) -> bool:
    """Run one command in the lengths of a release, with its figures appended to a file; say whether it went well."""
    print(f"\n$ python -m {command}", flush=True)
    told = {"TEST_BUDGET": "figures", "FLOW_FIGURES": str(kept_at)}
    done = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, env=os.environ | told, check=False)
    return not done.returncode


def main() -> int:
    """Measure what is asked for, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named")
    asked = parser.parse_args().parts or list(PARTS)
    if unknown := set(asked) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    failed = []
    for part in asked:
        with tempfile.TemporaryDirectory(prefix="flow-figures-") as folder:
            measured_at = Path(folder) / "figures.jsonl"
            measured_at.touch()
            failed += [command for command in PARTS[part] if not measure(command, measured_at)]
            today = datetime.now(UTC).date().isoformat()  # noqa: TID251 - the date in the table is a record
            records = figures.replaced(figures.read(KEPT), figures.read(measured_at), part, today)
        figures.write(KEPT, records)
        TABLE.write_text(figures.table(records), "utf-8")
    print(f"\n{TABLE.read_text('utf-8')}")
    short = [str(record["name"]) for record in records if not record["ok"] and record["part"] in asked]
    for fault in (*(f"{command} failed" for command in failed), *(f"{name} falls short" for name in short)):
        print(f"FAILED: {fault}")
    return 1 if failed or short else 0


if __name__ == "__main__":
    sys.exit(main())
