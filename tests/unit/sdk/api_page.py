"""The public API of `flow_automation`, written down: `python -m tests.unit.sdk.api_page` renews `public_api.txt`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import flow_automation
import flow_automation.testing

FILE = Path(__file__).with_name("public_api.txt")


def written() -> str:
    """Give every public name with its signature, sorted."""
    lines: list[str] = []
    for module in (flow_automation, flow_automation.testing):
        for name in sorted(module.__all__):
            lines += lines_of(module, name)
    return "\n".join(lines) + "\n"


def lines_of(module: ModuleType, name: str) -> Iterator[str]:
    value: Any = getattr(module, name)
    path = f"{module.__name__}.{name}"
    if inspect.isclass(value):
        yield f"class {path}({', '.join(base.__name__ for base in value.__bases__)})"
        for field, annotation in sorted(getattr(value, "__annotations__", {}).items()):
            if not field.startswith("_"):
                yield f"    {field}: {annotation if isinstance(annotation, str) else getattr(annotation, '__forward_arg__', annotation)}"
        for member in sorted(vars(value)):
            yield from member_lines(member, vars(value)[member])
    elif inspect.isfunction(value):
        yield f"def {path}{inspect.signature(value)}"
    else:
        yield f"{path}: {value!r}"


def member_lines(name: str, member: Any) -> Iterator[str]:
    if name.startswith("_") and name not in ("__init__", "__enter__", "__exit__"):
        return
    if isinstance(member, property):
        yield f"    {name}{inspect.signature(member.fget).replace(parameters=[])}" if member.fget else f"    {name}"
    elif inspect.isfunction(member):
        yield f"    def {name}{inspect.signature(member)}"


if __name__ == "__main__":
    FILE.write_text(written(), "utf-8")
