"""What the architecture tests read: the files that git tracks or would track, and the trees of their Python."""

from __future__ import annotations

import ast
import dataclasses
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("core", "driver_adapters", "driven_adapters", "module", "pkg")
PYTHON = (*PRODUCT, "mock_server", "bench", "tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Module:
    """One Python file: `path` from the project's folder, its text, and its tree."""

    path: str
    text: str
    tree: ast.Module = dataclasses.field(repr=False, compare=False)

    @property
    def line_count(self) -> int:
        """Lines of the file."""
        return len(self.text.splitlines())

    def functions(self) -> Iterator[tuple[Function, int]]:
        """Give every function and method with its length in lines, decorators left out."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node, (node.end_lineno or node.lineno) - node.lineno + 1


@functools.cache
def tracked() -> tuple[str, ...]:
    """List the paths of all files that are committed or would be."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(sorted(name for name in set(names) if name and (ROOT / name).is_file()))


@functools.cache
def texts() -> tuple[tuple[str, str], ...]:
    """Give path and text of every tracked file that is UTF-8."""
    found = []
    for name in tracked():
        raw = (ROOT / name).read_bytes()
        try:
            found.append((name, raw.decode("utf-8")))
        except UnicodeDecodeError:  # a picture or another binary file holds no sentence
            continue
    return tuple(found)


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Parse every Python file below these top-level folders."""
    return tuple(
        Module(name, text, ast.parse(text, name))
        for name, text in texts()
        if name.endswith(".py") and name.split("/")[0] in folders
    )
