"""How long the long tests are: one table, tests/budget.toml, with a column for every change and one for a release."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

TABLE = Path(__file__).with_name("budget.toml")


def length(name: str) -> int:
    """Give the length called `name` in the column that TEST_BUDGET names; `test` when it is not set.

    Raises:
        KeyError: no such line in the table, or TEST_BUDGET names no column.
    """
    column = os.environ.get("TEST_BUDGET") or "test"
    return int(tomllib.loads(TABLE.read_text("utf-8"))[name][column])
