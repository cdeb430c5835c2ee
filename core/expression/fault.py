"""Faults that a check finds, with what would be right instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

import msgspec

# Names listed as allowed: enough to choose from, bounded for a DAG of a thousand steps.
ALLOWED_COUNT_MAX: Final = 50
# Names compared for a did-you-mean: each comparison takes some 10 us.
COMPARED_COUNT_MAX: Final = 1000


class ExprFault(msgspec.Struct, frozen=True):
    """One fault of an expression.

    Args:
        code: as in semantics.md S54.
        message: what is wrong.
        offset: where, in characters from the start of the expression.
        hint: what to write instead; empty when nothing comes to mind.
        allowed: names that are possible there, sorted, at most `ALLOWED_COUNT_MAX`.
    """

    code: str
    message: str
    offset: int
    hint: str = ""
    allowed: tuple[str, ...] = ()


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Give a hint with the nearest of some names; empty when none is near."""
    known = sorted(names)[:COMPARED_COUNT_MAX]
    by_letters = {other.lower(): other for other in reversed(known)}
    near = difflib.get_close_matches(name.lower(), by_letters, n=1)
    return f"did you mean `{by_letters[near[0]]}`?" if near else ""


def allowed_of(names: Iterable[str]) -> tuple[str, ...]:
    """Cut a list of possible names to what a person reads."""
    return tuple(sorted(names)[:ALLOWED_COUNT_MAX])
