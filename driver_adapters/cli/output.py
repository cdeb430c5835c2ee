"""Printing of values: a table for people, JSON or YAML for programs. Values go to standard output, words beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

Form = Literal["table", "json", "yaml"]

CELL_CHARACTERS_MAX = 4_096  # of one value in a table: what is longer is for `-o json`
_GAP = "  "
# Control characters of stored texts would steer the terminal: colours, titles, lines that hide other lines.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BREAKS = re.compile(r"[\t\n]")
# Statuses of instances and tasks, and of checks, by the colour that a terminal shows them in.
STYLES: dict[str, str] = {
    "succeeded": "green",
    "ok": "green",
    "applied": "green",
    "failed": "red",
    "FAULT": "red",
    "running": "cyan",
    "waiting": "cyan",
    "retrying": "yellow",
    "cancelling": "yellow",
    "cancelled": "yellow",
    "skipped": "dim",
    "pending": "dim",
}


def print_value(value: Any, form: Form, columns: Sequence[str] = ()) -> None:
    """Print a JSON value to standard output.

    Args:
        value: an object, a list of them, or anything else.
        form: `table` shows an object as lines of name and value, a list as columns.
        columns: of a table of a list; absent = every name that occurs. JSON and YAML hold everything.
    """
    if form == "json":
        print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    elif form == "yaml":
        print(msgspec.yaml.encode(value).decode(), end="")
    elif isinstance(value, Mapping):
        print_fields(value)
    elif isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
        if not value:
            print_lines(["nothing to show"])
        print_table(value, columns)
    else:
        Console(highlight=False).print(Text(_cell(value)), soft_wrap=True)


def print_row(value: Mapping[str, Any], form: Form, told: str) -> None:
    """Print one value of a stream as it comes: `told` for people, else JSON on one line or a YAML document."""
    if form == "json":
        print(msgspec.json.encode(value).decode(), flush=True)
    elif form == "yaml":
        print(f"---\n{msgspec.yaml.encode(value).decode()}", end="", flush=True)
    else:
        print(printable(told), flush=True)


def print_lines(lines: Sequence[str]) -> None:
    """Print lines to standard error, as they are but for characters that would steer the terminal."""
    console = Console(stderr=True, highlight=False)
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)


def printable(text: str) -> str:
    r"""Show control characters, but tab and line feed, as `\x1b` and the like."""
    return _STEERING.sub(lambda match: ascii(match.group())[1:-1], text)


def table_lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[Text]:
    """Lay rows out in columns as wide as their longest cell, under a line of names; empty without rows."""
    if not rows:
        return []
    names = list(columns) or list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(cell_len(line[place]) for line in cells) for place in range(len(names))]
    return [_line(line, widths, is_head=number == 0) for number, line in enumerate(cells)]


def _line(cells: Sequence[str], widths: Sequence[int], *, is_head: bool) -> Text:
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append(set_cell_size(cell, width), "bold" if is_head else STYLES.get(cell, ""))
        line.append(_GAP)
    line.rstrip()
    return line


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Print rows in columns. A terminal cuts a long line; a file and a pipe get it whole."""
    console = Console(highlight=False)
    for line in table_lines(rows, columns):
        if console.is_terminal:
            console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line, soft_wrap=True)


def print_fields(value: Mapping[str, Any]) -> None:
    """Print an object as lines of name and value; what has no value is left out."""
    console = Console(highlight=False)
    value = {name: inner for name, inner in value.items() if inner is not None}
    width = max((cell_len(str(name)) for name in value), default=0)
    for name, inner in value.items():
        cell = _cell(inner)
        line = Text(set_cell_size(str(name), width), "bold")
        line.append(_GAP)
        line.append(cell, STYLES.get(cell, "not bold"))
        line.rstrip()
        console.print(line, soft_wrap=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) > CELL_CHARACTERS_MAX:
        text = text[: CELL_CHARACTERS_MAX - 1] + "…"
    return printable(_BREAKS.sub(" ", text))
