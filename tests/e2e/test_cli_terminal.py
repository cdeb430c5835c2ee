"""`flow` on a terminal: the live view, colours, progress, questions, Ctrl-C; and how much memory a file takes."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import DEADLINE_S, PROJECT, environment, flow, free_port

SLOW = """title: Slow
steps:
  - {id: first, operator: "@debug/fail", parameters: {times: 2, output: 1, message: "not yet"}, retry: {max_attempts: 9, delay_s: 1.2, max_delay_s: 1.2, jitter: none}}
  - {id: second, operator: "@debug/noop"}
"""
HANGING = """title: Waiting
steps:
  - {id: call, operator: "@debug/fail", retry: {max_attempts: 9, delay_s: 1000, max_delay_s: 1000, jitter: none}}
"""
COLUMNS, LINES = 100, 30
FILE_BYTES = 192 * 1024 * 1024
# Interpreter, libraries and a few pieces of a file; the file itself would be twice as much.
CLIENT_BYTES_MAX = 96 * 1024 * 1024
# Runs a command and prints the most memory that its process had, in KiB.
PEAK = """
import re, sys
from module.main import run_command
status = run_command(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of a client of one served process, on a terminal."""
    given = environment(tmp_path_factory.mktemp("data"))
    given = {name: value for name, value in given.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    with flow("serve", given=given) as server:
        url = server.wait_for(r"^API +(http://127\.0\.0\.1:\d+)").group(1)
        key = server.wait_for(r"(flow_\w+)").group(1)
        yield {**given, "FLOW_URL": url, "FLOW_API_KEY": key, "TERM": "xterm-256color"}


class Terminal:
    """A command on a pseudo terminal of a fixed size."""

    def __init__(self, arguments: tuple[str, ...], given: dict[str, str], folder: Path) -> None:
        self._near, far = pty.openpty()
        termios.tcsetwinsize(far, (LINES, COLUMNS))
        self.text = ""
        self.child = subprocess.Popen(
            [sys.executable, "-m", "module.main", *arguments],
            cwd=folder,
            env={**given, "PYTHONPATH": str(PROJECT)},
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
        )
        os.close(far)

    def wait_for(self, pattern: str) -> None:
        """Read until the pattern stands in what was shown."""
        while not re.search(pattern, self.text):
            assert self._read(), self.text

    def type(self, text: str) -> None:
        """Send keys."""
        os.write(self._near, text.encode())

    def end(self) -> int:
        """Read the rest and give the exit status."""
        while self._read():
            """Until the other side is closed."""
        os.close(self._near)
        return self.child.wait(DEADLINE_S)

    def _read(self) -> bool:
        try:
            data = os.read(self._near, 65_536)
        except OSError:  # EIO: Linux's end of a terminal whose other side is closed
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "slow.yaml").write_text(SLOW)
    (tmp_path / "waiting.yaml").write_text(HANGING)
    return tmp_path


def test_live_view_redraws_the_steps_in_place(client: dict[str, str], folder: Path) -> None:
    terminal = Terminal(("run", "slow.yaml", "--watch"), client, folder)
    terminal.wait_for("retrying")
    assert 0 == terminal.end(), terminal.text
    assert re.search(r"\x1b\[\d*A", terminal.text), "the cursor went up to draw over what stood there"
    assert "\x1b[32msucceeded" in terminal.text
    last = terminal.text[terminal.text.rindex("\x1b[1A") :]
    assert re.search(r"first.+succeeded.+3.*\r\n", last)
    assert re.search(r"second.+succeeded.+1.*\r\n", last)


def test_live_view_without_colours_has_none(client: dict[str, str], folder: Path) -> None:
    terminal = Terminal(("run", "slow.yaml", "--watch"), {**client, "NO_COLOR": "1"}, folder)
    assert 0 == terminal.end(), terminal.text
    assert re.search(r"\x1b\[\d*A", terminal.text)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", terminal.text)


def test_interrupted_live_view_gives_the_terminal_back(client: dict[str, str], folder: Path) -> None:
    terminal = Terminal(("run", "waiting.yaml", "--watch"), client, folder)
    terminal.wait_for("retrying")
    assert "\x1b[?25l" in terminal.text, "the cursor is hidden while the view is drawn"
    terminal.child.send_signal(signal.SIGINT)
    assert 130 == terminal.end(), terminal.text
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert "goes on" in terminal.text
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize(("answer", "status", "later_status"), [("y\n", 0, 2), ("\n", 2, 0)])
def test_person_is_asked_before_a_dag_is_deleted(
    client: dict[str, str], folder: Path, answer: str, status: int, later_status: int
) -> None:
    assert 0 == Terminal(("dags", "apply", "slow.yaml"), client, folder).end()
    terminal = Terminal(("dags", "delete", "Slow"), client, folder)
    terminal.wait_for(r"Delete the DAG 'Slow', v1\.0\.0\? \[y/N\]")
    terminal.type(answer)
    assert status == terminal.end(), terminal.text
    assert later_status == Terminal(("dags", "get", "Slow"), client, folder).end()


def test_long_lines_are_cut_to_the_width(client: dict[str, str], folder: Path) -> None:
    terminal = Terminal(("plan", "slow.yaml"), {**client, "NO_COLOR": "1"}, folder)
    assert 0 == terminal.end(), terminal.text
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in terminal.text.splitlines()]
    assert COLUMNS >= max(map(len, lines))


def test_wait_outlives_a_server_that_is_killed_and_started_again(tmp_path: Path, folder: Path) -> None:
    given = environment(tmp_path / "data", API_SERVER_PORT=str(free_port()))
    with flow("serve", given=given) as server:
        key = server.wait_for(r"(flow_\w+)").group(1)
        url = server.wait_for(r"^API +(http://127\.0\.0\.1:\d+)").group(1)
        client = {**given, "FLOW_URL": url, "FLOW_API_KEY": key}
        with flow("run", str(folder / "slow.yaml"), "--watch", given=client) as waiting:
            waiting.wait_for("^first (retrying|ready|running)")
            server.end(signal.SIGKILL)
            waiting.wait_for("the instance is durable; asking again")
            with flow("serve", given=given) as again:
                assert 0 == waiting.wait(), waiting.text
                assert re.search(r"^instance \w+ succeeded$", waiting.text, re.MULTILINE)
                assert 0 == again.end(signal.SIGTERM)


def test_large_file_passes_in_pieces(client: dict[str, str], folder: Path) -> None:
    with (folder / "large.bin").open("wb") as made:
        made.truncate(FILE_BYTES)
    for arguments in (("upload", "large.bin"), ("download", "large.bin", "--to", "back.bin")):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "files", *arguments],
            cwd=folder,
            env={**client, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=True,
        )
        peak_bytes = int(done.stdout.splitlines()[-1]) * 1024
        assert CLIENT_BYTES_MAX > peak_bytes, f"{arguments}: {peak_bytes}"
    assert FILE_BYTES == (folder / "back.bin").stat().st_size


def test_progress_is_shown_on_a_terminal_only(client: dict[str, str], folder: Path) -> None:
    with (folder / "some.bin").open("wb") as made:
        made.truncate(4 * 1024 * 1024)
    terminal = Terminal(("files", "upload", "some.bin"), client, folder)
    assert 0 == terminal.end(), terminal.text
    assert re.search(r"some\.bin .*\d+\.\d/4\.2 MB", terminal.text)
