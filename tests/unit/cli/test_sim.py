"""`flow sim` in this process."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from driver_adapters.cli.exits import CommandFailed
from driver_adapters.cli.sim_command import read_shares
from module.main import run_command

DAG = """
title: Book
inputs: {type: object, properties: {n: {type: integer}}, required: [n]}
steps:
  - {id: book, operator: "@http/request", parameters: {url: "http://h/{{ inputs.n }}"}, retry: {max_attempts: 2}}
  - {id: paid, operator: "@control/wait", parameters: {event: {name: paid}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "book.yaml").write_text(DAG, "utf-8")
    return str(tmp_path / "book.yaml")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    status = run_command([*arguments, "-o", "json"])
    return status, json.loads(capsys.readouterr().out)


def test_seeds_that_hold_end_with_status_zero(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, value = told(capsys, "sim", file, "-i", "n=1", "--signal", "paid=1", "--runs", "3", "--seed", "5")

    assert (0, "holds", {"succeeded": 3}) == (status, value["verdict"], value["fates"])
    assert [5, 6, 7] == [run["seed"] for run in value["runs"]]


def test_line_to_repeat_with_does_just_that_again(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("-i", "n=1", "--signal", "paid=1", "--failing", "book=0.5", "--faults", "crash=0.3,duplicate")
    _, value = told(capsys, "sim", file, *options, "--runs", "4")
    _, again = told(capsys, *shlex.split(value["runs"][3]["repeat"])[1:])

    assert [value["runs"][3]] == again["runs"]


def test_stuck_instance_ends_with_status_one_and_its_trace_is_kept(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("-i", "n=1", "--days", "0.000001", "--runs", "1", "--traces", str(tmp_path / "traces"))
    status, value = told(capsys, "sim", file, *options)

    assert (1, "stuck", ["book is running"]) == (status, value["verdict"], value["runs"][0]["open_tasks"])
    assert Path(value["runs"][0]["trace_file"]).is_file()


def test_table_says_what_became_of_each_seed_and_how_to_repeat_one_that_is_not_fine(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run_command(["sim", file, "-i", "n=1", "--days", "0.000001", "--runs", "2"])
    said = capsys.readouterr()

    assert "verdict: stuck" in said.err
    assert "seed 1 stuck: book is running" in said.err
    assert "--seed 1 --runs 1" in said.err
    assert 3 == len(said.out.splitlines())


def test_failure_that_the_dag_allows_is_fine_and_told(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["sim", file, "-i", "n=1", "--failing", "book=1:forbidden", "--runs", "1"])
    assert "forbidden at book" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--faults", "fire"),
        ("--faults", "crash=2"),
        ("--faults", "crash=much"),
        ("--failing", "book"),
        ("--failing", "book=2"),
        ("--failing", "book=0.5:angry"),
        ("--runs", "0"),
        ("--given", "book"),
        (),  # the input is missing
    ],
)
def test_wrong_usage_is_status_two(file: str, arguments: tuple[str, ...]) -> None:
    given = ("-i", "n=1") if arguments else ()
    assert 2 == run_command(["sim", file, *given, *arguments])


def test_faulty_document_is_told_with_its_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("title: Bad\nsteps: [{id: a, operator: nothing}]", "utf-8")

    assert 2 == run_command(["sim", str(tmp_path / "bad.yaml")])
    assert "bad.yaml:2" in capsys.readouterr().err


def test_shares_are_read_by_name() -> None:
    assert {"crash": 0.5, "duplicate": 0.2} == read_shares("crash=0.5,duplicate")
    assert {} == read_shares("none")
    with pytest.raises(CommandFailed):
        read_shares("")
