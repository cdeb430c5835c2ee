"""The command line's client: what each answer of a server means for the exit status."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from driver_adapters.cli.api_client import (
    LINE_BYTES_MAX,
    PIECE_BYTES,
    ApiClient,
    ServerEvent,
    fault_line,
    problem_lines,
)
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
    [(401, DENIED), (403, DENIED), (404, USAGE), (409, USAGE), (422, USAGE), (429, UNREACHABLE), (500, UNREACHABLE), (503, UNREACHABLE),
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


def test_refusal_tells_what_stands_in_the_way() -> None:
    bound = {"name": "streams_of_key", "value": {"taken": 10, "most": 10}, "holder_kind": "key", "holder": "01"}
    problem = {"title": "T", "detail": "D", "why": [{**bound, "next": "one of them is closed", "at": None}]}
    line = '  why: streams_of_key {"taken":10,"most":10}, up to key 01: one of them is closed'
    assert ["T: D", line] == problem_lines(problem)


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


STREAM = b'retry: 1000\n\n: still here\n\nid: 1.0\nevent: a\ndata: {"n":\ndata: 1}\n\nid: 1.1\ndata: plain\n\nid: 9\ndata: cut'


class _Raw(BaseHTTPRequestHandler):
    """Answers what the path asks for, as bytes."""

    def do_GET(self) -> None:
        """Answer a stream, a long answer, one that is cut off, or one that never ends a line."""
        name = self.path.rpartition("/")[2].partition("?")[0]
        data, told = {
            "stream": (STREAM, None),
            "long": (b"x" * 600_000, 600_000),
            "cut": (b"x" * 600_000, 600_001),
            "endless": (b"data: " + b"x" * LINE_BYTES_MAX, None),
            "gone": (b'{"title": "T", "detail": "D"}', 29),
        }[name]
        self.send_response(404 if name == "gone" else 200)
        if told is not None:
            self.send_header("Content-Length", str(told))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        """Refuse a body without reading it."""
        data = b'{"title": "Too large", "detail": "D"}'
        self.wfile.write(b"HTTP/1.1 413 no\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.recv(1)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def raw() -> Iterator[ApiClient]:
    """A client of a server on the loopback address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Raw) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield ApiClient(f"http://127.0.0.1:{server.server_port}", "", "k")
        server.shutdown()
        thread.join()


def test_stream_is_read_event_by_event(raw: ApiClient) -> None:
    """A heartbeat says nothing, and what a cut leaves half is no event."""
    assert [ServerEvent("1.0", "a", {"n": 1}), ServerEvent("1.1", "", "plain")] == list(raw.events("/stream", {}))


def test_stream_without_end_of_line_is_bounded(raw: ApiClient) -> None:
    with pytest.raises(CommandFailed) as caught:
        list(raw.events("/endless", {}))
    assert f"passes {LINE_BYTES_MAX} bytes" in caught.value.lines[0]


def test_problem_in_place_of_a_stream_or_content_is_told(raw: ApiClient) -> None:
    with pytest.raises(CommandFailed) as caught:
        list(raw.events("/gone", {}))
    assert (USAGE, "T: D") == (caught.value.status, caught.value.lines[0])
    with pytest.raises(CommandFailed) as caught, raw.pieces("/gone"):
        """Nothing is read."""
    assert (USAGE, "T: D") == (caught.value.status, caught.value.lines[0])


def test_content_comes_in_pieces_and_a_cut_is_noticed(raw: ApiClient) -> None:
    with raw.pieces("/long") as (length, pieces):
        sizes = [len(piece) for piece in pieces]
    assert (600_000, 600_000) == (length, sum(sizes))
    assert PIECE_BYTES >= max(sizes)
    with raw.pieces("/cut") as (_, pieces), pytest.raises(CommandFailed) as caught:
        list(pieces)
    assert (UNREACHABLE, "cut off with 1 bytes to come") == (caught.value.status, caught.value.lines[0])


def test_refusal_of_a_body_is_told_before_all_of_it_is_sent(raw: ApiClient) -> None:
    body = io.BytesIO(b"x" * 50_000_000)
    with pytest.raises(CommandFailed) as caught:
        raw.send("POST", "/files", body=body, headers={"Content-Length": "50000000"})
    assert (USAGE, "Too large: D") == (caught.value.status, caught.value.lines[0])
