"""The four ways in which a step gives or gets the content of a file."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from typing import Any

import msgspec

from pkg.json_value import json_fault

ENCODINGS = ("text", "json", "csv", "base64")
MEDIA_TYPES = {
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "base64": "application/octet-stream",
}


class ContentInvalid(Exception):
    """The content does not fit its encoding; the message says why."""


def encode_content(content: Any, encoding: str) -> bytes:
    """Give the bytes of a file.

    Args:
        content: text for `text` and `base64`, any JSON value for `json`, a list of objects for `csv`.
        encoding: one of ENCODINGS.

    Raises:
        ContentInvalid: the content is something else.
    """
    try:
        if encoding == "json":
            return msgspec.json.encode(content)
        if encoding == "csv":
            return _csv_text(content).encode()
        if not isinstance(content, str):
            raise ContentInvalid(f"for the encoding {encoding} the content is text")
        return content.encode() if encoding == "text" else base64.b64decode(content, validate=True)
    except UnicodeEncodeError:
        raise ContentInvalid("the content has text with a lone surrogate") from None
    except binascii.Error:
        raise ContentInvalid("the content is not base64") from None


def decode_content(data: bytes, encoding: str) -> Any:
    """Give what `encode_content` was given; every value of `csv` is text, "" where it is empty.

    Raises:
        ContentInvalid: these bytes are not of this encoding.
    """
    if encoding == "base64":
        return base64.b64encode(data).decode()
    try:
        if encoding == "json":
            return _json_value(data)
        text = data.decode("utf-8-sig")  # spreadsheets write a mark before the first name
    except UnicodeDecodeError:
        raise ContentInvalid("the file is not UTF-8; read it as base64") from None
    return text if encoding == "text" else _csv_rows(text)


def _json_value(data: bytes) -> Any:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise ContentInvalid("the file is not JSON") from None
    if fault := json_fault(value):
        raise ContentInvalid(f"the file is not JSON that a run can hold: {fault}")
    return value


def _csv_text(rows: Any) -> str:
    """Write rows under the names of all their fields, in the order in which these first come."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ContentInvalid("for the encoding csv the content is a list of objects")
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if names:
        writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _csv_rows(text: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = next(lines, [])
        if len(set(names)) != len(names):
            raise ContentInvalid("the first line names a column twice")
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(names):
                raise ContentInvalid(
                    f"line {lines.line_num} has {len(cells)} values, the first line {len(names)} names"
                )
            rows.append(dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise ContentInvalid(f"the file is not CSV: {error}") from None
    return rows
