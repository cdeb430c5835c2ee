"""`python -m tests.load [FIGURE]...`: measure figures of load."""

from __future__ import annotations

import sys

from tests.load.measures import MEASURES


def main(names: list[str]) -> int:
    """Measure the named figures, or all; the exit status is 1 when one falls short, and 2 when a name is none."""
    if unknown := set(names) - set(MEASURES):
        print(f"no figure is called {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    held = [MEASURES[name]() for name in names or MEASURES]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
