"""Behind `make believe`: 2 000 starts in about a minute, twenty kills with -9, and an independent count."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.evidence import Findings
from tests.chaos.kill_loop import KillLoop
from tests.chaos.load import CLIENT_COUNT

INSTANCE_COUNT = 2000
KILL_COUNT = 20
LOAD_S = 55.0  # the starts are spread over this; the kills as well
SEED = 1


def main() -> int:
    """Run and say in one line what came out of it."""
    print(f"{INSTANCE_COUNT} instances of six calls each; the engine is killed with -9 {KILL_COUNT} times meanwhile")
    with tempfile.TemporaryDirectory(prefix="flow-believe-") as folder:
        loop = KillLoop(
            Path(folder), seed=SEED, instance_count=INSTANCE_COUNT, pace_s=CLIENT_COUNT * LOAD_S / INSTANCE_COUNT
        )
        try:
            findings = _run(loop)
        finally:
            loop.close()
    started = len(loop.load.acked) if loop.load is not None else 0
    for fault in findings.faults[:5]:
        print(f"  {fault}")
    print(
        f"  {findings.calls} calls at the target, one key for each of {findings.keys} tasks; "
        f"{loop.tally.on_open_work} of {loop.tally.kills} kills hit open work, "
        f"{loop.tally.between_call_and_outcome} came between a call and its outcome"
    )
    print(f"started {started} · finished {findings.finished} · lost {findings.lost} · doubled {findings.doubled}")
    return 0 if findings.is_sound and started == findings.finished == INSTANCE_COUNT else 1


def _run(loop: KillLoop) -> Findings:
    loop.begin()
    began_at = time.perf_counter()
    for number in range(1, KILL_COUNT + 1):
        due_s = began_at + number * LOAD_S / KILL_COUNT - time.perf_counter()
        loop.kill_once(max(due_s, 0.2))
        _say(f"\r  kill {number} of {KILL_COUNT}")
    _say("\n")
    return loop.finish()


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
