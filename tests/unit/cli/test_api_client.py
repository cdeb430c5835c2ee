"""The command line's client: what each answer of a server means for the exit status."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from driver_adapters.cli.api_client import ApiClient, fault_line, problem_lines
from driver_adapters.cli.exits import DENIED, UNREACHABLE, USAGE, CommandFailed
from driver_adapters.cli.output import print_lines, print_value


class _Handler(BaseHTTPRequestHandler):
    """Answers with the status that the path names, and tells what it got."""

    def do_GET(self) -> None:
        """Answer a read."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer a write."""
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        status = int(self.path.rpartition("/")[2])
        got = {name: self.headers.get(name) for name in ("Authorization", "Content-Type")}
        said = {"path": self.path, "body": body.decode(), **got, "title": "T", "detail": "D", "errors": [
            {"code": "c", "pointer": "", "message": "m"}]}  # fmt: skip
        data = b"<html>" if status == 418 else json.dumps(said if status != 404 else [1]).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """A server on the loopback address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_key_prefix_and_body_are_sent(url: str) -> None:
    client = ApiClient(f"{url}/below/", "/api", "k")
    read = client.get("/200")
    assert ("/below/api/200", "Bearer k") == (read["path"], read["Authorization"])
    written = client.post("/202", b"a: 1", "application/yaml")
    assert ("a: 1", "application/yaml") == (written["body"], written["Content-Type"])


@pytest.mark.parametrize(
    ("status", "exit_status"),
    [(401, DENIED), (403, DENIED), (404, USAGE), (409, USAGE), (422, USAGE), (500, USAGE), (503, UNREACHABLE),
     (504, UNREACHABLE), (418, UNREACHABLE)],
)  # fmt: skip
def test_problem_has_its_exit_status(url: str, status: int, exit_status: int) -> None:
    with pytest.raises(CommandFailed) as caught:
        ApiClient(url, "", "k").get(f"/{status}")
    assert exit_status == caught.value.status
    assert caught.value.lines


@pytest.mark.parametrize("wrong", ["ftp://x", "http://", "nonsense"])
def test_address_that_is_none_is_wrong_usage(wrong: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        ApiClient(wrong, "", "k")
    assert USAGE == caught.value.status


def test_encrypted_connection_to_nobody_is_unreachable() -> None:
    with pytest.raises(CommandFailed) as caught:
        ApiClient("https://127.0.0.1:1", "", "k").get("/200")
    assert UNREACHABLE == caught.value.status


def test_faults_are_told_with_their_places() -> None:
    fault = {"code": "c", "pointer": "/a", "message": "m", "line": 3, "column": 4, "hint": "h"}
    assert "f.yaml:3:4: m [c] at /a (h)" == fault_line("f.yaml", fault)
    assert "f.yaml: m [c] at /" == fault_line("f.yaml", {"code": "c", "message": "m"})
    problem = {"title": "T", "detail": "D", "errors": [fault, "odd"]}
    assert ["T: D", "  3:4: m [c] at /a (h)"] == problem_lines(problem)
    assert 1 == len(problem_lines("odd"))


def test_values_are_printed_in_every_form(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    value = [{"a": 1, "b": None}, {"a": "[bold]x[/bold]", "c": [1]}]
    print_value(value, "json")
    assert value == json.loads(capsys.readouterr().out)
    print_value({"a": 1}, "yaml")
    assert "a: 1\n" == capsys.readouterr().out
    print_value(value, "table")
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown
    assert "[1]" in shown
    print_value("text", "table")
    assert "text\n" == capsys.readouterr().out
    print_lines(["[red]as it is[/red]"])
    assert "[red]as it is[/red]\n" == capsys.readouterr().err
