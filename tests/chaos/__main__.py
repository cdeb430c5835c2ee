"""Behind `make chaos`: every program of this folder, one after another, in the lengths of tests/budget.toml."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos import disk_full
from tests.chaos.processes import ROOT

PROGRAMS = (
    "crash_images",
    "disk_faults",
    "crash_loop",
    "kill_loop",
    "stream_loop",
    "drains",
    "clock_jumps",
    "bad_operators",
)


def main() -> int:
    """Run them; the exit status is 1 when a figure of any falls short."""
    failed = []
    for name in PROGRAMS:
        print(f"\n{name}", flush=True)
        command = [sys.executable, "-m", f"tests.chaos.{name}"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print("\ndisk_full", flush=True)
    with tempfile.TemporaryDirectory(prefix="flow-full-") as folder:
        if not disk_full.show(disk_full.observe(Path(folder), "tmpfs")):
            failed.append("disk_full")
    print(f"\nfailed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
