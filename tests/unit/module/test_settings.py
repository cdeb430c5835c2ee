"""Settings: sources, faults all at once, production, and the one file that explains them."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values

from module.settings import NAMES, NAMES_OF_CALLERS, Settings, SettingsInvalid, read_settings, shown_settings

PROJECT = Path(__file__).parents[3]


def _faults(environment: dict[str, str], folder: Path) -> dict[str, str]:
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(environment, folder)
    return {str(fault["name"]): str(fault["message"]) for fault in caught.value.faults}


def test_environment_wins_over_local_file_over_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_SERVER_PORT=1\nAPI_SERVER_PRIVATE_PORT=1\nFLOW_SHARD_COUNT=1\n")
    (tmp_path / ".env.local").write_text("API_SERVER_PRIVATE_PORT=2\nFLOW_SHARD_COUNT=2\n")
    settings = read_settings({"FLOW_SHARD_COUNT": "3", "HOME": "/root"}, tmp_path)
    assert (1, 2, 3) == (settings.http_port, settings.http_private_port, settings.shard_count)


def test_without_any_source_production_values_hold(tmp_path: Path) -> None:
    assert Settings() == read_settings({}, tmp_path)
    assert ("production", ()) == (Settings().env, Settings().egress_allow)


def test_committed_file_has_every_setting_once_and_is_valid() -> None:
    values = dotenv_values(PROJECT / ".env")
    assert set(NAMES) - NAMES_OF_CALLERS == set(values)
    lines = [
        line.partition("=")[0] for line in (PROJECT / ".env").read_text().splitlines() if "=" in line and line[0] != "#"
    ]
    assert len(lines) == len(set(lines))
    assert "development" == read_settings({}, PROJECT).env


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    found = _faults(
        {
            "FLOW_ENV": "development",
            "FLOW_DATADIR": "x",
            "FLOW_COLOUR": "red",
            "FLOW_STORE": "postgres",
            "FLOW_BUS": "kafka",
            "API_SERVER_PORT": "70000",
            "FLOW_ATTEMPTS_MAX": "many",
            "API_PREFIX": "api",
            "FLOW_EGRESS_ALLOW": "127.0.0.1:8084, nonsense",
            "FLOW_CRASH_AT": "x",
        },
        tmp_path,
    )
    assert {
        "FLOW_DATADIR", "FLOW_COLOUR", "FLOW_STORE", "FLOW_BUS", "API_SERVER_PORT", "FLOW_ATTEMPTS_MAX", "API_PREFIX",
        "FLOW_EGRESS_ALLOW", "FLOW_CRASH_AT",
    } == set(found)  # fmt: skip
    assert "did you mean FLOW_DATA_DIR?" in found["FLOW_DATADIR"]
    assert "did you mean" not in found["FLOW_COLOUR"]
    assert "allowed are sqlite" in found["FLOW_STORE"]
    assert "another release" in found["FLOW_BUS"]
    assert "'nonsense'" in found["FLOW_EGRESS_ALLOW"]


def test_production_refuses_development_values(tmp_path: Path) -> None:
    environment = {"FLOW_ENV": "production", "FLOW_EGRESS_ALLOW": "127.0.0.1:8084", "FLOW_CRASH_AT": "after_commit:3"}
    assert {"FLOW_EGRESS_ALLOW", "FLOW_CRASH_AT"} == set(_faults(environment, tmp_path))


def test_value_may_come_from_a_mounted_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("flow_secret\n")
    assert "flow_secret" == read_settings({"FLOW_API_KEY_FILE": str(file)}, tmp_path).api_key
    assert {"FLOW_API_KEY_FILE"} == set(_faults({"FLOW_API_KEY_FILE": str(file), "FLOW_API_KEY": "x"}, tmp_path))
    file.write_bytes(b"\xff")
    assert "UnicodeDecodeError" in _faults({"FLOW_API_KEY_FILE": str(file)}, tmp_path)["FLOW_API_KEY_FILE"]
    file.write_bytes(b"a" * 65_537)
    assert "more than" in _faults({"FLOW_API_KEY_FILE": str(file)}, tmp_path)["FLOW_API_KEY_FILE"]
    assert "FileNotFoundError" in _faults({"FLOW_API_KEY_FILE": "/none"}, tmp_path)["FLOW_API_KEY_FILE"]


def test_shown_settings_hide_secrets(tmp_path: Path) -> None:
    shown = shown_settings(read_settings({"FLOW_API_KEY": "flow_secret", "FLOW_EGRESS_ALLOW": ""}, tmp_path))
    assert set(NAMES) == set(shown)
    assert "***" == shown["FLOW_API_KEY"]
    assert "flow_secret" not in repr(shown)


def test_secret_value_is_in_no_message(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        read_settings({"FLOW_API_KEY": "flow_secret", "FLOW_STORE": "x"}, tmp_path)
    assert "flow_secret" not in str(caught.value)


def test_callback_url_is_the_public_one_or_that_of_the_server_here() -> None:
    path = "/api/automation/v1/callbacks/"
    assert f"http://127.0.0.1:8082{path}" == Settings().callback_url
    assert f"http://[::1]:80{path}" == Settings(bind_host="::1", http_port=80).callback_url
    assert f"https://flow.example.org/x{path}" == Settings(public_url="https://flow.example.org/x").callback_url
