"""Commands of `flow` that need no server, run in this process."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from module.main import run_command


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, free ports, and no setting from outside."""
    for name in list(os.environ):
        if name.startswith(("FLOW_", "API_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "FLOW_ENV": "development", "FLOW_DATA_DIR": str(tmp_path / "data"), "API_SERVER_PORT": "0",
        "API_SERVER_PRIVATE_PORT": "0", "COLUMNS": "200",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


def test_store_is_migrated_once_and_its_state_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert 0 == run_command(["db", "status", "-o", "json"])
    due = json.loads(capsys.readouterr().out)
    assert {"due"} == set(due.values())
    assert not (tmp_path / "data").exists()
    assert 0 == run_command(["db", "migrate", "-o", "json"])
    assert sorted(due) == json.loads(capsys.readouterr().out)["applied"]
    assert 0 == run_command(["db", "status", "-o", "json"])
    assert {"applied"} == set(json.loads(capsys.readouterr().out).values())
    assert 0 == run_command(["db", "migrate", "-o", "yaml"])
    assert "applied: []\n" == capsys.readouterr().out


def test_settings_are_shown_masked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_API_KEY", "flow_secret")
    assert 0 == run_command(["config", "show"])
    shown = capsys.readouterr().out
    assert "FLOW_API_KEY" in shown
    assert "flow_secret" not in shown


def test_all_wrong_settings_are_told_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOW_STORE", "postgres")
    monkeypatch.setenv("FLOW_DATADIR", "x")
    assert 2 == run_command(["config", "show"])
    said = capsys.readouterr().err
    assert "FLOW_STORE" in said
    assert "did you mean FLOW_DATA_DIR?" in said


def test_wrong_setting_is_told_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_KEY", "x")
    assert 2 == run_command(["config", "show"])
    expected = "Settings are not valid\n  FLOW_KEY: no setting has this name; did you mean FLOW_API_KEY?\n"
    assert expected == capsys.readouterr().err


def test_valid_document_is_told_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "dag.yaml"
    file.write_text('title: T\nsteps:\n  - {id: a, operator: "@http/request", parameters: {url: "http://x/"}}\n')
    assert 0 == run_command(["validate", str(file)])
    assert f"{file}: valid\n" == capsys.readouterr().err


def test_every_fault_is_told_like_a_compiler(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "dag.yaml"
    file.write_text("title: T\nsteps:\n  - id: a-b\n    operator: '@debug/nop'\n")
    assert 2 == run_command(["validate", str(file)])
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith(f"{file}:3:9: ") and "[dag.schema] at /steps/0/id" in line for line in lines)
    assert any(line.startswith(f"{file}:4:15: ") and "did you mean @debug/noop?" in line for line in lines)


def test_file_that_cannot_be_read_is_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert 2 == run_command(["validate", str(tmp_path / "nothing.yaml")])
    assert "cannot be read" in capsys.readouterr().err
    large = tmp_path / "large.yaml"
    large.write_bytes(b"a" * 1_048_577)
    assert 2 == run_command(["validate", str(large)])
    assert "passes 1048576 bytes" in capsys.readouterr().err


def test_doctor_finds_nothing_on_a_healthy_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["doctor", "-o", "json"])
    checks = json.loads(capsys.readouterr().out)
    assert {"ok"} == {check["result"] for check in checks}
    assert {""} == {check["fix"] for check in checks}


def test_doctor_names_a_taken_port_with_a_fix(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("API_SERVER_PORT", str(port))
        assert 2 == run_command(["doctor", "-o", "json"])
    faults = [check for check in json.loads(capsys.readouterr().out) if check["result"] == "FAULT"]
    assert [f"port {port}"] == [check["check"] for check in faults]
    assert "API_SERVER_PORT" in faults[0]["fix"]


def test_doctor_names_a_store_that_cannot_be_opened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    monkeypatch.setenv("FLOW_DATA_DIR", str(file))
    assert 2 == run_command(["doctor"])
    assert "FAULT" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nonsense"], ["validate"], ["run"], ["db", "drop"], ["validate", "a", "b"]])
def test_wrong_usage_has_its_status(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run_command(arguments)
    capsys.readouterr()


def test_help_and_version_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["--help"])
    assert "validate" in capsys.readouterr().out
    assert 0 == run_command(["--version"])
    assert "0.1.0" in capsys.readouterr().out


def test_no_server_is_unreachable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "dag.json"
    file.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    monkeypatch.setenv("FLOW_URL", f"http://127.0.0.1:{port}")
    assert 3 == run_command(["run", str(file)])
    assert "flow serve" in capsys.readouterr().err
