"""`python -m tests.model KIND [--histories N]`: the machine over one installation, a failure made as short as it can be."""

from __future__ import annotations

import argparse

from tests.model.machine import run_histories


def main() -> None:
    """Run it; a history that fails is printed as calls of the machine."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("kind", choices=["simulated", "sqlite", "http"])
    parser.add_argument("--histories", type=int, default=100)
    given = parser.parse_args()
    run_histories(given.kind, given.histories, is_shrunk=True)


if __name__ == "__main__":
    main()
