"""Run a make target in a copy of the tree with a planted bug: `python -m tests.planted NAME -- TARGET`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.planted import planting

USAGE = "usage: python -m tests.planted NAME -- TARGET [VARIABLE=VALUE]..."


def main(arguments: list[str]) -> int:
    """Copy, plant, run; the exit status is the target's, or 2 when the patch cannot be used."""
    match arguments:
        case [name, "--", target, *rest]:
            variables = [text for text in rest if not text.startswith("FLOW_PLANT=")]
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="flow-planted-") as folder:
        try:
            patch = planting.find(name)
            tree = planting.copy_tree(planting.ROOT, Path(folder))
            planting.plant(patch, tree)
        except planting.PatchUnusable as unusable:
            print(unusable, file=sys.stderr)
            return 2
        print(f"planted {patch.path.name} in a copy of the tree; running `make {target}` there", flush=True)
        command = ["make", "--no-print-directory", target, *variables]
        return subprocess.run(command, cwd=tree, env=planting.environment(tree), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
