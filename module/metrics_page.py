"""`python -m module.metrics_page > docs/metrics.md`: the committed page of metrics, which a test compares."""

from __future__ import annotations

import sys

from driven_adapters.telemetry.page import metrics_page


def main() -> None:
    """Print the page."""
    sys.stdout.write(metrics_page())


if __name__ == "__main__":
    main()
