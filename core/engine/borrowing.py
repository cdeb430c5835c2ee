"""Values and lists of another instance, at hand in a decision or asked for (ADR 0031)."""

from __future__ import annotations

from typing import Any

import msgspec

from core.engine.draft import Draft
from core.engine.lending import Again, FormerList
from core.engine.state import Indirect, Joined, Reference, Value
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


def opened(draft: Draft, value: Indirect, lender: str) -> Joined | None:
    """Give what stands behind an `Indirect`; None when it is not at hand, which is noted in `draft.missing`.

    Raises:
        IsGone: it is not there any more.
    """
    held = borrowed(draft, value.at, lender)
    return None if held is None else msgspec.convert(held, Joined)


def whole(draft: Draft, value: Value, lender: str) -> Any:
    """Give a value of another instance as JSON; void while values are missing, which are asked for.

    Raises:
        IsGone: it is not there any more.
    """
    match value:
        case bytes():
            return msgspec.json.decode(value)
        case Reference():
            return borrowed(draft, value, lender)
        case Indirect():
            joined = opened(draft, value, lender)
            return None if joined is None else whole(draft, joined, lender)
    parts = [whole(draft, part, lender) for part in value.parts]
    if value.form == "object":
        return dict(zip(value.keys, parts, strict=True))
    if value.form == "list" or draft.is_missing:
        return parts
    return [item for part in parts for item in part]


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
