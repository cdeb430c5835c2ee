"""`python -m module.cli_page > docs/cli.md`: the committed page of the command line, which a test compares."""

from __future__ import annotations

import sys
from importlib.metadata import version

from driver_adapters.cli.commands import build_cli
from driver_adapters.cli.page import render_page
from module.main import DISTRIBUTION, wire_commands


def main() -> None:
    """Print the page."""
    sys.stdout.write(render_page(build_cli(wire_commands(), version(DISTRIBUTION))))


if __name__ == "__main__":
    main()
