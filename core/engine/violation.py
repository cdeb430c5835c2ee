"""What an audit found: an invariant that does not hold, and where."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """One invariant that does not hold: its name (`I6`), where, and a sentence."""

    invariant: str
    instance_id: str
    seq: int
    sentence: str


def sentences(violations: Iterable[Violation]) -> list[str]:
    """Give one line per violation, for people."""
    return [f"{each.invariant} {each.instance_id} seq {each.seq}: {each.sentence}" for each in violations]
