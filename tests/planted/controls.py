"""Negative controls: `python -m tests.planted.controls [FIGURE ...]`. With its bug planted, a figure must fall short.

A figure that no bug moves shows nothing (architecture.md 7). Each control is measured in a copy of the tree with the lengths
of the gate, by the command that measures the figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import figures
from tests.figures import figure
from tests.planted import planting

SEEDS = "pytest tests/sim/test_seeds.py"
CONTROL_S_MAX = 1800
FAILED = 1


@dataclasses.dataclass(frozen=True)
class Control:
    """One figure by the beginning of its name, the bug that moves it, and the command that measures it.

    Attributes:
        stops: the command ends at what it finds, before the figure: its status says that it fell short.
    """

    figure: str
    bug: str
    command: str
    stops: bool = False


CONTROLS = (
    Control("F01 kill_lost", "early-answer", "tests.chaos.kill_loop"),
    Control("F01 kill_doubled", "key-of-attempt", "tests.chaos.kill_loop"),
    Control("F03", "early-call", SEEDS, stops=True),
    Control("F06 crash_image", "unsynced-commit", "tests.chaos.crash_images"),
    Control("F09", "no-grace", "tests.chaos.drains"),
    Control("F12", "unsent", SEEDS, stops=True),
    Control("F13", "kept-in-memory", "tests.load F13"),
    Control("F14", "buffer-per-attempt", "tests.load F14"),
    Control("F15", "commit-per-item", "tests.load F15"),
    Control("F16", "polled-intake", "tests.load F16"),
    Control("F19", "one-line-for-all", "tests.load F19"),
    Control("F20", "endless-line", "tests.load F20"),
    Control("I17", "permit-leak", "pytest tests/sim/test_limits.py", stops=True),
)


def falls_short(control: Control) -> bool:
    """Plant the bug in a copy, measure there, and say whether the figure fell short.

    Raises:
        PatchUnusable: the patch does not apply. TimeoutExpired: the command takes longer than any of a gate.
    """
    with tempfile.TemporaryDirectory(prefix="flow-control-") as folder:
        tree = planting.copy_tree(planting.ROOT, Path(folder) / "tree")
        planting.plant(planting.find(control.bug), tree)
        kept_at = Path(folder) / "figures.jsonl"
        told = planting.environment(tree) | {"TEST_BUDGET": "test", "FLOW_FIGURES": str(kept_at)}
        command = [sys.executable, "-m", *control.command.split()]
        done = subprocess.run(
            command, cwd=tree, env=told, capture_output=True, text=True, check=False, timeout=CONTROL_S_MAX
        )
        told_of = [record for record in figures.read(kept_at) if str(record["name"]).startswith(control.figure)]
    is_short = any(not record["ok"] for record in told_of) or (control.stops and done.returncode == FAILED)
    shown = ", ".join(f"{record['name']} = {record['value']}" for record in told_of) or f"status {done.returncode}"
    print(f"  {control.figure} with {control.bug}: {shown}: {'falls short' if is_short else 'HOLDS'}", flush=True)
    if not is_short:
        print(done.stdout[-2000:] + done.stderr[-2000:])
    return is_short


def main() -> int:
    """Measure all controls, or those of some figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted.controls", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="F01, F03 ...; all when none is named")
    asked = tuple(parser.parse_args().figures)
    chosen = [control for control in CONTROLS if not asked or control.figure.startswith(asked)]
    short_count = sum([falls_short(control) for control in chosen])
    ok = short_count == len(chosen)
    return 0 if figure("controls_falling_short_count", short_count, f"= {len(chosen)}", ok) else 1


if __name__ == "__main__":
    sys.exit(main())
