"""Inputs of a start as they are given on the command line: `name=value`, `@FILE`, or a JSON object."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from core.dag.json_text import read_json
from core.dag.syntax import SyntaxFault
from driver_adapters.cli.exits import USAGE, CommandFailed

FILE_BYTES_MAX = 1_048_576  # what the server takes as a document or as inputs
_FORMS: dict[str, Literal["yaml", "json"]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def read_inputs(parts: Sequence[str]) -> dict[str, Any]:
    """Put the parts together; a later one counts.

    Args:
        parts: `name=value`, where the value is JSON when it reads as JSON and text when it does not; `@FILE`, a file
            with a JSON object, `@-` for standard input; or the object itself.

    Raises:
        CommandFailed: a part is nothing of these.
    """
    inputs: dict[str, Any] = {}
    for part in parts:
        if part.startswith("@"):
            inputs |= _object(_text(part[1:]), part)
        elif part.startswith("{"):
            inputs |= _object(part, "--input")
        else:
            name, equals, text = part.partition("=")
            if not name or not equals:
                raise CommandFailed(USAGE, f"--input {part!r} is none of name=value, @FILE and a JSON object")
            inputs[name] = _value(text)
    return inputs


def read_data(text: str) -> Any:
    """Give one JSON value: of the text, of `@FILE`, or of standard input (`@-`); what is no JSON is a text.

    Raises:
        CommandFailed: the file is not readable, or holds no JSON.
    """
    if not text.startswith("@"):
        return _value(text)
    try:
        return read_json(_text(text[1:]))
    except SyntaxFault as fault:
        raise CommandFailed(USAGE, f"{text}:{fault.line}:{fault.column}: {fault.message}") from fault


def read_given(text: str, option: str) -> Any:
    """Read one JSON value: the text itself, `@FILE`, or `@-` for standard input.

    Raises:
        CommandFailed: it is no JSON.
    """
    try:
        return read_json(_text(text[1:]) if text.startswith("@") else text)
    except SyntaxFault as fault:
        raise CommandFailed(USAGE, f"{option}:{fault.line}:{fault.column}: {fault.message}") from fault


def read_file(file: Path) -> bytes:
    """Read a file that the server will take.

    Raises:
        CommandFailed: not readable, or longer than FILE_BYTES_MAX.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CommandFailed(USAGE, f"{file} cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise CommandFailed(USAGE, f"{file} passes {FILE_BYTES_MAX} bytes")
    return data


def form_of(file: Path) -> Literal["yaml", "json"] | None:
    """Say by its ending how a document is written; None = find out by looking."""
    return _FORMS.get(file.suffix.lower())


def is_file_name(text: str) -> bool:
    """Say whether the text means a document's file rather than a DAG's title or id."""
    path = Path(text)
    return form_of(path) is not None or path.is_file()


def _text(name: str) -> str:
    data = sys.stdin.buffer.read(FILE_BYTES_MAX) if name == "-" else read_file(Path(name))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandFailed(USAGE, f"{name} is not UTF-8") from error


def _object(text: str, said: str) -> dict[str, Any]:
    try:
        value = read_json(text)
    except SyntaxFault as fault:
        raise CommandFailed(USAGE, f"{said}:{fault.line}:{fault.column}: {fault.message}") from fault
    if not isinstance(value, dict):
        raise CommandFailed(USAGE, f"{said} holds no JSON object")
    return value


def _value(text: str) -> Any:
    try:
        return read_json(text)
    except SyntaxFault:
        return text
