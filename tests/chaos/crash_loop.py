"""T-02: the engine ends like a power cut at each named point, for the n-th time: `python -m tests.chaos.crash_loop`.

Points of a commit, around effects and attempts, and between an outcome and its commit are reached under load; those of a
drain after a SIGTERM; those of a migration on a new store. At the end nothing was lost and nothing happened twice.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from module.crash_points import POWER_CUT
from tests.budget import length
from tests.chaos.evidence import Findings, StoreFile
from tests.chaos.kill_loop import KillLoop, document
from tests.chaos.processes import Engine
from tests.figures import figure
from tests.sim.chance import Random, derived

# Both sides of everything that is awaited between an input and its effect.
UNDER_LOAD = (
    "before_begin", "after_fence", "after_each_statement", "before_commit", "after_commit",
    "node_before_objects", "node_after_objects", "node_before_commit", "node_after_commit",
    "node_before_attempt", "node_after_attempt",
)  # fmt: skip
IN_A_DRAIN = ("node_before_drain", "node_before_release")
IN_A_MIGRATION = ("before_migration", "in_migration", "after_migration")
DRAWN_N = (8, 20)  # beyond the transactions of a start
CRASH_S_MAX = 30.0  # a point that is not reached by then counts as missed
INSTANCES_PER_CRASH = 60  # more than an engine takes in before the point is reached
LARGE_EVERY = 7  # instances of which one has a value that lies in an object


def large_document(target_port: int) -> dict[str, Any]:
    """Give the kill loop's DAG, in which some instances read a value that is too long for a row."""
    made = document(target_port)
    url = f"http://127.0.0.1:{target_port}/items?count=20&bytes=20000"
    large = {
        "id": "large",
        "operator": "@http/request",
        "when": f"inputs.number % {LARGE_EVERY} == 0",
        "parameters": {"url": url},
        "retry": {"max_attempts": 4, "delay_s": 0.02},
    }
    return made | {"steps": [large, *made["steps"]]}


class CrashLoop(KillLoop):
    """A kill loop whose engine ends by itself, at points; `crashes` counts how often at each."""

    def __init__(self, folder: Path, *, seed: int, crash_count: int) -> None:
        super().__init__(
            folder,
            seed=seed,
            instance_count=crash_count * INSTANCES_PER_CRASH,
            pace_s=0.02,
            # A start takes each shard in a transaction of its own: with few of them most points are those of instances.
            FLOW_SHARD_COUNT="4",
        )
        self.crashes: Counter[str] = Counter()
        self.missed: list[str] = []

    def crash_at(self, name: str, n: int) -> None:
        """Start an engine that ends at the n-th passing of a point, and see it end there."""
        engine = self._engine()
        engine.kill()
        engine.launch(f"{name}:{n}")
        if name in IN_A_DRAIN:
            engine.wait_ready()
            engine.send(signal.SIGTERM)
        self._count(engine, name, n)
        self._look()

    def _count(self, engine: Engine, name: str, n: int) -> None:
        if engine.ends_within(CRASH_S_MAX) == POWER_CUT:
            self.crashes[name] += 1
        else:
            self.missed.append(f"{name}:{n} gave status {engine.exit_status}")
        engine.kill()

    def crash_migration(self, name: str, n: int) -> None:
        """End the first start on a new folder at a point of its migration; the second start is as any other."""
        folder = self._folder / f"{name}-{n}"
        folder.mkdir()
        engine = Engine(folder, self.target.port)
        try:
            engine.launch(f"{name}:{n}")
            self._count(engine, name, n)
            engine.launch()
            engine.wait_ready()
            if engine.stop():
                self.missed.append(f"the start after {name}:{n} stopped with {engine.exit_status}")
            with StoreFile(engine.store_path) as store:
                if store.rows("PRAGMA integrity_check") != [("ok",)]:
                    self.missed.append(f"{name}:{n} left a damaged file")
        finally:
            engine.close()

    def end_load(self) -> None:
        """Let an engine run on, and the clients start nothing more."""
        self._relaunch()
        assert self.load is not None
        self.load.stop()


def plan(repeats: int, rng: Random) -> Iterator[tuple[str, int]]:
    """Give each point with each number from 1 to `repeats`, and with one drawn number when that is 1."""
    for n in range(1, repeats + 1):
        yield from ((name, n if repeats > 1 else rng.randint(*DRAWN_N)) for name in UNDER_LOAD)
        # A drain comes once per process: its point is met anew under another load.
        yield from ((name, 1) for name in IN_A_DRAIN)


def run_crash_loop(folder: Path, *, seed: int, repeats: int) -> tuple[CrashLoop, Findings]:
    """Crash `repeats` times at every point, and once at those of a migration; then compare the histories."""
    planned = list(plan(repeats, derived(seed, "points")))
    loop = CrashLoop(folder, seed=seed, crash_count=len(planned))
    try:
        loop.begin(large_document)
        for name, n in planned:
            loop.crash_at(name, n)
        loop.end_load()
        findings = loop.finish()
        for name in IN_A_MIGRATION:
            loop.crash_migration(name, 1)
        return loop, findings
    finally:
        loop.close()


def show(loop: CrashLoop, findings: Findings, *, seed: int, repeats: int) -> bool:
    """Print the figures; say whether all hold."""
    for fault in (*loop.missed[:10], *findings.faults[:10]):
        print(f"  {fault}")
    scale = {"n": findings.instances, "crashes": sum(loop.crashes.values()), "seed": seed}
    points = len(UNDER_LOAD) + len(IN_A_DRAIN) + len(IN_A_MIGRATION)
    met = len(loop.crashes)
    held = [
        figure("F01 crash_point_lost_count", findings.lost, "= 0", findings.lost == 0, **scale),
        figure("F01 crash_point_doubled_count", findings.doubled, "= 0", findings.doubled == 0, **scale),
        figure("F01 crash_point_other_faults_count", len(findings.faults), "= 0", not findings.faults, **scale),
        figure("F01 crash_point_met_count", met, f"= {points}", met == points, repeats=repeats, **scale),
        figure("F01 crash_point_missed_count", len(loop.missed), "= 0", not loop.missed, **scale),
    ]
    return all(held)


def main() -> int:
    """Run it in the length of tests/budget.toml."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    repeats = length("crash_point_repeat_count")
    with tempfile.TemporaryDirectory(prefix="flow-crash-") as folder:
        loop, findings = run_crash_loop(Path(folder), seed=seed, repeats=repeats)
    return 0 if show(loop, findings, seed=seed, repeats=repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
