"""The programs of docs/sdk.md run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from core.dag.document import read_document
from flow_automation import Dag
from flow_automation.testing import Simulation
from tests.dags.check import faults

ROOT = Path(__file__).parents[3]
PROGRAMS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "sdk.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(program: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(program, "docs/sdk.md", "exec"), names)  # noqa: S102 - the page of this very tree
    return names


def test_page_has_a_program_of_each_half() -> None:
    assert 3 == len(PROGRAMS)


def test_builder_of_the_page_gives_a_valid_dag_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    dag: Dag = run(PROGRAMS[0])["dag"]

    assert dag.to_document() == read_document(capsys.readouterr().out.encode(), "yaml").value
    assert [] == faults(dag.to_document())
    with Simulation() as simulation:
        outputs = simulation.run(dag, {"people": ["Ada", "Bo"]}).assert_succeeded().outputs
    assert {"texts": ["Hello Ada, from us", "Hello Bo, from us"]} == outputs


def test_tests_of_the_page_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    programs = [run(program) for program in PROGRAMS[1:]]
    tests = [value for names in programs for name, value in names.items() if name.startswith("test_")]

    assert 2 == len(tests)
    for test in tests:
        test()
