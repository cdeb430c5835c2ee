"""The README's table of settings is the one that the process reads, and its first DAG runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from dotenv import dotenv_values

from module.main import run_command
from module.settings import NAMES, NAMES_OF_CALLERS, Settings, shown_settings
from tests.arch.source import ROOT

README = (ROOT / "README.md").read_text("utf-8")
SETTING_ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`|none) \|", re.MULTILINE)
DOCUMENT = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def told_settings() -> dict[str, str]:
    """Give the table's names and values; `none` is an empty one."""
    return dict(SETTING_ROW.findall(README))


def test_table_of_settings_names_each_setting_once() -> None:
    rows = [name for name, _ in SETTING_ROW.findall(README)]

    assert sorted(NAMES) == sorted(rows)


def test_value_in_the_table_is_that_of_the_development_file() -> None:
    defaults = dotenv_values(ROOT / ".env", interpolate=False)

    told = {name: value for name, value in told_settings().items() if name not in NAMES_OF_CALLERS}

    assert defaults == told


def test_value_of_a_callers_setting_in_the_table_is_the_default() -> None:
    defaults = shown_settings(Settings())

    told = {name: value for name, value in told_settings().items() if name in NAMES_OF_CALLERS}

    assert {name: defaults[name] for name in NAMES_OF_CALLERS} == told


def test_first_dag_of_the_readme_is_valid(tmp_path: Path) -> None:
    documents = DOCUMENT.findall(README)
    path = tmp_path / "first.yaml"
    path.write_text(documents[0], "utf-8")

    assert 0 == run_command(["validate", str(path)])
