"""How long an instance was paused, as its header keeps it (semantics.md S42)."""

from __future__ import annotations

import msgspec

# The bounds of an instance that is paused more often than this are put off by a little too much: those that were armed
# between its two oldest pauses get the time of both.
PAUSES_KEPT_MAX = 16


class PausedTime(msgspec.Struct, frozen=True, array_like=True):
    """Time in which the instance was paused: it does not count for bounds that were armed before timer number `n`."""

    n: int
    seconds: float


def with_pause(pauses: tuple[PausedTime, ...], ended: PausedTime) -> tuple[PausedTime, ...]:
    """Add a pause; of more than PAUSES_KEPT_MAX the two oldest are laid together."""
    kept = (*pauses, ended)
    if len(kept) <= PAUSES_KEPT_MAX:
        return kept
    return (PausedTime(kept[1].n, kept[0].seconds + kept[1].seconds), *kept[2:])
