"""`make test`: every test, then the coverage gates, all within the time of tests/budget.toml.

Two halves run beside each other, one per core: what calculates, and what starts programs. Each runs its searches after
the rest and without the tracer of coverage: they meet the same lines thousands of times. After them the tests marked
`timed` run alone: they measure CPU and wall time, which the tracer would double. `make figures` (tests/release.py) measures longer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from bench.machine import slowness
from tests import coverage_gates
from tests.budget import length

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SLOWEST_SHOWN_COUNT = 20
PYTEST_NOTHING_COLLECTED = 5
# Folders whose tests calculate in their own process, or in children that do; all others start programs with ports.
CALCULATING = tuple(
    f"tests/{name}" for name in ("arch", "dags", "migration", "model", "mutation", "oracle", "planted", "sim", "unit")
)
# Seeds, floods and kill loops: they look for what nobody has thought of, and cover no line that no other test does.
SEARCHES = (
    "tests/chaos",
    "tests/http/test_fuzz_api.py",
    "tests/http/test_mutants.py",
    "tests/model",
    "tests/mutation",
    "tests/planted",
    "tests/sim/test_limits.py",
    "tests/sim/test_seeds.py",
)
# A session that was told to stop prints its report and stops the processes it started; then it is killed.
STOP_GRACE_S = 20
FAULTS = BUILD / "faults.txt"  # each session of pytest appends what failed there (tests/conftest.py)
FAULTS_SHOWN_MAX = 40
PYTEST = ("pytest", f"--durations={SLOWEST_SHOWN_COUNT}", f"--faults={FAULTS}")
SLOWNESS_MAX = 1.75  # 70 minutes at most: whoever waits for the gate does not wait for ever


def _slowness() -> float:
    """Say how many times slower than usual the machine is now: bounds in seconds are scaled by it (performance.md)."""
    slow = min(slowness().wall, SLOWNESS_MAX)
    print(f"the machine is {slow:.2f} times slower than usual")
    return slow


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


class Session:
    """One Python module in a process group of its own; none of its children outlives the deadline.

    Args:
        out: where it says what it says; None = here.
    """

    def __init__(self, command: list[str], deadline: Deadline, out: BinaryIO | None = None) -> None:
        print(f"\n$ python -m {' '.join(command)}", flush=True)
        self._deadline = deadline
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, start_new_session=True, stdout=out, stderr=out
        )

    def wait(self) -> int:
        """Wait for its end.

        Returns:
            Its exit status; 124, as `timeout` has it, when the deadline ended it.
        """
        try:
            return self._process.wait(timeout=self._deadline.left_s)
        except subprocess.TimeoutExpired:
            self.stop()
            return 124
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """Tell it to stop, and kill it when it does not."""
        if self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(timeout=STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def run(command: list[str], deadline: Deadline) -> int:
    """Run a session from its start to its end."""
    return Session(command, deadline).wait()


class Half:
    """Sessions one after the other in a thread of their own, with what they say kept in a file until they are over."""

    def __init__(self, commands: list[list[str]], deadline: Deadline, log: Path) -> None:
        self._commands = commands
        self._deadline = deadline
        self._log = log
        self._session: Session | None = None
        self._statuses: list[int] = []
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self) -> bool:
        """Wait for the end of all, and show what they said; False when one failed."""
        self._thread.join()
        print(f"\n{self._log.relative_to(ROOT)}:\n{self._log.read_text('utf-8', errors='replace')}", flush=True)
        return self._statuses == [0] * len(self._commands)

    def stop(self) -> None:
        """Stop the one that runs, and begin no other."""
        self._is_stopped = True
        if self._session is not None:
            self._session.stop()
        self._thread.join()

    def _run(self) -> None:
        with self._log.open("wb") as out:
            for command in self._commands:
                if not self._is_stopped:
                    self._session = Session(command, self._deadline, out)
                    self._statuses.append(self._session.wait())


def run_halves(deadline: Deadline) -> list[str]:
    """Run what calculates beside what starts programs; give the names of the halves that failed."""
    pytest = [*PYTEST, "-m", "not timed"]
    traced = ["coverage", "run", "-m", *pytest, *(f"--ignore={search}" for search in SEARCHES)]
    calculating = [search for search in SEARCHES if search.startswith(CALCULATING)]
    starting = [search for search in SEARCHES if not search.startswith(CALCULATING)]
    folders = [folder for folder in CALCULATING if folder not in SEARCHES]
    beside = Half([[*traced, *folders], [*pytest, *calculating]], deadline, BUILD / "calculating.log")
    try:
        statuses = [
            run([*traced, *(f"--ignore={folder}" for folder in CALCULATING)], deadline),
            run([*pytest, *starting], deadline),
        ]
    except KeyboardInterrupt:
        beside.stop()
        raise
    failed = ["tests that start programs failed"] if any(statuses) else []
    return failed + ([] if beside.wait() else ["tests that calculate failed"])


def test(deadline: Deadline) -> list[str]:
    """Run the pytest sessions and the coverage gates; give a sentence for each thing that failed."""
    for stale in ROOT.glob(".coverage*"):
        stale.unlink()
    faults = run_halves(deadline)
    if run([*PYTEST, "-m", "timed"], deadline) not in {0, PYTEST_NOTHING_COLLECTED}:
        faults.append("timed tests failed")
    report = BUILD / "coverage.json"
    if run(["coverage", "combine", "--quiet"], deadline) or run(
        ["coverage", "json", "-q", "-o", str(report)], deadline
    ):
        faults.append("coverage could not be read")
    else:
        faults.extend(coverage_gates.check(report, ROOT / "pyproject.toml", ROOT))
    return faults


def main() -> int:
    """Run the gate; the exit status is 1 when anything failed or the time was passed."""
    BUILD.mkdir(exist_ok=True)
    FAULTS.unlink(missing_ok=True)
    deadline = Deadline(length("gate_duration_s") * _slowness())
    faults = test(deadline)
    if not deadline.left_s:
        faults.append(f"took longer than {deadline.duration_s / 60:.0f} minutes")
    print(f"\n{deadline.spent_s / 60:.1f} of {deadline.duration_s / 60:.0f} minutes")
    # Last, since a log may be read from its end only.
    told = FAULTS.read_text("utf-8").splitlines() if FAULTS.exists() else []
    for fault in (*told[:FAULTS_SHOWN_MAX], *faults):
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
