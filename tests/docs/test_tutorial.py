"""The tutorial, done as it says: every command in a fresh clone, and what it prints is what the page says."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.console import Command, File, Shell, fits, steps
from tests.e2e.processes import free_port
from tests.planted.planting import ROOT, copy_tree, environment

PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
COMMANDS_COUNT_MIN = 20


@contextlib.contextmanager
def fresh_clone(folder: Path) -> Iterator[Shell]:
    """Give a shell in a clone whose server listens on free ports; the server is ended with it, however it ended."""
    tree = copy_tree(ROOT, folder / "a clone")
    public, private = str(free_port()), str(free_port())
    own = {name: value for name, value in environment(tree).items() if not name.startswith(("FLOW_", "API_"))}
    given = own | {
        "API_SERVER_PORT": public,
        "API_SERVER_PRIVATE_PORT": private,
        "FLOW_URL": f"http://127.0.0.1:{public}",
    }
    try:
        yield Shell(tree, given, {"127.0.0.1:8082": f"127.0.0.1:{public}", "127.0.0.1:8083": f"127.0.0.1:{private}"})
    finally:
        pid = tree / "server.pid"
        if pid.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.read_text("utf-8")), signal.SIGKILL)


def test_tutorial_done_line_by_line_gives_what_the_page_says(tmp_path: Path) -> None:
    done = 0
    with fresh_clone(tmp_path) as shell:
        for step in steps(PAGE):
            if isinstance(step, File):
                (tmp_path / "a clone" / step.name).write_text(step.text, "utf-8")
                continue
            printed = shell.run(step)
            assert fits(step.expected, printed, shell.values), told(step, printed)
            done += 1
    assert COMMANDS_COUNT_MIN <= done


def told(step: Command, printed: list[str]) -> str:
    """Say where page and program part."""
    return "\n".join([f"$ {step.text}", "--- the page says", *step.expected, "--- it prints", *printed])


@pytest.mark.parametrize(
    ("expected", "printed", "is_fitting"),
    [
        (("id  <a>",), ["id 01JD3V6Q0R5M9T8W7X2Y4Z1A3B"], True),
        (("id  <a>",), ["id x"], False),
        (("...", "end"), ["one", "two", "end"], True),
        (("...", "end"), ["one", "two"], False),
        (('{"a":...,"b":1}',), ['{"a":{"c":2},"b":1}'], True),
        (('{"a":...,"b":1}',), ['{"a":{"c":2},"b":2}'], False),
        (("one",), ["one", "two"], False),
        (("at <time>",), ["at 2026-01-31T08:30:00.000Z"], True),
    ],
)
def test_what_is_printed_must_fit_each_line_of_the_page(
    expected: tuple[str, ...], printed: list[str], is_fitting: bool
) -> None:
    assert is_fitting == fits(expected, printed, {})


def test_placeholder_seen_before_must_come_again() -> None:
    values = {"a": "01JD3V6Q0R5M9T8W7X2Y4Z1A3B"}
    assert not fits(("<a>",), ["01JD3V6Q0R5M9T8W7X2Y4Z1A3C"], values)
    assert fits(("<a>",), ["01JD3V6Q0R5M9T8W7X2Y4Z1A3B"], values)
