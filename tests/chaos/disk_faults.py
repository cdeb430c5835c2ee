"""T-06: a write or a sync of a real engine fails: it ends with a status that says so, and acknowledges nothing (R12).

A failed sync takes with it what was written since the one before. `python -m tests.chaos.disk_faults`.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from driver_adapters.cli.exits import UNREACHABLE
from module.process import EXIT_FATAL
from tests.budget import length
from tests.chaos.evidence import Findings, StoreFile
from tests.chaos.kill_loop import KillLoop
from tests.figures import figure
from tests.sim.chance import Random, derived

KINDS = {"lost": (1, 60), "write": (1, 600), "short": (1, 600)}  # kind -> which operation of a process fails
FAULT_S_MAX = 30.0  # an operation that is not reached by then counts as missed
INSTANCES_PER_FAULT = 60


class FaultLoop(KillLoop):
    """A kill loop whose engine is ended by its disk; `statuses` counts with what."""

    def __init__(self, folder: Path, *, seed: int, fault_count: int) -> None:
        super().__init__(
            folder, seed=seed, instance_count=fault_count * INSTANCES_PER_FAULT, pace_s=0.02, FLOW_SHARD_COUNT="4"
        )
        self.statuses: Counter[str] = Counter()

    def fail_at(self, kind: str, n: int) -> None:
        """Start an engine whose n-th operation of a kind fails, and see how it ends; then look at the file."""
        engine = self._engine()
        engine.kill()
        engine.launch(program="tests.chaos.faulty_serve", DISK_FAULT=f"{kind}:{n}:io")
        status = engine.ends_within(FAULT_S_MAX)
        engine.kill()
        self.statuses["missed" if status is None else f"status {status}"] += 1
        with StoreFile(engine.store_path) as store:
            if store.rows("PRAGMA integrity_check") != [("ok",)]:
                self.statuses["damaged"] += 1

    def end_load(self) -> None:
        """Let an engine run on, and the clients start nothing more."""
        self._relaunch()
        assert self.load is not None
        self.load.stop()


def run_disk_faults(folder: Path, *, seed: int, fault_count: int) -> tuple[FaultLoop, Findings]:
    """Let the disk fail `fault_count` times under load; then compare the histories."""
    rng: Random = derived(seed, "disk faults")
    loop = FaultLoop(folder, seed=seed, fault_count=fault_count)
    kinds = list(KINDS)
    try:
        loop.begin()
        for number in range(fault_count):
            kind = kinds[number % len(kinds)]
            loop.fail_at(kind, rng.randint(*KINDS[kind]))
        loop.end_load()
        return loop, loop.finish()
    finally:
        loop.close()


def show(loop: FaultLoop, findings: Findings, *, seed: int, fault_count: int) -> bool:
    """Print the figures; say whether all hold."""
    for fault in findings.faults[:10]:
        print(f"  {fault}")
    print(f"  {dict(loop.statuses)}")
    scale = {"n": findings.instances, "faults": fault_count, "seed": seed}
    # A fault before the store is open is told in words, with the status of a store that cannot be reached.
    told = loop.statuses[f"status {EXIT_FATAL}"] + loop.statuses[f"status {UNREACHABLE}"]
    serving = loop.statuses[f"status {EXIT_FATAL}"]
    wrong = findings.lost + findings.doubled + len(findings.faults)
    held = [
        figure("disk_fault_lost_count", findings.lost, "= 0", findings.lost == 0, **scale),
        figure("disk_fault_other_faults_count", wrong, "= 0", wrong == 0, **scale),
        figure("disk_fault_ended_count", told, f"= {fault_count}", told == fault_count, **scale),
        figure("disk_fault_while_serving_count", serving, "> 0", serving > 0, **scale),
    ]
    return all(held) and not loop.statuses["damaged"]


def main() -> int:
    """Run it in the length of tests/budget.toml."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    fault_count = length("disk_fault_count")
    with tempfile.TemporaryDirectory(prefix="flow-disk-") as folder:
        loop, findings = run_disk_faults(Path(folder), seed=seed, fault_count=fault_count)
    return 0 if show(loop, findings, seed=seed, fault_count=fault_count) else 1


if __name__ == "__main__":
    sys.exit(main())
