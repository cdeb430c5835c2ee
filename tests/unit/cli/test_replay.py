"""`flow replay` without a server: rows forwards and backwards, one row, an edit, and files that are none."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.engine.trace.file import read_trace, write_trace
from driver_adapters.cli import trace_commands
from driver_adapters.cli.exits import CommandFailed
from flow_automation.testing import Simulation, http_answer
from module.main import run_command

DOCUMENT = """
title: Traced
steps:
  - {id: fetch, operator: "@http/request", parameters: {url: "https://shop.example/"}}
  - {id: count, operator: "@debug/noop", parameters: {n: "{{ steps.fetch.output.body.n }}"}}
  - {id: many, operator: "@debug/noop", when: "steps.count.output.n > 1"}
outputs: {n: "{{ steps.count.output.n }}"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with Simulation(seed=3) as simulation:
        simulation.when("@http/request").at("fetch").returns(http_answer({"n": 2}))
        simulation.when("@debug/noop").returns_from(lambda call: call.parameters)
        return simulation.run(DOCUMENT).assert_succeeded().export(tmp_path / "x.flowtrace")


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert 0 == run_command(["replay", *arguments, "-o", "json"])
    return json.loads(capsys.readouterr().out)


def test_rows_are_played_forwards_and_backwards(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forwards = answered(capsys, str(file))
    backwards = answered(capsys, str(file), "--backwards")

    assert ("Traced", {"seed": "3"}) == (forwards["dag"], forwards["notes"])
    assert forwards["rows"] == backwards["rows"][::-1]
    assert ("running", "succeeded") == (forwards["rows"][0]["status"], forwards["rows"][-1]["status"])


def test_table_of_rows_tells_events_and_changes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["replay", str(file)])
    told = capsys.readouterr().out

    assert "fetch: running -> succeeded" in told
    assert "instance: queued -> running" in told
    assert "count: not entered -> pending" in told
    assert "task_succeeded" in told


def test_one_row_is_shown_with_every_task(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand = answered(capsys, str(file), "--at", "1")
    assert {"fetch": "running", "count": "pending", "many": "pending"} == {
        task["path"]: task["status"] for task in stand["tasks"]
    }
    assert 0 == run_command(["replay", str(file), "--at", "0"])
    assert "queued" in capsys.readouterr().out


def test_edit_shows_the_first_divergence(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = answered(capsys, str(file), "--edit", 'count={"n": 1}')
    assert ("count", "succeeded", False) == (told["divergence"]["path"], told["status"], told["is_open"])
    assert 0 == run_command(["replay", str(file), "--edit", 'count={"n": 0}'])
    shown = capsys.readouterr().out
    assert "first_divergence" in shown
    assert "the operator answered otherwise" in shown
    assert 0 == run_command(["replay", str(file), "--edit", "many=null"])
    assert "as_edited" in capsys.readouterr().out


def test_edit_that_changes_nothing_says_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["replay", str(file), "--edit", 'count={"n": 2}'])
    assert "none: nothing that follows reads it" in capsys.readouterr().out


def test_steps_are_gone_by_commands(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\nn\np\n99\n2\nwhat\nq\nn\n"))
    assert 0 == run_command(["replay", str(file), "--step"])
    told = capsys.readouterr()

    rows = [line.split()[1] for line in told.err.splitlines() if line.startswith("row ")]
    newest = str(read_trace(file.read_bytes()).rows[-1].seq)
    assert ["1", "2", "3", "2", newest, "2", "2"] == rows
    assert "'what' is no command" in told.err
    monkeypatch.setattr("sys.stdin", io.StringIO("p\np\n"))
    assert 0 == run_command(["replay", str(file), "--step"])
    assert "row 0 of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--at", "999"], "has rows 1 to"),
        (["--edit", "count"], "is not STEP=JSON"),
        (["--edit", "count={"], "--edit count:"),
        (["--edit", "nothing=1"], "no attempt of 'nothing'"),
    ],
)
def test_what_the_file_does_not_hold_is_told(
    file: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == run_command(["replay", str(file), *arguments])
    assert sentence in capsys.readouterr().err


def test_file_that_is_none_is_told(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text(DOCUMENT)
    assert 2 == run_command(["replay", str(foreign)])
    assert 2 == run_command(["replay", str(tmp_path / "nowhere")])
    bare = read_trace(file.read_bytes())
    for document, sentence in ((None, "holds no document"), (b'{"steps": 1}', "cannot run the file's document")):
        changed = tmp_path / "changed"
        fields = {name: getattr(bare, name) for name in bare.__struct_fields__} | {"document": document}
        changed.write_bytes(write_trace(type(bare)(**fields)))
        assert 2 == run_command(["replay", str(changed), "--edit", "count=1"])
        assert sentence in capsys.readouterr().err


class OneAnswer:
    """A client whose server gives these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.sent = pieces

    def pieces(self, path: str) -> Any:
        assert path == "/instances/01/trace"
        return contextlib.nullcontext((None, iter(self.sent)))


def test_export_writes_a_whole_file_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client: Any = OneAnswer(b"flow", b"trace")
    target = tmp_path / "x.flowtrace"
    trace_commands._save(client, "01", target, is_forced=False)

    assert (b"flowtrace", 1) == (target.read_bytes(), len(list(tmp_path.iterdir())))
    assert "9 bytes" in capsys.readouterr().err
    with pytest.raises(CommandFailed, match="exists"):
        trace_commands._save(client, "01", target, is_forced=False)
    with pytest.raises(CommandFailed, match="cannot be written"):
        trace_commands._save(client, "01", tmp_path / "no" / "where", is_forced=False)


def test_export_that_passes_the_bound_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_commands, "TRACE_BYTES_MAX", 4)
    client: Any = OneAnswer(b"flow", b"trace")
    with pytest.raises(CommandFailed, match="passes 4 bytes"):
        trace_commands._save(client, "01", tmp_path / "x", is_forced=False)
    assert [] == list(tmp_path.iterdir())
