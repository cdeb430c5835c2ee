"""`make test`: every test, then the coverage gates, all within the time of tests/budget.toml.

Two pytest sessions run one after the other: the tests marked `timed` measure CPU and wall time, which the tracer of
coverage would double, so they run without it. `--figures` runs the same with the lengths of a release, then the
benchmark and the kill proof, and writes every figure into one table.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests import coverage_gates, figures
from tests.budget import length

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
FIGURES_TABLE = ROOT / "bench" / "results" / "figures.md"
SLOWEST_SHOWN_COUNT = 20
PYTEST_NOTHING_COLLECTED = 5
# A session that was told to stop prints its report and stops the processes it started; then it is killed.
STOP_GRACE_S = 20


class Deadline:
    """What is left of the time that all sessions have together."""

    def __init__(self, duration_s: float) -> None:
        self.duration_s = duration_s
        self._started_at = time.perf_counter()

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started_at

    @property
    def left_s(self) -> float:
        """Seconds until the end, never negative."""
        return max(0.0, self.duration_s - self.spent_s)


def run(command: list[str], deadline: Deadline) -> int:
    """Run one Python module in a process group of its own; none of its children outlives the deadline.

    Returns:
        Its exit status; 124, as `timeout` has it, when the deadline ended it.
    """
    print(f"\n$ python -m {' '.join(command)}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, start_new_session=True)
    try:
        return process.wait(timeout=deadline.left_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return 124
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise


def test(deadline: Deadline) -> list[str]:
    """Run both pytest sessions and the coverage gates; give a sentence for each thing that failed."""
    for stale in ROOT.glob(".coverage*"):
        stale.unlink()
    slowest = f"--durations={SLOWEST_SHOWN_COUNT}"
    faults = []
    if run(["coverage", "run", "-m", "pytest", "-m", "not timed", slowest], deadline):
        faults.append("tests failed")
    if run(["pytest", "-m", "timed", slowest], deadline) not in {0, PYTEST_NOTHING_COLLECTED}:
        faults.append("timed tests failed")
    report = BUILD / "coverage.json"
    if run(["coverage", "combine", "--quiet"], deadline) or run(
        ["coverage", "json", "-q", "-o", str(report)], deadline
    ):
        faults.append("coverage could not be read")
    else:
        faults.extend(coverage_gates.check(report, ROOT / "pyproject.toml", ROOT))
    return faults


def measure(deadline: Deadline, kept_at: Path) -> list[str]:
    """Run what only a release runs, and write the table of all figures kept at `kept_at`."""
    faults = [f"{module} failed" for module in ("tests.chaos.believe", "bench") if run([module], deadline)]
    records = figures.read(kept_at)
    today = datetime.now(UTC).date().isoformat()  # noqa: TID251 - the date on the table is a record
    text = figures.table(records, today)
    FIGURES_TABLE.parent.mkdir(parents=True, exist_ok=True)
    FIGURES_TABLE.write_text(text, "utf-8")
    print(text)
    faults.extend(f"{record['name']} falls short" for record in records if not record["ok"])
    return faults


def main() -> int:
    """Run the gate; the exit status is 1 when anything failed or the time was passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.gate", description=__doc__)
    parser.add_argument("--figures", action="store_true", help="a release's lengths and the table of all figures")
    is_release = parser.parse_args().figures
    BUILD.mkdir(exist_ok=True)
    kept_at = BUILD / "figures.jsonl"
    if is_release:
        kept_at.unlink(missing_ok=True)
        kept_at.touch()
        os.environ.update(TEST_BUDGET="figures", FLOW_FIGURES=str(kept_at))
    deadline = Deadline(length("gate_duration_s"))
    faults = test(deadline)
    if is_release:
        faults += measure(deadline, kept_at)
    if not deadline.left_s:
        faults.append(f"took longer than {deadline.duration_s / 60:.0f} minutes")
    print(f"\n{deadline.spent_s / 60:.1f} of {deadline.duration_s / 60:.0f} minutes")
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
