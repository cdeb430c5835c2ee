"""Bytes -> a document: a JSON value that remembers its text, so that faults can be placed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, NoReturn

import msgspec

from core.dag.fault import Fault, as_document
from core.dag.json_text import json_marks, json_places, read_json
from core.dag.position import locate, nearest
from core.dag.syntax import SyntaxFault
from core.dag.yaml_text import read_yaml, yaml_marks
from core.errors import DagInvalid, DagUndecodable

Format = Literal["yaml", "json"]

# dag-language.md 1. YAML costs ten times as much to read as JSON.
YAML_BYTES_MAX = 256 * 1024
JSON_BYTES_MAX = 1024 * 1024
_BYTES_MAX = {"yaml": YAML_BYTES_MAX, "json": JSON_BYTES_MAX}
_BYTE_ORDER_MARK = "\ufeff"


class Document(msgspec.Struct, frozen=True):
    """A decoded document: any JSON value, not yet checked against the language."""

    value: Any
    text: str
    format: Format

    def placed(self, faults: Iterable[Fault]) -> list[Fault]:
        """Give the faults with their lines and columns, in the order of the text."""
        found = list(faults)
        is_json = self.format == "json"
        marks = json_marks(self.text) if is_json else yaml_marks(self.text)
        places = locate(marks, [fault.pointer for fault in found])
        line_of: Callable[[Any], tuple[int, int]] = json_places(self.text) if is_json else lambda at: at
        placed = []
        for fault in found:
            value_at, key_at = nearest(places, fault.pointer)
            line, column = line_of(key_at if fault.is_at_key else value_at)
            placed.append(msgspec.structs.replace(fault, line=line, column=column))
        return sorted(placed, key=lambda fault: (fault.line, fault.column, fault.pointer, fault.code))


def read_document(data: bytes, format: Format | None = None) -> Document:  # noqa: A002 - the API's own word
    """Decode a document; without `format` a first character `{` means JSON, anything else YAML.

    Raises:
        DagUndecodable: one fault `dag.syntax` with its place (semantics.md S54).
        DagInvalid: one fault `dag.limit`: more than `YAML_BYTES_MAX` or `JSON_BYTES_MAX`; nothing was read.
    """
    known: Format = format or ("json" if data.lstrip()[:1] == b"{" else "yaml")
    if len(data) > _BYTES_MAX[known]:
        fault = Fault(
            code="dag.limit", pointer="", message=f"a {known} document has at most {_BYTES_MAX[known]} bytes", line=1,
            column=1,
        )  # fmt: skip
        raise DagInvalid(fault.message, faults=as_document([fault]))
    try:
        text = data.decode().removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        _refuse(SyntaxFault("the text is not UTF-8", line=line, column=column))
    try:
        return Document(read_json(text) if known == "json" else read_yaml(text), text, known)
    except SyntaxFault as fault:
        _refuse(fault)


def _refuse(found: SyntaxFault) -> NoReturn:
    fault = Fault(
        code="dag.syntax",
        pointer=found.pointer,
        message=found.message,
        hint=found.hint,
        line=found.line,
        column=found.column,
    )
    raise DagUndecodable(found.message, faults=as_document([fault])) from found
