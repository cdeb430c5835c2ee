"""What every test has: a seed that is printed, and figures shown at the end although their output was captured."""

from __future__ import annotations

import gc
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import figures

SEED_MAX = 2**32
FAULT_CHARS_MAX = 400

# Two shared cores make single examples slow for no reason of ours: pytest-timeout bounds the test, not the example.
hypothesis.settings.register_profile("flow", deadline=None, print_blob=True)
hypothesis.settings.load_profile("flow")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", metavar="FILE", type=Path, help="append a line per test that failed (tests/gate.py)")


def pytest_configure(config: pytest.Config) -> None:
    # A shell's background job ignores it, and so would every program that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    given = os.environ.get("TEST_SEED")
    config.stash[SEED] = int(given) if given else secrets.randbelow(SEED_MAX)


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: TEST_SEED={config.stash[SEED]}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what captured output hides: the figures of this run, and the seed to repeat a failed one with."""
    if figures.lines():
        terminalreporter.section("figures")
        for line in figures.lines():
            terminalreporter.write_line(line)
    _keep_faults(terminalreporter)
    if terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"repeat with TEST_SEED={terminalreporter.config.stash[SEED]}")


def _keep_faults(terminalreporter: pytest.TerminalReporter) -> None:
    """Append a line per test that failed, with the figures that fell short, where the gate reads them for its last words."""
    kept_at: Path | None = terminalreporter.config.getoption("faults")
    if kept_at is None:
        return
    stats = terminalreporter.stats
    crashes = [
        (report.nodeid, getattr(report.longrepr, "reprcrash", None))
        for report in (*stats.get("failed", ()), *stats.get("error", ()))
    ]
    faults = [f"{name}: {crash.message if crash else 'see above'}" for name, crash in crashes]
    faults += [line for line in figures.lines() if line.endswith("FALLS SHORT")]
    with kept_at.open("a", encoding="utf-8") as file:
        file.writelines(f"{' '.join(fault.split())[:FAULT_CHARS_MAX]}\n" for fault in faults)


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """A number for tests that draw: TEST_SEED, or another one in every run."""
    return pytestconfig.stash[SEED]


@pytest.fixture(autouse=True)
def _leave_what_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the cycle collector off what other tests left, where time is asserted: an engine leaves what stays, too.

    One look at three million foreign objects makes a call that takes 85 ms take 390.
    """
    if request.node.get_closest_marker("timed") is None:
        yield
        return
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


SEED = pytest.StashKey[int]()
