"""Values and lists of another instance, at hand in a decision or asked for (ADR 0031)."""

from __future__ import annotations

from typing import Any

from core.engine.draft import Draft
from core.engine.lending import Again, FormerList
from core.engine.state import Reference
from core.engine.stored import GONE, Borrowed, Former

FORMER_BYTES = 8_192  # what a list that was asked for counts in the node's memory, by estimate


class IsGone(Exception):
    """A value is not there any more."""


def borrowed(draft: Draft, at: Reference, lender: str) -> Any:
    """Give a value of the lending instance; None when it is not at hand, which is noted in `draft.missing`.

    Raises:
        IsGone: it is not there any more.
    """
    key = Borrowed(at.seq, at.offset, at.length, at.hash, lender)
    if key not in draft.state.values:
        draft.missing.append(key)
        return None
    held = draft.state.values[key]
    if held is GONE:
        raise IsGone
    return held


def former(draft: Draft, again: Again, holder: str, name: str, *, first: int = 0) -> FormerList | None:
    """Say how a list of the container `holder` (a task path) had ended, of an iteration or of items from `first` on.

    None = it had not been entered, or nothing is known of it any more; or it is not at hand, which is noted in
    `draft.missing`.
    """
    key = Former(0, 0, FORMER_BYTES, 0, again.lender, holder, name, first)
    if key not in draft.state.values:
        draft.missing.append(key)
        return None
    found: FormerList | None = draft.state.values[key]
    return found
