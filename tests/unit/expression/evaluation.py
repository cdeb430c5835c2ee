"""Evaluation for tests: names of reads are given with underscores for dots."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.expression import ABSENT, ExpressionFailed, Fuel, compile_expression, parse_expression

NOW = datetime(2024, 2, 29, 12, 30, 45, tzinfo=UTC)


class LazyList(Sequence[Any]):
    """A list that is not a `list`, as the engine passes for values in chunks."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, at: Any) -> Any:
        return self._items[at]

    def __len__(self) -> int:
        return len(self._items)


class LazyMap(Mapping[str, Any]):
    def __init__(self, **entries: Any) -> None:
        self._entries = entries

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def evaluate(text: str, fuel: Fuel | None = None, **values: Any) -> Any:
    program = compile_expression(parse_expression(text))
    slots = [values.get("_".join(read.path), ABSENT) for read in program.reads]
    return program.run(slots, fuel or Fuel(), NOW)


def failure(text: str, fuel: Fuel | None = None, **values: Any) -> tuple[str, str]:
    try:
        value = evaluate(text, fuel, **values)
    except ExpressionFailed as error:
        return error.kind, error.message
    raise AssertionError(f"{text} gave {value!r}")
