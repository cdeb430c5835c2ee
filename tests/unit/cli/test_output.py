"""What is printed: tables for people, whole values for programs, nothing that steers a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driver_adapters.cli.output import (
    CELL_CHARACTERS_MAX,
    print_fields,
    print_lines,
    print_table,
    print_value,
    printable,
    table_lines,
)

ROWS: list[dict[str, Any]] = [
    {"id": "A", "status": "succeeded", "n": 1},
    {"id": "longer", "status": "failed", "n": None},
]


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    lines = [line.plain for line in table_lines(ROWS, ("id", "status", "n"))]
    assert ["id      status     n", "A       succeeded  1", "longer  failed"] == lines


def test_wide_characters_take_two_columns() -> None:
    lines = [line.plain for line in table_lines([{"a": "订单", "b": 1}, {"a": "x", "b": 2}], ())]
    assert ["a     b", "订单  1", "x     2"] == lines


def test_file_gets_a_long_line_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table([{"a": "x" * 200, "b": "end"}])
    assert f"{'x' * 200}  end" == capsys.readouterr().out.splitlines()[1]


def test_terminal_gets_a_long_line_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table([{"a": "x" * 200, "b": "end"}])
    line = capsys.readouterr().out.splitlines()[1]
    assert f"{'x' * 39}…" == line


def test_colours_are_for_terminals_that_want_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_table(ROWS)
    assert "\x1b[32msucceeded" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(ROWS)
    assert "\x1b[32m" not in capsys.readouterr().out
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    print_table(ROWS)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[2J", "\\x1b[2J"), ("a\rb", "a\\rb"), ("\x9b31m", "\\x9b31m"), ("a\u202eb", "a\\u202eb"), ("ä\t订\n", "ä\t订\n")],
)  # fmt: skip
def test_text_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert shown == printable(text)


def test_stored_text_is_made_harmless_wherever_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07"
    print_value([{"a": evil}, {"a": 1}], "table")
    print_value({"a": evil}, "table")
    print_value(evil, "table")
    print_lines([evil])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\\x1b]0;owned\\x07" in said.out


def test_line_breaks_of_a_value_stay_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_value([{"a": "one\ntwo", "b": 1}], "table")
    assert ["a        b", "one two  1"] == capsys.readouterr().out.splitlines()


def test_long_value_is_cut_in_a_table_and_whole_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    text = "x" * (CELL_CHARACTERS_MAX + 10)
    print_value({"a": text}, "table")
    assert CELL_CHARACTERS_MAX == len(capsys.readouterr().out.split()[1])
    print_value({"a": text}, "json")
    assert {"a": text} == json.loads(capsys.readouterr().out)


def test_fields_without_a_value_are_left_out_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"status": "running", "error": None, "outputs": {"a": [1]}})
    assert ["status   running", 'outputs  {"a":[1]}'] == capsys.readouterr().out.splitlines()


def test_empty_list_says_so_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_value([], "table")
    said = capsys.readouterr()
    assert ("", "nothing to show\n") == (said.out, said.err)
    print_value([], "json")
    assert "[]\n" == capsys.readouterr().out
