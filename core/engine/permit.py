"""What an instance or a task holds at a gate (semantics.md S16, S46)."""

from __future__ import annotations

import msgspec


class Permit(msgspec.Struct, frozen=True, array_like=True):
    """A place at the gate of `limit` and `key`, at most `most` at once: it is held, or waited for."""

    limit: str
    key: str
    most: int
    is_held: bool
