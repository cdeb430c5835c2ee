"""The oldest entry is never looked for at the front of a dict whose front is taken out again and again.

A dict keeps the places of what left it until it grows, and walks over all of them to its first entry. One that is as
full as it may be, and loses its oldest entry for each new one, so costs more per entry the more it holds; an
`OrderedDict` gives it by `popitem(last=False)` at once (bench/NOTES.md).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.arch.source import PRODUCT, modules


def walks_to_the_oldest(tree: ast.AST) -> Iterator[int]:
    """Give the lines of `next(iter(<attribute>))`: what an object keeps, and not what a call made just now."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("next"), args=[ast.Call(func=ast.Name("iter"), args=[ast.Attribute()])]):
                yield node.lineno
            case _:
                pass


def test_oldest_entry_is_popped_and_not_walked_to() -> None:
    found = [
        f"{module.path}:{line}: take an OrderedDict and popitem(last=False)"
        for module in modules(*PRODUCT)
        for line in walks_to_the_oldest(module.tree)
    ]
    assert [] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key = next(iter(self._held))\ndel self._held[key]", [1]),
        ("del self.views[next(iter(self.views))]", [1]),
        ("self._held.popitem(last=False)", []),
        ("first = next(iter(found.values()), None)", []),
        ("first = next(iter(line.holders), None)", []),
    ],
    ids=["two-steps", "one-step", "popped", "call", "with-default"],
)
def test_walk_to_the_oldest_entry_is_seen(text: str, expected: list[int]) -> None:
    assert expected == list(walks_to_the_oldest(ast.parse(text)))
