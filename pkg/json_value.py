"""What is a JSON value here: the types and bounds that every value crossing a border must meet."""

from __future__ import annotations

from math import isfinite
from typing import Any

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1  # semantics.md S30: integers are 64-bit
DEPTH_MAX = 128  # twice a document's 64; far below the recursion limit of every codec and comparison
_PLAIN = frozenset((str, bool, type(None)))


def json_fault(value: Any) -> str | None:
    """Say why this Python value is no JSON value; None when it is one.

    JSON values are None, bool, int (64-bit), finite float, str, list or tuple, and dict with text keys, nested at most
    DEPTH_MAX deep. Looks at every node once and does not recurse.
    """
    level, depth = [value], 0
    while level:
        if depth > DEPTH_MAX:
            return f"nested deeper than {DEPTH_MAX}"
        below: list[Any] = []
        for node in level:
            kind = type(node)
            if kind in _PLAIN:
                continue
            if kind is dict:
                if not all(type(key) is str for key in node):
                    return "a key is not text"
                below.extend(node.values())
            elif kind is list or kind is tuple:
                below.extend(node)
            elif (fault := _number_fault(node)) is not None:
                return fault
        level, depth = below, depth + 1
    return None


def _number_fault(node: Any) -> str | None:
    if type(node) is int:
        return None if INTEGER_MIN <= node <= INTEGER_MAX else "an integer is outside 64 bits"
    if type(node) is float:
        return None if isfinite(node) else "a number is not finite"
    return f"{type(node).__name__} is no JSON type"


def json_size(value: Any) -> int:
    """Count the nodes of a JSON value, keys not counted. Does not recurse."""
    level, count = [value], 0
    while level:
        count += len(level)
        below: list[Any] = []
        for node in level:
            if type(node) is dict:
                below.extend(node.values())
            elif type(node) is list or type(node) is tuple:
                below.extend(node)
        level = below
    return count
