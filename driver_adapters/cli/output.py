"""Printing of values: a table for people, JSON or YAML for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Form = Literal["table", "json", "yaml"]


def print_value(value: Any, form: Form) -> None:
    """Print a JSON value to standard output."""
    if form == "json":
        print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    elif form == "yaml":
        print(msgspec.yaml.encode(value).decode(), end="")
    else:
        Console(highlight=False).print(_table(value))


def print_lines(lines: Sequence[str]) -> None:
    """Print lines to standard error, as they are."""
    console = Console(stderr=True, highlight=False)
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _table(value: Any) -> Table | Text:
    rows = value if isinstance(value, list) else [value]
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        return Text(_cell(value))
    if len(rows) == 1:
        table = Table(show_header=False, box=box.SIMPLE)
        for name, inner in rows[0].items():
            table.add_row(str(name), Text(_cell(inner)))
        return table
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*names, box=box.SIMPLE)
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
