"""Named SQL statements from `.sql` files, and statements that are written for many rows at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SQL_FOLDER = Path(__file__).parent
CHUNK_ROWS = (
    64,
    16,
    4,
    1,
)  # few distinct texts, so that each stays prepared; 64 rows of 16 values: SQLite takes 32 766

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_GROUP = re.compile(r"VALUES\s*(\((?:\s*:\w+\s*,?)+\s*\))")
_PARAMETER = re.compile(r":\w+")


def load_statements(file_name: str) -> Mapping[str, str]:
    """Read the statements of one file, by name.

    Args:
        file_name: relative to this package, such as `engine/shard.sql`. A statement begins with the line `-- name --`.

    Raises:
        ValueError: a name stands twice.
    """
    pieces = _NAME.split((SQL_FOLDER / file_name).read_text(encoding="utf-8"))[1:]
    statements: dict[str, str] = {}
    for name, text in zip(pieces[::2], pieces[1::2], strict=True):
        if name in statements:
            raise ValueError(f"{file_name} has two statements {name}")
        statements[name] = _COMMENT.sub("", text.lstrip("\n")).strip()
    return statements


class RowsStatement:
    """A statement with one `VALUES (:a, :b)` group, which is repeated for as many rows as it is run with.

    `width` is the number of values of a row, in the order of the group's names.
    """

    def __init__(self, text: str) -> None:
        found = _GROUP.search(text)
        if found is None:
            raise ValueError(f"no VALUES group in: {text}")
        self.width = len(_PARAMETER.findall(found[1]))
        row = "(" + ", ".join("?" * self.width) + ")"
        before, after = text[: found.start(1)], text[found.end(1) :]
        self.texts = tuple((count, before + ", ".join([row] * count) + after) for count in CHUNK_ROWS)
