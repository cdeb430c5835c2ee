"""The hand-written expected problems: one file per case, `input` and the `errors` that it must give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from core.dag.document import Format

FOLDER = Path(__file__).parent


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault as it must come; fields that are left out are not compared, texts are looked for inside."""

    code: str
    pointer: str
    line: int
    column: int | None = None
    message: str = ""
    hint: str = ""
    allowed: list[Any] | None = None


class Repeat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mark` in the input stands for `count` copies of `text`, its `%d` numbered."""

    mark: str
    count: int
    text: str
    joiner: str = ", "


class Nest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mark` in the input stands for `count` texts inside each other, `last` being the innermost value."""

    mark: str
    count: int
    text: str
    last: str


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file. `published`: version of the DAG that exists already."""

    errors: list[Expected]
    input: str = ""
    input_hex: str = ""
    format: Format | None = None
    repeat: Repeat | None = None
    nest: Nest | None = None
    published: str | None = None

    def data(self) -> bytes:
        """Give the document."""
        if self.input_hex:
            return bytes.fromhex(self.input_hex)
        text = self.input
        if self.repeat is not None:
            copies = (self.repeat.text.replace("%d", str(n)) for n in range(self.repeat.count))
            text = text.replace(self.repeat.mark, self.repeat.joiner.join(copies))
        if self.nest is not None:
            inner = self.nest.last
            for number in range(self.nest.count, 0, -1):
                inner = self.nest.text.replace("%d", str(number)).replace(self.nest.mark, inner)
            text = text.replace(self.nest.mark, inner)
        return text.encode()


def cases() -> dict[str, Case]:
    """Read every case by name."""
    return {
        path.stem: msgspec.convert(yaml.safe_load(path.read_text()), Case) for path in sorted(FOLDER.glob("*.yaml"))
    }


def differences(expected: Expected, got: dict[str, Any]) -> list[str]:
    """Say how a fault differs from the expected one."""
    found = []
    for name in ("code", "pointer", "line", "column"):
        wanted = getattr(expected, name)
        if wanted is not None and wanted != got.get(name):
            found.append(f"{name}: expected {wanted!r}, got {got.get(name)!r}")
    for name in ("message", "hint"):
        wanted = getattr(expected, name)
        if wanted not in got.get(name, ""):
            found.append(f"{name}: expected {wanted!r} in {got.get(name, '')!r}")
    if expected.allowed is not None and expected.allowed != got.get("allowed"):
        found.append(f"allowed: expected {expected.allowed!r}, got {got.get('allowed')!r}")
    return found
