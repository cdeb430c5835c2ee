"""Where values stand in a text: JSON pointer -> line and column, both from 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from core.dag.fault import below, names_of

# One token of a document's outline: kind (`{`, `[`, `end`, `key`, `scalar`), a key's name, and where it begins as its
# notation tells it. A plain tuple: a document has up to half a million of them.
Mark: TypeAlias = tuple[str, str, Any]
# Where a value begins, and its key when it stands in an object (else the same).
Place: TypeAlias = tuple[Any, Any]
# One open container: wanted names below it, its pointer, None for an object or the next index of a list.
_Open: TypeAlias = tuple[dict[str, Any] | None, str, list[int] | None]


def locate(marks: Iterable[Mark], pointers: Iterable[str]) -> dict[str, Place]:
    """Find the places of pointers, and of all their ancestors, in one pass over the outline.

    A pointer that is not in the text is left out; use the nearest ancestor (`nearest`). The first of two equal keys
    counts. Reading stops when all are found.
    """
    wanted, count = _tree_of(pointers)
    found: dict[str, Place] = {}
    for pointer, place in _placed(marks, wanted):
        found.setdefault(pointer, place)
        if len(found) == count:
            break
    return found


def nearest(places: dict[str, Place], pointer: str) -> Place:
    """Give the place of a pointer or of its nearest ancestor; a document that was read has a place itself."""
    while pointer not in places:
        pointer = pointer.rpartition("/")[0]
    return places[pointer]


def _tree_of(pointers: Iterable[str]) -> tuple[dict[str, Any], int]:
    """Give wanted names as nested objects, and how many places that are."""
    tree: dict[str, Any] = {}
    count = 1
    for pointer in pointers:
        node = tree
        for name in names_of(pointer):
            if name not in node:
                node[name] = {}
                count += 1
            node = node[name]
    return tree, count


def _placed(marks: Iterable[Mark], tree: dict[str, Any]) -> Iterator[tuple[str, Place]]:
    stack: list[_Open] = []
    key: Mark | None = None
    for mark in marks:
        kind = mark[0]
        if kind == "end":
            stack.pop()
            continue
        if kind == "key":
            key = mark
            continue
        wanted, pointer = _child(stack, key, tree)
        if wanted is not None:
            yield pointer, (mark[2], (key or mark)[2])
        key = None
        if kind != "scalar":
            stack.append((wanted, pointer, [0] if kind == "[" else None))


def _child(stack: list[_Open], key: Mark | None, tree: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Give what is wanted below the value that begins now, and its pointer (empty text when nothing is wanted)."""
    if not stack:
        return tree, ""
    wanted, pointer, index = stack[-1]
    if wanted is None:
        return None, ""
    if index is None:
        name = key[1] if key else ""
    else:
        name = str(index[0])
        index[0] += 1
    child = wanted.get(name)
    return (child, below(pointer, name)) if child is not None else (None, "")
